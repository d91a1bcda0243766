# Copyright (c) mmseg_ctt contributors.
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_data import toy_config, without_data

from mmseg_ctt.datasets.transforms import CheckedLoadAnnotations
from mmseg_ctt.deploy.api.predict import input_pipeline
from mmseg_ctt.engine.config import prepare_config
from mmseg_ctt.lab.label_review.images import ListedImage, MaskedImage, MaskedSet
from mmseg_ctt.lab.label_review.known_classes import ClassKnowledge, class_knowledge
from mmseg_ctt.lab.label_review.label_errors import (
    Contradiction,
    examine,
    find_label_errors,
    names_of,
    near_border,
    precision_recall,
    unknown_classes,
)
from mmseg_ctt.lab.label_review.members import Prediction

K, SIDE = 3, 40
IMAGE = ListedImage('a.jpg', 'a')


def members(*labels, confidence=0.95):
    """Passes of members that predict label maps ``(h, w)`` with one probability."""

    def predictions(data):
        for i, label in enumerate(labels):
            label = torch.as_tensor(label).long()
            hot = torch.nn.functional.one_hot(label, K).permute(2, 0, 1)
            rest = (1 - confidence) / (K - 1)
            yield Prediction(f'student{i}', hot * (confidence - rest) + rest, label)

    return SimpleNamespace(predictions=predictions)


def knowledge(iou=(1, 1, 1), thresholds=(0, 0, 0)):
    """Classes of this IoU, with the same class thresholds for two members."""
    limits = torch.tensor(thresholds, dtype=torch.float64)
    return ClassKnowledge(dict(student0=limits, student1=limits), np.array(iou, float))


def examined(mask, *labels, confidence=0.95, known=None, **settings):
    settings = Contradiction(**{'threshold': 0.9, 'border': 0.025, **settings})  # one pixel
    passes, masked = members(*labels, confidence=confidence), MaskedImage(IMAGE, {}, mask)
    return examine(passes, masked, known or knowledge(), settings)


@pytest.fixture
def mask():
    """Class 0 with a square of class 1, and a corner of class 2."""
    made = np.zeros((SIDE, SIDE), np.uint8)
    made[10:20, 10:20] = 1
    made[30:, 30:] = 2
    return made


def test_a_region_of_another_class(mask):
    predicted = mask.copy()
    predicted[10:20, 10:20] = 2  # the mask says 1
    found = examined(mask, predicted, predicted)
    (region,) = found.regions
    assert (region.was, region.predicted) == (1, 2)
    assert region.confidence == pytest.approx(0.95)
    inside = np.zeros_like(mask, bool)
    inside[11:19, 11:19] = True  # without the strip along the border
    np.testing.assert_array_equal(found.contradicted, inside)
    assert found.score == pytest.approx(64 / SIDE**2) == region.area


def test_what_is_no_error(mask):
    predicted = mask.copy()
    predicted[10:20, 10:20] = 2
    assert not examined(mask, mask, mask).regions
    assert not examined(mask, predicted, mask).regions, 'one member agrees with the mask'
    other = mask.copy()
    other[10:20, 10:20] = 0
    assert not examined(mask, predicted, other).regions, 'members predict different classes'
    assert not examined(mask, predicted, predicted, confidence=0.85).regions
    assert examined(mask, predicted, confidence=0.85, threshold=0.8).regions
    assert not examined(mask, predicted, min_area=0.1).regions
    shifted = np.roll(mask, 1, axis=0)
    shifted[0] = 0
    assert not examined(mask, shifted, shifted).regions, 'borders are never exact'
    assert examined(mask, shifted, shifted, border=0).regions
    ignored = np.where(mask == 1, 255, mask).astype(np.uint8)
    assert not examined(ignored, predicted, predicted).regions


def test_regions_apart_and_order(mask):
    predicted = mask.copy()
    predicted[10:20, 10:20] = 2
    predicted[25:30, 2:20] = 1
    found = examined(mask, predicted, border=0)
    assert [(region.was, region.predicted) for region in found.regions] == [(1, 2), (0, 1)]
    assert [round(region.area * SIDE**2) for region in found.regions] == [100, 90]


