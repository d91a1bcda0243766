# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.functional import class_balanced_weight, select_per_class


def candidates(n, k, seed):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, k, (n,), generator=g)
    score = torch.randperm(n, generator=g).float() / n  # no ties
    valid = torch.rand(n, generator=g) < 0.6
    return label.masked_fill(~valid, 255), score, valid


def rows(index, taken):
    """Taken entries of each class; they must come first."""
    out = []
    for line, flag in zip(index.tolist(), taken.tolist()):
        number = sum(flag)
        assert flag == [True] * number + [False] * (len(flag) - number)
        out.append(line[:number])
    return out


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('n,k,budget', [(30, 3, 2), (30, 7, 4), (12, 2, 12), (5, 3, 9), (1, 4, 2)])
def test_select_per_class_equals_loops(n, k, budget, seed):
    label, score, valid = candidates(n, k, seed)
    index, taken = select_per_class(label, score, valid, k, budget)
    assert index.shape == taken.shape == (k, budget)
    assert index.min() >= 0 and index.max() < n  # readable even where nothing was taken
    for c, got in enumerate(rows(index, taken)):
        own = [i for i in range(n) if valid[i] and label[i] == c]
        if len(own) >= budget:
            own = sorted(own, key=lambda i: -score[i].item())[:budget]
        assert got == own


def test_fewer_pixels_than_the_budget_keep_their_order():
    score = torch.tensor([0.1, 0.9, 0.5])
    label, valid = torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.bool)
    index, taken = select_per_class(label, score, valid, 1, 4)
    assert rows(index, taken) == [[0, 1, 2]]
    index, taken = select_per_class(label, score, valid, 1, 3)
    assert rows(index, taken) == [[1, 2, 0]]  # as many as the budget: by score


def test_select_per_class_without_candidates():
    label, score, _ = candidates(6, 2, 0)
    index, taken = select_per_class(label, score, torch.zeros(6, dtype=torch.bool), 2, 3)
    assert not taken.any() and index.max() < 6


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('n,k', [(20, 4), (50, 9), (3, 5)])
def test_class_balanced_weight_equals_loops(n, k, seed):
    label, _, valid = candidates(n, k, seed)
    got = class_balanced_weight(label, valid, k)
    present = {int(c) for c, ok in zip(label, valid) if ok}
    for i in range(n):
        size = sum(bool(valid[j]) and label[j] == label[i] for j in range(n))
        want = 1 / (len(present) * int(size)) if valid[i] else 0.0
        assert got[i].item() == pytest.approx(want, rel=1e-6)
    assert got.sum().item() == pytest.approx(1.0 if present else 0.0, rel=1e-6)


def test_class_balanced_weight_of_nothing_is_zero():
    label = torch.tensor([0, 255, 3])
    assert torch.equal(
        class_balanced_weight(label, torch.zeros(3, dtype=torch.bool), 2), torch.zeros(3)
    )
