# Copyright (c) mmseg_ctt contributors.
"""Concat- and RepeatDataset as sources of training images and as test sets."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import (
    LABELED,
    SPLIT,
    UNLABELED,
    toy_config,
    toy_semi,
    toy_set,
    write_image,
    write_lists,
    write_mask,
)

from mmseg_ctt.datasets import DrawnImage, LabeledUnlabeledDataset
from mmseg_ctt.datasets.frequency import label_frequency
from mmseg_ctt.datasets.wrappers import distinct_infos, origin
from mmseg_ctt.deploy.api.inputs import image_pipeline
from mmseg_ctt.engine.guards import duplicate_images


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A second folder, whose masks count from 1."""
    folder = tmp_path / 'other'
    for seed, stem in enumerate(('m0', 'm1'), 20):
        write_image(folder / 'img' / f'{stem}.jpg', seed)
        write_mask(folder / 'ann' / f'{stem}.png', seed)
        ids = np.array(Image.open(folder / 'ann' / f'{stem}.png'))
        Image.fromarray(np.where(ids == 255, 0, ids + 1).astype(np.uint8)).save(
            folder / 'ann' / f'{stem}.png'
        )
    write_lists(folder / SPLIT, ('m0', 'm1'), ())
    return folder


def concat(*parts):
    return dict(type='ConcatDataset', datasets=list(parts))


def repeat(part, times=3):
    return dict(type='RepeatDataset', times=times, dataset=part)


def both(root, other):
    """Labelled images of two folders, the first twice, with label maps of two kinds."""
    shifted = toy_set(other, True, reduce_zero_label=True)
    return concat(repeat(toy_set(root, True), 2), shifted)


def build(root, **changes):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build({**toy_semi(root), **changes})


def stems(dataset, indices):
    return [Path(dataset[i]['data_samples'].img_path).stem for i in indices]


def test_images_and_labels_of_two_folders(root, other):
    dataset = build(root, labeled=both(root, other))
    assert dataset.num_images == {'labeled': 8, 'unlabeled': 3}
    assert stems(dataset, range(8)) == [*LABELED, *LABELED, 'm0', 'm1']
    assert stems(dataset, range(8, 11)) == list(UNLABELED)
    for index in range(8):  # the shift of one folder leaves the other alone, in any order
        sample = dataset[DrawnImage(index, 4, 7)]['data_samples']
        assert set(sample.gt_sem_seg.data.unique().tolist()) <= {0, 1, 2, 3, 255}
        assert sample.draw == (7, 4) and sample.source == 'labeled'
    alone = build(root)
    for index in range(3):
        drawn = DrawnImage(index, 9, 7), DrawnImage(index + 3, 9, 7)
        images = [dataset[draw]['inputs'] for draw in drawn]
        assert torch.equal(images[0], images[1])  # random numbers are those of the draw
        assert torch.equal(images[0], alone[drawn[0]]['inputs'])


def test_each_image_is_listed_once(root, other, monkeypatch):
    reads = []
    read = BaseDataset.get_data_info
    monkeypatch.setattr(
        BaseDataset, 'get_data_info', lambda self, i: reads.append(i) or read(self, i)
    )
    dataset = build(root, labeled=repeat(both(root, other), 1000))
    assert dataset.num_labeled == 8000 and len(reads) == 3 + 2 + 3
    assert len(distinct_infos(dataset.labeled)) == 5
    leaf, index = origin(dataset.labeled, 7999)
    assert Path(leaf.get_data_info(index)['img_path']).stem == 'm1'


def test_unlabelled_images_of_two_folders(root, other):
    more = toy_set(other, True, ann_file='')  # masks are there, and are not taken
    more['pipeline'] = toy_set(other, False)['pipeline']
    dataset = build(root, unlabeled=concat(toy_set(root, False), more))
    assert stems(dataset, range(3, 8)) == [*UNLABELED, 'm0', 'm1']
    assert all('seg_map_path' not in info for info in distinct_infos(dataset.unlabeled))
    assert 'gt_sem_seg' not in dataset[7]['data_samples']


@pytest.mark.parametrize('outside', [True, False])
def test_frequency_leaves_ignored_pixels_out(root, outside):
    """Also where their id is less than the number of classes, whoever names it."""
    named = dict(ignore_index=2)
    data = toy_semi(root, **named) if outside else toy_semi(root)
    data['labeled'].update({} if outside else named)
    for stem in LABELED:  # a corner of 255, which is no class here
        mask = np.array(Image.open(root / 'ann' / f'{stem}.png'))
        Image.fromarray(np.where(mask == 255, 2, mask)).save(root / 'ann' / f'{stem}.png')
    counted = label_frequency(Config(dict(train_dataloader=dict(dataset=data))))
    ids = [np.array(Image.open(root / 'ann' / f'{stem}.png')) for stem in LABELED]
    expected = [sum((mask == k).sum() for mask in ids) * (k != 2) for k in range(4)]
    assert counted.pixel.tolist() == expected and counted.image[2] == 0


