# Copyright (c) mmseg_ctt contributors.
"""The answer in words."""

import math
from typing import Mapping, Optional, Tuple

from ...evaluation.bootstrap import LEVEL, Interval
from .colours import PLAIN_MODEL
from .scalars import Curve

ENSEMBLE = 'ensemble'
NO_BASELINE = (
    'A supervised baseline on the same lists, sizes and iterations says what the unlabelled images '
    'have added. Train it and compare:'
)
RISING = 1.0  # points between the last two validations from which a run is too short
Named = Tuple[str, str, float]  # run, member, mIoU in per cent


def verdict(
    base: Named, best: Named, interval: Optional[Interval], gain: float, unlabeled: bool
) -> str:
    """Whether the unlabelled images helped, in a sentence or two.

    Args:
        base (tuple[str, str, float]): Run, member and mIoU of the baseline.
        best (tuple[str, str, float]): The same of the member to ship.
        interval (Interval, optional): Of the difference, as a part of 1; None or of NaN: unknown.
        gain (float): Difference in points.
        unlabeled (bool): Whether the baseline is supervised and the other is not.
    """
    figures = (
        f'{network_name(best[1], best[0])} has {best[2]:.1f} % mIoU, {abs(gain):.1f} points '
        f'{"more" if gain > 0 else "less"} than the baseline {base[0]} ({base[2]:.1f} %)'
    )
    what = 'the unlabelled images helped' if unlabeled else f'{best[0]} is better'
    harm = 'the unlabelled images made it worse' if unlabeled else f'{base[0]} is better'
    if interval is None or math.isnan(interval.low):
        word = f'It seems that {what}' if gain > 0 else f'It does not seem that {what}'
        return f'{word}: {figures}. How large the noise is was not measured.'
    ends = f'{LEVEL} % interval {100 * interval.low:+.1f} to {100 * interval.high:+.1f}'
    if not interval.excludes_zero:
        return (
            f'Not certain that {what}: {figures}, which is no more than the noise of these images '
            f'({ends}).'
        )
    word = f'Yes, {what}' if gain > 0 else f'No, {harm}'
    return (
        f'{word}: {figures}, and the difference is larger than the noise of these images ({ends}).'
    )


def still_rising(run: str, curve: Optional[Curve]) -> str:
    """What to do where labels alone still learnt when their run ended; empty where they did not.

    Args:
        run (str): Name of the baseline.
        curve (Curve, optional): Its validations, per cent; None: unknown.
    """
    if curve is None or len(curve.values) < 2 or not curve.values[-1] - curve.values[-2] >= RISING:
        return ''
    gain = curve.values[-1] - curve.values[-2]
    return (
        f' But {run} still rose by {gain:.1f} points from iteration {curve.steps[-2]} to '
        f'{curve.steps[-1]}: labels alone may win as much in a longer run. Train both longer.'
    )


def network_name(member: str, run: str) -> str:
    """Name of a network in a sentence: a plain segmentor has no name but that of its run."""
    return run if member == PLAIN_MODEL else f'{member} of {run}'


def shipping(member: str, scores: Mapping[str, float], run: str) -> str:
    """Which member to ship, and what the ensemble would give."""
    if member == PLAIN_MODEL:
        return f'Ship the network of {run}, which predict.py and export_segmentor.py take.'
    line = (
        f'Ship {network_name(member, run)}: the network that the run predicts with, and '
        'that predict.py and export_segmentor.py take.'
    )
    single = {name: score for name, score in scores.items() if name != ENSEMBLE}
    best = max(single, key=lambda name: single[name])
    if single[best] > single[member]:
        line += (
            f' {best} has {single[best]:.2f} %, {single[best] - single[member]:.2f} more on these '
            f'images (--member {best}): score both on other images before you take it.'
        )
    ensemble = scores.get(ENSEMBLE)
    if ensemble is not None and ensemble > scores[member]:
        line += (
            f' The ensemble has {ensemble:.2f} %, {ensemble - scores[member]:.2f} more; it runs '
            'several networks on every image and cannot be exported as one.'
        )
    return line
