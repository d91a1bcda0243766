# Copyright (c) mmseg_ctt contributors.
"""Checks of the scores of validation, before the first iteration."""

from typing import Any, Optional, Sequence

import torch.nn as nn
from mmseg.evaluation.metrics import IoUMetric

from ..nn.unwrap import unwrapped

SCORES = dict(
    mIoU=('mIoU', 'mAcc'), mDice=('mDice', 'mAcc'), mFscore=('mFscore', 'mPrecision', 'mRecall')
)  # of IoUMetric, by iou_metrics


def check_save_best(
    save_best: Any, metrics: Sequence[Any], members: Optional[Sequence[str]] = None
) -> None:
    """Check that validation has the scores by which the best checkpoint is chosen.

    Args:
        save_best (str | list[str], optional): Of a checkpoint hook.
        metrics (Sequence[BaseMetric]): Of validation; other ones than ``IoUMetric`` pass.
        members (Sequence[str], optional): Members that have scores of their own. Defaults to None:
            not known.

    Raises:
        ValueError: If one is none of them; names those that exist.
    """
    if not save_best or not all(type(metric) is IoUMetric for metric in metrics):
        return
    names = {
        'aAcc',
        *(name for metric in metrics for kind in metric.metrics for name in SCORES[kind]),
    }
    prefixes = {metric.prefix for metric in metrics} - {None}
    for key in [save_best] if isinstance(save_best, str) else save_best:
        owner, _, name = key.rpartition('/')
        unknown = members is not None and owner.partition('/')[0] not in {'', *members, *prefixes}
        if key != 'auto' and (name not in names or unknown):
            example = members[0] if members else 'student0'
            others = '' if members == () else f', or that of a member such as {example}/mIoU'
            raise ValueError(
                f'default_hooks.checkpoint.save_best={key!r} is no score of validation: set one of '
                f'{", ".join(sorted(names))}{others}'
            )


def members_of(model: nn.Module, evaluated: bool = True) -> Sequence[str]:
    """Names of the members that have scores of their own; none of a plain segmentor."""
    return getattr(unwrapped(model), 'member_names', ()) if evaluated else ()
