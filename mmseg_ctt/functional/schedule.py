# Copyright (c) mmseg_ctt contributors.
"""Weights that rise during training, from its progress; plain numbers."""

import math


def linear_ramp(progress: float, ratio: float = 1.0) -> float:
    """Linear rise from 0 to 1.

    Args:
        progress (float): Ratio of the training that is done, in [0, 1].
        ratio (float): Ratio of the training that the rise takes; 0: the weight is 1.
            Defaults to 1.

    Returns:
        float: In [0, 1].

    Example:
        >>> [linear_ramp(progress, 0.5) for progress in (0, 0.25, 0.5, 1)]
        [0.0, 0.5, 1.0, 1.0]
    """
    return min(max(progress / ratio, 0.0), 1.0) if ratio > 0 else 1.0


def sigmoid_ramp(progress: float, ratio: float = 1.0) -> float:
    """Sigmoid-shaped rise ``exp(-5 (1 - t)^2)`` from 0.0067 to 1 (mean teacher, CCT).

    Args:
        progress (float): Ratio of the training that is done, in [0, 1].
        ratio (float): Ratio of the training that the rise takes; 0: the weight is 1.
            Defaults to 1.

    Returns:
        float: In (0, 1].

    Example:
        >>> [round(sigmoid_ramp(progress, 0.5), 4) for progress in (0, 0.25, 0.5, 1)]
        [0.0067, 0.2865, 1.0, 1.0]
    """
    return math.exp(-5 * (1 - linear_ramp(progress, ratio)) ** 2)


def cosine_ramp(progress: float, ratio: float = 1.0) -> float:
    """Rise ``(1 - cos(pi t)) / 2`` from 0 to 1 along half a wave (PS-MT).

    Args:
        progress (float): Ratio of the training that is done, in [0, 1].
        ratio (float): Ratio of the training that the rise takes; 0: the weight is 1.
            Defaults to 1.

    Returns:
        float: In [0, 1].

    Example:
        >>> [round(cosine_ramp(progress, 0.5), 4) for progress in (0, 0.125, 0.25, 0.5)]
        [0.0, 0.1464, 0.5, 1.0]
    """
    return (1 - math.cos(math.pi * linear_ramp(progress, ratio))) / 2
