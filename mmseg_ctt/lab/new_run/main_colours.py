# Copyright (c) mmseg_ctt contributors.
"""Colours of the classes, in masks that smooth edges or JPEG give many more."""

from typing import List, Mapping, Tuple

from ...datasets.colour_masks import BLACK, WHITE, as_text, unpack

MAIN = 0.005  # ratio of pixels from which a colour is one of smooth masks
COVERED = 0.8  # ratio of pixels that such colours must have
MANY = 64  # colours from which masks are taken as smooth
FEW = 8  # the same, for grey values with black and white most frequent
NEAR = 16  # difference in a channel up to which JPEG makes one colour of another


def main_colours(colours: Mapping[int, int], lossy: bool = False) -> Tuple[List[int], bool]:
    """Colours of the classes, and whether the others come of smooth edges or JPEG.

    Args:
        colours (Mapping[int, int]): Pixels by colour, most frequent first.
        lossy (bool): Whether masks are JPEG, which has colours beside each colour that was drawn,
            however few they are. Defaults to False.

    Raises:
        ValueError: If so many colours are frequent that they cannot be told apart.
    """
    pixels, main = sum(colours.values()), list(colours)
    grey = all(len(set(unpack(colour))) == 1 for colour in colours)
    if len(colours) > FEW and grey and set(main[:2]) == {BLACK, WHITE}:
        main = main[:2]
    elif len(colours) > MANY or lossy:
        main = [c for c, n in colours.items() if n >= MAIN * pixels]
        main = _apart(main) if lossy else main
    else:
        return main, False
    if sum(colours[c] for c in main) < COVERED * pixels:
        shown = ' '.join(map(as_text, list(colours)[:10]))
        raise ValueError(
            f'masks hold {len(colours)} colours, as smooth edges and JPEG make them, and it is not '
            f'clear which are classes; most frequent are {shown}: name '
            'them with --palette'
        )
    return main, True


def _apart(colours: List[int]) -> List[int]:
    """Those that are not near a more frequent one."""
    kept: List[int] = []
    for colour in colours:
        if not any(_near(colour, other) for other in kept):
            kept.append(colour)
    return kept


def _near(first: int, second: int) -> bool:
    return all(abs(a - b) <= NEAR for a, b in zip(unpack(first), unpack(second)))
