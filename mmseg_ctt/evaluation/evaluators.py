# Copyright (c) mmseg_ctt contributors.
"""What the evaluators of a config measure, without building them."""

from typing import Any, Dict, List, Mapping, Optional

from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from .incremental_iou import IncrementalIoUMetric

OUTPUTS = ('prefix', 'format_only', 'output_dir', 'keep_results')  # of a metric, not its scores


def metrics_of(evaluator: Any) -> List[Dict[str, Any]]:
    """Settings of the metrics of ``val_evaluator`` or ``test_evaluator``; of None no metric."""
    if isinstance(evaluator, Mapping) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    return [dict(metric) for metric in metrics if metric]


def iou_settings(evaluator: Any) -> Dict[str, Any]:
    """Arguments of a :class:`ClassIoUMetric` that measures the mIoU as an evaluator counts it.

    Args:
        evaluator (Mapping | Sequence | None): Of a config. Its first IoU metric is followed, also
            where that does not measure the mIoU; without one, the defaults of mmseg are.
    """
    for metric in metrics_of(evaluator):
        kind = _class_of(metric.pop('type'))
        if kind in (IoUMetric, IncrementalIoUMetric):
            metric.pop('groups', None)
            given = {key: value for key, value in metric.items() if key not in OUTPUTS}
            labelled = dict(labelled_only=True) if kind is IncrementalIoUMetric else {}
            return {**given, **labelled, 'iou_metrics': ['mIoU']}
    return {}


def labelled_only(evaluator: Any) -> bool:
    """Whether an evaluator leaves classes out of the mIoU that no label shows."""
    return iou_settings(evaluator).get('labelled_only', False)


def lacks_miou(evaluator: Any) -> Optional[str]:
    """The metrics of an evaluator in words if none of them gives an mIoU; None if one may."""
    names = []
    for metric in metrics_of(evaluator):
        kind = _class_of(metric['type'])
        if kind is None:
            return None
        if issubclass(kind, IoUMetric):
            if 'mIoU' in (metric.get('iou_metrics') or ['mIoU']):
                return None
        elif kind.__module__.partition('.')[0] != __name__.partition('.')[0]:
            return None  # the user's
        names.append(kind.__name__)
    return ', '.join(names) or 'none'


def _class_of(kind: Any) -> Any:
    """The class that a config names; None if it is unknown."""
    return METRICS.get(kind) if isinstance(kind, str) else kind
