# Copyright (c) mmseg_ctt contributors.
"""Values and colours of mask files, counted."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Sequence

import numpy as np
from PIL import Image

from ...datasets.colour_masks import EIGHT_BIT, pack, read_colours
from ...datasets.label_check import check_size, image_size, read_mask

GREY = 0x010101  # colour of the grey value 1
NUM_WORKERS = 4


class MaskFile(NamedTuple):
    """Pixels of a mask.

    Attributes:
        name (str): Its path.
        mode (str): Mode of the image, as Pillow calls it.
        values (dict[int, int]): Pixels by value, for masks of one channel; empty for others.
        colours (dict[int, int]): Pixels by colour; of palette images those of the palette.
        entries (dict[int, int]): Colour by value, of palette images.
    """

    name: str
    mode: str
    values: Dict[int, int]
    colours: Dict[int, int]
    entries: Dict[int, int]


def read_masks(root: Path, pairs: Mapping[str, str]) -> List[MaskFile]:
    """Count values and colours of masks, and check their sizes.

    Args:
        root (Path): Root of the data set.
        pairs (Mapping[str, str]): Path of the mask by path of its image, below the root.

    Raises:
        ValueError: Naming the first mask that cannot be read or does not fit its image.
    """

    def read(pair: Sequence[str]) -> MaskFile:
        image, mask = pair
        found = _counted(root / mask)
        with Image.open(root / mask) as opened:
            size = np.broadcast_to(np.uint8(0), opened.size[::-1])
        check_size(size, image_size(root / image), f'the mask {root / mask}', root / image)
        return found._replace(name=mask)

    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        return list(pool.map(read, pairs.items()))


def _counted(path: Path) -> MaskFile:
    try:
        with Image.open(path) as image:
            mode, palette = image.mode, image.getpalette() if image.mode == 'P' else None
    except OSError as error:
        raise ValueError(f'the mask {path} cannot be read: {error}') from None
    values: Dict[int, int] = {}
    if mode in ('L', 'P', '1', 'I', 'F') or mode.startswith('I;16'):
        pixels = read_mask(path)
        if mode == 'F' and not (pixels == pixels.round()).all():
            raise ValueError(f'the mask {path} holds numbers with a point: ids are whole numbers')
        values = _unique(pixels.astype(np.int64))
    elif mode not in EIGHT_BIT:
        raise ValueError(f'the mask {path} has the mode {mode} of Pillow: ids, colours are needed')
    entries = _entries(palette or [], values)
    if entries:
        colours = dict(Counter({entries[v]: n for v, n in values.items()}))
    elif values:
        scale = 255 if mode == '1' else 1
        colours = {value * scale * GREY: n for value, n in values.items() if 0 <= value < 256}
    else:
        colours = _unique(read_colours(path))
    return MaskFile(str(path), mode, values, colours, entries)


def _unique(pixels: np.ndarray) -> Dict[int, int]:
    values, counts = np.unique(pixels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist()))


def _entries(palette: Sequence[int], values: Mapping[int, int]) -> Dict[int, int]:
    """Colours of the values that occur."""
    if not palette:
        return {}
    return {value: pack((*palette, *[0] * 768)[3 * value : 3 * value + 3]) for value in values}


def summed(counts: Sequence[Mapping[int, int]]) -> Dict[int, int]:
    """Pixels by value or colour in all masks, most frequent first."""
    total: Counter = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