def test_another_size(mask):
    """Networks whose pipeline resizes the image: the mask follows."""
    predicted = mask[::2, ::2].copy()
    predicted[5:10, 5:10] = 2
    found = examined(mask, predicted, border=0)
    assert found.contradicted.shape == (20, 20) and found.score == pytest.approx(25 / 400)


def test_near_border():
    mask = np.zeros((5, 100), int)
    mask[:, 50:] = 1
    assert near_border(mask, 0.02)[0].nonzero()[0].tolist() == [48, 49, 50, 51]
    assert near_border(mask, 0.001).sum() == 5 * 2, 'at least one pixel'
    assert not near_border(mask, 0).any() and not near_border(mask * 0, 0.1).any()


def test_ranking(mask):
    predicted = mask.copy()
    predicted[10:20, 10:20] = 2
    small, large, right = (mask.copy() for _ in range(3))
    small[10:20, 15:20] = 2
    large[25:, :20] = 1
    right[10:20, 10:20] = 2
    images = [
        MaskedImage(ListedImage(n, n), {}, m) for n, m in (('s', small), ('l', large), ('r', right))
    ]
    patch = pytest.MonkeyPatch()
    with patch.context() as changed:
        target = 'mmseg_ctt.lab.label_review.label_errors.'
        changed.setattr(target + 'MemberPass', lambda model, names: members(predicted))
        changed.setattr(target + 'all_members', lambda model: ['model'])
        fixed = Contradiction(0.9)
        ranked = find_label_errors(None, images, range(3), 9, knowledge(), fixed)
        assert [found.image.name for found in ranked] == ['l', 's'], 'the right mask is not there'
        (worst,) = find_label_errors(None, images, range(3), 1, knowledge(), fixed)
        assert worst.image.name == 'l'
        # an error between 1 and 0 alone; where 0 is not known, it comes behind
        unknown, large[10:20, 10:20] = knowledge((0.4, 1, 1)), 2
        first, behind = find_label_errors(None, images, range(3), 9, unknown, fixed)
        assert (first.image.name, behind.image.name) == ('s', 'l')
        assert first.known and not behind.known and behind.score > first.score
        assert find_label_errors(None, images, range(3), 1, unknown, fixed)[0].image.name == 's'


def test_class_thresholds(mask):
    """A network that is sure of little: what counts is how sure it is where masks say so."""
    predicted = mask.copy()
    predicted[10:20, 10:20] = 2
    images = [MaskedImage(IMAGE, {}, mask), MaskedImage(IMAGE, {}, np.full_like(mask, 255))]
    with pytest.MonkeyPatch().context() as patch:
        target = 'mmseg_ctt.lab.label_review.known_classes.'
        patch.setattr(
            target + 'MemberPass', lambda model, names: members(predicted, mask, confidence=0.6)
        )
        patch.setattr(target + 'all_members', lambda model: ['student0', 'student1'])
        found = class_knowledge(None, images, range(2)).thresholds
    assert found['student0'].tolist() == pytest.approx([0.6, 0.2, 0.6])
    assert found['student1'].tolist() == pytest.approx([0.6, 0.6, 0.6])
    one = MaskedImage(IMAGE, {}, mask)
    low, high = (knowledge(thresholds=(0.6, 0.2, t)) for t in (0.6, 0.61))
    passes = members(predicted, confidence=0.6)
    assert [
        len(examine(passes, one, limits, Contradiction()).regions) for limits in (low, high)
    ] == [1, 0]
    never = np.where(mask == 2, 0, mask).astype(np.uint8)
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(target + 'MemberPass', lambda model, names: members(predicted))
        patch.setattr(target + 'all_members', lambda model: ['student0'])
        found = class_knowledge(None, [MaskedImage(IMAGE, {}, never)], [0])
    (limits,) = found.thresholds.values()
    assert not found.known(0.5)[2] and limits[2] == np.inf, (
        'a class that no mask shows is never believed'
    )


