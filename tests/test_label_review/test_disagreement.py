# Copyright (c) mmseg_ctt contributors.
import math
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from toy import toy_model, toy_segmentor
from toy_data import SPLIT, UNLABELED, toy_config, toy_set, without_data

from mmseg_ctt.deploy.api.predict import input_pipeline
from mmseg_ctt.deploy.checkpoint import build_network
from mmseg_ctt.engine.config import prepare_config
from mmseg_ctt.lab.label_review.disagreement import Scored, choose, compare, rule_of, score_images
from mmseg_ctt.lab.label_review.images import (
    ListedImage,
    MaskedSet,
    load_image,
    split_lists,
    unlabeled_images,
)
from mmseg_ctt.lab.label_review.members import (
    MemberPass,
    Prediction,
    all_members,
    compared_members,
    mean_feature,
)
from mmseg_ctt.lab.label_review.scarce import scarce_classes


def passes_of(*probabilities):
    """Members that give these probabilities ``(K, h, w)``."""
    made = [
        Prediction(f'teacher{i}', torch.as_tensor(p), torch.as_tensor(p).argmax(dim=0))
        for i, p in enumerate(probabilities)
    ]
    return SimpleNamespace(predictions=lambda data: iter(made))


def test_divergence():
    certain = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    other = torch.tensor([0, 1.0, 0]).view(3, 1, 1)
    unsure = torch.full((3, 1, 1), 1 / 3)
    mixed = -4 / 6 * math.log(4 / 6) - 2 / 6 * math.log(1 / 6)
    half = (mixed - math.log(3) / 2) / math.log(2)
    for first, second, value in (
        (certain, other, 1),
        (certain, certain, 0),
        (unsure, unsure, 0),  # agreed, though unsure
        (certain, unsure, half),
    ):
        assert float(compare(passes_of(first, second), {}).divergence) == pytest.approx(value)
    assert float(compare(passes_of(unsure), {}).divergence) == pytest.approx(1), 'entropy'
    assert float(compare(passes_of(certain), {}).divergence) == 0
    four = [torch.eye(3)[k].view(3, 1, 1) for k in (0, 1, 2, 0)]
    assert 0.9 < float(compare(passes_of(*four), {}).divergence) <= 1, 'more members than classes'


def test_members_of_models():
    ctt = toy_model()
    assert compared_members(ctt) == ['teacher0', 'teacher1']
    assert all_members(ctt) == ['student0', 'student1', 'teacher0', 'teacher1']
    assert compared_members(toy_model('MeanTeacher')) == ['student0', 'teacher0']
    assert compared_members(toy_model('CrossPseudoSupervision')) == ['student0', 'student1']
    plain = build_network(toy_segmentor())
    assert compared_members(plain) == all_members(plain) == ['model']
    assert 'Jensen-Shannon divergence of teacher0 and teacher1' in rule_of(ctt)
    assert 'entropy of model' in rule_of(plain)


def scored(score, *embedding):
    return Scored(ListedImage(f'{score}.jpg', f'{score}'), score, 0.0, np.array(embedding, float))


def test_choice_is_uncertain_first_and_then_diverse():
    images = [
        scored(0.9, 1, 0),
        scored(0.8, 2, 0.01),  # the same direction: no new picture
        scored(0.7, 0, 1),
        scored(0.6, 1, 1),
        scored(0.1, -1, 0),  # the farthest, and no candidate
    ]
    assert [one.score for one in choose(images, 2, pool=2)] == [0.9, 0.7]
    assert [one.score for one in choose(images[::-1], 2, pool=2)] == [0.9, 0.7]
    assert [one.score for one in choose(images, 2, pool=1)] == [0.9, 0.8]
    assert [one.score for one in choose(images, 3, pool=5)] == [0.9, 0.1, 0.7]
    assert len(choose(images, 99)) == 5, 'no image twice'


def test_mean_feature():
    maps = torch.arange(24.0).view(1, 2, 3, 4)
    assert mean_feature((maps * 0, maps)).tolist() == [[5.5, 17.5]]
    assert mean_feature([maps, (maps, torch.zeros(1, 9))]).tolist() == [[5.5, 17.5]]
    assert mean_feature(maps.view(1, 12, 2)).tolist() == [[11, 12]]


@pytest.fixture
def model(root, tmp_path):
    cfg = prepare_config(toy_config(root, tmp_path / 'run'))
    model = build_network(cfg.model).eval()
    torch.manual_seed(4)
    for teacher in model.teachers:
        torch.nn.init.normal_(teacher.decode_head.conv_seg.weight, std=3)
    model.cfg = cfg
    return model


def test_scores_against_plain_forward_passes(model):
    images = unlabeled_images(model.cfg)
    assert [image.name for image in images] == list(UNLABELED)
    pipeline = input_pipeline(model)
    found, damaged = score_images(model, images, pipeline)
    assert not damaged and [entry.image for entry in found] == images
    for entry in found:
        loaded = pipeline[0].transform(dict(img_path=entry.image.path))
        batch = dict(inputs=[pipeline[1](loaded)['inputs']], data_samples=None)
        inputs, meta = model.data_preprocessor(batch)['inputs'], [dict(img_shape=(32, 48))]
        with torch.no_grad():
            p = [teacher.encode_decode(inputs, meta).softmax(1)[0] for teacher in model.teachers]
            features = model.teachers[0].backbone(inputs)[-1]
        mean = sum(p) / 2
        entropy = [-(q * q.clamp(min=1e-30).log()).sum(0) for q in (mean, *p)]
        value = (entropy[0] - (entropy[1] + entropy[2]) / 2) / math.log(2)
        assert entry.score == pytest.approx(float(value.mean()), abs=1e-5)
        differ = (p[0].argmax(0) != p[1].argmax(0)).float().mean()
        assert entry.differing == pytest.approx(float(differ), abs=1e-6) and entry.differing > 0
        np.testing.assert_allclose(entry.embedding, features.mean((2, 3))[0], rtol=1e-4, atol=1e-5)


