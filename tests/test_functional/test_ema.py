# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.functional import copy_tensors_, ema_decay, ema_update_


@pytest.mark.parametrize('alpha', [0.0, 0.6, 0.99, 1.0])
def test_decay_is_the_plain_mean_until_alpha(alpha):
    for step in range(300):
        want = min(step / (step + 1), alpha)
        assert ema_decay(step, alpha) == pytest.approx(want, abs=1e-12)
    assert ema_decay(0, alpha) == 0


def test_decay_default_and_where_it_takes_over():
    assert ema_decay(10**6) == 0.99
    assert ema_decay(97) < 0.99 == ema_decay(100)


def test_warm_start_is_the_mean_of_all_students():
    students = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double()
    teacher = [torch.full((3,), 1e6, dtype=torch.float64)]
    for step, student in enumerate(students):
        ema_update_(teacher, [student], ema_decay(step))
        torch.testing.assert_close(teacher[0], students[: step + 1].mean(0))


@pytest.mark.parametrize('alpha', [0.0, 0.3, 0.99, 1.0])
def test_update_is_in_place_over_all_tensors(alpha):
    g = torch.Generator().manual_seed(1)
    teacher = [torch.randn(s, generator=g) for s in [(3,), (2, 4), ()]]
    student = [torch.randn(s, generator=g) for s in [(3,), (2, 4), ()]]
    old, new = [t.clone() for t in teacher], [s.clone() for s in student]
    places = [t.data_ptr() for t in teacher]
    ema_update_(teacher, student, alpha)
    for got, a, b in zip(teacher, old, new):
        torch.testing.assert_close(got, alpha * a + (1 - alpha) * b)
    assert [t.data_ptr() for t in teacher] == places
    assert all(torch.equal(a, b) for a, b in zip(student, new))


def test_update_leaves_no_graph():
    teacher = [torch.nn.Parameter(torch.zeros(2), requires_grad=False)]
    student = [torch.nn.Parameter(torch.ones(2))]
    ema_update_(teacher, student, 0.5)
    assert teacher[0].tolist() == [0.5, 0.5] and not teacher[0].requires_grad


def test_update_of_nothing():
    ema_update_([], [], 0.5)


def test_update_errors():
    one = [torch.zeros(2)]
    with pytest.raises(ValueError, match='teacher has 1 tensors, student 0'):
        ema_update_(one, [], 0.5)
    for alpha in (-0.1, 1.1, float('nan')):
        with pytest.raises(ValueError, match='alpha must be in'):
            ema_update_(one, one, alpha)


@pytest.mark.parametrize('in_one_call', [True, False])
def test_copy_is_in_place_with_any_pytorch(monkeypatch, in_one_call):
    if not in_one_call:  # as in PyTorch 2.0
        monkeypatch.delattr(torch, '_foreach_copy_', raising=False)
    targets, sources = [torch.zeros(2), torch.zeros(3, 1)], [torch.ones(2), torch.full((3, 1), 2.0)]
    memory = [target.data_ptr() for target in targets]
    copy_tensors_(targets, sources)
    assert all(torch.equal(a, b) for a, b in zip(targets, sources))
    assert [target.data_ptr() for target in targets] == memory
