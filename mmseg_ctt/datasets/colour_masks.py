# Copyright (c) mmseg_ctt contributors.
"""Class ids from masks that hold colours or grey values.

A colour is an integer, ``65536 * red + 256 * green + blue``; a grey value v is the colour
(v, v, v). A palette is a list of colours, of which colour k is class k.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence

import numpy as np
from PIL import Image

from .image_files import find_files
from .lists import PathLike
from .mask_colours import counted, mask_mode, read_colours

IGNORE = 255  # id of pixels without a class
BLACK, WHITE = 0, 0xFFFFFF
LOSSY = ('.jpg', '.jpeg')  # masks of changed colours
# modes of Pillow that hold one grey value a pixel
GREY_MODES = ('L', '1', 'I', 'F', 'I;16', 'I;16B', 'I;16L', 'I;16N')
NUM_WORKERS = 4


class ColourMask(NamedTuple):
    """Colours of a mask.

    Attributes:
        name (str): Path below the folder of the masks.
        mode (str): Mode of the image, as Pillow calls it.
        pixels (dict[int, int]): Pixels by colour.
    """

    name: str
    mode: str
    pixels: Dict[int, int]


def pack(rgb: Sequence[int]) -> int:
    """Colour of a triple."""
    return int(rgb[0]) << 16 | int(rgb[1]) << 8 | int(rgb[2])


def unpack(colour: int) -> List[int]:
    """Triple of a colour."""
    return [colour >> 16, colour >> 8 & 255, colour & 255]


def as_text(colour: int) -> str:
    """A colour as a user writes it: ``128,64,128``, or ``128`` for a grey value."""
    rgb = unpack(colour)
    return str(rgb[0]) if len(set(rgb)) == 1 else ','.join(map(str, rgb))


def made_up_names(palette: Sequence[int], modes: Iterable[str]) -> List[str]:
    """Names of classes that have none, such as ``value 128`` and ``colour 128,64,128``.

    Args:
        palette (Sequence[int]): Colour of each class.
        modes (Iterable[str]): Modes of the masks; classes of grey masks have values.
    """
    grey = set(modes) <= {*GREY_MODES, 'LA'}
    return [
        f'value {rgb[0]}' if grey and len(set(rgb)) == 1 else f'colour {",".join(map(str, rgb))}'
        for rgb in map(unpack, palette)
    ]


def parse_colour(text: str) -> int:
    """Colour of ``128,64,128``, or of the grey value ``128``.

    Raises:
        ValueError: If it is neither.
    """
    parts = text.split(',')
    values = [int(part) for part in parts if part.strip().isdigit()]
    if len(values) != len(parts) or len(parts) not in (1, 3) or max(values) > 255:
        raise ValueError(
            f'{text!r} is no colour: write red,green,blue such as 128,64,128, or a grey value, in '
            '0-255'
        )
    return pack(values * 3 if len(values) == 1 else values)


def palette_of(meta: Mapping[str, Any], where: str) -> List[int]:
    """Palette of a ``meta.json``; empty if it has none.

    Args:
        meta (Mapping): As from :func:`read_meta`.
        where (str): Its file, for messages.

    Raises:
        ValueError: If an entry is no triple of 0-255, or two classes have one colour.
    """
    given = meta.get('palette') or []
    for rgb in given:
        if not isinstance(rgb, list) or len(rgb) != 3 or not all(v in range(256) for v in rgb):
            raise ValueError(f'{where}: {rgb} in "palette" is no colour [red, green, blue]')
    return check_palette([pack(rgb) for rgb in given], where)


def check_palette(palette: Sequence[int], where: str) -> List[int]:
    """A palette as a list.

    Args:
        palette (Sequence[int]): Colour of each class.
        where (str): Its origin, for messages.

    Raises:
        ValueError: If two classes have one colour, or there are more than 255.
    """
    twice = [colour for colour, number in Counter(palette).items() if number > 1]
    if twice:
        raise ValueError(f'{where} gives the colour {as_text(twice[0])} to two classes')
    if len(palette) > IGNORE:
        raise ValueError(f'{where} has {len(palette)} colours: a mask holds at most {IGNORE} ids')
    return list(palette)


def to_ids(colours: np.ndarray, palette: Sequence[int]) -> np.ndarray:
    """Ids of colours.

    Args:
        colours (np.ndarray): int32 ``(H, W)``.
        palette (Sequence[int]): K colours, no two equal.

    Returns:
        np.ndarray: uint8 ``(H, W)``, 255 where a colour is not in the palette.
    """
    order = np.argsort(palette)
    ordered = np.asarray(palette)[order]
    found = np.searchsorted(ordered, colours).clip(max=len(ordered) - 1)
    return np.where(ordered[found] == colours, order[found], IGNORE).astype(np.uint8)


def count_colours(folder: PathLike, suffixes: Sequence[str]) -> List[ColourMask]:
    """Colours of all masks below a folder.

    Args:
        folder (str | Path): Folder of the masks.
        suffixes (Sequence[str]): Ends of their names.

    Raises:
        FileNotFoundError: If there is no folder, or no mask in it.
        ValueError: Naming the first mask that cannot be read.
    """
    names = list(find_files(folder, suffixes).values())
    if not names:
        raise FileNotFoundError(f'no mask was found in {folder}: none ends in {suffixes[0]}')

    def count(name: str) -> ColourMask:
        path = Path(folder, name)
        return ColourMask(name, mask_mode(path), counted(read_colours(path)))

    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        return list(pool.map(count, names))


def total(masks: Sequence[ColourMask]) -> Dict[int, int]:
    """Pixels by colour in all masks, most frequent first."""
    pixels: Dict[int, int] = Counter()
    for mask in masks:
        pixels.update(mask.pixels)
    return dict(sorted(pixels.items(), key=lambda item: (-item[1], item[0])))


def found_palette(masks: Sequence[ColourMask]) -> List[int]:
    """Colours of masks as a palette, most frequent first, without black.

    Black is a class where white is the only other colour, and is then the first.

    Args:
        masks (Sequence[ColourMask]): The masks.

    Raises:
        ValueError: If the masks hold ids already, or too many colours to be classes.
    """
    colours = total(masks)
    if _are_ids(masks):
        raise ValueError(
            f'{masks[0].name} and the others hold ids of classes already, 0, 1, 2 and so on: '
            'nothing is to be done. To convert them by colour give the colours with --palette'
        )
    if set(colours) == {BLACK, WHITE}:
        return [BLACK, WHITE]
    palette = [colour for colour in colours if colour != BLACK]
    lossy = any(mask.name.lower().endswith(LOSSY) for mask in masks)
    if lossy or not 0 < len(palette) <= IGNORE:
        raise ValueError(
            f'the masks hold {len(palette)} colours besides black, which cannot all be classes '
            '(JPEG and smooth edges make new colours): give the colours of the classes with '
            '--palette, or as "palette" of a meta.json'
        )
    return palette


def _are_ids(masks: Sequence[ColourMask]) -> bool:
    """Whether one channel holds a palette's indices, or 0, 1, 2 and so on besides 255."""
    if all(mask.mode == 'P' for mask in masks):
        return True
    if any(mask.mode not in ('L', 'P') for mask in masks):
        return False
    greys = sorted({unpack(colour)[0] for colour in total(masks)} - {IGNORE})
    return len(greys) > 1 and greys == list(range(len(greys)))


