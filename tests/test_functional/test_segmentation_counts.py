# Copyright (c) mmseg_ctt contributors.
import math

import numpy as np
import pytest
import torch

from mmseg_ctt.functional.segmentation_counts import named_scores, pixel_counts, pseudo_label_scores

K, THRESHOLD = 4, 0.6


def make(seed=0):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, K - 1, (2, 5, 7), generator=g)  # class 3 is never predicted
    truth = torch.randint(0, K, (2, 5, 7), generator=g)
    truth = torch.where(torch.rand(truth.shape, generator=g) < 0.5, label, truth)
    truth[:, 0] = 255
    confidence = torch.rand(label.shape, generator=g)
    confidence[0, 1, 1] = THRESHOLD
    return label, confidence, truth


def restated(label, confidence, truth):
    """The definitions, one class at a time, in NumPy."""
    label, truth = label.numpy(), truth.numpy()
    sure, known = confidence.numpy() >= np.float32(THRESHOLD), truth != 255
    right = label == truth
    expected = dict(used=sure.mean(), acc=right[known].mean(), acc_used=right[known & sure].mean())
    ious = []
    for k in range(K):
        mine, its = label == k, truth == k
        if mine.any():
            expected[f'used_c{k}'] = sure[mine].mean()
        if its.any():
            expected[f'acc_c{k}'] = (mine & its).sum() / its.sum()
        union = ((mine | its) & known).sum()
        if union:
            ious.append((mine & its).sum() / union)
            expected[f'IoU_c{k}'] = ious[-1]
    return {**expected, 'mIoU': np.mean(ious)}


def figures(counts):
    return named_scores(pseudo_label_scores(counts), tuple(f'c{k}' for k in range(K)))


@pytest.mark.parametrize('seed', range(3))
def test_figures(seed):
    label, confidence, truth = make(seed)
    found = figures(pixel_counts(label, confidence >= THRESHOLD, truth, K))
    assert found == pytest.approx(restated(label, confidence, truth))
    assert found['IoU_c3'] == 0 and 'used_c3' not in found


def test_batches_add_up():
    label, confidence, truth = make()
    confident = confidence >= THRESHOLD
    whole = pixel_counts(label, confident, truth, K)
    parts = [
        pixel_counts(label[i : i + 1], confident[i : i + 1], truth[i : i + 1], K) for i in range(2)
    ]
    for one, two in zip(whole, parts[0].plus(parts[1])):
        assert torch.equal(one, two)


def test_without_truth():
    label, confidence, _ = make()
    found = figures(pixel_counts(label, confidence >= THRESHOLD, None, K))
    assert set(found) == {'used', 'used_c0', 'used_c1', 'used_c2'}


def test_class_that_neither_has_is_left_out_of_the_mean():
    label = torch.tensor([[[0, 0, 1, 1]]])
    truth = torch.tensor([[[0, 1, 1, 255]]])
    every = torch.ones(1, 1, 4, dtype=torch.bool)
    scores = pseudo_label_scores(pixel_counts(label, every, truth, K))
    assert scores.class_iou[:2].tolist() == [0.5, 0.5] and scores.miou == 0.5
    assert all(math.isnan(value) for value in scores.class_iou[2:])
    assert scores.class_acc[:2].tolist() == [1.0, 0.5] and scores.acc == pytest.approx(2 / 3)
