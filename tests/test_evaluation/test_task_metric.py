# Copyright (c) mmseg_ctt contributors.
import math

import pytest
import torch
from mmseg.registry import METRICS

from mmseg_ctt.evaluation import TaskMetric


def scores(*images):
    metric = METRICS.build(dict(type='TaskMetric'))
    assert isinstance(metric, TaskMetric)
    metric.process(None, [dict(task_results=image) for image in images])
    return metric.evaluate(len(images))


def turned(*right):
    return dict(rotation=dict(score='accuracy', right=torch.tensor(right)))


def views(vectors, labels=None):
    result = dict(score='retrieval', embedding=torch.tensor(vectors))
    if labels is not None:
        result['label'] = torch.tensor(labels)
    return dict(patches=result)


def test_accuracy_counts_all_answers():
    assert scores(turned(True, False), turned(False), turned(True)) == {'rotation/accuracy': 50.0}


def test_classes_are_found_in_other_images():
    """The nearest of the first view is in its own image, which does not count."""
    first = views([[0.0, 0.0], [0.1, 0.0]], [1, 1])
    right = views([[0.2, 0.0], [5.0, 0.0]], [1, 2])
    assert scores(first, right) == {'patches/retrieval': 100.0}  # class 2 has no other view
    wrong = views([[0.2, 0.0], [5.0, 0.0]], [2, 1])
    assert scores(first, wrong) == {'patches/retrieval': pytest.approx(33.33)}


def test_views_without_a_class_are_left_out():
    first = views([[0.0], [0.3]], [1, 255])
    second = views([[0.31], [1.0]], [255, 1])
    assert scores(first, second) == {'patches/retrieval': 100.0}


def test_instances_are_found_in_all_images():
    """Without classes the right view is one of the same image."""
    close = views([[0.0], [0.1]]), views([[5.0], [5.1]])
    assert scores(*close) == {'patches/retrieval': 100.0}
    mixed = views([[0.0], [5.0]]), views([[0.1], [5.1]])
    assert scores(*mixed) == {'patches/retrieval': 0.0}


def test_nothing_to_find():
    assert math.isnan(scores(views([[0.0]], [1]), views([[1.0]], [2]))['patches/retrieval'])


def test_several_tasks_and_tasks_without_a_score():
    both = {**turned(True), **views([[0.0]], [1]), 'other': dict(score=None)}
    assert set(scores(both, both)) == {'rotation/accuracy', 'patches/retrieval'}


def test_many_images():
    """More views than a byte has numbers, since 255 is no class but may be an image."""
    images = [views([[float(i)], [i + 0.1]]) for i in range(300)]
    assert scores(*images) == {'patches/retrieval': 100.0}


def test_a_segmentation_is_refused():
    with pytest.raises(ValueError, match='TaskMetric scores methods that learn features alone'):
        METRICS.build(dict(type='TaskMetric')).process(None, [dict(pred_sem_seg=1)])


def test_embeddings_that_are_not_finite_retrieve_nothing():
    lost = views([[math.nan] * 3] * 2)
    assert scores(lost, lost) == {'patches/retrieval': 0}
