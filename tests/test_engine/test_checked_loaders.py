# Copyright (c) mmseg_ctt contributors.
"""Masks of every loader that mmengine's runner builds, whatever the loop and the pipeline."""

import logging

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image
from toy_data import CLASSES, LABELED, NUM_CLASSES, SPLIT, toy_config, toy_set

from mmseg_ctt.datasets.built import inner_sets, label_loaders, masked_infos, set_num_classes

SHAPE = (32, 48)


def write(root, stem, value, shape=SHAPE, dtype=np.uint8):
    (root / 'val_ann').mkdir(exist_ok=True)
    Image.fromarray(np.full(shape, value, dtype)).save(root / 'val_ann' / f'{stem}.png')


@pytest.fixture
def evaluated(root):
    """A set of three images with masks of its own; the pipeline is that of stock mmseg."""
    for stem in LABELED:
        path = root / 'ann' / f'{stem}.png'
        (root / 'val_ann').mkdir(exist_ok=True)
        (root / 'val_ann' / f'{stem}.png').write_bytes(path.read_bytes())
    steps = [dict(type=f'Load{kind}') for kind in ('ImageFromFile', 'Annotations')]
    return {
        **toy_set(root, True, random=False, ann_file=f'{SPLIT}/labeled.txt'),
        'data_prefix': dict(img_path='img', seg_map_path='val_ann'),
        'pipeline': [*steps, dict(type='PackSegInputs')],
    }


def loader(dataset, **changes):
    return dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dataset,
        **changes,
    )


def runner(root, tmp_path, **changes):
    return Runner.from_cfg(toy_config(root, tmp_path / 'work', **changes))


WRONG = {
    'ids': (dict(value=85), r'val_ann/l1.png .*: 85 \(1536 pixels\).*grey levels'),
    'wrapping ids': (dict(value=256, dtype=np.uint16), r'val_ann/l1.png .*256 \(1536 pixels\)'),
    'size': (dict(value=0, shape=(48, 32)), 'val_ann/l1.png is 48 high and 32 wide'),
    'colours': (dict(value=0, shape=(*SHAPE, 3)), r'val_ann/l1.png .*colour_masks.py'),
}


@pytest.mark.parametrize('loop', ['MemberValLoop', 'ValLoop'])
@pytest.mark.parametrize('name', WRONG)
def test_wrong_validation_mask_stops_before_the_first_iteration(
    root, tmp_path, evaluated, name, loop
):
    changes, words = WRONG[name]
    write(root, 'l1', **changes)
    made = runner(root, tmp_path, val_dataloader=loader(evaluated), val_cfg=dict(type=loop))
    with pytest.raises(ValueError, match=words):
        made.train()
    assert made.iter == 0


@pytest.mark.parametrize('wrapper', ['RepeatDataset', 'ConcatDataset', None])
def test_wrong_test_mask(root, tmp_path, evaluated, wrapper):
    write(root, 'l2', 9)
    if wrapper == 'RepeatDataset':
        evaluated = dict(type=wrapper, times=2, dataset=evaluated)
    elif wrapper:
        evaluated = dict(type=wrapper, datasets=[evaluated])
    made = runner(root, tmp_path, test_dataloader=loader(evaluated))
    with pytest.raises(ValueError, match=r'val_ann/l2.png .*: 9 \('):
        made.test()


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('tta', [False, True])
def test_every_mask_is_checked_when_it_is_read(
    root, tmp_path, evaluated, monkeypatch, workers, tta
):
    """Beyond those that are read at the start."""
    monkeypatch.setattr('mmseg_ctt.engine.checked_loaders.scan_masks', _nothing_read)
    write(root, 'l2', 256, dtype=np.uint16)
    cfg = toy_config(root, tmp_path / 'work', test_dataloader=loader(evaluated))
    cfg.test_dataloader.num_workers = workers
    if tta:
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(**cfg.tta_model, module=cfg.model)
    made = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match=r'val_ann/l2.png .*: 256 \(1536 pixels\)'):
        made.test()


def _nothing_read(infos, num_classes, *_):
    from mmseg_ctt.datasets.mask_scan import MaskScan

    return MaskScan(np.zeros((0, num_classes)), np.zeros(0), len(infos))


@pytest.mark.parametrize('workers', [0, 1])
def test_every_mask_of_a_plain_training_set(root, tmp_path, evaluated, monkeypatch, workers):
    monkeypatch.setattr('mmseg_ctt.engine.checked_loaders.scan_masks', _nothing_read)
    for stem in LABELED:
        write(root, stem, 9)
    cfg = toy_config(root, tmp_path / 'work', model=plain_model(), hooks=dict(teacher_ema=None))
    cfg.train_dataloader = loader(evaluated)
    cfg.train_dataloader.update(num_workers=workers)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=False)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=9)
    cfg.optim_wrapper.pop('constructor')
    made = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match=r'val_ann/l0.png .*: 9 \(1536 pixels\)'):
        made.train()


def plain_model():
    from toy import toy_segmentor

    return toy_segmentor()


def test_masks_that_are_read_at_the_start_of_a_plain_training(root, tmp_path, evaluated):
    for stem in LABELED:
        write(root, stem, 255)
    cfg = toy_config(root, tmp_path / 'work', model=plain_model(), hooks=dict(teacher_ema=None))
    cfg.train_dataloader = loader(evaluated)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=False)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=9)
    cfg.optim_wrapper.pop('constructor')
    with pytest.raises(ValueError, match='^train_dataloader.dataset: nothing is labelled'):
        Runner.from_cfg(cfg).train()


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmseg_ctt.datasets.mask_scan.print_log', lambda line, logger, level: lines.append(line)
    )
    return lines