def write_ids(
    source: PathLike,
    out: PathLike,
    targets: Mapping[str, str],
    palette: Sequence[int],
    overwrite: bool = False,
) -> None:
    """Write masks of ids, uint8 PNG.

    Args:
        source (str | Path): Folder of the masks.
        out (str | Path): Another folder, neither in ``source`` nor around it.
        targets (Mapping[str, str]): Path below ``out`` by path below ``source``.
        palette (Sequence[int]): Colour of each class.
        overwrite (bool): Whether to replace files in ``out``. Defaults to False.

    Raises:
        ValueError: If a folder holds the other, or ``out`` has one of the files.
    """
    check_apart(source, out)
    present = [name for name in targets.values() if Path(out, name).exists()]
    if present and not overwrite:
        raise ValueError(
            f'{out} already has {len(present)} of these masks, such as {present[0]}: write '
            'elsewhere, or give --overwrite'
        )

    def convert(name: str) -> None:
        target = Path(out, targets[name])
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_ids(read_colours(Path(source, name)), palette)).save(target)

    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        list(pool.map(convert, targets))


def check_apart(source: PathLike, out: PathLike) -> None:
    """The folder of the results is not that of the masks, nor in it or around it.

    Raises:
        ValueError: If it is.
    """
    first, second = Path(source).resolve(), Path(out).resolve()
    if first == second or first in second.parents or second in first.parents:
        raise ValueError(
            f'{out} is, holds or lies in the folder of the colour masks, {source}: write to a '
            'folder beside it'
        )
