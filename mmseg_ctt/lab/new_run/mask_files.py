# Copyright (c) mmseg_ctt contributors.
"""Values and colours of mask files, counted."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ...datasets.colour_masks import GREY_MODES, pack
from ...datasets.label_check import check_size, image_size, read_mask
from ...datasets.mask_colours import EIGHT_BIT, NO_DATA, counted, mask_mode, read_colours
from ...rasters import opened

GREY = 0x010101  # colour of the grey value 1
NUM_WORKERS = 4
# modes of Pillow that hold one number a pixel
SINGLE = (*GREY_MODES, 'P')


class MaskFile(NamedTuple):
    """Pixels of a mask.

    Attributes:
        name (str): Its path.
        mode (str): Mode of the image, as Pillow calls it.
        values (dict[int, int]): Pixels by value, for masks of one channel; empty for others.
        colours (dict[int, int]): Pixels by colour; of palette images those of the palette.
        entries (dict[int, int]): Colour by value, of palette images.
        empty (int): Pixels without data, which are of no value and colour.
        no_data (float | None): Value that the file names for them.
    """

    name: str
    mode: str
    values: Dict[int, int]
    colours: Dict[int, int]
    entries: Dict[int, int]
    empty: int = 0
    no_data: Optional[float] = None


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
        found, size = _counted(root / mask)
        shown = np.broadcast_to(np.uint8(0), size)
        check_size(shown, image_size(root / image), f'the mask {root / mask}', root / image)
        return found._replace(name=mask)

    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        return list(pool.map(read, pairs.items()))


def _counted(path: Path) -> Tuple[MaskFile, Tuple[int, ...]]:
    """A mask, and its height and width."""
    mode = mask_mode(path)
    if mode in SINGLE:
        pixels = read_mask(path, NO_DATA)
        if mode == 'F' and pixels.dtype.kind == 'f' and not (pixels == pixels.round()).all():
            raise ValueError(f'the mask {path} holds numbers with a point: ids are whole numbers')
        pixels = pixels.astype(np.int64)
        values, entries = counted(pixels), _entries(path, mode, counted(pixels))
        scale = 255 if mode == '1' else 1
        grey = {value: value * scale * GREY for value in values if 0 <= value < 256}
        colours: Counter = Counter()
        for value, colour in (entries or grey).items():
            colours[colour] += values[value]
    elif mode in EIGHT_BIT:
        pixels = read_colours(path)
        values, entries, colours = {}, {}, Counter(counted(pixels))
    else:
        raise ValueError(f'the mask {path} has the mode {mode} of Pillow: ids, colours are needed')
    found = MaskFile(str(path), mode, values, dict(colours), entries)
    empty = int((pixels == NO_DATA).sum())
    if empty:
        with opened(path) as raster:
            found = found._replace(empty=empty, no_data=raster.nodata)
    return found, pixels.shape[:2]


def _entries(path: Path, mode: str, values: Mapping[int, int]) -> Dict[int, int]:
    """Colours of the values that occur, of palette images."""
    if mode != 'P':
        return {}
    with Image.open(path) as image:
        palette = image.getpalette() or []
    return {value: pack((*palette, *[0] * 768)[3 * value : 3 * value + 3]) for value in values}


def summed(counts: Sequence[Mapping[int, int]]) -> Dict[int, int]:
    """Pixels by value or colour in all masks, most frequent first."""
    total: Counter = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
