# Copyright (c) mmseg_ctt contributors.
"""One table of the classes for all members, in place of mmseg's table for each."""

import logging
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Sequence

import numpy as np
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric
from prettytable import PrettyTable

ClassValues = Dict[str, np.ndarray]  # (K,) in per cent by name, such as IoU and Acc
PRINTED = ('per class results:', '\n+')  # how the lines of mmseg's table begin


@contextmanager
def recorded_classes(metrics: Sequence[Any]) -> Iterator[ClassValues]:
    """Values of each class, which the ``IoUMetric`` of an evaluation would print.

    Args:
        metrics (Sequence[BaseMetric]): Metrics of an evaluator; others than ``IoUMetric`` print as
            ever.

    Yields:
        dict[str, np.ndarray]: Filled by the evaluation on the main process.
    """
    values: ClassValues = {}
    counted = [metric for metric in metrics if isinstance(metric, IoUMetric)]
    for metric in counted:
        metric.total_area_to_metrics = _recording(metric, values)
    logger = MMLogger.get_current_instance()
    if counted:
        logger.addFilter(_is_no_table)
    try:
        yield values
    finally:
        logger.removeFilter(_is_no_table)
        for metric in counted:
            del metric.total_area_to_metrics


def _recording(metric: IoUMetric, values: ClassValues) -> Any:
    def compute(*args: Any, **kwargs: Any) -> Mapping[str, np.ndarray]:
        computed = type(metric).total_area_to_metrics(*args, **kwargs)
        values.update({name: 100 * value for name, value in computed.items() if np.ndim(value)})
        return computed

    return compute


def _is_no_table(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(PRINTED)


def class_tables(classes: Sequence[str], members: Mapping[str, ClassValues]) -> List[str]:
    """A table for each name of values: a row for each class and their mean, a column a member.

    The mean is that of the metric: over the classes that have a value. The accuracy of a class
    (``Acc``) stays with the IoU of the same pixels and has no table.

    Args:
        classes (Sequence[str]): Names of the K classes.
        members (Mapping[str, dict]): Of :func:`recorded_classes`, by name of the member.
    """
    names = dict.fromkeys(name for values in members.values() for name in values)
    tables = []
    for name in [name for name in names if name != 'Acc' or len(names) == 1]:
        table = PrettyTable([f'{name} in %', *members], align='r')
        table.align[f'{name} in %'] = 'l'
        columns = [values[name] for values in members.values()]
        for k, label in enumerate(classes):
            table.add_row([label, *(f'{column[k]:.2f}' for column in columns)])
        table.add_row(['mean', *(f'{_mean(column):.2f}' for column in columns)])
        tables.append(table.get_string())
    return tables


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float('nan')
