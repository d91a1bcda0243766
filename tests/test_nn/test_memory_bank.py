# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record
from reference.bank import ListBank
from versions import HALF

from mmseg_ctt.nn.memory_bank import ClassMemoryBank


def pixels(n, k, d, seed, ratio=0.6):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, k, (n,), generator=g)
    valid = torch.rand(n, generator=g) < ratio
    confidence = torch.randperm(n, generator=g).float() / n
    return (torch.randn(n, d, generator=g), label.masked_fill(~valid, 255), confidence, valid)


@pytest.mark.parametrize(
    'k,size,d,n,budget',
    [(3, 4, 5, 20, 2), (5, 7, 2, 9, 3), (2, 6, 3, 40, 6), (4, 1, 3, 10, 1), (3, 5, 4, 6, 5)],
)
def test_ring_equals_a_list_per_class(k, size, d, n, budget):
    bank, slow = ClassMemoryBank(k, size, d, budget), ListBank(k, size)
    admitted = torch.zeros(k)
    for push in range(12):
        given = pixels(n, k, d, seed=push)
        bank.update(*given, num_images=99)
        slow.push(*given, budget)
        for c in range(k):
            admitted[c] += min(int((given[1] == c).sum()), budget)
        ordered = bank.in_order()
        for c, queue in slow.queues.items():
            assert bank.count[c] == len(queue)
            assert all(map(torch.equal, queue, ordered[c]))
            assert (ordered[c, len(queue) :] == 0).all()
        assert torch.equal(bank.filled.sum(1), bank.count)
    assert admitted.max() > 2 * size  # went round more than once


def test_filled_slots_are_those_written():
    bank = ClassMemoryBank(3, 4, 2, budget=3)
    bank.update(
        torch.ones(5, 2),
        torch.tensor([0, 0, 0, 2, 1]),
        torch.rand(5),
        torch.tensor([1, 1, 1, 1, 0], dtype=torch.bool),
        1,
    )
    assert torch.equal(bank.filled, bank.features.abs().sum(2) > 0)
    assert bank.count.tolist() == [3, 0, 1]


@pytest.mark.parametrize('images,gained', [(1, 1), (3, 3), (4, 4), (9, 4)])
def test_budget_defaults_to_the_number_of_labelled_images(images, gained):
    bank = ClassMemoryBank(2, size=4, dim=3)
    assert bank.budget is None
    bank.update(
        torch.randn(20, 3),
        torch.ones(20, dtype=torch.long),
        torch.rand(20),
        torch.ones(20, dtype=torch.bool),
        images,
    )
    assert bank.count.tolist() == [0, gained]


def test_confidence_keeps_the_best_and_random_any():
    feature = torch.arange(100.0).unsqueeze(1)
    label, valid = torch.zeros(100, dtype=torch.long), torch.ones(100, dtype=torch.bool)
    confidence = feature.squeeze(1) / 100
    best = ClassMemoryBank(1, 5, 1, budget=5)
    best.update(feature, label, confidence, valid, 1)
    assert best.features.flatten().tolist() == [99.0, 98.0, 97.0, 96.0, 95.0]

    torch.manual_seed(0)
    stored = set()
    for _ in range(40):
        bank = ClassMemoryBank(1, 5, 1, budget=5, ranking='random')
        bank.update(feature, label, confidence, valid, 1)
        taken = bank.features.flatten().tolist()
        assert len(set(taken)) == 5
        stored |= set(taken)
    assert len(stored) > 50 and min(stored) < 50


def test_random_ranking_takes_only_candidates():
    bank = ClassMemoryBank(1, 8, 1, budget=8, ranking='random')
    valid = torch.arange(20) % 5 == 0
    bank.update(
        torch.arange(20.0).unsqueeze(1), torch.zeros(20, dtype=torch.long), torch.rand(20), valid, 1
    )
    assert bank.count.tolist() == [4]
    assert bank.in_order()[0, :4].flatten().tolist() == [0.0, 5.0, 10.0, 15.0]


@HALF
def test_update_stores_float32_without_a_graph():
    bank = ClassMemoryBank(1, 2, 3, budget=1)
    feature = torch.randn(4, 3).half().requires_grad_()
    bank.update(
        feature,
        torch.zeros(4, dtype=torch.long),
        torch.rand(4).half(),
        torch.ones(4, dtype=torch.bool),
        1,
    )
    assert bank.features.dtype == torch.float32 and not bank.features.requires_grad
    assert (bank.features[0, 0] == feature.detach().float()).all(1).any()


