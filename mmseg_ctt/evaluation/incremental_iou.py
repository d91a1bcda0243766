# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor


@METRICS.register_module()
class IncrementalIoUMetric(IoUMetric):
    """Mean IoU of groups of classes beside that of all: old and new classes of a step.

    Besides ``aAcc``, ``mIoU`` and ``mAcc`` there is ``mIoU_<group>``. Classes that no label shows
    are in no mean: mmseg counts them as 0 where they are predicted. So the background counts where
    the truth has one.

    Args:
        groups (dict[str, Sequence[str]]): Names of classes by group, such as
            ``dict(old=('background', 'cow'), new=('cat',))``.
        **kwargs: As of mmseg's ``IoUMetric``; ``iou_metrics`` must hold ``'mIoU'``.

    Raises:
        TypeError: If ``groups`` is no dict of names.
        ValueError: If there is no group, an empty one, a class that the data set does not have, or
            a group would be the mean of another score.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        if not isinstance(groups, Mapping) or any(isinstance(g, str) for g in groups.values()):
            raise TypeError(
                'IncrementalIoUMetric.groups must be a dict of lists of classes, such as '
                f"dict(old=('cow',), new=('cat',)), got {groups!r}"
            )
        empty = [name for name, classes in groups.items() if not classes]
        if not groups or empty:
            raise ValueError(
                f'IncrementalIoUMetric.groups{f".{empty[0]}" if empty else ""} has no class'
            )
        super().__init__(**kwargs)
        if 'mIoU' not in self.metrics:
            raise ValueError(
                "IncrementalIoUMetric.iou_metrics must hold 'mIoU', of which groups have a mean"
            )
        self.groups = {name: tuple(classes) for name, classes in groups.items()}

    @property
    def dataset_meta(self) -> Optional[dict]:
        """Classes and palette of the data set."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        known = (meta or {}).get('classes') or ()
        for name, classes in self.groups.items():
            unknown = [label for label in classes if label not in known]
            if unknown:
                raise ValueError(
                    f'IncrementalIoUMetric.groups.{name} has the class {unknown[0]!r}, and the '
                    f'data set has {", ".join(known)}'
                )
        self._dataset_meta = meta

    def compute_metrics(self, results: List[tuple]) -> Dict[str, float]:
        """Scores of all images, those of the groups among them.

        Args:
            results (list[tuple]): Areas of each image.
        """
        scores = super().compute_metrics(results)
        if self.format_only:
            return scores
        areas = [sum(of_images) for of_images in zip(*results)]
        iou = type(self).total_area_to_metrics(*areas)['IoU']
        ids = {label: k for k, label in enumerate((self.dataset_meta or {})['classes'])}
        for name, classes in self.groups.items():
            of_group = iou[[ids[label] for label in classes]]
            known = of_group[~np.isnan(of_group)]
            scores[f'mIoU_{name}'] = round(100 * float(known.mean()), 2) if len(known) else np.nan
        return scores

    @staticmethod
    def total_area_to_metrics(
        total_area_intersect: Tensor,
        total_area_union: Tensor,
        total_area_pred_label: Tensor,
        total_area_label: Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> Dict[str, np.ndarray]:
        """As mmseg's; NaN for classes that no label shows."""
        absent = total_area_label == 0
        return IoUMetric.total_area_to_metrics(
            total_area_intersect,
            total_area_union.masked_fill(absent, 0),
            total_area_pred_label.masked_fill(absent, 0),
            total_area_label,
            *args,
            **kwargs,
        )
