# Copyright (c) mmseg_ctt contributors.
"""Class maps of images in groups, by the whole model of group-wise semantic mining."""

import json

import numpy as np
import pytest
import torch
from record_losses import toy_run
from torch.nn.functional import interpolate
from toy_data import write_toy_data

from mmseg_ctt.deploy.api import load_model
from mmseg_ctt.deploy.class_maps import (
    ClassMapJob,
    ClassMapSettings,
    config_images,
    load_group_model,
    make_class_maps,
    predict_class_maps,
)
from mmseg_ctt.deploy.class_maps.groups import partners_of
from mmseg_ctt.deploy.class_maps.predict import _inputs
from mmseg_ctt.functional.class_maps import normalized_class_maps

KIND = 'GroupSemanticMining'
ONCE = ClassMapSettings(scales=(1.0,), flip=False, groups=1)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Config and checkpoint of a run of two iterations, with a graph that matters."""
    folder = tmp_path_factory.mktemp('run')
    hooks = dict(checkpoint=dict(type='SafeCheckpointHook', interval=2))
    runner = toy_run(
        KIND, write_toy_data(folder / 'data'), folder / 'work', hooks=hooks, iterations=2
    )
    runner.train()
    path = folder / 'work/iter_2.pth'
    saved = torch.load(path)
    g = torch.Generator().manual_seed(0)
    for name, weight in saved['state_dict'].items():
        if name.startswith('group_graph') or 'conv_seg' in name:
            weight.copy_(torch.randn(weight.shape, generator=g))
    torch.save(saved, path)
    return runner.cfg, path


def test_maps_are_those_of_the_model_for_the_group(run):
    model = load_group_model(*run)
    images = config_images(model.cfg)
    partners = partners_of(model, images, 2, 4)
    tagged = next(image for image in images if image.tags)
    first, second = partners(tagged)
    for chosen in ([first], [first, second]):
        found = predict_class_maps(model, tagged.path, tagged.tags, ONCE, chosen)
        own = _inputs(model, tagged.path)[1]
        maps = []
        for group in chosen:
            others = [interpolate(_inputs(model, p)[1], own.shape[2:]) for p in group]
            raw = model.group_class_maps(torch.cat([own, *others]))[:1].clamp(min=0)
            maps.append(interpolate(raw, own.shape[2:], mode='bilinear'))
        expected = normalized_class_maps(sum(maps) / len(maps))[0, [t - 1 for t in tagged.tags]]
        np.testing.assert_allclose(found.maps, expected.numpy(), atol=1e-5)
    alone = predict_class_maps(model, tagged.path, tagged.tags, ONCE)
    assert np.abs(alone.maps - found.maps).max() > 0.01


def test_partners_share_a_tag_and_do_not_change(run):
    model = load_group_model(*run)
    images = config_images(model.cfg)
    tags = {image.path: set(image.tags) for image in images}
    once, again = (partners_of(model, images, 3, 4) for _ in range(2))
    for image in images:
        assert once(image) == again(image) and len(once(image)) == 3
        for group in once(image):
            assert len(group) == model.group_size - 1
            assert all(path == image.path or tags[path] & tags[image.path] for path in group)
    assert partners_of(model, images, 0, 4)(images[0]) == []


def test_a_folder_says_how_many_groups_its_maps_are_of(run, tmp_path):
    model = load_group_model(*run)
    images = config_images(model.cfg)
    job = ClassMapJob(images, tmp_path / 'maps', ONCE, dict(config='toy'))
    assert make_class_maps(model, job, report=lambda line: None) == len(images)
    settings = tmp_path / 'maps/class_maps.json'
    assert json.loads(settings.read_text())['groups'] == 1
    with pytest.raises(FileExistsError):
        make_class_maps(
            model, job._replace(settings=ONCE._replace(groups=2)), report=lambda line: None
        )
    with pytest.raises(FileExistsError, match='other settings .images:'):  # other partners
        make_class_maps(model, job._replace(images=images[1:]), report=lambda line: None)


def test_images_without_tags_cannot_be_grouped(run):
    model = load_group_model(*run)
    images = config_images(model.cfg)
    images[1] = images[1]._replace(tags=None)
    with pytest.raises(ValueError, match='1 images have no tags.*cannot be grouped'):
        partners_of(model, images, 1, 4)


def test_only_models_with_groups_have_them(run, tmp_path):
    work = tmp_path / 'work'
    hooks = dict(checkpoint=dict(type='SafeCheckpointHook', interval=1))
    other = toy_run(
        'ClassActivationMaps', write_toy_data(tmp_path), work, hooks=hooks, iterations=1
    )
    other.train()
    with pytest.raises(ValueError, match='ClassActivationMaps: leave --groups out'):
        load_group_model(other.cfg, work / 'iter_1.pth')
    with pytest.raises(ValueError, match='groups=-1 must not be negative'):
        ONCE._replace(groups=-1).check()


def test_a_single_image_needs_the_member_alone(run):
    model, single = load_group_model(*run), load_model(*run)
    image = config_images(model.cfg)[0]
    settings = ONCE._replace(groups=0)
    maps = [predict_class_maps(m, image.path, image.tags, settings).maps for m in (model, single)]
    np.testing.assert_array_equal(*maps)
