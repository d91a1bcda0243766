# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
from reference import crest as reference

from mmseg_ctt.functional import alignment_bias, distribution_alignment, target_distribution
from mmseg_ctt.methods.crest.functional import (
    class_rebalanced_selection,
    class_thresholds,
    generation_temperature,
    keep_rates,
)

LONG_TAIL = [1000, 464, 215, 100, 46, 22, 10]


# ---- rates


@pytest.mark.parametrize(
    'frequency', [LONG_TAIL, LONG_TAIL[::-1], [5, 5, 5], [3, 900, 40, 40], [7]]
)
@pytest.mark.parametrize('alpha', [0, 1 / 3, 1])
def test_rates_equal_loops(frequency, alpha):
    got = keep_rates(torch.tensor(frequency), alpha)
    assert got.tolist() == pytest.approx(reference.rates(frequency, alpha))


def test_rates_by_hand():
    """The rarest keeps all; the commonest the cube root of the imbalance."""
    rate = keep_rates(torch.tensor([800, 100, 1]))
    assert rate.tolist() == pytest.approx([(1 / 800) ** (1 / 3), 0.5, 1])


def test_a_class_without_labels_keeps_everything():
    """And changes nothing for the others."""
    rate = keep_rates(torch.tensor([0, 90, 10, 0, 30]))
    assert rate[0] == rate[3] == 1
    torch.testing.assert_close(rate[[1, 2, 4]], keep_rates(torch.tensor([90, 10, 30])))


@pytest.mark.parametrize(
    'frequency, alpha, word',
    [([1, 2], -1, 'alpha'), ([0, 0], 1, 'frequencies'), ([-1, 2], 1, 'frequencies')],
)
def test_bad_rates(frequency, alpha, word):
    with pytest.raises(ValueError, match=word):
        keep_rates(torch.tensor(frequency), alpha)


# ---- selection


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('items, classes', [(40, 5), (3, 7), (1, 2), (0, 3)])
def test_selection_equals_loops(items, classes, seed):
    g = torch.Generator().manual_seed(seed)
    score = torch.randint(0, 6, (items, classes), generator=g) / 5  # many ties
    present = torch.rand(items, classes, generator=g) < 0.6
    rate = torch.rand(classes, generator=g).double()
    got = class_rebalanced_selection(score, present, rate)
    want = reference.chosen(score.tolist(), present.tolist(), rate.tolist())
    assert [got[:, c].nonzero().flatten().tolist() for c in range(classes)] == want


def test_absent_class_and_nan_scores_select_nothing():
    score = torch.full((4, 3), torch.nan)
    present = torch.zeros(4, 3, dtype=torch.bool)
    present[:, 1], score[:, 1] = True, torch.tensor([0.1, 0.4, 0.3, 0.2])
    got = class_rebalanced_selection(score, present, torch.tensor([1.0, 0.5, 1.0]))
    assert got.nonzero().tolist() == [[1, 1], [2, 1]]


def test_a_root_that_is_whole_is_not_rounded_down():
    rate = keep_rates(torch.tensor([1000, 8, 1]))  # 10 * 0.1 must be 1
    present = torch.ones(10, 3, dtype=torch.bool)
    chosen = class_rebalanced_selection(torch.rand(10, 3), present, rate)
    assert chosen.sum(0).tolist() == [1, 2, 10]


def test_classification_as_published():
    """Every item is predicted as one class; of class c the best floor(n_c mu_c) are taken."""
    torch.manual_seed(0)
    confidence, label = torch.rand(500), torch.randint(0, 7, (500,))
    present = torch.nn.functional.one_hot(label, 7).bool()
    rate = keep_rates(torch.tensor(LONG_TAIL))
    chosen = class_rebalanced_selection(confidence.unsqueeze(1).expand(-1, 7), present, rate)
    for c in range(7):
        mine = confidence[label == c].sort(descending=True).values
        number = int(len(mine) * rate[c])
        assert sorted(confidence[chosen[:, c]].tolist()) == sorted(mine[:number].tolist())


# ---- pixels


@pytest.mark.parametrize('seed', range(3))
def test_thresholds_equal_loops(seed):
    g = torch.Generator().manual_seed(seed)
    values = [torch.randint(0, 16, (n,), generator=g).tolist() for n in (50, 1, 7, 200)]
    rate = torch.tensor([0.3, 0.5, 1.0, 0.01]).double()
    histogram = torch.stack([torch.bincount(torch.tensor(one), minlength=16) for one in values])
    got = class_thresholds(histogram, rate).tolist()
    assert got == [reference.threshold(one, mu) for one, mu in zip(values, rate.tolist())]


def test_class_without_pixels_keeps_none():
    histogram = torch.zeros(2, 8, dtype=torch.long)
    histogram[1, 3] = 5
    assert class_thresholds(histogram, torch.ones(2)).tolist() == [8, 3]


# ---- alignment


def test_temperatures():
    assert [generation_temperature(g, 6) for g in (0, 5)] == [1, 0.5]
    assert generation_temperature(1, 3) == 0.75
    assert generation_temperature(0, 1) == 1


def test_target_distribution():
    frequency = torch.tensor([90, 9, 1])
    assert target_distribution(frequency).tolist() == pytest.approx([0.9, 0.09, 0.01])
    want = np.sqrt([0.9, 0.09, 0.01])
    assert target_distribution(frequency, 0.5).tolist() == pytest.approx(want / want.sum())
    assert target_distribution(frequency, 0).tolist() == pytest.approx([1 / 3] * 3)
    for temperature in (1, 0.5, 0):
        q = target_distribution(torch.tensor([1, 0]), temperature)
        assert q[1].item() == pytest.approx(1e-6, rel=1e-4)


def test_alignment_by_hand():
    p = torch.tensor([[0.6, 0.4], [0.5, 0.5]]).double()
    model, target = torch.tensor([0.8, 0.2]).double(), torch.tensor([0.4, 0.6]).double()
    got = distribution_alignment(p, model, target, eps=0)
    assert got[0].tolist() == pytest.approx([0.3 / 1.5, 1.2 / 1.5])
    assert got[1].tolist() == pytest.approx([0.25 / 1.75, 1.5 / 1.75])
    same = distribution_alignment(p, model, model)
    torch.testing.assert_close(same, p)


def test_bias_on_logits_is_the_alignment_of_probabilities():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 3, 4)
    model, target = torch.rand(2, 5).softmax(1)
    model[0] = 0  # never predicted
    want = distribution_alignment(logits.softmax(1), model, target)
    got = (logits + alignment_bias(model, target).view(1, -1, 1, 1)).softmax(1)
    torch.testing.assert_close(got, want)
    assert torch.isfinite(got).all()
