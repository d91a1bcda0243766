# Copyright (c) mmseg_ctt contributors.
"""Image files of kinds that Pillow and OpenCV do not write, for tests."""

import io
import struct
from typing import Optional

import numpy as np
from PIL import Image

ORIENTATION = 0x0112


def colours(height: int = 20, width: int = 30, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Random pixels ``(H, W, C)`` uint8."""
    return np.random.RandomState(seed).randint(0, 256, (height, width, channels)).astype(np.uint8)


def encoded(image: Image.Image, kind: str, orientation: Optional[int] = None, **settings) -> bytes:
    """File of a Pillow image, with an orientation tag."""
    if orientation is not None:
        settings['exif'] = Image.Exif()
        settings['exif'][ORIENTATION] = orientation
    if kind == 'WEBP':
        settings['lossless'] = True
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def tiff(
    pixels: np.ndarray, rgb: bool = False, extra: int = 0, orientation: int = 1, pages: int = 1
) -> bytes:
    """Plain little-endian TIFF of any number of bands and pages, tags by TIFF 6.0.

    Args:
        pixels (np.ndarray): ``(H, W, C)``.
        rgb (bool): Whether the first three bands are called red, green, blue; else one grey.
        extra (int): What the further bands are: 0 not said, 1 and 2 alpha.
        orientation (int): Tag 274.
        pages (int): How often the image is written.
    """
    height, width, bands = pixels.shape
    data = np.ascontiguousarray(pixels).tobytes()
    unnamed = bands - (3 if rgb else 1)
    tags = {
        256: [width],
        257: [height],
        258: [pixels.dtype.itemsize * 8] * bands,
        259: [1],
        262: [2 if rgb else 1],
        274: [orientation],
        277: [bands],
        278: [height],
        284: [1],
        339: [{'u': 1, 'i': 2, 'f': 3}[pixels.dtype.kind]] * bands,
    }
    if unnamed:
        tags[338] = [extra] * unnamed
    content = b'II*\0' + struct.pack('<I', 8)
    for page in range(pages):
        content += _page(tags, data, len(content), last=page == pages - 1)
    return content


def _page(tags: dict, data: bytes, start: int, last: bool) -> bytes:
    count = len(tags) + 2
    lists_at = start + 2 + 12 * count + 4
    lists = b''.join(struct.pack(f'<{len(v)}H', *v) for v in tags.values() if len(v) > 2)
    data_at = lists_at + len(lists)
    entries, at = {}, lists_at
    for tag, values in tags.items():
        packed = struct.pack(f'<{len(values)}H', *values)
        if len(packed) <= 4:
            entries[tag] = struct.pack('<HHI', tag, 3, len(values)) + packed.ljust(4, b'\0')
        else:
            entries[tag] = struct.pack('<HHII', tag, 3, len(values), at)
            at += len(packed)
    entries[273] = struct.pack('<HHII', 273, 4, 1, data_at)
    entries[279] = struct.pack('<HHII', 279, 4, 1, len(data))
    table = b''.join(entries[tag] for tag in sorted(entries))
    following = 0 if last else data_at + len(data)
    return struct.pack('<H', count) + table + struct.pack('<I', following) + lists + data
