# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict

import numpy as np
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from ...evaluation import IncrementalIoUMetric

CLASS_KEY = 'IoU/'


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """IoU metric of mmseg that also returns the IoU of each class, which mmseg only prints.

    The key is ``IoU/<class>``, the value in per cent; NaN for a class in neither truth nor
    prediction.

    Args:
        labelled_only (bool): Whether classes that no label shows are NaN and in no mean, as of
            :class:`IncrementalIoUMetric`. Defaults to False.
        **kwargs: As of mmseg's ``IoUMetric``.
    """

    def __init__(self, labelled_only: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labelled_only = labelled_only
        if labelled_only:
            self.total_area_to_metrics = IncrementalIoUMetric.total_area_to_metrics

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Metrics over all images; see :meth:`mmseg.evaluation.IoUMetric.compute_metrics`."""
        metrics = super().compute_metrics(results)
        intersect, union, _, label = (sum(areas).double().numpy() for areas in zip(*results))
        known = (label if self.labelled_only else union) > 0
        iou = 100 * np.divide(intersect, union, out=np.full_like(union, np.nan), where=known)
        for name, value in zip(self.dataset_meta['classes'], iou):
            metrics[CLASS_KEY + name] = float(value)
        return metrics
