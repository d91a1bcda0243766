# Copyright (c) mmseg_ctt contributors.
from itertools import islice
from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader

from mmseg_ctt.datasets import LabeledUnlabeledSampler
from mmseg_ctt.datasets import sampler as sampler_file


def data(labeled=5, unlabeled=7):
    return SimpleNamespace(num_labeled=labeled, num_unlabeled=unlabeled)


def draws(count, rank=0, world=1, monkeypatch=None, start=0, dataset=None, **settings):
    if monkeypatch is not None:
        monkeypatch.setattr(sampler_file, 'get_dist_info', lambda: (rank, world))
    sampler = LabeledUnlabeledSampler(dataset or data(), **{'seed': 3, **settings})
    if start:
        sampler.advance_to(start)
    return list(islice(sampler, count))


def labeled_flags(made, num_labeled=5):
    return [draw.index < num_labeled for draw in made]


@pytest.mark.parametrize('ratio', [(1, 1), (1, 3), (2, 1), (1, 0), (0, 1), (3, 2)])
def test_every_period_has_the_ratio(ratio):
    made = draws(10 * sum(ratio), ratio=ratio)
    assert labeled_flags(made) == 10 * (ratio[0] * [True] + ratio[1] * [False])
    assert [draw.number for draw in made] == list(range(len(made)))
    assert {draw.seed for draw in made} == {3}


@pytest.mark.parametrize('ratio', [(1, 1), (1, 3), (2, 1), (1, 0)])
def test_each_image_once_per_pass(ratio):
    made = [draw.index for draw in draws(84 * sum(ratio), ratio=ratio)]
    for indices, size in ((range(5), 5), (range(5, 12), 7))[: 2 if ratio[1] else 1]:
        seen = [index for index in made if index in indices]
        passes = [seen[i : i + size] for i in range(0, len(seen) - size + 1, size)]
        assert all(sorted(one) == list(indices) for one in passes)
        assert len({tuple(one) for one in passes}) > len(passes) / 3  # and in another order


@pytest.mark.parametrize('ratio', [(1, 1), (1, 3), (2, 1), (1, 0)])
def test_two_ranks_together_give_the_order_of_one(ratio, monkeypatch):
    period = sum(ratio)
    alone = draws(20 * period, ratio=ratio)
    parts = [draws(10 * period, rank, 2, monkeypatch, ratio=ratio) for rank in (0, 1)]
    together = []
    for i in range(0, 10 * period, period):
        together += parts[0][i : i + period] + parts[1][i : i + period]
    assert together == alone


def test_advance_is_skipping():
    alone = draws(60, ratio=(1, 2))
    for start in (3, 12, 33):
        assert draws(60 - start, start=start, ratio=(1, 2)) == alone[start:]


def test_resume_on_another_number_of_ranks(monkeypatch):
    alone = draws(60)
    parts = [draws(12, rank, 3, monkeypatch, start=24) for rank in range(3)]
    together = [draw for i in range(0, 12, 2) for part in parts for draw in part[i : i + 2]]
    assert together == alone[24:60]


def test_iterating_again_starts_at_the_same_place():
    sampler = LabeledUnlabeledSampler(data(), seed=1)
    sampler.advance_to(10)
    assert list(islice(sampler, 8)) == list(islice(sampler, 8))


def test_resume_with_another_ratio():
    sampler = LabeledUnlabeledSampler(data(), ratio=(1, 2))
    with pytest.raises(ValueError, match=r'sampler.ratio=\(1, 2\): the 16 draws .* by 3'):
        sampler.advance_to(16)


def test_without_shuffle():
    made = draws(28, shuffle=False)
    assert [d.index for d in made if d.index < 5] == [*range(5), *range(5), *range(4)]
    assert [d.index for d in made if d.index >= 5] == [*range(5, 12), *range(5, 12)]


def test_seed_and_source_choose_the_order():
    assert draws(40, seed=3) == draws(40, seed=3)
    assert [d.index for d in draws(40, seed=3)] != [d.index for d in draws(40, seed=4)]
    made = draws(14, dataset=data(7, 7))  # sets of equal size are not shuffled alike
    assert [d.index for d in made[::2]] != [d.index - 7 for d in made[1::2]]


def test_batches_have_the_ratio():
    loader = DataLoader(
        range(12),
        batch_size=6,
        collate_fn=list,
        num_workers=0,
        sampler=Indices(LabeledUnlabeledSampler(data(), ratio=(1, 2), seed=0)),
    )
    for batch in islice(loader, 9):
        assert sum(index < 5 for index in batch) == 2


class Indices:
    """The indices of the draws, for a data set that is a plain range."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        return (draw.index for draw in self.sampler)

    def __len__(self):
        return len(self.sampler)


@pytest.mark.parametrize(
    'dataset, ratio, words',
    [
        (data(0, 7), (1, 1), ['sampler.ratio', 'labeled', 'is empty']),
        (data(5, 0), (1, 1), ['sampler.ratio', 'dataset.unlabeled is empty']),
        (data(), (1,), ['sampler.ratio', '(1,)']),
        (data(), (0, 0), ['sampler.ratio', '(0, 0)']),
        (data(), (2, -1), ['sampler.ratio', '(2, -1)']),
        (data(), (1, 1, 1), ['sampler.ratio', '(1, 1, 1)']),
    ],
)
def test_errors(dataset, ratio, words):
    with pytest.raises(ValueError) as error:
        LabeledUnlabeledSampler(dataset, ratio=ratio, seed=0)
    assert all(word in str(error.value) for word in words)


def test_an_empty_set_that_is_not_drawn_from():
    made = draws(10, dataset=data(5, 0), ratio=(1, 0))
    assert sorted(draw.index for draw in made) == sorted([*range(5), *range(5)])


def test_length_is_finite():
    assert len(LabeledUnlabeledSampler(data(), seed=0)) == 12
