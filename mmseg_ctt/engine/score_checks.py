# Copyright (c) mmseg_ctt contributors.
"""Checks of the scores of validation, before the first iteration."""

from typing import Any, Mapping, Optional, Sequence, Set

import torch.nn as nn
from mmseg.engine import SegVisualizationHook
from mmseg.evaluation.metrics import IoUMetric
from mmseg.registry import MODELS

from ..evaluation.task_metric import TaskMetric
from ..evaluation.volumes import VolumeMetric
from ..methods.feature_learning import FeatureLearning
from ..nn.unwrap import segmentor_of, unwrapped

TIMES = ('time', 'data_time')  # beside the scores of a validation
SCORES = dict(
    mIoU=('mIoU', 'mAcc'), mDice=('mDice', 'mAcc'), mFscore=('mFscore', 'mPrecision', 'mRecall')
)  # of IoUMetric, by iou_metrics


def check_metrics(model: nn.Module, metrics: Sequence[Any], part: str = 'val') -> None:
    """Check that metrics score what a model gives: a segmentation, or results of its tasks.

    Args:
        model (nn.Module): Of the run.
        metrics (Sequence[BaseMetric]): Of validation or test.
        part (str): ``'val'`` or ``'test'``. Defaults to 'val'.

    Raises:
        ValueError: Names the metric and the one to take.
    """
    outer, key = unwrapped(model), f'{part}_evaluator'
    model = segmentor_of(outer)
    learns_features = isinstance(model, FeatureLearning)
    name = type(model).__name__
    if learns_features and outer is not model:
        raise ValueError(
            f'test-time augmentation joins segmentations, and {name} learns features alone: leave '
            'it out (--tta, tta_model)'
        )
    for metric in metrics:
        if learns_features and not isinstance(metric, TaskMetric):
            raise ValueError(
                f'{key}: {type(metric).__name__} scores a segmentation, and {name} learns features '
                f'alone: set {key}=dict(type="TaskMetric")'
            )
        if isinstance(metric, TaskMetric) and not learns_features:
            raise ValueError(
                f'{key}: TaskMetric scores methods that learn features alone, and {name} gives a '
                f'segmentation: set {key}=dict(type="IoUMetric", iou_metrics=["mIoU"])'
            )
    if learns_features and metrics and not model.scores:
        raise ValueError(
            f'{key}: no task of model.auxiliary_tasks has a score of validation: set '
            f'{part}_cfg, {part}_dataloader and {key} to None'
        )


def check_drawing(model: nn.Module, hooks: Sequence[Any]) -> None:
    """Check that there is a segmentation where one is to be drawn.

    Args:
        model (nn.Module): Of the run.
        hooks (Sequence[Hook]): Of the run.

    Raises:
        ValueError: If there is none.
    """
    model = segmentor_of(model)
    drawing = any(isinstance(hook, SegVisualizationHook) and hook.draw for hook in hooks)
    if drawing and isinstance(model, FeatureLearning):
        raise ValueError(
            f'{type(model).__name__} learns features alone, so that it has no segmentation to '
            'draw: leave out --show-dir, --show and default_hooks.visualization.draw'
        )


def reads_masks(cfg: Mapping[str, Any]) -> bool:
    """Whether validation needs masks: for a segmentation, or for scores of tasks that read them.

    Args:
        cfg (Mapping): Complete config.
    """
    model = cfg.get('model') or {}
    kind = model.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if isinstance(kind, type) and issubclass(kind, FeatureLearning):
        return kind.evaluates_masks(model)
    return True


def check_save_best(
    save_best: Any,
    metrics: Sequence[Any],
    members: Optional[Sequence[str]] = None,
    scores: Optional[Sequence[str]] = None,
) -> None:
    """Check that validation has the scores by which the best checkpoint is chosen.

    Args:
        save_best (str | list[str], optional): Of a checkpoint hook.
        metrics (Sequence[BaseMetric]): Of validation, see :func:`check_score`.
        members (Sequence[str], optional): See there. Defaults to None.
        scores (Sequence[str], optional): See there. Defaults to None.

    Raises:
        ValueError: If one is none of them; names those that exist.
    """
    for name in [save_best] if isinstance(save_best, str) else save_best or []:
        if name != 'auto':
            check_score('default_hooks.checkpoint.save_best', name, metrics, members, scores)


def check_score(
    key: str,
    name: str,
    metrics: Sequence[Any],
    members: Optional[Sequence[str]] = None,
    scores: Optional[Sequence[str]] = None,
) -> None:
    """Check that validation has a score.

    Args:
        key (str): Place in the config.
        name (str): Of the score, with or without that of a member.
        metrics (Sequence[BaseMetric]): Of validation; other ones than ``IoUMetric``,
            ``VolumeMetric`` and ``TaskMetric`` pass.
        members (Sequence[str], optional): Members that have scores of their own. Defaults to None:
            not known.
        scores (Sequence[str], optional): Names of the scores of tasks. Defaults to None: the model
            gives a segmentation.

    Raises:
        ValueError: If it is none of them; names those that exist.
    """
    names: Set[str] = set()
    for metric in metrics:
        found = names_of(metric, scores)
        if found is None:
            return
        names |= found
    owners = (name[: -len(known) - 1] for known in names if name.endswith(f'/{known}'))
    if not names or name in names or any(members is None or owner in members for owner in owners):
        return
    example = members[0] if members else 'student0'
    others = '' if members == () else f', or that of a member such as {example}/{max(names)}'
    raise ValueError(
        f'{key}={name!r} is no score of validation: set one of {", ".join(sorted(names))}{others}'
    )


def names_of(metric: Any, scores: Optional[Sequence[str]] = None) -> Optional[Set[str]]:
    """Names of the scores of a metric, without those of members; None: not known.

    Args:
        metric (BaseMetric): Of validation or test.
        scores (Sequence[str], optional): Names of the scores of tasks. Defaults to None.
    """
    names = scores if type(metric) is TaskMetric else None
    if type(metric) is IoUMetric:
        kinds = [metric.metrics] if isinstance(metric.metrics, str) else metric.metrics
        names = ['aAcc', *(name for kind in kinds for name in SCORES[kind])]
    elif isinstance(metric, VolumeMetric):
        names = metric.score_names()
    if names is None:
        return None
    return {f'{metric.prefix}/{name}' if metric.prefix else name for name in names}


def scores_of(model: nn.Module) -> Optional[Sequence[str]]:
    """Names of the scores of tasks; None of a model that gives a segmentation."""
    model = unwrapped(model)
    return model.scores if isinstance(model, FeatureLearning) else None


def members_of(model: nn.Module, evaluated: bool = True) -> Sequence[str]:
    """Names of the members that have scores of their own; none of a plain segmentor."""
    return getattr(unwrapped(model), 'member_names', ()) if evaluated else ()


def main_metric(names: Sequence[str]) -> str:
    """Metric that stands for a validation: mIoU, or the first of the predicting member.

    Args:
        names (list[str]): Of all scores, such as ``student0/volume/Dice``, ``volume/Dice``.
    """
    names = [name for name in names if name not in TIMES]
    if 'mIoU' in names or not names:
        return 'mIoU'
    of_members = [name for name in names if any(other.endswith(f'/{name}') for other in names)]
    return (of_members or names)[0]
