# Copyright (c) mmseg_ctt contributors.
"""Checks of the scores of validation, before the first iteration."""

from typing import Any, Collection, Mapping, Optional, Sequence, Tuple

import torch.nn as nn
from mmseg.engine import SegVisualizationHook
from mmseg.evaluation.metrics import IoUMetric
from mmseg.registry import MODELS

from ..evaluation.task_metric import TaskMetric
from ..methods.feature_learning import FeatureLearning
from ..nn.unwrap import segmentor_of, unwrapped

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
        metrics (Sequence[BaseMetric]): Of validation; other ones than ``IoUMetric`` and
            ``TaskMetric`` pass.
        members (Sequence[str], optional): Members that have scores of their own. Defaults to None:
            not known.
        scores (Sequence[str], optional): Names of the scores of tasks. Defaults to None: the model
            gives a segmentation.

    Raises:
        ValueError: If one is none of them; names those that exist.
    """
    known = IoUMetric if scores is None else TaskMetric
    if not save_best or not all(type(metric) is known for metric in metrics):
        return
    names = set(scores or ())
    if scores is None:
        names = {'aAcc'}
        names |= {name for metric in metrics for kind in metric.metrics for name in SCORES[kind]}
    prefixes = {metric.prefix for metric in metrics} - {None}
    for key in [save_best] if isinstance(save_best, str) else save_best:
        owner, name = _parts(key, names)
        unknown = members is not None and owner.partition('/')[0] not in {'', *members, *prefixes}
        if key != 'auto' and (name not in names or unknown):
            example = members[0] if members else 'student0'
            others = (
                '' if members == () else f', or that of a member such as {example}/{max(names)}'
            )
            raise ValueError(
                f'default_hooks.checkpoint.save_best={key!r} is no score of validation: set one of '
                f'{", ".join(sorted(names))}{others}'
            )


def _parts(key: str, names: Collection[str]) -> Tuple[str, str]:
    """Owner and name of a score; names of tasks have a slash themselves."""
    for name in names:
        if key == name or key.endswith(f'/{name}'):
            return key[: -len(name)].rstrip('/'), name
    owner, _, name = key.rpartition('/')
    return owner, name


def scores_of(model: nn.Module) -> Optional[Sequence[str]]:
    """Names of the scores of tasks; None of a model that gives a segmentation."""
    model = unwrapped(model)
    return model.scores if isinstance(model, FeatureLearning) else None


def members_of(model: nn.Module, evaluated: bool = True) -> Sequence[str]:
    """Names of the members that have scores of their own; none of a plain segmentor."""
    return getattr(unwrapped(model), 'member_names', ()) if evaluated else ()