def test_pixels_without_data_do_not_count(model, root):
    pipeline = input_pipeline(model)
    (image, *_) = unlabeled_images(model.cfg)
    without_data(image.path)
    (whole,), _ = score_images(model, [image], pipeline)
    pipeline[0].nodata = 7
    data = load_image(image, pipeline)
    assert (data['inputs'][:, :8] == 0).all(), 'as in training'
    expected = compare(MemberPass(model, compared_members(model)), data).divergence[8:].mean()
    (rest,), _ = score_images(model, [image], pipeline)
    assert rest.score == pytest.approx(float(expected), rel=1e-5)
    assert rest.score != pytest.approx(whole.score, rel=1e-3)


def test_damaged_images_are_left_out(model, root):
    images = unlabeled_images(model.cfg)
    (root / 'img' / 'u1.jpg').write_bytes(b'no image')
    found, damaged = score_images(model, images, input_pipeline(model))
    assert [entry.image.name for entry in found] == ['u0', 'u2']
    assert damaged == [images[1].path]
    with pytest.raises(ValueError, match='no image can be decoded'):
        score_images(model, images[1:2], input_pipeline(model))


def test_images_of_configs(root, tmp_path):
    cfg = prepare_config(toy_config(root, tmp_path))
    assert split_lists(cfg) == (['l0', 'l1', 'l2'], ['u0', 'u1', 'u2'])
    folder = unlabeled_images(cfg, str(root / 'img'))
    assert len(folder) == 6 and folder[0].name == 'l0'
    cfg.train_dataloader.dataset.pop('unlabeled')
    with pytest.raises(ValueError, match='no images without masks'):
        unlabeled_images(cfg)
    assert split_lists(cfg) is None
    cfg.pop('train_dataloader')
    with pytest.raises(ValueError, match='no train_dataloader'):
        unlabeled_images(cfg)


def test_an_image_of_two_data_sets_is_listed_once(root, tmp_path, model):
    cfg = prepare_config(toy_config(root, tmp_path))
    once = [image.path for image in unlabeled_images(cfg)]
    with_masks = MaskedSet(cfg, input_pipeline(model))
    for name in ('labeled', 'unlabeled'):
        part = cfg.train_dataloader.dataset[name]
        cfg.train_dataloader.dataset[name] = dict(type='ConcatDataset', datasets=[part, part])
    assert [image.path for image in unlabeled_images(cfg)] == once
    twice = MaskedSet(cfg, input_pipeline(model))
    assert twice.images == with_masks.images and len(twice) == 3
    assert (twice[2].mask == with_masks[2].mask).all()
    other = toy_set(root, True, ann_file=f'{SPLIT}/labeled.txt')
    other['data_prefix']['seg_map_path'] = 'other'
    shutil.copytree(root / 'ann', root / 'other')
    cfg.train_dataloader.dataset.labeled.datasets.append(other)
    assert len(MaskedSet(cfg, input_pipeline(model))) == 6, 'other masks are other labels'


def test_lists_of_images_of_two_folders(root, tmp_path):
    """A name in labeled.txt must be an image of the labelled source."""
    cfg = prepare_config(toy_config(root, tmp_path))
    assert split_lists(cfg) is not None
    with_tags = prepare_config(toy_config(root, tmp_path))
    with_tags.train_dataloader.dataset.tagged = toy_set(root, False)
    assert split_lists(with_tags) is None
    shutil.copytree(root / 'img', root / 'more')
    cfg.train_dataloader.dataset.unlabeled.data_prefix.img_path = 'more'
    assert split_lists(cfg) is None


def test_windows_give_one_embedding(model):
    """A network that predicts in windows is embedded from all of them, without another pass."""
    for teacher in model.teachers:
        teacher.test_cfg = dict(mode='slide', crop_size=(32, 32), stride=(32, 16))
        teacher.test_cfg = type(model.cfg)(teacher.test_cfg)
    passes = MemberPass(model, ['teacher0'], embed=True)
    images = unlabeled_images(model.cfg)
    pipeline = input_pipeline(model)
    data = pipeline[1](pipeline[0].transform(dict(img_path=images[0].path)))
    ((_, probability, _),) = passes.predictions(data)
    assert probability.shape == (4, 32, 48) and passes.embedding.shape == (8,)


def test_classes_that_few_masks_show(model, root):
    """Networks that do not know a class do not suggest it."""
    pipeline = input_pipeline(model)
    assert scarce_classes(model.cfg, pipeline) == '', 'every toy mask shows every class'
    for name, ids in (('l0', [0, 1]), ('l1', [0, 3]), ('l2', [0, 3])):
        mask = np.repeat(np.array(ids, np.uint8), 24)[None].repeat(32, 0)
        Image.fromarray(mask).save(root / 'ann' / f'{name}.png')
    words = scarce_classes(model.cfg, pipeline)
    assert words.startswith('Of all 3 masks, few show class2 (0), class1 (1). ')
    mask[:4] = 200
    Image.fromarray(mask).save(root / 'ann' / 'l2.png')
    assert 'are not named: ' in scarce_classes(model.cfg, pipeline)
    model.cfg.train_dataloader.dataset.ignore_index = 200
    assert scarce_classes(model.cfg, pipeline) == words
    (root / 'ann' / 'l1.png').unlink()
    assert 'are not named: ' in scarce_classes(model.cfg, pipeline)
    model.cfg.train_dataloader.dataset.pop('labeled')
    assert scarce_classes(model.cfg, pipeline) == ''
