# Copyright (c) mmseg_ctt contributors.
from typing import Dict

import numpy as np
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

CLASS_KEY = 'IoU/'


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """IoU metric of mmseg that also returns the IoU of each class, which mmseg only prints.

    The key is ``IoU/<class>``, the value in per cent; NaN for a class in neither truth nor
    prediction.
    """

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Metrics over all images; see :meth:`mmseg.evaluation.IoUMetric.compute_metrics`."""
        metrics = super().compute_metrics(results)
        intersect, union = (sum(areas).double().numpy() for areas in list(zip(*results))[:2])
        iou = 100 * np.divide(intersect, union, out=np.full_like(union, np.nan), where=union > 0)
        for name, value in zip(self.dataset_meta['classes'], iou):
            metrics[CLASS_KEY + name] = float(value)
        return metrics
