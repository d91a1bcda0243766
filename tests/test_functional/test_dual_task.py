# Copyright (c) mmseg_ctt contributors.
"""Losses of dual-task consistency, against a restatement."""

import numpy as np
import pytest
import torch
from reference import dtc as reference

from mmseg_ctt import functional


def maps(seed=0):
    g = torch.Generator().manual_seed(seed)
    level_set = torch.rand(2, 3, 4, 5, generator=g) * 2 - 1
    level_set[..., ::2] *= 0.003  # where the transform is not saturated
    probability, distance = torch.rand(2, 2, 3, 4, 5, generator=g)
    valid = torch.rand(2, 4, 5, generator=g) < 0.7
    return level_set, probability, distance * 2 - 1, valid


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('steepness', [1500.0, 20.0])
def test_against_the_restatement(masked, steepness):
    level_set, probability, distance, valid = maps()
    given = valid if masked else None
    used = valid.numpy() if masked else np.ones((2, 4, 5), bool)
    got = functional.dual_task_consistency(level_set, probability, steepness, given)
    args = level_set.numpy(), probability.numpy()
    want = reference.dual_task_consistency(*args, steepness, used)
    assert got.item() == pytest.approx(want, rel=1e-5)
    got = functional.distance_loss(level_set, distance, given)
    want = reference.distance_loss(level_set.numpy(), distance.numpy(), used)
    assert got.item() == pytest.approx(want, rel=1e-5)


def test_both_tasks_get_the_gradient_of_the_agreement():
    level_set, probability, _, valid = maps()
    leaves = level_set.requires_grad_(), probability.requires_grad_()
    functional.dual_task_consistency(*leaves, valid=valid).backward()
    for leaf in leaves:
        assert leaf.grad.abs().sum() > 0
        assert not leaf.grad.masked_select(~valid.unsqueeze(1)).any()


def test_distances_are_constant():
    level_set, _, distance, _ = maps()
    leaves = level_set.requires_grad_(), distance.requires_grad_()
    functional.distance_loss(*leaves).backward()
    assert leaves[0].grad.abs().sum() > 0 and leaves[1].grad is None


@pytest.mark.parametrize('name', ['dual_task_consistency', 'distance_loss'])
def test_no_pixel_counts(name):
    level_set, probability, _, valid = maps()
    leaf = level_set.requires_grad_()
    loss = getattr(functional, name)(leaf, probability, valid=torch.zeros_like(valid))
    loss.backward()
    assert loss.item() == 0 and not leaf.grad.any()


def test_processes_divide_by_the_mean_of_their_pixels():
    level_set, probability, _, valid = maps()
    valid[1, :2] = False
    mean = valid.sum().float() / 2
    parts = [
        functional.dual_task_consistency(
            level_set[i : i + 1],
            probability[i : i + 1],
            valid=valid[i : i + 1],
            mean_count=lambda count: mean,
        )
        for i in range(2)
    ]
    whole = functional.dual_task_consistency(level_set, probability, valid=valid)
    torch.testing.assert_close(sum(parts) / 2, whole)


@pytest.mark.parametrize('value', [-1.0, 1.0])
def test_the_transform_saturates_without_overflow(value):
    level_set = torch.tensor([value]).half().requires_grad_()
    inside = functional.smooth_heaviside(level_set)
    inside.sum().backward()
    assert inside.dtype == torch.float32 and inside.item() == float(value < 0)
    assert torch.isfinite(level_set.grad).all()
