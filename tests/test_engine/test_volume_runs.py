# Copyright (c) mmseg_ctt contributors.
"""Slices of volumes in runs and tools, in place of image files."""

import json
import logging
import re
import warnings

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS
from PIL import Image
from toy_rounds import resources, trainings_here
from toy_volumes import SHAPE, toy_image, toy_label, toy_volume_config, write_nifti
from toy_volumes import write_toy_volumes as write_volumes

from mmseg_ctt.deploy.api import load_model, predict
from mmseg_ctt.engine import prepare_config
from mmseg_ctt.lab.experiments.fingerprint import split_checksum
from mmseg_ctt.self_training import SelfTraining


@pytest.fixture
def volumes(tmp_path):
    root = write_volumes(tmp_path / 'volumes')
    (root / 'meta.json').unlink()  # classes are those of the toy models
    return root


# ---- settings of all data sets of a config


def test_volume_slices_are_set_in_all_data_sets(volumes, tmp_path):
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    cfg.volume_slices = dict(plane='x', context=3, window=(0, 100), percentiles=None)
    prepare_config(cfg)
    train = cfg.train_dataloader.dataset
    for dataset in (train.labeled, train.unlabeled, cfg.val_dataloader.dataset):
        assert (dataset.plane, dataset.context, dataset.window) == ('x', 3, (0, 100))
        assert not any(step.type == 'PhotoMetricDistortion' for step in dataset.pipeline)
    assert cfg.volume_slices.plane is None
    cfg.volume_slices.percentiles = (1, 99)
    prepare_config(cfg)
    assert train.labeled.window is None and train.labeled.percentiles == (1, 99)
    sample = DATASETS.build(train.labeled | dict(ann_file='splits/labeled.txt'))[0]
    assert sample['inputs'].shape[0] == 3


@pytest.mark.parametrize(
    'given, message',
    [(dict(planes='x'), 'volume_slices.*planes'), (dict(plane='x'), 'would change nothing')],
)
def test_wrong_volume_slices(given, message):
    with pytest.raises(ValueError, match=message):
        prepare_config(Config(dict(model=dict(), volume_slices=given)))


def test_neighbours_are_not_mixed_to_grey(volumes, tmp_path):
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    cfg.volume_slices, cfg.image_loading = dict(context=3), dict(color_type='grayscale')
    prepare_config(cfg)
    with pytest.raises(ValueError, match="'grayscale' would mix"):
        DATASETS.build(cfg.val_dataloader.dataset)[0]


# ---- a run


def test_a_run_draws_and_names_slices(volumes, tmp_path):
    cfg = toy_volume_config(volumes, tmp_path / 'work', train_cfg=dict(val_interval=2))
    cfg.train_cfg = dict(type='ResumableTrainLoop', max_iters=2, val_interval=2)
    write_nifti(volumes / 'labels/e.nii.gz', toy_label())
    write_nifti(volumes / 'labels/f.nii.gz', toy_label())
    cfg.default_hooks.pseudo_labels = dict(
        type='PseudoLabelHook',
        truth=dict(data_prefix=dict(seg_map_path='labels')),
        interval=2,
        num_images=3,
        pictures=2,
    )
    cfg.default_hooks.visualization = dict(type='SegVisualizationHook', draw=True, interval=1)
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.val_evaluator.output_dir = str(tmp_path / 'labels')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    expected = [f'{name}_z{k:03d}' for name in 'cd' for k in (0, 4)]
    for member in ('student0', 'ensemble'):
        files = sorted((tmp_path / 'labels' / member).glob('*'))
        assert [path.stem for path in files] == expected
        assert np.array(Image.open(files[0])).shape == SHAPE[:2]
    pictures = sorted(path.name for path in (tmp_path / 'work').rglob('vis_image/val_*.png'))
    assert [name.rpartition('_')[0] for name in pictures] == [f'val_{name}' for name in expected]
    assert list((tmp_path / 'work/pseudo_labels').iterdir())


def test_a_patient_of_validation_is_not_trained_on(volumes, tmp_path):
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    cfg.test_dataloader.dataset.ann_file = 'splits/test.txt'
    (volumes / 'splits/test.txt').write_text('d\n')
    (volumes / 'splits/val.txt').write_text('c\nb\n')
    runner = Runner.from_cfg(cfg)
    message = '1 patients are in both train_dataloader.dataset and val_dataloader.dataset, e.g. b'
    with pytest.raises(ValueError, match=message):
        runner.train()


@pytest.mark.parametrize('command', ['train', 'test'])
def test_a_patient_of_the_test_set_is_not_trained_on(command, volumes, tmp_path):
    """Training does not build the test set, and a test not the training set."""
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    (volumes / 'splits/test.txt').write_text('c\nb\n')
    cfg.test_dataloader.dataset.ann_file = 'splits/test.txt'
    runner = Runner.from_cfg(cfg)
    first, second = ('train', 'test') if command == 'train' else ('test', 'train')
    message = f'1 patients are in both {first}_dataloader.dataset and {second}_dataloader.dataset'
    with pytest.raises(ValueError, match=f'{message}, e.g. b'):
        getattr(runner, command)()