def test_known_classes(mask):
    """The IoU of the member that has the lowest, over all images and labelled pixels."""
    wrong = np.where(mask == 1, 2, mask)
    second = np.where(mask == 0, 255, mask).astype(np.uint8)
    images = [MaskedImage(IMAGE, {}, mask), MaskedImage(IMAGE, {}, second)]
    with pytest.MonkeyPatch().context() as patch:
        target = 'mmseg_ctt.lab.label_review.known_classes.'
        patch.setattr(target + 'MemberPass', lambda model, names: members(wrong, mask))
        patch.setattr(target + 'all_members', lambda model: ['student0', 'student1'])
        found = class_knowledge(None, images, range(2))
    assert found.iou.tolist() == pytest.approx([1, 0, 0.5])  # 200 pixels of 2, 400 predicted
    assert found.known(0.5).tolist() == [True, False, True] and found.known(0).all()
    words = unknown_classes(found, Contradiction(), dict(classes='abc'))
    assert 'an IoU below 50%' in words and words.endswith(': b 0%.')
    assert not unknown_classes(found, Contradiction(min_iou=0), dict(classes='abc'))


def test_regions_of_unknown_classes_come_behind(mask):
    predicted = mask.copy()
    predicted[10:20, 10:20] = 2  # the mask says 1
    predicted[25:30, 2:20] = 2  # the mask says 0
    found = examined(mask, predicted, border=0, known=knowledge((0.5, 0.49, 0.5)))
    assert [(region.was, region.unknown) for region in found.regions] == [(0, ()), (1, (1,))]
    assert found.known and found.score == pytest.approx(90 / SIDE**2), 'without the unknown'
    assert found.contradicted.sum() == 190
    words = names_of(found.regions, dict(classes=('road', 'cat', 'dog')))
    assert words.count('not known yet') == 1 and words.endswith('not known yet: cat)')
    none = examined(mask, predicted, border=0, known=knowledge((1, 1, 0)))
    assert not none.known and none.score == pytest.approx(190 / SIDE**2)
    assert examined(mask, predicted, border=0, min_iou=0, known=knowledge((0, 0, 0))).known


def test_floor_of_the_confidence(mask):
    predicted = mask.copy()
    predicted[10:20, 10:20] = 2
    for confidence, floor, number in ((0.36, 0.37, 0), (0.36, 0.35, 1), (0.36, None, 1)):
        found = examined(mask, predicted, confidence=confidence, threshold=None, floor=floor)
        assert len(found.regions) == number, (confidence, floor)
    assert Contradiction().limit(torch.tensor([0.1, 0.6])).tolist() == pytest.approx([0.3, 0.6])


def test_precision_and_recall():
    ranked = ['a', 'b', 'c', 'd']
    assert precision_recall(ranked, {'a', 'c', 'z'}, 2) == dict(precision=0.5, recall=1 / 3)
    assert precision_recall(ranked, {'a', 'c', 'z'}, 9) == dict(precision=0.5, recall=2 / 3)
    assert precision_recall([], {'a'}, 5) == dict(precision=0, recall=0)


def test_settings_out_of_range():
    with pytest.raises(ValueError, match='threshold must be in'):
        Contradiction(threshold=1.5).check()
    with pytest.raises(ValueError, match='floor belongs to the class thresholds'):
        Contradiction(threshold=0.5, floor=0.2).check()


def test_masked_images_of_a_config(root, tmp_path):
    """Masks are loaded as the training does it, beside images of the test pipeline."""
    cfg = prepare_config(toy_config(root, tmp_path))
    images = MaskedSet(cfg, input_pipeline(SimpleNamespace(cfg=cfg)))
    assert [image.name for image in images.images] == ['l0', 'l1', 'l2']
    masked = images[1]
    info = dict(seg_map_path=str(root / 'ann' / 'l1.png'), seg_fields=[])
    truth = CheckedLoadAnnotations()(dict(info, img=np.zeros((32, 48, 3))))['gt_seg_map']
    np.testing.assert_array_equal(masked.mask, truth)
    assert masked.data['inputs'].shape == (3, 32, 48) and 255 in masked.mask
    without_data(masked.image.path)
    images.pipeline[0].nodata = 7
    assert (images[1].mask[:8] == 255).all() and (images[1].mask[8:] == truth[8:]).all()
    (root / 'ann' / 'l2.png').unlink()
    with pytest.raises(FileNotFoundError, match='l2.png'):
        MaskedSet(cfg, images.pipeline)
    cfg.train_dataloader.dataset.pop('labeled')
    with pytest.raises(ValueError, match='no labeled images'):
        MaskedSet(cfg, images.pipeline)
