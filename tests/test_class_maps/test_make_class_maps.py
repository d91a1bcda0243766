# Copyright (c) mmseg_ctt contributors.
"""Class maps of images by a trained classifier."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toy_data import CLASSES, HEIGHT, WIDTH, toy_ctt, write_image
from toy_run import make_run
from toy_weak import STEMS, classifier_run

from mmseg_ctt.deploy.api import load_model
from mmseg_ctt.deploy.class_maps import (
    ClassMapJob,
    ClassMapSettings,
    TaggedImage,
    config_images,
    folder_images,
    make_class_maps,
    predict_class_maps,
    scored_maps,
)
from mmseg_ctt.deploy.class_maps.folder import score_tags
from mmseg_ctt.functional import pamr
from mmseg_ctt.weak_labels.class_map_files import open_class_maps, read_class_maps

PLAIN = ClassMapSettings(scales=(1.0,), flip=False)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmseg'):
        return classifier_run(tmp_path_factory.mktemp('run'))


@pytest.fixture(scope='module')
def model(run):
    return load_model(run.cfg, run.checkpoint)


@pytest.fixture
def images(run):
    return config_images(run.cfg)


def silent(line):
    pass


def test_images_of_a_config_have_their_tags(run, images):
    tags = json.loads((run.config.parent / 'data/tags.json').read_text())
    assert [image.stem for image in images] == sorted(STEMS)
    for image in images:
        assert [CLASSES[k] for k in image.tags] == tags[image.stem]


def test_images_of_a_folder(run, images):
    folder = run.config.parent / 'data/img'
    assert folder_images(folder, images) == images
    assert {image.tags for image in folder_images(folder)} == {None}


def test_maps_of_a_single_scale_by_hand(model, images):
    """The head's maps, cut, resized and divided by their maximum."""
    path, head = images[0].path, model.decode_head
    found = predict_class_maps(model, path, (1, 3), PLAIN)
    assert found.classes.tolist() == [1, 3] and found.maps.shape == (2, HEIGHT, WIDTH)
    with torch.no_grad():
        raw = head.class_maps(model.extract_feat(normalised(model, path)))
    up = F.interpolate(raw.clamp(min=0), (HEIGHT, WIDTH), mode='bilinear', align_corners=False)
    want = (up / (up.amax((2, 3), keepdim=True) + 1e-5))[0, [0, 2]]
    torch.testing.assert_close(torch.from_numpy(found.maps), want)
    scores = torch.from_numpy(found.scores)
    torch.testing.assert_close(scores, raw.mean((2, 3)).sigmoid()[0])


def normalised(model, path):
    """The image as the preprocessor of the toy segmentor makes it."""
    import cv2

    image = torch.from_numpy(cv2.imread(path)[..., ::-1].copy()).permute(2, 0, 1)[None].float()
    statistics = (
        torch.tensor(values).view(1, 3, 1, 1) for values in ((120, 110, 100), (60, 50, 40))
    )
    mean, std = statistics
    return (image - mean) / std


def test_scales_and_flips_are_averaged(model, images):
    image = normalised(model, images[1].path)
    maps, scores = scored_maps(model, image, (1.0, 2.0), flip=True)
    parts = [
        scored_maps(model, image, (1.0,)),
        scored_maps(model, image, (2.0,)),
        scored_maps(model, image.flip(3), (1.0,)),
        scored_maps(model, image.flip(3), (2.0,)),
    ]
    want = sum(part.flip(3) if i > 1 else part for i, (part, _) in enumerate(parts)) / 4
    torch.testing.assert_close(maps, want)
    logits = sum(torch.logit(part) for _, part in parts) / 4
    torch.testing.assert_close(torch.logit(scores), logits, rtol=1e-4, atol=1e-5)
    assert (maps - parts[0][0]).abs().max() > 1e-3
    flipped, _ = scored_maps(model, image.flip(3), (1.0, 2.0), flip=True)
    torch.testing.assert_close(flipped.flip(3), maps)


def test_maps_are_refined(model, images):
    import cv2

    path = images[0].path
    plain = predict_class_maps(model, path, (2,), PLAIN).maps
    refined = predict_class_maps(model, path, (2,), PLAIN._replace(refine='pamr')).maps
    image = torch.from_numpy(cv2.imread(path)).permute(2, 0, 1)[None].float() / 255
    want = pamr(image, torch.from_numpy(plain)[None])[0]
    torch.testing.assert_close(torch.from_numpy(refined), want, rtol=1e-4, atol=1e-5)
    assert np.abs(refined - plain).max() > 0.01


def test_predicted_tags(model, images):
    path = images[0].path
    scores = predict_class_maps(model, path, (1,), PLAIN).scores
    level = float(np.sort(scores)[1])
    found = predict_class_maps(model, path, None, PLAIN._replace(tag_threshold=level))
    assert found.classes.tolist() == [int(scores.argmax()) + 1]
    nothing = predict_class_maps(model, path, None, PLAIN._replace(tag_threshold=0.9999))
    assert nothing.maps.shape == (0, HEIGHT, WIDTH)


