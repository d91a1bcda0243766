# Copyright (c) mmseg_ctt contributors.
from itertools import islice
from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader

from mmseg_ctt.datasets import LabeledUnlabeledSampler
from mmseg_ctt.datasets import sampler as sampler_file
from mmseg_ctt.datasets.sampler import ratio_by_source

ALL = dict(labeled=1, unlabeled=2, tagged=1)


def data(labeled=5, unlabeled=7, **others):
    """Sizes of sources; None leaves one out."""
    sizes = dict(labeled=labeled, unlabeled=unlabeled, **others)
    return SimpleNamespace(
        num_images={name: size for name, size in sizes.items() if size is not None}
    )


def three():
    return data(tagged=4)


def draws(count, rank=0, world=1, monkeypatch=None, start=0, dataset=None, **settings):
    if monkeypatch is not None:
        monkeypatch.setattr(sampler_file, 'get_dist_info', lambda: (rank, world))
    sampler = LabeledUnlabeledSampler(dataset or data(), **{'seed': 3, **settings})
    if start:
        sampler.advance_to(start)
    return list(islice(sampler, count))


def indices(*args, **kwargs):
    return [draw.idx for draw in draws(*args, **kwargs)]


def sources(made):
    """First letters of the sources of draws from :func:`three`."""
    return ''.join('l' if draw.idx < 5 else 'u' if draw.idx < 12 else 't' for draw in made)


RATIOS = [
    dict(labeled=1, unlabeled=1),
    dict(labeled=1, unlabeled=3),
    dict(labeled=2, unlabeled=1),
    dict(labeled=1, unlabeled=0),
    dict(unlabeled=1),
    ALL,
    dict(tagged=2, labeled=1),  # the order of the data set counts, not this
    dict(tagged=1),
]


@pytest.mark.parametrize(
    'sizes, ratio, seed, start, expected',
    [  # indices that release 0.1 has drawn
        (
            (5, 7),
            (1, 1),
            3,
            0,
            [2, 8, 0, 6, 4, 5, 3, 9, 1, 7, 0, 10, 4, 11, 1, 8, 2, 7, 3, 10, 4, 11, 2, 9],
        ),
        (
            (5, 7),
            (1, 2),
            3,
            0,
            [2, 8, 6, 0, 5, 9, 4, 7, 10, 3, 11, 8, 1, 7, 10, 0, 11, 9, 4, 6, 5, 1, 6, 5],
        ),
        (
            (5, 7),
            (2, 1),
            11,
            300,
            [3, 2, 9, 1, 4, 6, 0, 2, 11, 3, 4, 5, 1, 0, 7, 1, 0, 5, 3, 4, 8, 2, 2, 11],
        ),
        ((5, 7), (1, 0), 3, 0, [2, 0, 4, 3, 1, 0, 4, 1, 2, 3, 4, 2]),
        ((5, 7), (0, 1), 3, 0, [8, 6, 5, 9, 7, 10, 11, 8, 7, 10, 11, 9]),
        ((50, 350), (1, 1), 2**31 - 1, 10**12, [8, 53, 46, 393, 20, 127, 48, 52, 44, 267, 3, 176]),
        (
            (100, 10**9),
            (1, 3),
            0,
            4 * 10**6,
            [80, 51192166, 572809904, 344390723, 51, 982080368]
            + [951107474, 479987431, 89, 941076117, 761971861, 886495833],
        ),
    ],
)
def test_two_sources_are_drawn_as_ever(sizes, ratio, seed, start, expected):
    named = dict(zip(('labeled', 'unlabeled'), ratio))
    for given in (ratio, named, dict(reversed(named.items()))):
        made = draws(len(expected), dataset=data(*sizes), ratio=given, seed=seed, start=start)
        assert [draw.idx for draw in made] == expected
        assert [draw.number for draw in made] == list(range(start, start + len(expected)))
        assert {draw.seed for draw in made} == {seed}


