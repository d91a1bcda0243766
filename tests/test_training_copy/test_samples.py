# Copyright (c) mmseg_ctt contributors.
"""A training that reads a copy gets the samples of the originals, in their order."""

import os

import numpy as np
import pytest
from copied import BIG, SCALE, big_images, copy_of, prepared, training_set
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import LABELED, toy_config, toy_semi, toy_set, toy_tagged

from mmseg_ctt.datasets.training_copy.make import make_copy
from mmseg_ctt.datasets.training_copy.manifest import FILES, MANIFEST
from mmseg_ctt.datasets.training_copy.options import options_of
from mmseg_ctt.datasets.training_copy.plan import other_files, plan_of_folder, plan_of_sources
from mmseg_ctt.methods import registered_methods


def samples(data):
    return [data[index] for index in range(len(data))]


def labels(data):
    return [data[index]['data_samples'].gt_sem_seg.data for index in range(len(LABELED))]


@pytest.fixture
def cfg(root):
    big_images(root)
    return prepared(root, SCALE)


def test_raw_copy_gives_the_samples_bit_for_bit(cfg, tmp_path):
    copy_of(cfg, tmp_path / 'copy')
    before, after = training_set(cfg), training_set(cfg, tmp_path / 'copy')
    for one, other in zip(samples(before), samples(after)):
        assert np.array_equal(one['inputs'], other['inputs'])
        assert one['data_samples'].draw == other['data_samples'].draw
    assert all((a == b).all() for a, b in zip(labels(before), labels(after)))
    name = after[0]['data_samples'].img_path
    assert name == str(tmp_path / 'copy' / 'img' / 'l0.bmp')
    assert Image.open(name).size == SCALE  # half of the original
    assert Image.open(tmp_path / 'copy' / 'ann' / 'l0.bmp').size == SCALE


def test_jpeg_copy_changes_pixels_a_little_and_no_label(cfg, tmp_path):
    made = copy_of(cfg, tmp_path / 'copy', 'jpeg')
    assert made.suffixes == {'.jpg': 6, '.png': 3} and (made.made, made.present) == (9, 0)
    before, after = training_set(cfg), training_set(cfg, tmp_path / 'copy')
    differences = [
        np.abs(np.int16(one['inputs']) - np.int16(other['inputs'])).mean()
        for one, other in zip(samples(before), samples(after))
    ]
    assert 0 < max(differences) < 15
    assert all((a == b).all() for a, b in zip(labels(before), labels(after)))


def test_checks_lists_and_names_are_those_of_the_originals(cfg, tmp_path):
    copy_of(cfg, tmp_path / 'copy')
    after = training_set(cfg, tmp_path / 'copy')
    infos = [after.sources['labeled'].get_data_info(i) for i in range(3)]
    assert [info['stem'] for info in infos] == list(LABELED)
    assert all('/data/img/' in info['img_path'] for info in infos)


def test_losses_of_a_run_are_those_of_the_originals(root, tmp_path):
    """With a raw copy of the sizes of the originals, bit for bit."""
    copy_of(prepared(root), tmp_path / 'copy')
    found = []
    for number, folder in enumerate((None, str(tmp_path / 'copy'))):
        cfg = toy_config(root, tmp_path / f'work{number}')
        cfg.train_dataloader.dataset.training_copy = folder
        runner = Runner.from_cfg(cfg)
        runner.train()
        found.append({key: value.cpu() for key, value in runner.model.state_dict().items()})
        name = runner.train_dataloader.dataset[0]['data_samples'].img_path
        assert name.endswith('.bmp' if folder else '.jpg')
    assert all((found[0][key] == found[1][key]).all() for key in found[0])


