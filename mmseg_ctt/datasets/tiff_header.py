# Copyright (c) mmseg_ctt contributors.
"""Header of a TIFF file: what its pixels are, and whether it is stored turned.

OpenCV and Pillow leave out bands that they do not expect, without a word. The header tells how many
there are. Tags are those of TIFF 6.0 and BigTIFF.
"""

import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
ORIENTATION, SAMPLES, FORMAT = 274, 277, 339
SUBFILE, MASK = 254, 4  # kind of a page, and that of a mask of valid pixels
GEO = (33550, 33922, 34264, 34735)  # GeoTIFF: pixel scale, tie points, transform, keys
NODATA = 42113  # GDAL: value of pixels without data, as text
FORMATS = {1: 'uint', 2: 'int', 3: 'float'}
TYPES = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}  # of numbers in a tag
PRESENT = {2: 'B', 12: 'Q'}  # text and floating point, of which only the tag's presence is used
MAX_PAGES = 4096
CMYK, PALETTE = 5, 3  # values of PHOTOMETRIC

Content = Union[bytes, mmap]
Tags = Dict[int, Tuple[int, int]]  # first number of each tag, and where it stands in the file


class TiffHeader(NamedTuple):
    """What a TIFF file says of its first page.

    Attributes:
        size (tuple[int, int]): Height and width as stored.
        bands (int): Samples of a pixel.
        kind (str): Type of the samples, such as ``'uint16'``.
        photometric (int): Tag 262: 0 and 1 grey, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr.
        orientation (int): Tag 274, 1 to 8.
        orientation_at (int | None): Where the tag's value stands in the file; None without the tag.
        pages (int): Pages of this size; smaller ones, such as previews, do not count.
        order (str): ``'<'`` or ``'>'``.
        geo (bool): Whether it is a GeoTIFF.
        nodata (bool): Whether some pixels may have no data: it names a value for them, or has a
            mask.
        compression (int): Tag 259.
    """

    size: Tuple[int, int]
    bands: int
    kind: str
    photometric: int
    orientation: int
    orientation_at: Optional[int]
    pages: int
    order: str
    geo: bool = False
    nodata: bool = False
    compression: int = 1


def is_tiff(content: Content) -> bool:
    """Whether a file begins as a TIFF file does."""
    return content[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')


def read_tiff_header(content: Content) -> Optional[TiffHeader]:
    """Header of a TIFF file; None if it is broken.

    Args:
        content (bytes): The file.
    """
    order = '<' if content[:2] == b'II' else '>'
    try:
        pages = _read_pages(content, order)
        first = pages[0]
        height, width = first[HEIGHT][0], first[WIDTH][0]
    except (struct.error, KeyError, IndexError):
        return None
    value = {tag: number for tag, (number, _) in first.items()}
    return TiffHeader(
        (height, width),
        value.get(SAMPLES, 1),
        f'{FORMATS.get(value.get(FORMAT, 1), "uint")}{value.get(BITS, 1)}',
        value.get(PHOTOMETRIC, 1),
        value.get(ORIENTATION, 1),
        first.get(ORIENTATION, (1, None))[1],
        sum(_size_of(page) == (height, width) and not _is_mask(page) for page in pages),
        order,
        any(tag in first for tag in GEO),
        NODATA in first or any(_is_mask(page) for page in pages),
        value.get(COMPRESSION, 1),
    )


def file_header(path: Path) -> Optional[TiffHeader]:
    """Header of a TIFF file, without reading its pixels; None for another file, or a broken one.

    Args:
        path (Path): Image file.
    """
    if not path.stat().st_size:
        return None
    with open(path, 'rb') as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return read_tiff_header(content) if is_tiff(content) else None


def is_raster(header: TiffHeader, installed: bool) -> bool:
    """Whether a TIFF file is read by rasterio.

    Args:
        header (TiffHeader): Of the file.
        installed (bool): Whether rasterio is. A GeoTIFF whose pixels all have data is read by the
            other decoders without it. One whose pixels may have none is, with coordinates or not.
    """
    if header.photometric in (CMYK, PALETTE) or header.pages > 1:
        return False
    return header.nodata or (header.geo and installed)


def without_orientation(content: bytes, header: TiffHeader) -> bytes:
    """The file with an orientation tag of 1, so that no decoder turns the image by itself."""
    if header.orientation_at is None or header.orientation == 1:
        return content
    start = header.orientation_at
    return content[:start] + struct.pack(f'{header.order}H', 1) + content[start + 2 :]


def _size_of(page: Tags) -> Tuple[int, int]:
    return page.get(HEIGHT, (0, 0))[0], page.get(WIDTH, (0, 0))[0]


def _is_mask(page: Tags) -> bool:
    return bool(page.get(SUBFILE, (0, 0))[0] & MASK)


def _read_pages(content: Content, order: str) -> List[Tags]:
    """Tags of each page, in a chain of tables."""
    big = content[2:4] in (b'+\0', b'\0+')
    number, count, entry = ('Q', 'Q', 20) if big else ('I', 'H', 12)
    (start,) = struct.unpack_from(f'{order}{number}', content, 8 if big else 4)
    pages: List[Tags] = []
    while start and len(pages) < MAX_PAGES:
        (entries,) = struct.unpack_from(f'{order}{count}', content, start)
        first = start + struct.calcsize(f'{order}{count}')
        pages.append(
            _read_table(content, order, number, range(first, first + entries * entry, entry))
        )
        (start,) = struct.unpack_from(f'{order}{number}', content, first + entries * entry)
    return pages


def _read_table(content: Content, order: str, number: str, entries: range) -> Tags:
    """First number of each tag of one page; tags of other types are left out."""
    tags: Tags = {}
    types = {**TYPES, **PRESENT}
    for at in entries:
        tag, kind = struct.unpack_from(f'{order}HH', content, at)
        (count,) = struct.unpack_from(f'{order}{number}', content, at + 4)
        if kind not in types:
            continue
        value = at + 4 + struct.calcsize(f'{order}{number}')
        if count * struct.calcsize(types[kind]) > struct.calcsize(number):  # stands elsewhere
            (value,) = struct.unpack_from(f'{order}{number}', content, value)
        tags[tag] = struct.unpack_from(f'{order}{types[kind]}', content, value)[0], value
    return tags
