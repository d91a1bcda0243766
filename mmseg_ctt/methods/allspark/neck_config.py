# Copyright (c) mmseg_ctt contributors.
from typing import Any, Mapping

from ...nn.heads import MAP_OF_EVAL, head_name
from .neck import KEY

NECK = 'AllSparkNeck'


def with_neck(segmentor: Any, split_heads: bool) -> dict:
    """Config of a segmentor with the neck, whose settings it may hold.

    Args:
        segmentor (Mapping): Config of a plain segmentor.
        split_heads (bool): See :class:`ChannelAttention`; where the neck does not say it.

    Raises:
        TypeError: If its neck is no dict.
        ValueError: If it has another neck, or its head does not say which map it reads.
    """
    neck = segmentor.get('neck')
    if not isinstance(neck, (Mapping, type(None))):
        raise TypeError(f'{KEY} must be a dict of settings of {NECK}, got {neck!r}')
    given = dict(neck or {})
    if given.get('type', NECK) != NECK:
        raise ValueError(
            f'{KEY}.type={given["type"]!r}: AllSpark puts its own neck ({NECK}) between backbone '
            'and head; choose a network without a neck'
        )
    head = segmentor.get('decode_head')
    head = head[-1] if isinstance(head, (list, tuple)) else head
    usual = dict(type=NECK, split_heads=split_heads, **_deepest(head or {}))
    if 'in_channels' not in {**usual, **given}:
        raise ValueError(
            f'{KEY}.in_channels: the decode head does not say how many channels the deepest map '
            'has that it reads; set it'
        )
    return {**segmentor, 'neck': {**usual, **given}}


def _deepest(head: Mapping) -> dict:
    """Index and channels of the deepest map that a head reads, as far as its config says them.

    As :func:`~mmseg_ctt.nn.deepest_map.deepest_index` of a head that is built.
    """
    head = head.get('kernel_generate_head', head)
    index = MAP_OF_EVAL.get(head_name(head), head.get('in_index', -1))
    channels = head.get('in_channels')
    several = isinstance(index, (list, tuple))
    known: dict = dict(index=index[-1] if several else index)
    if isinstance(channels, (list, tuple)):
        known['in_channels'] = channels[-1]
    elif channels is not None and not several:
        known['in_channels'] = channels
    return known