def test_update_with_nothing_changes_nothing():
    bank = ClassMemoryBank(3, 4, 2, budget=2)
    bank.update(*pixels(30, 3, 2, seed=0), 1)
    before = {key: value.clone() for key, value in bank.state_dict().items()}
    feature, label, confidence, _ = pixels(30, 3, 2, seed=1)
    bank.update(feature, label, confidence, torch.zeros(30, dtype=torch.bool), 1)
    assert all(torch.equal(before[key], value) for key, value in bank.state_dict().items())


def test_state_dict_keeps_the_order_and_the_sizes():
    bank = ClassMemoryBank(3, 4, 2, budget=3)
    empty = {key: value.shape for key, value in bank.state_dict().items()}
    for push in range(3):
        bank.update(*pixels(30, 3, 2, seed=push), 1)
    assert bank.pointer.any()
    state = bank.state_dict()
    assert {key: value.shape for key, value in state.items()} == empty
    assert set(empty) == {'features', 'pointer', 'count'}
    other = ClassMemoryBank(3, 4, 2, budget=3)
    other.load_state_dict(state)
    for each in (bank, other):
        each.update(*pixels(30, 3, 2, seed=9), 1)
    assert torch.equal(bank.in_order(), other.in_order())


def test_buffers_are_written_in_place():
    bank = ClassMemoryBank(3, 4, 2, budget=2)
    places = {name: buffer.data_ptr() for name, buffer in bank.named_buffers()}
    bank.update(*pixels(30, 3, 2, seed=0), 1)
    assert {name: buffer.data_ptr() for name, buffer in bank.named_buffers()} == places


def test_wrong_width_is_an_error():
    bank = ClassMemoryBank(2, 3, dim=4)
    with pytest.raises(ValueError, match='5 wide.*bank 4.*model.bank.dim=5'):
        bank.update(*pixels(6, 2, 5, seed=0), 1)


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(size=0), '.size must be at least 1, got 0'),
        (dict(dim=0), '.dim must be at least 1, got 0'),
        (dict(num_classes=0), '.num_classes must be at least 1'),
        (dict(budget=0), '.budget must be at least 1, got 0'),
        (dict(budget=9), '.budget must be at most model.bank.size=8, got 9'),
        (dict(ranking='best'), ".ranking must be one of .*'best'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=f'^model.bank{message}'):
        ClassMemoryBank(**{**dict(num_classes=2, size=8, dim=4), **settings})


def test_fill_ratio():
    bank = ClassMemoryBank(3, 4, 2, budget=3)
    bank.count.copy_(torch.tensor([4, 1, 0]))
    assert torch.equal(bank.fill_ratio(), torch.tensor([[1, 0.25, 0]]))
    several = ClassMemoryBank(3, 4, 2, num_banks=2)
    several.count[1, 2] = 2
    assert torch.equal(several.fill_ratio(), torch.tensor([[0, 0, 0], [0, 0, 0.5]]))


@pytest.mark.parametrize('ranking', ['confidence', 'random'])
def test_nothing_is_read_back(ranking):
    bank, given = ClassMemoryBank(3, 4, 2, ranking=ranking), pixels(30, 3, 2, seed=0)
    assert record(lambda: bank.update(*given, 2)) == []
    assert bank.count.sum() > 0
    assert record(bank.in_order) == record(bank.fill_ratio) == []


@pytest.mark.parametrize('ranking', ['confidence', 'random'])
def test_banks_side_by_side_equal_single_ones(ranking, monkeypatch):
    together = ClassMemoryBank(3, 4, 5, budget=2, ranking=ranking, num_banks=2)
    apart = [ClassMemoryBank(3, 4, 5, budget=2, ranking=ranking) for _ in range(2)]
    for push in range(6):
        given = [pixels(20, 3, 5, seed=2 * push + i) for i in range(2)]
        noise = torch.rand(2, 20, generator=torch.Generator().manual_seed(push))
        monkeypatch.setattr(torch, 'rand_like', lambda like, noise=noise: noise)
        together.update(*map(torch.stack, zip(*given)), num_images=9)
        for i, bank in enumerate(apart):
            monkeypatch.setattr(torch, 'rand_like', lambda like, noise=noise[i]: noise)
            bank.update(*given[i], num_images=9)
    for name in ('features', 'pointer', 'count', 'filled'):
        assert torch.equal(getattr(together, name), torch.stack([getattr(b, name) for b in apart]))
    assert torch.equal(together.in_order(), torch.stack([bank.in_order() for bank in apart]))