def test_suspicious_validation_masks_are_a_line(root, tmp_path, evaluated, logged):
    for stem in LABELED:
        write(root, stem, 255)
    runner(root, tmp_path, val_dataloader=loader(evaluated)).train()
    assert len(logged) == 1 and logged[0].startswith('val_dataloader.dataset: nothing is labelled')
    for stem in LABELED:
        write(root, stem, 1)
    runner(root, tmp_path, test_dataloader=loader(evaluated)).test()
    assert len(logged) == 2
    assert logged[1].startswith('test_dataloader.dataset: no pixel of all 3 masks is of class 0')


def test_good_masks_give_no_line(root, tmp_path, evaluated, logged):
    made = runner(root, tmp_path, val_dataloader=loader(evaluated))
    made.train()
    assert logged == [] and made.iter == 2


def test_test_images_without_masks(root, tmp_path, evaluated):
    """As for a benchmark whose labels are not public."""
    evaluated.update(
        data_prefix=dict(img_path='img'),
        pipeline=[step for step in evaluated['pipeline'] if step['type'] != 'LoadAnnotations'],
    )
    evaluator = dict(
        type='IoUMetric', format_only=True, output_dir=str(tmp_path / 'out'), iou_metrics=['mIoU']
    )
    made = runner(root, tmp_path, test_dataloader=loader(evaluated), test_evaluator=evaluator)
    made.test()
    evaluated['pipeline'].insert(1, dict(type='LoadAnnotations'))
    made = runner(root, tmp_path, test_dataloader=loader(evaluated), test_evaluator=evaluator)
    with pytest.raises(ValueError, match='test_dataloader.dataset.data_prefix.seg_map_path'):
        made.test()


OTHER = tuple(CLASSES[k] for k in (1, 0, 2, 3))
WORDS = r"other classes than .*\(class 0 is 'class1' instead of 'class0'\)"


@pytest.mark.parametrize('loop', ['MemberValLoop', 'ValLoop'])
def test_validation_with_classes_in_another_order(root, tmp_path, evaluated, loop):
    evaluated['metainfo'] = dict(classes=OTHER)
    made = runner(root, tmp_path, val_dataloader=loader(evaluated), val_cfg=dict(type=loop))
    with pytest.raises(ValueError, match=f'val_dataloader.dataset has {WORDS}'):
        made.train()


def test_test_set_with_other_classes_than_the_checkpoint(root, tmp_path, evaluated):
    made = runner(root, tmp_path)
    made.train()
    made.save_checkpoint(str(tmp_path), 'a.pth', by_epoch=False)
    changes = dict(load_from=str(tmp_path / 'a.pth'), test_dataloader=loader(evaluated))
    runner(root, tmp_path, **changes).test()
    evaluated['metainfo'] = dict(classes=OTHER)
    with pytest.raises(ValueError, match=f'test_dataloader.dataset has {WORDS}'):
        runner(root, tmp_path, **changes).test()
    checkpoint = torch.load(tmp_path / 'a.pth', weights_only=False)
    checkpoint['meta'].pop('dataset_meta')  # as of a plain file of weights
    torch.save(checkpoint, tmp_path / 'a.pth')
    runner(root, tmp_path, **changes).test()


def test_weights_of_other_classes_may_start_a_training(root, tmp_path):
    made = runner(root, tmp_path)
    made.train()
    made.save_checkpoint(str(tmp_path), 'a.pth', by_epoch=False)
    checkpoint = torch.load(tmp_path / 'a.pth', weights_only=False)
    checkpoint['meta']['dataset_meta']['classes'] = OTHER
    torch.save(checkpoint, tmp_path / 'a.pth')
    runner(root, tmp_path, load_from=str(tmp_path / 'a.pth')).train()


def test_inner_sets_and_their_loaders(evaluated):
    from mmseg.registry import DATASETS

    from mmseg_ctt.engine.pipeline_steps import checked_steps

    evaluated['pipeline'] = checked_steps(evaluated['pipeline'])
    repeated = dict(type='RepeatDataset', times=3, dataset=evaluated)
    dataset = DATASETS.build(dict(type='ConcatDataset', datasets=[evaluated, repeated]))
    parts = list(inner_sets(dataset))
    assert [type(part).__name__ for part in parts] == ['FolderSegDataset'] * 2
    set_num_classes(dataset)
    for part in parts:
        (step,) = label_loaders(part)
        assert step.of_dataset == dict(num_classes=NUM_CLASSES, ignore_index=255)
    assert len(masked_infos(dataset)) == 6
    parts[0].backend_args = dict(backend='petrel')  # not on this machine's disk
    assert len(masked_infos(dataset)) == 3


def test_log_level_of_the_lines(monkeypatch):
    from mmseg_ctt.datasets import mask_scan

    levels = []
    monkeypatch.setattr(mask_scan, 'print_log', lambda line, logger, level: levels.append(level))
    scan = mask_scan.MaskScan(np.array([[4, 0]]), np.array([0]), 1)
    mask_scan.log_masks(dict(a=scan), ('a', 'b'), 255, required=True)
    assert levels == [logging.WARNING]
