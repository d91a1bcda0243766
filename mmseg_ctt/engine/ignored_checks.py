# Copyright (c) mmseg_ctt contributors.
"""Check that network, data and scores mean the same pixels by those without a label."""

from typing import Any, Sequence

import torch.nn as nn
from mmseg.models.decode_heads.decode_head import BaseDecodeHead

from ..datasets.built import ignore_index, inner_sets
from ..nn.head_checks import config_key


def check_ignored(
    model: nn.Module, dataset: Any, metrics: Sequence[Any] = (), part: str = 'val'
) -> None:
    """Check that heads and metrics ignore the pixels that the labels mark as ignored.

    A head would train them as a class, and a metric count them as errors.

    Args:
        model (nn.Module): A method of this package, or a plain segmentor.
        dataset (Dataset): Of training, a source with masks. Those of validation have the same
            number, see ``check_evaluation``.
        metrics (Sequence[BaseMetric]): Of validation or test. Defaults to none.
        part (str): ``'val'`` or ``'test'``. Defaults to 'val'.

    Raises:
        ValueError: Names both keys.
    """
    ignored = ignore_index(next(inner_sets(dataset)))
    given = {
        f'{config_key(model, path)}.ignore_index': head.ignore_index
        for path, head in model.named_modules()
        if isinstance(head, BaseDecodeHead)
    }
    for metric in metrics:
        if isinstance(getattr(metric, 'ignore_index', None), int):
            given[f'{part}_evaluator ({type(metric).__name__}).ignore_index'] = metric.ignore_index
    for key, value in given.items():
        if value != ignored:
            raise ValueError(
                f'{key}={value}, but train_dataloader.dataset.ignore_index is {ignored}: pixels '
                'without a label would count as a class; make them equal'
            )
