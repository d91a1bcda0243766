# Copyright (c) mmseg_ctt contributors.
"""Scores of volumes in loops over their slices."""

import json
import logging

import numpy as np
import pytest
from mmengine.runner import Runner
from toy import toy_segmentor
from toy_volume_run import make_volume_run
from toy_volumes import toy_label

from mmseg_ctt.apis import load_model, predict_volume
from mmseg_ctt.datasets import VolumeSliceDataset
from mmseg_ctt.evaluation.volumes import class_scores

MEMBERS = ('student0', 'student1', 'teacher0', 'teacher1', 'ensemble')


def run_test(run, stage='test'):
    """Metrics of a loop, and what it logs."""
    run.cfg.load_from = str(run.checkpoint)
    runner, lines = Runner.from_cfg(run.cfg), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    metrics = getattr(runner, stage)()
    return metrics, [line for line in lines if line.startswith('volumes')]


def scores_of(run, member, folder):
    model = load_model(run.cfg, run.checkpoint, member)
    found = [
        class_scores(
            predict_volume(model, folder / f'{name}.nii.gz').labels,
            toy_label(),
            (1,),
            (0.6, 0.7, 1.2),
        )
        for name in 'cd'
    ]
    return np.array(found)[:, 0]


@pytest.mark.parametrize('plane', 'xz')
def test_every_member(tmp_path, plane):
    run = make_volume_run(tmp_path, plane=plane)
    run.cfg.test_evaluator[1].output_dir = str(tmp_path / 'out')
    metrics, tables = run_test(run)
    for member in MEMBERS:
        expected = scores_of(run, member, tmp_path / 'volumes/images')
        found = [metrics[f'{member}/volume/{name}'] for name in ('mDice', 'mHD95', 'ASD_box')]
        np.testing.assert_allclose(found, expected.mean(axis=0)[[0, 2, 3]], rtol=1e-5)
        content = json.loads((tmp_path / f'out/{member}/volume_scores.json').read_text())
        dice = [content['cases'][name]['box']['Dice'] for name in 'cd']
        np.testing.assert_allclose(dice, expected[:, 0])
    assert metrics['volume/mDice'] == metrics['teacher0/volume/mDice']
    assert 'mIoU' in metrics and len({metrics[f'{m}/volume/mASD'] for m in MEMBERS}) > 2
    (table,) = tables
    assert all(member in table for member in MEMBERS)


def test_plain_model_and_validation(tmp_path):
    run = make_volume_run(tmp_path, model=toy_segmentor(num_classes=2))
    metrics, tables = run_test(run, 'val')
    expected = scores_of(run, None, tmp_path / 'volumes/images')
    assert metrics['volume/mDice'] == pytest.approx(expected.mean(axis=0)[0])
    (table,) = tables
    assert '| c ' in table and '| d ' in table


@pytest.mark.parametrize('model', [None, toy_segmentor(num_classes=2)], ids=['ctt', 'plain'])
def test_a_stride_is_refused_before_the_first_slice(tmp_path, monkeypatch, model):
    run = make_volume_run(tmp_path, model, stride=2)
    monkeypatch.setattr(VolumeSliceDataset, '__getitem__', None)
    with pytest.raises(ValueError, match='has 4 of 8 slices along z of .*every slice'):
        run_test(run)


def test_files_of_every_member_by_the_test_script(tmp_path, load_tool):
    run = make_volume_run(tmp_path)
    arguments = ('--work-dir', tmp_path / 'work', '--out', tmp_path / 'out')
    load_tool('test').call(run.config, run.checkpoint, *arguments)
    for member in MEMBERS:
        assert len((tmp_path / f'out/{member}/volume_scores.csv').read_text().splitlines()) == 3
        assert len(list((tmp_path / f'out/{member}').glob('*.png'))) == 16