def test_a_test_set_of_another_machine_does_not_stop_a_training(volumes, tmp_path, capsys):
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    cfg.test_dataloader.dataset.ann_file = 'elsewhere.txt'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == cfg.train_cfg.max_iters
    assert 'patients of test_dataloader.dataset are not compared' in capsys.readouterr().out


# ---- tools


@pytest.fixture
def config(volumes, tmp_path):
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    cfg.dump(tmp_path / 'toy.py')
    return tmp_path / 'toy.py'


@pytest.fixture
def check_setup(load_tool):
    """The tool, which keeps messages and random numbers of this process to itself."""
    state = torch.get_rng_state()
    yield load_tool('misc/check_setup')
    logging.disable(logging.NOTSET)
    torch.set_rng_state(state)


def test_check_setup(config, check_setup, capsys, volumes):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        code = check_setup.exit_code(config, '--step')
        text = ' '.join(capsys.readouterr().out.split())
        assert code == 0 and '0 problems' in text, text
        assert 'images and patients of labeled and unlabeled differ' in text
        assert 'no image and no patient of val or test is trained on' in text
        (volumes / 'splits/val.txt').write_text('c\na\n')
        assert check_setup.exit_code(config) != 0
        text = ' '.join(capsys.readouterr().out.split())
        assert '1 patients are in both training and val, e.g. a' in text


def test_copied_volume_is_found(config, check_setup, capsys, volumes):
    (volumes / 'images/e.nii.gz').write_bytes((volumes / 'images/a.nii.gz').read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert check_setup.exit_code(config) != 0
    text = ' '.join(capsys.readouterr().out.split())
    assert 'images have the content of labeled ones' in text


def test_browse_and_statistics(config, load_tool, capsys, tmp_path):
    assert (
        load_tool('misc/browse_semi').exit_code(config, '--out', tmp_path / 'browse', '-n', 2) == 0
    )
    assert list((tmp_path / 'browse').glob('*.png'))
    out = tmp_path / 'counts.json'
    assert load_tool('analysis_tools/label_statistics').exit_code(config, '--json', out) == 0
    assert f'16 label maps, {2 * toy_label().size:,} pixels' in capsys.readouterr().out


def test_fingerprint_names_slices(config):
    first = split_checksum(Config.fromfile(config))
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.labeled.stride = 2
    assert split_checksum(cfg) != first


# ---- prediction and self-training


def test_predict_takes_addresses(volumes, tmp_path):
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'a.pth')
    model = load_model(cfg, tmp_path / 'a.pth')
    paths = [f'{volumes}/images/a.nii.gz#z=00{k}' for k in (2, 3)]
    results = predict(model, paths, progress=False)
    assert [result.name for result in results] == ['a_z002', 'a_z003']
    np.testing.assert_array_equal(results[1].image[..., 0], toy_image()[:, :, 3])
    results[0].save(tmp_path / 'out')
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['a_z002.png']
    with pytest.raises(FileNotFoundError, match='does not exist'):
        predict(model, f'{volumes}/images/z.nii.gz#z=001')
    with pytest.raises(ValueError, match='is a volume, not an image: name a slice of it'):
        predict(model, f'{volumes}/images/a.nii.gz')


def test_self_training_labels_slices(volumes, tmp_path):
    cfg = toy_volume_config(
        volumes,
        tmp_path / 'unused',
        train_cfg=dict(type='ResumableTrainLoop', max_iters=1, val_interval=100),
    )
    cfg.train_dataloader.dataset.unlabeled.stride = 4
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=1)
    cfg.self_training = dict(generations=2, alpha=0.5)
    prepare_config(cfg)
    with trainings_here():
        checkpoint = SelfTraining(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert checkpoint == tmp_path / 'run/gen1/iter_1.pth'
    manifest = json.loads((tmp_path / 'run/gen0/pseudo/manifest.json').read_text())
    assert manifest['selected']
    for entry in manifest['selected']:
        number, stem = entry['mask'].removeprefix('masks/').split('_', 1)
        assert stem == f'{"ef"[int(number) // 2]}_z00{int(number) % 2 * 4}.png'
        assert Image.open(tmp_path / 'run/gen0/pseudo' / entry['mask']).size == (10, 12)


def test_a_truncated_volume_is_named_with_its_cause(volumes, tmp_path, check_setup, capsys):
    """A volume has many slices: one file is damaged, not many images."""
    cfg = toy_volume_config(volumes, tmp_path / 'work')
    cfg.dump(tmp_path / 'toy.py')
    path = volumes / 'images/a.nii.gz'
    path.write_bytes(path.read_bytes()[:-40])
    cause = r'images/a.nii.gz cannot be read \(Compressed file ended'
    with pytest.raises(ValueError, match=rf'a.nii.gz#z=\d+ \(the volume .*{cause}.*\): replace it'):
        DATASETS.build(cfg.train_dataloader.dataset)[0]
    assert check_setup.exit_code(tmp_path / 'toy.py', '--all') == 1
    text = ' '.join(capsys.readouterr().out.split())
    assert re.search(rf'1 images cannot be decoded, such as \S+a.nii.gz \(.*{cause}', text)
