# Copyright (c) mmseg_ctt contributors.
"""Images that ``cut_rasters.py`` has cut from one scene: neighbours share pixels at the edges.

A score on tiles whose neighbours were learnt from is too good: scenes are held out whole.
"""

import re
from typing import Dict, List, Optional, Sequence

import numpy as np

from .class_cover import hold_out

TILE = re.compile(r'(.+)_r\d{6,}_c\d{6,}')
SHOWN = 5  # scenes named in a line
MOST, TRIED = 1.5, 2  # of the wanted images: those that are held out, and scenes that are tried


def scene_of(stem: str) -> Optional[str]:
    """Scene of a tile, by its name; None for any other image.

    Args:
        stem (str): Of the image.
    """
    found = TILE.fullmatch(stem)
    return found[1] if found else None


def scenes_of(stems: Sequence[str]) -> Dict[str, List[int]]:
    """Positions of images by scene; an image that is no tile is a scene of its own.

    Args:
        stems (Sequence[str]): Of the images.
    """
    found: Dict[str, List[int]] = {}
    for i, stem in enumerate(stems):
        scene = scene_of(stem)
        found.setdefault(f'/{stem}' if scene is None else scene, []).append(i)
    return found


def hold_out_scenes(
    groups: Sequence[Sequence[int]], presence: np.ndarray, number: int
) -> List[int]:
    """Images of whole scenes for validation, which show the classes and leave them to the others.

    Args:
        groups (Sequence[Sequence[int]]): Images of each scene, two scenes and more, in random
            order.
        presence (np.ndarray): bool ``(N, K)``.
        number (int): About how many images.

    Returns:
        list[int]: Positions of the images; none where whole scenes would leave fewer images to
        learn from than for validation.
    """
    shown = np.array([presence[list(group)].any(0) for group in groups])
    sizes = [len(group) for group in groups]
    order = hold_out(shown, min(len(groups) - 1, TRIED * number)).tolist()
    chosen: List[int] = []
    total = 0
    for k in order:
        if total < number and total + sizes[k] <= MOST * number:
            chosen.append(k)
            total += sizes[k]
    if order and (not chosen or 2 * total > sum(sizes)):
        chosen = _closest(sizes, order, number)
        if 2 * sum(sizes[k] for k in chosen) > sum(sizes):
            return []
    return [i for k in chosen for i in groups[k]]


def _closest(sizes: Sequence[int], first: Sequence[int], number: int) -> List[int]:
    """Scenes, one and more, of about a number of images; of equal ones those that come first."""
    left = [*first, *sorted(set(range(len(sizes))) - set(first))]
    chosen: List[int] = []
    wanted = number
    while left:
        best = min(left, key=lambda k: abs(wanted - sizes[k]))
        if chosen and abs(wanted - sizes[best]) >= abs(wanted):
            break
        chosen.append(best)
        left.remove(best)
        wanted -= sizes[best]
    return chosen


def without_scenes(stems: Sequence[str], val: Sequence[str]) -> List[str]:
    """Images that are no tiles of the scenes of others.

    Args:
        stems (Sequence[str]): The images.
        val (Sequence[str]): The others.
    """
    of_val = {scene_of(stem) for stem in val} - {None}
    return [stem for stem in stems if scene_of(stem) not in of_val]


def shared_scenes(trained: Sequence[str], val: Sequence[str]) -> List[str]:
    """Scenes that have tiles on both sides.

    Args:
        trained (Sequence[str]): Stems of images that are learnt from.
        val (Sequence[str]): Stems of those for validation.
    """
    of_val = {scene for scene in map(scene_of, val) if scene is not None}
    return sorted(of_val.intersection(filter(None, map(scene_of, trained))))


def scene_notes(trained: Sequence[str], val: Sequence[str], left_out: int = 0) -> List[str]:
    """Lines about scenes of images for validation.

    Args:
        trained (Sequence[str]): Stems of images that are learnt from.
        val (Sequence[str]): Stems of those for validation.
        left_out (int): Unlabelled tiles of these scenes that are on no list. Defaults to 0.
    """
    shared = shared_scenes(trained, val)
    if shared:
        return [
            f'WARNING: {len(shared)} scenes, such as {shared[0]}, have tiles both in training and '
            'in validation; they share pixels at the edges, and scores are too good: keep whole '
            'scenes for validation'
        ]
    names = sorted(filter(None, {scene_of(stem) for stem in val}))
    if not names:
        return []
    shown = ', '.join(names[:SHOWN]) + (' ...' if len(names) > SHOWN else '')
    rest = f'; {left_out} unlabelled tiles of them are on no list' if left_out else ''
    return [f'whole scenes are kept for validation, since their tiles share pixels: {shown}{rest}']