def test_frequency_of_both(root, other):
    cfg = Config(
        dict(train_dataloader=dict(dataset={**toy_semi(root), 'labeled': both(root, other)}))
    )
    counted = label_frequency(cfg)
    ids = [np.array(Image.open(root / 'ann' / f'{stem}.png')) for stem in LABELED]
    ids += [np.array(Image.open(other / 'ann' / f'm{i}.png')).astype(int) - 1 for i in (0, 1)]
    expected = [sum((mask == k).sum() for mask in ids) for k in range(4)]
    assert counted.pixel.tolist() == expected


@pytest.mark.parametrize('make', [lambda part: concat(part), repeat, lambda p: repeat(concat(p))])
class TestChecks:
    """Every check of a plain source reaches the data sets inside a wrapper."""

    def test_missing_list(self, root, make):
        shutil.rmtree(root / SPLIT)
        with pytest.raises(FileNotFoundError, match=r'labeled\.txt of .*dataset\.labeled\.data'):
            build(root, labeled=make(toy_set(root, True)))

    def test_empty_list(self, root, make):
        (root / SPLIT / 'labeled.txt').write_text('')
        with pytest.raises(ValueError, match=r'dataset\.labeled\.data.* is empty'):
            build(root, labeled=make(toy_set(root, True)))

    def test_missing_mask(self, root, make):
        (root / 'ann' / 'l1.png').unlink()
        with pytest.raises(FileNotFoundError, match='mask .*l1.png .*1 of 3 masks'):
            build(root, labeled=make(toy_set(root, True)))

    def test_wrong_ids(self, root, make):
        write_mask(root / 'ann' / 'l2.png', 2, num_classes=9)
        with pytest.raises(ValueError, match='l2.png holds ids outside 0..3'):
            build(root, labeled=make(toy_set(root, True)))

    def test_overlap(self, root, make):
        with pytest.raises(ValueError, match='1 images are in both .*u0.jpg'):
            (root / SPLIT / 'labeled.txt').write_text('l0\nu0\n')
            write_mask(root / 'ann' / 'u0.png', 3)
            build(root, labeled=make(toy_set(root, True)))

    def test_labels_of_unlabelled_images(self, root, make):
        with pytest.raises(ValueError, match='unlabeled.pipeline has LoadAnnotations'):
            build(root, unlabeled=make(toy_set(root, True)))

    def test_equal_content(self, root, make):
        shutil.copy(root / 'img' / 'l0.jpg', root / 'img' / 'u0.jpg')
        line = duplicate_images(build(root, labeled=make(toy_set(root, True))))
        assert line.startswith('1 unlabeled images have the content of labeled ones')

    def test_pictures_of_the_api(self, root, make):
        cfg = dict(test_dataloader=dict(dataset=make(toy_set(root, True))))
        kinds = [step['type'] for step in image_pipeline(cfg)]
        assert 'LoadAnnotations' not in kinds and kinds[0] == 'LoadImageFromFile'


def test_other_classes_inside_a_source(root, other):
    part = toy_set(other, True)
    part['metainfo'] = dict(classes=('class0', 'car', 'class2', 'class3'))
    with pytest.raises(
        ValueError, match=r"labeled\.datasets\.1 has other classes.*class 1 is 'car'"
    ):
        build(root, labeled=concat(toy_set(root, True), part))


def test_wrappers_that_are_no_source(root):
    part = toy_set(root, True)
    with pytest.raises(TypeError, match='labeled.type=ClassBalancedDataset needs get_cat_ids'):
        labeled = dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=part)
        build(root, labeled=labeled)
    with pytest.raises(TypeError, match='MultiImageMixDataset is no source.*ConcatDataset'):
        build(root, labeled=dict(type='MultiImageMixDataset', dataset=part, pipeline=[]))


@pytest.mark.parametrize('workers', [0, 2])
def test_run_and_resume_with_wrappers(root, other, tmp_path, workers):
    """Training, validation and a resumed run on joined and repeated data sets."""

    def run(work, **changes):
        cfg = toy_config(root, work, **changes)
        cfg.train_dataloader.dataset.labeled = both(root, other)
        cfg.train_dataloader.dataset.unlabeled = repeat(toy_set(root, False), 2)
        cfg.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
        for loader in (cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset = concat(loader.dataset, loader.dataset)
        cfg.train_cfg = dict(type='ResumableTrainLoop', max_iters=4, val_interval=4)
        cfg.default_hooks.checkpoint.interval = 2
        runner = Runner.from_cfg(cfg)
        runner.train()
        iterator = runner.train_loop.dataloader._iterator
        if iterator is not None:
            iterator._shutdown_workers()
        return runner

    whole = run(tmp_path / 'whole')
    assert len(whole.val_dataloader.dataset) == 6
    parts = run(tmp_path / 'parts', resume=True, load_from=str(tmp_path / 'whole' / 'iter_2.pth'))
    states = whole.model.state_dict(), parts.model.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert isinstance(parts.train_loop.dataloader.dataset, LabeledUnlabeledDataset)
