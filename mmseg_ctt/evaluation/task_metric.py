# Copyright (c) mmseg_ctt contributors.
"""Scores of auxiliary tasks, such as rotation: how far features have come, without a segmentation.

A method that learns features alone gives for each image the results of its tasks (``task_results``,
by name of the task). They say in ``score`` what is made of them.
"""

from typing import Any, Dict, List, Mapping, Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from torch import Tensor

from ..functional.retrieval import retrieval_accuracy

NO_LABEL = 255
Results = Sequence[Mapping[str, Any]]  # of one task, one an image


@METRICS.register_module()
class TaskMetric(BaseMetric):
    """Scores of the tasks of a method that learns features alone, in percent.

    - ``rotation/accuracy``: right answers among all of the task. Chance is 25 for rotation.
    - ``patches/retrieval``, ``exemplar/retrieval``: views whose nearest other view (Euclidean
      distance of the embeddings) is a right one. A task with classes looks among the views of
      other images for one of the same class; one without looks among all for one of the same
      image. Views for which there is no right one do not count.

    Args:
        **kwargs: As of :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = ''  # names of tasks stand before the scores

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the results of a batch.

        Args:
            data_batch (Any): Not read.
            data_samples (Sequence[dict]): With ``task_results``.

        Raises:
            ValueError: If there are none.
        """
        for sample in data_samples:
            if 'task_results' not in sample:
                raise ValueError(
                    'TaskMetric scores methods that learn features alone, and this model gives a '
                    'segmentation: set val_evaluator and test_evaluator to '
                    'dict(type="IoUMetric", iou_metrics=["mIoU"])'
                )
            self.results.append(sample['task_results'])

    def compute_metrics(self, results: List[Mapping[str, Mapping]]) -> Dict[str, float]:
        """Scores of all images, by ``<task>/<score>``.

        Args:
            results (list[Mapping]): Results of each image, by task.
        """
        names = [name for name, result in results[0].items() if result.get('score')]
        found = {}
        for name in names:
            of_task = [result[name] for result in results]
            score = of_task[0]['score']
            value = SCORES[score](of_task)
            found[f'{name}/{score}'] = round(100 * value, 2)
        return found


def accuracy(results: Results) -> float:
    """Ratio of right answers.

    Args:
        results (Sequence[Mapping]): ``right`` ``(n,)`` of each image.
    """
    return torch.cat([result['right'] for result in results]).double().mean().item()


def retrieval(results: Results) -> float:
    """Ratio of views whose nearest other view is a right one; NaN if none has a right one.

    Args:
        results (Sequence[Mapping]): ``embedding`` ``(n, D)`` of each image, and with classes
            ``label`` ``(n,)``.
    """
    embedding = torch.cat([result['embedding'] for result in results])
    image = torch.cat(
        [torch.full((len(result['embedding']),), i) for i, result in enumerate(results)]
    )
    if 'label' in results[0]:
        label: Tensor = torch.cat([result['label'] for result in results])
        value, count = retrieval_accuracy(embedding, label, image, NO_LABEL)
    else:
        value, count = retrieval_accuracy(embedding, image, ignore_index=-1)
    return value.item() if count else float('nan')


SCORES = dict(accuracy=accuracy, retrieval=retrieval)
