# Copyright (c) mmseg_ctt contributors.
"""Groups of images that share classes: the index of tags, and the sampler."""

from collections import Counter
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmseg_ctt.datasets import GroupSampler
from mmseg_ctt.datasets import sampler as sampler_file
from mmseg_ctt.datasets.groups import TagGroups

NAMES = ('background', 'cow', 'sheep', 'cat')


def random_tags(number=40, classes=6, seed=0):
    """Tags in which class 0 is background; most images have one or two."""
    rng = np.random.RandomState(seed)
    tags = (rng.rand(number, classes) < 0.25).astype(np.uint8)
    tags[:, 0] = 0
    tags[np.arange(number), rng.randint(1, classes, number)] = 1
    return tags


def data(tags, names=NAMES, **others):
    """What the sampler reads of a data set."""
    return SimpleNamespace(
        num_images=dict(**others, tagged=len(tags)),
        metainfo=dict(classes=names),
        tag_matrix=lambda source: dict(tagged=np.asarray(tags, np.uint8))[source],
    )


def groups_of(tags, number, size=3, start=0, **settings):
    sampler = GroupSampler(data(tags), ratio=dict(tagged=size), **{'seed': 5, **settings})
    sampler.advance_to(start * size)
    drawn = [draw.idx for draw in islice(sampler, number * size)]
    return [drawn[i : i + size] for i in range(0, len(drawn), size)]


# ---- the index


@pytest.mark.parametrize('size', [2, 3, 5])
def test_partners_have_the_identical_tags_first_and_share_a_class_else(size):
    tags = random_tags()
    index = TagGroups(tags, size)
    identical_first = shared = 0
    for image in range(len(tags)):
        same = [j for j in range(len(tags)) if j != image and (tags[j] == tags[image]).all()]
        for key in range(20):
            partners = index.partners(image, key)
            assert len(partners) == size - 1 and image not in partners
            assert len(set(partners)) == size - 1
            number = min(size - 1, len(same))
            assert set(partners[:number]) <= set(same)
            rest = [image, *partners[number:]]
            # the images that fill the group share a class with the first, all of them one
            assert not partners[number:] or tags[rest].all(axis=0).any()
            identical_first += number
            shared += len(partners) - number
    assert identical_first and shared


def test_every_image_that_may_be_a_partner_is_one_about_as_often_as_the_others():
    tags = np.zeros((6, 2), np.uint8)
    tags[:, 1] = 1
    index = TagGroups(tags, 3)
    counts = Counter(j for key in range(3000) for j in index.partners(2, key))
    assert set(counts) == {0, 1, 3, 4, 5}
    assert max(counts.values()) - min(counts.values()) < 200  # of 1200 each


def test_all_classes_of_an_image_are_drawn():
    tags = [[0, 1, 1], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    index = TagGroups(np.array(tags), 3)
    found = {tuple(sorted(index.partners(0, key))) for key in range(50)}
    assert found == {(1, 2), (3, 4)}


def test_a_class_with_enough_images_goes_before_a_small_one():
    tags = [[0, 1, 1], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    index = TagGroups(np.array(tags), 3)
    assert index.small_classes() == [2]
    assert {tuple(sorted(index.partners(0, key))) for key in range(50)} == {(1, 2)}
    assert index.partners(3, 0) == [0, 0]  # no third image of its class


def test_an_image_alone_is_its_own_partner_and_is_counted():
    tags = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]])
    index = TagGroups(tags, 3)
    assert index.lonely().tolist() == [0, 3]
    assert index.partners(0, 1) == [0, 0]
    assert index.partners(3, 1) == [3, 3]


def test_images_without_tags_are_partners_of_one_another():
    index = TagGroups(np.array([[0, 0], [0, 1], [0, 0], [0, 0]]), 3)
    assert sorted(index.partners(0, 3)) == [2, 3]
    assert index.lonely().tolist() == [1]


