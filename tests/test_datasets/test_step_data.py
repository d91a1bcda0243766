# Copyright (c) mmseg_ctt contributors.
"""Images of the steps of class-incremental learning, and the masks of a step."""

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import write_image

from mmseg_ctt.datasets.incremental import images_of_step

TAGS = np.array(
    [[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
)
STEPS = [[1], [2], [3]]


@pytest.mark.parametrize(
    'setting, want', [('overlap', [[0, 1, 3], [1, 2], [3, 4]]), ('disjoint', [[0], [1, 2], [3, 4]])]
)
def test_images_of_a_step(setting, want):
    assert [images_of_step(TAGS, STEPS, i, setting).tolist() for i in range(3)] == want
    later = images_of_step(TAGS, [[1], [2, 3]], 0, setting).tolist()
    assert later == ([0, 1, 3] if setting == 'overlap' else [0])


def test_a_class_of_no_step_is_no_later_one():
    assert images_of_step(TAGS, [[1], [2]], 0, 'disjoint').tolist() == [0, 3]


def test_an_unknown_setting():
    with pytest.raises(ValueError, match="setting must be one of .*got 'sequential'"):
        images_of_step(TAGS, STEPS, 0, 'sequential')


KNOWN = ('sky', 'cow', 'cat', 'dog')


@pytest.fixture
def root(tmp_path):
    write_image(tmp_path / 'img' / 'a.jpg', 0)
    ids = np.repeat(np.array([0, 1, 2, 3, 255], np.uint8), 48 * 32 // 5 + 1)[: 48 * 32]
    (tmp_path / 'ann').mkdir()
    Image.fromarray(ids.reshape(32, 48)).save(tmp_path / 'ann' / 'a.png')
    return tmp_path


def labels(root, **changes):
    cfg = dict(
        type='StepSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        known_classes=KNOWN,
        background='background',
        metainfo=dict(classes=('background', 'sky', 'cow', 'cat')),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')],
    )
    data = DATASETS.build({**cfg, **changes})
    given = np.array(Image.open(root / 'ann/a.png'))
    made = data[0]['gt_seg_map']
    return {int(k): made[given == k].tolist() for k in np.unique(given)}


@pytest.mark.parametrize(
    'hidden, want', [((), [1, 2, 3, 0]), (('sky',), [0, 2, 3, 0]), (('sky', 'cat'), [0, 2, 0, 0])]
)
def test_hidden_classes_are_background(root, hidden, want):
    found = labels(root, hidden=hidden)
    for k, expected in enumerate(want):
        assert set(found[k]) == {expected}
    assert set(found[255]) == {255}


def test_ids_that_would_stay(root):
    known = ('background', 'cow', 'cat', 'dog')
    found = labels(root, known_classes=known, metainfo=dict(classes=known), hidden=('cat',))
    assert [set(found[k]) for k in range(4)] == [{0}, {1}, {0}, {3}]


def test_classes_of_the_config_alone(root):
    """Without a meta.json, and without known classes, masks have its ids."""
    classes = dict(classes=('background', 'cow', 'cat', 'dog'))
    found = labels(root, known_classes=None, metainfo=classes, hidden=('cat',))
    assert [set(found[k]) for k in range(4)] == [{0}, {1}, {0}, {3}]


@pytest.mark.parametrize('changes', [dict(hidden=('dog',)), dict(hidden=('background',))])
def test_wrong_hidden_classes(root, changes):
    with pytest.raises(ValueError, match=r'StepSegDataset.hidden=.* must be classes of'):
        labels(root, **changes)
