# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.lab.benchmark import counters
from mmseg_ctt.lab.benchmark.counters import OperationCounter, device_synchronisations
from mmseg_ctt.lab.benchmark.sections import SectionStack

CPU, GPU = torch.device('cpu'), torch.device('cuda')
MASK = torch.tensor([True, False, True])


def count(call, device=CPU, on_host=(), section='losses'):
    stack = SectionStack()
    with OperationCounter(stack, device, on_host) as counter, stack.inside(section):
        call()
    return counter


@pytest.mark.parametrize(
    'call, kind',
    [
        (lambda t: t.sum().item(), '_local_scalar_dense'),
        (lambda t: bool(t.any()), '_local_scalar_dense'),
        (lambda t: t.tolist(), 'tolist'),
        (lambda t: t.cpu(), 'cpu'),
        (lambda t: t.numpy(), 'numpy'),
        (lambda t: t[MASK], 'index by a mask'),
        (lambda t: t.index_put((MASK,), torch.ones(2)), 'index_put by a mask'),
        (lambda t: t.__setitem__(MASK, torch.ones(2)), 'index_put_ by a mask'),
        (lambda t: t.nonzero(), 'nonzero'),
        (lambda t: t.masked_select(MASK), 'masked_select'),
        (lambda t: t.equal(t + 1), 'equal'),
        (lambda t: t.unique(), '_unique2'),
    ],
)
def test_a_planted_synchronisation_is_seen(call, kind):
    counter = count(lambda: call(torch.arange(3.0)))
    found = {name: n for (_, name), n in counter.synchronisations.items()}
    assert found.pop(kind) >= 1
    assert not found
    assert counter.total(counter.synchronisations, 'losses') >= 1
    assert counter.total(counter.synchronisations, 'bank') == 0


@pytest.mark.parametrize(
    'call',
    [
        lambda t: t[torch.tensor([0, 2])],
        lambda t: torch.where(MASK, t, 0),
        lambda t: t[1:].clone(),
        lambda t: t.masked_fill_(MASK, 0),
        lambda t: t.to(torch.float64),
        lambda t: t.copy_(t + 1),
    ],
)
def test_what_does_not_wait_is_not_counted(call):
    counter = count(lambda: call(torch.arange(3.0)))
    assert counter.total(counter.outside) > 0
    assert not counter.synchronisations


def test_operations_are_counted_by_section_and_network():
    stack, tensor = SectionStack(), torch.ones(2)
    with OperationCounter(stack, CPU) as counter:
        tensor + 1
        with stack.inside('losses'):
            tensor.view(1, 2).exp()
            with stack.network():
                tensor.mul(2)
    assert dict(counter.outside) == {
        ('other', 'add'): 1,
        ('losses', 'view'): 1,
        ('losses', 'exp'): 1,
    }
    assert dict(counter.networks) == {('losses', 'mul'): 1}
    assert +counter.views == {('losses', 'view'): 1}
    assert counter.total(counter.outside) == 3
    assert counter.total(counter.outside, 'losses') == 2


def test_backward_is_autograds():
    tensor = torch.ones(2, requires_grad=True)
    loss = (tensor * 2).sum()
    counter = count(loss.backward, section='backward')
    assert counter.autograd == counter.total(counter.outside) > 0
    assert tensor.grad.tolist() == [2, 2]


def test_counters_of_an_optimiser_are_no_device_tensors():
    step = torch.tensor(3.0)
    assert not count(step.item, on_host=[step]).synchronisations
    assert count(step.clone().item, on_host=[step]).synchronisations


def test_on_a_gpu_host_tensors_may_be_read():
    assert not count(lambda: torch.ones(3).tolist(), GPU).synchronisations
    assert not count(lambda: torch.ones(()).item(), GPU).synchronisations
    assert not count(lambda: torch.arange(3.0)[MASK], GPU).synchronisations


def test_copies_between_devices_wait_unless_told_not_to():
    meta, host = torch.zeros(2, device='meta'), torch.zeros(2)
    assert count(lambda: host.to('meta')).synchronisations == {
        ('losses', 'copy from cpu to meta'): 1
    }
    assert not count(lambda: host.to('meta', non_blocking=True)).synchronisations
    assert count(lambda: meta.copy_(host)).synchronisations == {
        ('losses', 'copy from cpu to meta'): 1
    }
    assert not count(lambda: meta.copy_(host, non_blocking=True)).synchronisations
    assert not count(lambda: host.to('cpu', torch.float64, copy=True)).synchronisations


def test_warnings_of_cuda_are_counted_by_section(monkeypatch):
    modes = []
    monkeypatch.setattr(counters.torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(counters.torch.cuda, 'get_sync_debug_mode', lambda: 0)
    monkeypatch.setattr(counters.torch.cuda, 'set_sync_debug_mode', modes.append)
    stack = SectionStack()
    with pytest.warns(UserWarning, match='something else'):
        with device_synchronisations(stack) as counts, stack.inside('bank'):
            for text in ('called a synchronizing CUDA operation', 'something else'):
                counters.warnings.warn(text)
    assert counts == {('bank', 'cuda'): 1}
    assert modes == ['warn', 0]


def test_without_a_gpu_cuda_reports_nothing(monkeypatch):
    monkeypatch.setattr(counters.torch.cuda, 'is_available', lambda: False)
    with device_synchronisations(SectionStack()) as counts:
        torch.ones(()).item()
    assert not counts