def test_tags_and_maps_are_carried(root, tmp_path):
    """Tags are read with the lists; maps that LoadMaps reads are scaled with the images."""
    big_images(root)
    method = next(kind for kind in registered_methods().values() if len(kind.reads_maps) > 1)
    tagged = toy_tagged(root, method)
    for name in method.reads_maps:
        for path in (root / 'maps' / name).iterdir():
            Image.open(path).resize(BIG[::-1], Image.NEAREST).save(path)
    cfg = prepared(root)
    cfg.train_dataloader.dataset = dict(tagged, scan_masks=0)
    cfg = type(cfg)(cfg.to_dict())
    for step in cfg.train_dataloader.dataset.tagged.pipeline:
        if step['type'] == 'RandomResize':
            step.update(scale=SCALE, ratio_range=(1.0, 1.0))
        if step['type'] == 'LoadImageFromFile':
            step['type'] = 'CheckedLoadImageFromFile'
    copy_of(cfg, tmp_path / 'copy')
    before, after = training_set(cfg), training_set(cfg, tmp_path / 'copy')
    for index in range(len(before)):
        one, other = before[index], after[index]
        assert np.array_equal(one['inputs'], other['inputs'])
        for name in method.reads_maps:
            a, b = (getattr(s['data_samples'], name).data for s in (one, other))
            assert a.shape == b.shape and np.abs(np.float32(a) - np.float32(b)).max() <= 0.003
    assert (before.tag_matrix() == after.tag_matrix()).all()
    changed = next((root / 'maps' / method.reads_maps[0]).iterdir())
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    os.utime(changed, ns=(1, 1))
    with pytest.raises(ValueError, match=f'{changed.name} has changed since'):
        training_set(cfg, tmp_path / 'copy')


# ---- what a copy that does not fit says


def spoiled(kind, folder, root):
    if kind == 'file':
        (folder / 'img' / 'u1.bmp').unlink()
    elif kind == 'cut':
        (folder / 'img' / 'u1.bmp').write_bytes(b'BM')
    elif kind == 'original':
        (root / 'img' / 'u1.jpg').write_bytes((root / 'img' / 'u1.jpg').read_bytes() + b' ')
    elif kind == 'entry':
        path = folder / FILES
        kept = [line for line in path.read_text().splitlines(True) if 'img/u1.jpg' not in line]
        path.write_text(''.join(kept))
    elif kind == 'manifest':
        (folder / MANIFEST).write_text('{')
    else:
        (folder / MANIFEST).unlink()


@pytest.mark.parametrize(
    'kind, error, words',
    [
        ('file', FileNotFoundError, 'img/u1.bmp of the training copy of .*unlabeled is missing'),
        ('cut', FileNotFoundError, 'is missing or incomplete: run tools/.*make_training_copy.py'),
        ('original', ValueError, 'img/u1.jpg has changed since its training copy was made'),
        ('entry', ValueError, 'the image .*img/u1.jpg is not in the training copy'),
        ('manifest', ValueError, 'manifest.json is damaged'),
        ('none', FileNotFoundError, 'is no training copy'),
    ],
)
def test_a_copy_that_does_not_fit(cfg, root, tmp_path, kind, error, words):
    copy_of(cfg, tmp_path / 'copy')
    spoiled(kind, tmp_path / 'copy', root)
    with pytest.raises(error, match=words):
        training_set(cfg, tmp_path / 'copy')


def test_an_original_that_changed_at_the_same_size(cfg, root, tmp_path):
    """Moved data has other times, and the same content."""
    copy_of(cfg, tmp_path / 'copy')
    path = root / 'ann' / 'l1.png'
    os.utime(path, ns=(1, 1))
    training_set(cfg, tmp_path / 'copy')
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match='l1.png has changed since its training copy was made: '):
        training_set(cfg, tmp_path / 'copy')


def four_bands(root, **loading):
    """A config of images of four bands."""
    for stem in LABELED:
        pixels = np.random.RandomState(0).randint(0, 255, (64, 96, 4)).astype(np.uint8)
        (root / 'img' / f'{stem}.jpg').unlink()
        Image.fromarray(pixels).save(root / 'img' / f'{stem}.png')
    steps = [dict(type='CheckedLoadImageFromFile', **loading), dict(type='CheckedLoadAnnotations')]
    leaf = toy_set(root, True, pipeline=[*steps, dict(type='PackSegInputs')])
    return {**toy_semi(root), 'labeled': leaf, 'unlabeled': None}


@pytest.mark.parametrize('kept', [True, False])
def test_a_fourth_band(cfg, root, tmp_path, kept):
    settings = four_bands(root, color_type='unchanged')
    plan = plan_of_folder(str(root), 'img', 'ann', color_type='unchanged' if kept else 'color')
    make_copy(plan, tmp_path / 'copy', options_of('jpeg', 95, None), report=str)
    copied = dict(settings, training_copy=str(tmp_path / 'copy'))
    if kept:
        assert DATASETS.build(copied)[0]['inputs'].shape[0] == 4
        assert plan_of_sources(DATASETS.build(settings).sources).color_type == 'unchanged'
        return
    with pytest.raises(ValueError, match="made with color_type='color', and .*'unchanged'"):
        DATASETS.build(copied)