def test_a_further_source_changes_no_order_of_the_others():
    two, made = indices(60), indices(90, dataset=three(), ratio=dict(ALL, unlabeled=1))
    assert [idx for idx in made if idx < 12] == two
    for rest in (dict(labeled=None), dict(unlabeled=None), dict(labeled=None, unlabeled=None)):
        reduced = data(**{**dict(tagged=4), **rest})
        first = sum(size for name, size in reduced.num_images.items() if name != 'tagged')
        tagged = indices(30, dataset=reduced, ratio=dict(tagged=1))
        assert [idx - first for idx in tagged] == [idx - 12 for idx in made if idx >= 12]


@pytest.mark.parametrize('ratio', RATIOS, ids=str)
def test_every_period_has_the_ratio(ratio):
    period = ''.join(name[0] * ratio.get(name, 0) for name in ALL)
    made = draws(10 * len(period), dataset=three(), ratio=ratio)
    assert sources(made) == 10 * period
    assert [draw.number for draw in made] == list(range(len(made)))
    assert {draw.seed for draw in made} == {3}


@pytest.mark.parametrize('ratio', RATIOS, ids=str)
def test_each_image_once_per_epoch(ratio):
    made = indices(140 * sum(ratio.values()), dataset=three(), ratio=ratio)
    for name, own in (
        ('labeled', range(5)),
        ('unlabeled', range(5, 12)),
        ('tagged', range(12, 16)),
    ):
        drawn, size = [idx for idx in made if idx in own], len(own)
        assert len(drawn) == 140 * ratio.get(name, 0)
        epochs = [drawn[i : i + size] for i in range(0, len(drawn) - size + 1, size)]
        assert all(sorted(epoch) == list(own) for epoch in epochs)
        orders = min(len(epochs), 24)  # of four images
        assert len({tuple(epoch) for epoch in epochs}) >= orders / 3  # and in another order


@pytest.mark.parametrize('ratio', RATIOS, ids=str)
def test_two_ranks_together_give_the_order_of_one(ratio, monkeypatch):
    period = sum(ratio.values())
    alone = draws(20 * period, dataset=three(), ratio=ratio)
    parts = [
        draws(10 * period, rank, 2, monkeypatch, dataset=three(), ratio=ratio) for rank in (0, 1)
    ]
    together = []
    for i in range(0, 10 * period, period):
        together += parts[0][i : i + period] + parts[1][i : i + period]
    assert together == alone


@pytest.mark.parametrize('ratio', [dict(labeled=1, unlabeled=2), ALL], ids=str)
def test_advance_is_skipping(ratio):
    alone = draws(60, dataset=three(), ratio=ratio)
    for start in (12, 24, 36):
        assert draws(60 - start, start=start, dataset=three(), ratio=ratio) == alone[start:]


def test_resume_on_another_number_of_ranks(monkeypatch):
    settings = dict(dataset=three(), ratio=ALL)
    alone = draws(60, **settings)
    parts = [draws(12, rank, 3, monkeypatch, start=24, **settings) for rank in range(3)]
    together = [draw for i in range(0, 12, 4) for part in parts for draw in part[i : i + 4]]
    assert together == alone[24:60]


def test_iterating_again_starts_at_the_same_draw():
    sampler = LabeledUnlabeledSampler(data(), seed=1)
    sampler.advance_to(10)
    assert list(islice(sampler, 8)) == list(islice(sampler, 8))


def test_resume_with_another_ratio():
    sampler = LabeledUnlabeledSampler(data(), ratio=dict(labeled=1, unlabeled=2))
    with pytest.raises(ValueError, match=r'sampler.ratio=.*unlabeled.*: 2.*the 16 draws .* by 3'):
        sampler.advance_to(16)


def test_without_shuffle():
    made = indices(42, shuffle=False, dataset=three(), ratio=dict(ALL, unlabeled=1))
    assert [idx for idx in made if idx < 5] == [*range(5), *range(5), *range(4)]
    assert [idx for idx in made if 5 <= idx < 12] == [*range(5, 12), *range(5, 12)]
    assert [idx for idx in made if idx >= 12] == [*range(12, 16)] * 3 + [12, 13]


def test_seed_and_source_choose_the_order():
    assert draws(40, seed=3) == draws(40, seed=3)
    assert indices(40, seed=3) != indices(40, seed=4)
    names = ('labeled', 'unlabeled', 'a', 'b', 'c', 'd')
    equal = data(**dict.fromkeys(names, 97))  # sources of equal size are not shuffled alike
    made = indices(6 * 97, dataset=equal, ratio=dict.fromkeys(names, 1))
    orders = {tuple(idx - 97 * i for idx in made[i::6]) for i in range(6)}
    assert len(orders) == 6 and all(sorted(order) == list(range(97)) for order in orders)


