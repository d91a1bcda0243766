# Copyright (c) mmseg_ctt contributors.
"""Sliding windows inside slices, by mmseg's own inference of a network."""

from contextlib import contextmanager
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from mmengine.config import ConfigDict
from mmseg.models.segmentors import BaseSegmentor

Size = Optional[Sequence[int]]


@contextmanager
def sliding_windows(model: BaseSegmentor, crop_size: Size, stride: Size = None) -> Iterator[None]:
    """Let the networks of a model predict by windows, and as before afterwards.

    Args:
        model (BaseSegmentor): Plain, or a semi-supervised model of several networks.
        crop_size (Sequence[int], optional): Height and width of a window in pixels of the
            network's input. None: the networks predict as their config says.
        stride (Sequence[int], optional): Steps of the windows. Defaults to None: half a window.

    Raises:
        ValueError: See :func:`checked_windows`.
    """
    sizes = checked_windows(crop_size, stride)
    if sizes is None:
        yield
        return
    networks = _networks(model)
    former = [network.test_cfg for network in networks]
    for network in networks:
        settings = dict(network.test_cfg or {}, mode='slide', crop_size=sizes[0], stride=sizes[1])
        network.test_cfg = ConfigDict(settings)
    try:
        yield
    finally:
        for network, settings in zip(networks, former):
            network.test_cfg = settings


def checked_windows(crop_size: Size, stride: Size) -> Optional[Tuple[Tuple[int, int], ...]]:
    """Sizes of windows and steps; None without windows.

    Args:
        crop_size (Sequence[int], optional): Height and width of a window.
        stride (Sequence[int], optional): Steps of the windows.

    Raises:
        ValueError: If a size is no pair of positive numbers, steps leave pixels out, or there are
            steps without windows.
    """
    if crop_size is None:
        if stride is not None:
            raise ValueError('stride needs crop_size, the size of the windows')
        return None
    window = _pair(crop_size, 'crop_size')
    if stride is None:
        return window, (max(window[0] // 2, 1), max(window[1] // 2, 1))
    step = _pair(stride, 'stride')
    if step[0] > window[0] or step[1] > window[1]:
        raise ValueError(
            f'stride={step} is larger than crop_size={window}: pixels between windows would have '
            'no prediction'
        )
    return window, step


def _pair(value: Sequence[int], name: str) -> Tuple[int, int]:
    pair = tuple(int(size) for size in value)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f'{name} must be two positive numbers of pixels, got {value}')
    return pair[0], pair[1]


def _networks(model: BaseSegmentor) -> List[Any]:
    members = getattr(model, 'predicting_members', None)
    return [model] if members is None else members()