@pytest.mark.parametrize('tagged', [0, 1])
def test_with_replacement_the_image_and_its_partners_may_be_equal(tagged):
    tags = np.zeros((3, 2), np.uint8)
    tags[:, 1] = tagged
    index = TagGroups(tags, 3)
    found = {tuple(index.partners(1, key, distinct=False)) for key in range(200)}
    assert found == {(i, j) for i in range(3) for j in range(3)}


def test_with_replacement_an_image_of_a_rare_set_is_grouped_by_class():
    tags = [[0, 1, 1], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    index = TagGroups(np.array(tags), 2)
    found = {index.partners(0, key, distinct=False)[0] for key in range(100)}
    assert found == {0, 1, 2, 3}


# ---- the sampler


def test_each_image_is_the_first_of_a_group_once_an_epoch():
    tags = random_tags(20)
    found = groups_of(tags, 60)
    for epoch in range(3):
        assert sorted(g[0] for g in found[20 * epoch : 20 * epoch + 20]) == list(range(20))
    assert [g[0] for g in found[:20]] != [g[0] for g in found[20:40]]
    partners = {tuple(g) for g in found if g[0] == 4}
    assert len(partners) > 1  # other partners in other epochs
    assert groups_of(tags, 60) == found and groups_of(tags, 60, seed=6) != found


def test_the_stream_begins_anywhere():
    tags = random_tags(20)
    found = groups_of(tags, 50)
    for start in (1, 7, 33):
        assert groups_of(tags, 50 - start, start=start) == found[start:]


@pytest.mark.parametrize('world', [2, 3])
def test_ranks_and_batches_have_whole_groups(world, monkeypatch):
    tags = random_tags(20)
    found, made = groups_of(tags, 12), {}
    for rank in range(world):
        monkeypatch.setattr(sampler_file, 'get_dist_info', lambda rank=rank: (rank, world))
        sampler = GroupSampler(data(tags), ratio=dict(tagged=3), seed=5)
        batches = islice(
            DataLoader(Numbers(), 6, sampler=sampler, collate_fn=list), 12 // world // 2
        )
        for batch in batches:
            for i in range(0, 6, 3):
                made[batch[i][1] // 3] = [idx for idx, _ in batch[i : i + 3]]
    assert [made[i] for i in sorted(made)] == found


class Numbers:
    """Gives index and number of each draw."""

    def __len__(self):
        return 100

    def __getitem__(self, draw):
        return draw.idx, draw.number

    def __getitems__(self, drawn):
        return [self[draw] for draw in drawn]


def test_other_sources_are_drawn_as_ever():
    tags = random_tags(20)
    mixed = data(tags, labeled=5)
    sampler = GroupSampler(mixed, ratio=dict(labeled=2, tagged=3), seed=5)
    drawn = [draw.idx for draw in islice(sampler, 100)]
    assert [[idx - 5 for idx in drawn[i + 2 : i + 5]] for i in range(0, 100, 5)] == groups_of(
        tags, 20
    )
    labeled = [idx for i in range(0, 100, 5) for idx in drawn[i : i + 2]]
    assert all(sorted(labeled[i : i + 5]) == list(range(5)) for i in range(0, 40, 5))


# ---- bad input


@pytest.mark.parametrize(
    'ratio, line',
    [
        (dict(tagged=1), 'tagged is the size of a group of GroupSampler, at least 2'),
        (dict(labeled=1), 'tagged is the size of a group of GroupSampler, at least 2'),
        (None, 'draws no image|names'),
    ],
)
def test_a_group_needs_two_images(ratio, line):
    with pytest.raises(ValueError, match=line):
        GroupSampler(data(random_tags(), labeled=5), ratio=ratio, seed=0)


def test_classes_with_few_images_are_named(caplog, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmseg_ctt.datasets.group_sampler.print_log', lambda line, *_: lines.append(line)
    )
    tags = [[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    GroupSampler(data(tags), ratio=dict(tagged=3), seed=0)
    assert len(lines) == 2
    assert 'the classes sheep (2), cat (1) have fewer images than a group of 3' in lines[0]
    assert '1 images share no class with any other' in lines[1]
    GroupSampler(data(tags[:3]), ratio=dict(tagged=3), seed=0)
    assert len(lines) == 2