def test_a_folder_is_continued_and_never_changed(model, images, tmp_path):
    out, lines = tmp_path / 'out', []
    job = ClassMapJob(images, out, PLAIN, dict(checkpoint='a.pth'))
    assert make_class_maps(model, job, lines.append) == len(images)
    assert lines[-1].startswith(f'[{len(images)}/{len(images)}]')
    opened = open_class_maps(out)
    assert opened.classes == list(CLASSES) and opened.has_background
    assert opened.stems == [image.stem for image in images]
    for image in images:
        found = read_class_maps(out, image.stem)
        assert tuple(found.classes) == image.tags and found.maps.shape[0] == len(image.tags)
        want = predict_class_maps(model, image.path, image.tags, PLAIN).maps
        np.testing.assert_allclose(found.maps, want, atol=1e-3)
    path = out / f'{images[0].stem}.npz'
    path.write_bytes(b'mine')
    (out / f'{images[1].stem}.npz').unlink()
    assert make_class_maps(model, job, silent) == 1
    assert path.read_bytes() == b'mine'
    other = job._replace(settings=PLAIN._replace(flip=True))
    with pytest.raises(FileExistsError, match='other settings .flip: False, now True'):
        make_class_maps(model, other, silent)


def test_maps_of_other_tags_are_not_kept(model, images, tmp_path):
    job = ClassMapJob(images[:2], tmp_path / 'out', PLAIN, {})
    make_class_maps(model, job, silent)
    assert make_class_maps(model, job._replace(images=images[:3]), silent) == 1
    last = images[1]._replace(tags=tuple({1, 2, 3} - set(images[1].tags)))
    with pytest.raises(FileExistsError, match=rf'{last.stem}.npz has the maps of other tags \(cla'):
        make_class_maps(model, job._replace(images=[images[0], last]), silent)


def test_maps_of_other_images_of_the_same_names_are_not_kept(model, images, tmp_path):
    job = ClassMapJob(images[:2], tmp_path / 'out', PLAIN, {})
    make_class_maps(model, job, silent)
    path = tmp_path / 'other.jpg'
    write_image(path, 40)
    other = [images[0], images[1]._replace(path=str(path))]
    with pytest.raises(FileExistsError, match=r'\.npz was made of another image than .*other\.jpg'):
        make_class_maps(model, job._replace(images=other), silent)
    (tmp_path / f'out/{images[1].stem}.npz').unlink()
    assert make_class_maps(model, job._replace(images=other), silent) == 1
    (tmp_path / 'out/inputs.json').unlink()  # as in a folder of an earlier version
    lines = []
    assert make_class_maps(model, job, lines.append) == 0
    assert any('are of an earlier version' in line for line in lines)


def test_scores_of_the_tags(model, images, tmp_path):
    job = ClassMapJob(images, tmp_path / 'out', PLAIN, {})
    make_class_maps(model, job, silent)
    found = score_tags(job, len(CLASSES), True)
    assert found.average_precision.shape == (3,) and 0 < found.mean_average_precision <= 1
    without = job._replace(images=[image._replace(tags=None) for image in images])
    assert score_tags(without, len(CLASSES), True) is None


# ---- mistakes


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(scales=()), r'scales=\[\] must be different positive numbers'),
        (dict(scales=(1.0, 0.0)), 'must be different positive numbers'),
        (dict(scales=(1.0, 1.0)), 'must be different positive numbers'),
        (dict(refine='crf'), "refine='crf' must be one of none, pamr"),
        (dict(tag_threshold=1.0), 'tag_threshold=1.0 must be'),
        (dict(tag_threshold=0.5), 'predicted ones would be unused'),
    ],
)
def test_wrong_settings(model, images, tmp_path, settings, words):
    job = ClassMapJob(images, tmp_path / 'out', PLAIN._replace(**settings), {})
    with pytest.raises(ValueError, match=words):
        make_class_maps(model, job, silent)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'tags, words',
    [
        (None, '1 of 6 images have no tags, such as .*--predict-tags 0.5'),
        ((0,), r'has the tag 0, and the network has class maps of class1 \(1\) to class3 \(3\)'),
        ((2, 4), 'has the tag 4, .* must have the same classes'),
    ],
)
def test_wrong_tags(model, images, tmp_path, tags, words):
    wrong = [images[0]._replace(tags=tags), *images[1:]]
    with pytest.raises(ValueError, match=words):
        make_class_maps(model, ClassMapJob(wrong, tmp_path / 'out', PLAIN, {}), silent)
    assert not (tmp_path / 'out').exists()


def test_a_network_without_class_maps(tmp_path):
    run = make_run(tmp_path, toy_ctt(), custom_imports=dict(imports=['mmseg_ctt', 'toy']))
    job = ClassMapJob([TaggedImage('a', 'a.jpg', ())], tmp_path / 'out', PLAIN, {})
    for member, found in (('student0', 'FCNHead'), ('ensemble', 'an ensemble')):
        with pytest.raises(ValueError, match=f'single network with a ClassMapHead.*has {found}'):
            make_class_maps(load_model(run.cfg, run.checkpoint, member), job, silent)
    with pytest.raises(ValueError, match="no source 'tagged' .it has labeled, unlabeled"):
        config_images(run.cfg)


def test_folders_without_images(tmp_path):
    with pytest.raises(FileNotFoundError, match='no image was found'):
        folder_images(tmp_path)