def test_a_copy_of_a_folder_and_a_value_without_data(cfg, root, tmp_path):
    settings = four_bands(root, nodata=7)
    plan = plan_of_folder(str(root), 'img', 'ann')
    make_copy(plan, tmp_path / 'copy', options_of('raw', 95, None), report=str)
    with pytest.raises(ValueError, match='image_loading.nodata=7 marks pixels of .*labeled by'):
        DATASETS.build(dict(settings, training_copy=str(tmp_path / 'copy')))


def test_pipelines_of_two_kinds_of_bands(cfg, root):
    sources = DATASETS.build(four_bands(root, color_type='unchanged')).sources
    other = toy_set(root, False, pipeline=[dict(type='CheckedLoadImageFromFile')])
    sources = dict(sources, more=DATASETS.build(other))
    with pytest.raises(ValueError, match="of labeled loads images with color_type='unchanged'"):
        plan_of_sources(sources)


def test_a_copy_that_is_too_small(cfg, root, tmp_path):
    copy_of(cfg, tmp_path / 'copy')
    with pytest.raises(ValueError, match=r'at most 48x32 pixels.*resizes them to 60x40'):
        training_set(prepared(root, (60, 40)), tmp_path / 'copy')


def test_a_copy_of_another_aspect_ratio(cfg, root, tmp_path):
    copy_of(cfg, tmp_path / 'copy')
    stretched = prepared(root, SCALE)
    for source in ('labeled', 'unlabeled'):
        for step in stretched.train_dataloader.dataset[source].pipeline:
            if step['type'] == 'RandomResize':
                step.keep_ratio = False
    with pytest.raises(ValueError, match='keep_ratio=True, and the pipeline .*keep_ratio=False'):
        training_set(stretched, tmp_path / 'copy')
    copy_of(stretched, tmp_path / 'stretched')
    training_set(stretched, tmp_path / 'stretched')


def test_masks_from_elsewhere(cfg, root, tmp_path):
    """Pseudo-labels of a later round are read as they are, which resized images do not fit."""
    mask = tmp_path / 'round1.png'
    Image.open(root / 'ann' / 'l0.png').save(mask)
    data = training_set(cfg)
    info = dict(data.sources['labeled'].get_data_info(0), seg_map_path=str(mask))
    copy_of(cfg, tmp_path / 'small')
    with pytest.raises(ValueError, match=r'round1.png is not in the training copy.*--size keep'):
        training_set(cfg, tmp_path / 'small').copy.redirected(info)
    copy_of(cfg, tmp_path / 'whole', keep=True)
    made = training_set(cfg, tmp_path / 'whole').copy.redirected(info)
    assert made['seg_map_path'] == str(mask) and made['img_path'].endswith('whole/img/l0.bmp')


def test_masks_of_several_raters(root, tmp_path):
    """They are read as they are, so that a copy of other sizes does not fit."""
    big_images(root)
    cfg = prepared(root, SCALE)
    labeled = cfg.train_dataloader.dataset.labeled
    labeled.update(type='MultiRaterDataset', raters=['ann'])
    labeled.data_prefix.pop('seg_map_path')
    labeled.pipeline[1] = dict(type='LoadMultiRaterAnnotations', strategy='random')
    assert labeled.pipeline[2]['type'] == 'RandomResize'
    copy_of(cfg, tmp_path / 'small')
    with pytest.raises(ValueError, match='masks of several raters are read as they are.*size keep'):
        training_set(cfg, tmp_path / 'small')
    copy_of(cfg, tmp_path / 'whole', keep=True)
    before, after = training_set(cfg), training_set(cfg, tmp_path / 'whole')
    assert np.array_equal(before[0]['inputs'], after[0]['inputs'])
    assert (labels(before)[0] == labels(after)[0]).all()
    plan = plan_of_sources(before.sources)
    assert other_files(plan, before.sources) == ['masks of several raters (MultiRaterDataset)']
