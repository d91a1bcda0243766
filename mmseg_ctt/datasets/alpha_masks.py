# Copyright (c) mmseg_ctt contributors.
"""Masks with an alpha channel: pixels that are transparent in a viewer still have a colour."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import List, Mapping

import numpy as np
from PIL import Image

from .colour_masks import NUM_WORKERS, as_text
from .lists import PathLike
from .mask_colours import counted, read_colours

WITH_ALPHA = ('LA', 'PA', 'RGBA')  # modes of Pillow
SHOWN = 5  # colours in the line
OPAQUE = 255


def transparent_colours(path: PathLike) -> Counter:
    """Pixels by colour of a mask, of those that are not opaque.

    Args:
        path (str | Path): Mask; without an alpha channel it has no such pixel.

    Raises:
        ValueError: If it cannot be read.
    """
    with Image.open(path) as image:
        if image.mode not in WITH_ALPHA:
            return Counter()
        clear = np.asarray(image.getchannel('A')) < OPAQUE
    return Counter(counted(read_colours(path)[clear]))


def alpha_lines(masks: Mapping[str, PathLike]) -> List[str]:
    """A line about masks with pixels that are not opaque; none where there are none.

    Args:
        masks (Mapping[str, str | Path]): File of each mask with an alpha channel, by its name.
    """
    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        counts = dict(zip(masks, pool.map(transparent_colours, masks.values())))
    clear = {name: count for name, count in counts.items() if count}
    if not clear:
        return []
    colours = sum(clear.values(), Counter())
    shown = ' '.join(as_text(colour) for colour, _ in colours.most_common(SHOWN))
    more = ' and others' if len(colours) > SHOWN else ''
    return [
        f'WARNING: {sum(colours.values())} pixels of {len(clear)} masks, such as '
        f'{next(iter(clear))}, are transparent: alpha is not read, and they count as their colours '
        f'{shown}{more}; where they are no label, save them in a colour of no class'
    ]
