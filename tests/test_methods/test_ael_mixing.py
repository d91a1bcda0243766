# Copyright (c) mmseg_ctt contributors.
"""Adaptive Copy-Paste and CutMix, and where the tail classes come from."""

import json

import pytest
import torch
from toy_data import write_toy_data

from mmseg_ctt.methods.ael.mixing import AdaptiveCopyPaste, AdaptiveCutMix, Cut
from mmseg_ctt.methods.ael.tail_classes import fixed_tail

K, SIDE = 4, 8


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def batch(number=3):
    """Images that hold their own number and, as second channel, the label."""
    label = torch.randint(0, K, (number, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    label[:, 0, 0] = 255
    owner = torch.arange(number).view(-1, 1, 1).expand_as(label)
    return torch.stack([owner.float(), label.float(), 0 * label.float()], dim=1), label


# ---- Copy-Paste


def paste(confidence=(0.5,) * K, pixels=(1,) * K, noise=None, number=3, **settings):
    part = AdaptiveCopyPaste(K, **settings)
    image, label = batch(number)
    noise = uniform(number, part.noise_width) if noise is None else noise
    return part(image, label, noise, torch.tensor(confidence), torch.tensor(pixels))


def pasted_classes(image):
    """Classes of the pixels that came from the neighbour, by image; checks who that is."""
    number = len(image)
    classes = []
    for i, (owner, label, _) in enumerate(image):
        moved = owner != i
        assert (owner[moved] == (i + 1) % number).all()
        classes.append(set(label[moved].long().tolist()))
    return classes


def test_all_pixels_of_the_drawn_classes_come_from_the_neighbour():
    image, label = paste(prob=1.0)
    before, truth = batch()
    assert torch.equal(image[:, 1], label.float())  # the labels went along
    for i, classes in enumerate(pasted_classes(image)):
        assert 0 < len(classes) <= 3 and 255 not in classes
        neighbour = truth[(i + 1) % 3]
        moved = image[i, 0] != i
        assert torch.equal(moved, torch.isin(neighbour, torch.tensor(sorted(classes))))
        assert torch.equal(label[i], torch.where(moved, neighbour, truth[i]))
    assert torch.equal(before, batch()[0]) and not torch.equal(label, truth)


@pytest.mark.parametrize('prob,want', [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_ratio_of_images_that_are_pasted_on(prob, want):
    image, _ = paste(prob=prob, number=400)
    ratio = sum(bool(classes) for classes in pasted_classes(image)) / 400
    assert ratio == pytest.approx(want, abs=0.07)


def test_nothing_is_pasted_where_no_class_is_in_the_tail():
    settings = dict(prob=1.0, tail_ratio=0.01)
    assert not any(pasted_classes(paste(pixels=(100, 90, 80, 70), **settings)[0]))
    assert any(pasted_classes(paste(pixels=(100, 90, 80, 0), **settings)[0]))


@pytest.mark.parametrize('number', [1, 2])
def test_number_of_classes(number):
    part = AdaptiveCopyPaste(K, number=number, prob=1.0)
    image, label = batch(50)
    image, _ = part(image, label, uniform(50, part.noise_width), torch.zeros(K), torch.ones(K))
    assert max(map(len, pasted_classes(image))) == number


def test_only_tail_classes_are_pasted():
    by_labels = paste(pixels=(90, 5, 1, 4), prob=1.0, number=60)[0]
    assert set().union(*pasted_classes(by_labels)) == {1, 2, 3}
    wider = paste(pixels=(90, 5, 1, 4), prob=1.0, number=60, tail_ratio=4.0)[0]
    assert set().union(*pasted_classes(wider)) == {0, 1, 2, 3}
    fixed = paste(pixels=(90, 5, 1, 4), prob=1.0, number=60, tail=[0, 2])[0]
    assert set().union(*pasted_classes(fixed)) == {0, 2}


def test_classes_of_little_confidence_are_drawn_more_often():
    def count(confidence):
        part = AdaptiveCopyPaste(K, number=1, prob=1.0)
        image, label = batch(600)
        image, _ = part(image, label, uniform(600, 2), torch.tensor(confidence), torch.ones(K))
        return sum(0 in classes for classes in pasted_classes(image)) / 600

    even, low, high = count([0.5] * K), count([0.0, 1.0, 1.0, 1.0]), count([1.0, 0.0, 0.0, 0.0])
    assert even == pytest.approx(0.25, abs=0.06)
    e = torch.e  # softmax of the roots of 1 and 0
    assert low == pytest.approx(e / (e + 3), abs=0.06)
    assert high == pytest.approx(1 / (1 + 3 * e), abs=0.06)


# ---- tail classes


def test_tail_from_label_statistics(tmp_path, load_tool):
    """The file of the tool gives the classes that its counts give."""
    root, file = write_toy_data(tmp_path / 'data'), tmp_path / 'statistics.json'
    load_tool('analysis_tools/label_statistics').call(
        root / 'ann', '--num-classes', K, '--json', file
    )
    shares = [row['share'] for row in json.loads(file.read_text())['classes']]
    tail = fixed_tail(str(file), K, 1.0)
    assert tail.tolist() == [share <= 1 / K for share in shares] and 0 < tail.sum() < K
    with pytest.raises(ValueError, match='model.copy_paste.tail.*counts 4 classes.*has 7'):
        fixed_tail(str(file), 7, 1.0)


@pytest.mark.parametrize('tail', [[], [4], [-1, 2]])
def test_wrong_class_ids(tail):
    with pytest.raises(ValueError, match='model.copy_paste.tail must name classes in 0..3'):
        fixed_tail(tail, K, 1.0)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='model.copy_paste.tail.*label_statistics.py'):
        fixed_tail(str(tmp_path / 'none.json'), K, 1.0)
    for text in ('no json', '[1, 2]', '{"classes": [{"name": "a"}]}'):
        (tmp_path / 'other.json').write_text(text)
        with pytest.raises(ValueError, match='model.copy_paste.tail.*was not written by'):
            fixed_tail(str(tmp_path / 'other.json'), K, 1.0)


# ---- CutMix


def logits_of(predicted):
    return torch.nn.functional.one_hot(predicted, K).permute(0, 3, 1, 2).float()


def scene():
    """Class 0 everywhere, an object of class 1 in image 1 and one of class 2 in image 2."""
    predicted = torch.zeros(3, SIDE, SIDE, dtype=torch.long)
    predicted[1, 2:5, 1:4], predicted[2, 5:8, 4:8] = 1, 2
    return predicted


def cut(confidence, noise=None, predicted=None, size=(16, 16), **settings):
    predicted = scene() if predicted is None else predicted
    noise = uniform(len(predicted), AdaptiveCutMix.noise_width) if noise is None else noise
    return AdaptiveCutMix(**settings)(logits_of(predicted), size, noise, torch.tensor(confidence))


CERTAIN_BUT_1 = (20.0, -20.0, 20.0, 20.0)  # so extreme that class 1 is always drawn


def test_the_object_of_the_drawn_class_is_cut_in():
    got = cut(CERTAIN_BUT_1)
    assert got.partner[[0, 2]].tolist() == [1, 1]
    want = torch.zeros(16, 16, dtype=torch.bool)
    want[4:10, 2:8] = True
    assert torch.equal(got.mask[0], want) and torch.equal(got.mask[2], want)
    # image 1 has no other image with class 1: half of the area from anywhere
    assert got.partner[1] != 1
    assert got.mask[1].float().mean() == pytest.approx(0.5, abs=0.1)


def test_too_small_objects_and_classes():
    assert cut(CERTAIN_BUT_1, object_area=9 / 64).mask.float().mean() == pytest.approx(0.5, abs=0.1)
    partners = [
        cut(CERTAIN_BUT_1, uniform(3, 7, seed=i), class_area=0.2).partner[0].item()
        for i in range(40)
    ]
    assert set(partners) == {1, 2}
    assert {cut(CERTAIN_BUT_1, uniform(3, 7, seed=i)).partner[0].item() for i in range(40)} == {1}


def test_not_adaptive_is_plain_cut_mix():
    for i in range(10):
        got = cut(CERTAIN_BUT_1, uniform(3, 7, seed=i), adaptive=False)
        assert got.mask.float().mean(dim=(1, 2)).tolist() == pytest.approx([0.5] * 3, abs=0.1)
        assert (got.partner != torch.arange(3)).all()


def test_images_and_maps_are_mixed_alike():
    image, label = batch()
    mask = uniform(3, SIDE, SIDE) < 0.5
    made = Cut(torch.tensor([2, 0, 0]), mask)
    mixed = made.apply_mix(label)
    assert torch.equal(made.apply_mix(image)[:, 1], mixed.float())
    assert torch.equal(mixed, torch.where(mask, label[[2, 0, 0]], label))


def test_the_padding_shows_no_class():
    """An object in it is neither found nor cut, and its class is not in the image."""
    predicted = scene()
    valid = torch.ones(3, 16, 16, dtype=torch.bool)
    valid[1, :, :8] = False  # the object of class 1 lies in the padding
    logits, confidence = logits_of(predicted), torch.tensor(CERTAIN_BUT_1)
    partners = set()
    for i in range(40):
        noise = uniform(3, 7, seed=i)
        plain = AdaptiveCutMix()(logits, (16, 16), noise, confidence)
        got = AdaptiveCutMix()(logits, (16, 16), noise, confidence, valid)
        assert plain.partner[0] == 1
        partners.add(int(got.partner[0]))
        assert got.mask[0].float().mean() == pytest.approx(0.5, abs=0.1)  # any box
    assert partners == {1, 2}
    everywhere = torch.ones_like(valid)
    again = AdaptiveCutMix()(logits, (16, 16), noise, confidence, everywhere)
    assert all(map(torch.equal, again, plain))


@pytest.mark.parametrize(
    'part,settings,message',
    [
        (AdaptiveCopyPaste, dict(number=0), 'model.copy_paste.number'),
        (AdaptiveCopyPaste, dict(prob=1.5), 'model.copy_paste.prob'),
        (AdaptiveCopyPaste, dict(tail_ratio=0), 'model.copy_paste.tail_ratio'),
        (AdaptiveCutMix, dict(object_area=-0.1), 'model.cut_mix.object_area'),
        (AdaptiveCutMix, dict(class_area=1.0), 'model.cut_mix.class_area'),
        (AdaptiveCopyPaste, dict(tail=[1], tail_ratio=9), 'copy_paste.tail_ratio: .*unused'),
    ],
)
def test_bad_settings(part, settings, message):
    with pytest.raises(ValueError, match=message):
        part(*([K] if part is AdaptiveCopyPaste else []), **settings)


def test_areas_of_a_config_may_stay_beside_random_boxes():
    AdaptiveCutMix(adaptive=False, object_area=0.03, class_area=0.03)