def test_keys_of_sources_and_epochs_differ():
    pairs = [
        (source, epoch) for source in range(7) for epoch in (0, 1, 2, 10**6, 10**13, 2**47 - 1)
    ]
    keys = {sampler_file._permutation_key(5, *pair) for pair in pairs}
    assert len(keys) == len(pairs)


def test_batches_have_the_ratio():
    loader = DataLoader(
        range(16),
        batch_size=8,
        collate_fn=list,
        num_workers=0,
        sampler=Indices(LabeledUnlabeledSampler(three(), ratio=ALL, seed=0)),
    )
    for batch in islice(loader, 9):
        assert sum(idx < 5 for idx in batch) == 2
        assert sum(idx >= 12 for idx in batch) == 2


class Indices:
    """The indices of the draws, for a data set that is a plain range."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        return (draw.idx for draw in self.sampler)

    def __len__(self):
        return len(self.sampler)


@pytest.mark.parametrize(
    'dataset, ratio, words',
    [
        (data(0, 7), None, ['sampler.ratio.labeled=1', 'dataset.labeled', 'is empty']),
        (data(5, 0), (1, 1), ['sampler.ratio.unlabeled=1', 'dataset.unlabeled', 'is empty']),
        (data(5, None), None, ['sampler.ratio', 'dataset.unlabeled is not set', 'unlabeled=0']),
        (data(5, None), (1, 1), ['sampler.ratio', '(1, 1)', 'which has labeled:']),
        (data(), (1,), ['sampler.ratio', '(1,)', 'labeled=1, unlabeled=1']),
        (data(), (0, 0), ['sampler.ratio', '(0, 0)', 'no image']),
        (data(), {}, ['sampler.ratio', 'no image']),
        (data(), 2, ['sampler.ratio=2', 'labeled=1, unlabeled=1']),
        (data(), '1:1', ['sampler.ratio=1:1', 'labeled=1, unlabeled=1']),
        (data(), dict(labeled=0), ['sampler.ratio', 'no image']),
        (data(), (2, -1), ['sampler.ratio', '(2, -1)', '-1 for unlabeled']),
        (data(), dict(labeled=1.5), ['sampler.ratio', '1.5 for labeled']),
        (data(), dict(labeled=True), ['sampler.ratio', 'True for labeled']),
        (data(), (1, 1, 1), ['sampler.ratio', '(1, 1, 1)']),
        (three(), (1, 1), ['sampler.ratio', '(1, 1)', 'labeled=1, unlabeled=1, tagged=1']),
        (data(), ALL, ['sampler.ratio', 'dataset.tagged is not set', 'ratio.tagged=None']),
        (data(), dict(labeled=1, unlabelled=0), ['sampler.ratio', 'unlabelled is not set']),
    ],
)
def test_errors(dataset, ratio, words):
    with pytest.raises(ValueError) as error:
        LabeledUnlabeledSampler(dataset, ratio=ratio, seed=0)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize('ratio', [(1, 0), dict(labeled=1, unlabeled=0), dict(labeled=1)])
@pytest.mark.parametrize('unlabeled', [0, None])
def test_a_source_that_is_not_drawn_may_be_empty_or_absent(ratio, unlabeled):
    made = indices(10, dataset=data(5, unlabeled), ratio=ratio)
    assert sorted(made) == sorted([*range(5), *range(5)])


def test_counts_by_source():
    assert ratio_by_source(None, ['labeled', 'unlabeled', 'tagged']) == dict(
        ALL, unlabeled=1, tagged=0
    )
    assert ratio_by_source((2, 1, 0), ['labeled', 'tagged']) == dict(labeled=2, tagged=1)
    assert ratio_by_source(dict(labeled=2, tagged=None), ['labeled']) == dict(labeled=2)
    assert list(ratio_by_source(dict(b=1, labeled=2), ['labeled', 'b'])) == ['labeled', 'b']


def test_length_is_finite():
    assert len(LabeledUnlabeledSampler(three(), seed=0)) == 16
