# Copyright (c) mmseg_ctt contributors.
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg_ctt.lab.report import networks, recorded
from mmseg_ctt.lab.report.colours import member_styles, style_of
from mmseg_ctt.lab.report.networks import NetworkOptions, network_parts
from mmseg_ctt.lab.report.runs import Run, read_runs
from mmseg_ctt.lab.report.scalars import Curve

MEMBERS = ['student0', 'student1', 'teacher0', 'teacher1', 'ensemble']


def test_semi_supervised(toy_runs):
    (run,) = read_runs([toy_runs.ctt])
    assert run.name == 'ctt' and run.members == MEMBERS and run.predicting == 'teacher0'
    assert run.curves['loss'].steps == [1, 2, 3, 4, 5, 6]
    for member in MEMBERS:
        assert run.score(member).steps == [3, 6], member
    assert run.score('teacher0') == run.curves['mIoU']
    assert {'queue_fill', 'student1.confident_ratio', 'pseudo/used', 'pseudo/mIoU'} <= set(
        run.curves
    )
    assert run.config.model.type == 'CrossTeacherTraining'
    assert run.checkpoint == toy_runs.ctt / 'iter_6.pth'
    assert run.environment['sys.platform'] == 'linux' and run.environment['MMEngine']
    assert run.environment['GPU number']
    assert not any(name.startswith('-') for name in run.environment), 'how PyTorch was compiled'


def test_plain(toy_runs):
    (run,) = read_runs([toy_runs.plain])
    assert run.members == ['model'] and run.predicting == 'model'
    assert run.score('model') == run.curves['mIoU']


def test_predicting_member(toy_runs):
    (run,) = read_runs([toy_runs.ctt])
    run.config.model.test_cfg = dict(predict_on='student1')
    assert run.predicting == 'student1'


@pytest.mark.parametrize('logged', [(), ('loss', 'student0.loss_sup', 'student1.loss_sup')])
def test_predicting_member_before_the_first_validation(toy_runs, logged):
    (run,) = read_runs([toy_runs.ctt])
    run = replace(run, curves={key: run.curves['loss'] for key in logged})
    assert run.predicting == 'teacher0'
    run.config.model.test_cfg = dict(predict_on='ensemble')
    assert run.predicting == 'ensemble'
    (plain,) = read_runs([toy_runs.plain])
    assert replace(plain, curves={}).predicting == 'model'


def test_the_rule_of_the_evaluator(toy_runs, monkeypatch):
    """Classes that no label shows are in no mean of the page, as in the run's own scores."""
    pytest.importorskip('plotly', reason='plotly: pip install "mmseg_ctt[report]"')
    (run,) = read_runs([toy_runs.plain])
    monkeypatch.setattr(networks, 'config_of_checkpoint', lambda run: run.config)
    options = NetworkOptions(tsne=False, suggested=0, suspicious=0)
    before = networks._evaluate(run, options).result
    assert not before.labelled_only
    run.config.val_evaluator = dict(type='IncrementalIoUMetric', groups=dict(old=['class0']))
    found = networks._evaluate(run, options)
    assert found.result.labelled_only
    result = found.result._replace(areas={'model': np.array([[[4, 2, 0], [4, 4, 0], [4, 2, 5]]])})
    part = networks.iou_part(run.checkpoint, result, dict(classes='abc', palette=[[0, 0, 0]] * 3))
    assert part.blocks[1].rows == [['a', '100.00'], ['b', '50.00'], ['c', '–'], ['mean', '75.00']]


def test_short_names(toy_runs, tmp_path):
    for parent in 'xy':
        shutil.copytree(toy_runs.plain, tmp_path / parent / 'run')
    names = [run.name for run in read_runs([tmp_path / 'x' / 'run', tmp_path / 'y' / 'run'])]
    assert names == ['x/run', 'y/run']


@pytest.fixture
def moved(toy_runs, tmp_path):
    return shutil.copytree(toy_runs.ctt, tmp_path / 'moved')


def checkpoint(folder, which='last'):
    (run,) = read_runs([folder], which)
    return run.checkpoint and run.checkpoint.relative_to(folder).name


def test_checkpoint(moved):
    assert checkpoint(moved) == 'iter_6.pth'
    (moved / 'last_checkpoint').write_text('/elsewhere/iter_3.pth')
    assert checkpoint(moved) == 'iter_3.pth', 'of this folder, which was moved'
    (moved / 'last_checkpoint').unlink()
    assert checkpoint(moved) == 'iter_6.pth', 'the newest'
    assert checkpoint(moved, 'best') is None
    for i, name in enumerate(('best_mIoU_iter_3', 'best_ensemble_mIoU_iter_6')):
        shutil.copy(moved / 'iter_6.pth', moved / f'{name}.pth')
        os.utime(moved / f'{name}.pth', (i, i))
    assert checkpoint(moved, 'best') == 'best_ensemble_mIoU_iter_6.pth'


def test_errors(tmp_path, toy_runs):
    with pytest.raises(FileNotFoundError, match='absent does not exist'):
        read_runs([tmp_path / 'absent'])
    with pytest.raises(FileNotFoundError, match='holds no run'):
        read_runs([tmp_path])
    with pytest.raises(ValueError, match='given twice'):
        read_runs([toy_runs.ctt, toy_runs.ctt / '..' / 'ctt'])


def test_styles():
    styles = member_styles(['ensemble', 'teacher1', 'student10', 'student0', 'model', 'student1'])
    assert list(styles) == ['student0', 'student1', 'student10', 'teacher1', 'ensemble', 'model']
    shown = [style_of(name) for name in MEMBERS]
    assert len(set(shown)) == len(shown) and len({style.colour for style in shown}) == len(shown)
    assert style_of('student0').dash != style_of('teacher0').dash


def test_bank_fill():
    pytest.importorskip('plotly', reason='plotly: pip install "mmseg_ctt[report]"')
    from mmseg_ctt.lab.report.recorded import bank_fill

    pairs = {
        'contrast.bank.features': torch.zeros(2, 3, 4, 5),
        'contrast.bank.count': torch.tensor([[4, 2, 0], [1, 0, 0]]),
        'x.count': torch.zeros(()),
    }
    assert bank_fill(pairs) == {'bank 0': [1, 0.5, 0], 'bank 1': [0.25, 0, 0]}
    single = {'bank.features': torch.zeros(2, 4, 5), 'bank.count': torch.tensor([2, 4])}
    assert bank_fill(single) == {'bank 0': [0.5, 1]}
    assert bank_fill({'conv.weight': torch.zeros(1)}) == {}


def test_mean_of_the_students(tmp_path):
    """The log has it beside the students, where it is no model."""
    keys = [f'{name}confident_ratio' for name in ('student0.', 'student1.', '')]
    curve = Curve([1, 2], [0.1, 0.2])
    for number, names in ((2, 3), (1, 1)):
        used = [*keys[:number], keys[2], 'loss']
        (block,) = recorded.pseudo_labels(Run('a', tmp_path, dict.fromkeys(used, curve))).blocks
        assert block.html.count('"name":"') == names
        assert ('"name":"mean of the students"' in block.html) == (number == 2)
        (loss,) = recorded.losses(Run('a', tmp_path, dict.fromkeys(used, curve))).blocks
        assert '"name":"all members"' in loss.html and '"name":"model"' not in loss.html


def test_groups_of_classes_have_a_figure(tmp_path):
    """Old and new classes of class-incremental learning, of the member that predicts."""
    keys = ('student0/mIoU', 'mIoU', 'student0/mIoU_old', *(f'mIoU_{i}' for i in range(9)))
    run = Run('a', tmp_path, {key: Curve([1, 2], [30.0, 40.0]) for key in keys})
    plain, groups = recorded.miou(run).blocks
    assert groups.title == 'groups of classes, student0' and 'student0' in plain.html
    assert all(f'"name":"{i}"' in groups.html for i in range(9))
    without = Run('a', tmp_path, {key: run.curves[key] for key in ('student0/mIoU', 'mIoU')})
    assert len(recorded.miou(without).blocks) == 1


def test_scores_of_tasks(tmp_path):
    """A method that learns features alone has these in the place of mIoU."""
    curve = Curve([1, 2], [25.0, 60.0])
    keys = ('rotation/accuracy', 'student0/rotation/accuracy', 'ensemble/rotation/accuracy')
    cfg = Config(dict(model=dict(type='SelfSupervisedPretraining')))
    run = Run('a', tmp_path, curves=dict.fromkeys(keys, curve), config=cfg)
    part = recorded.miou(run)
    assert part.title == 'Scores of the tasks' and len(part.blocks) == 1
    assert 'rotation' in part.blocks[0].html and 'student0' not in part.blocks[0].html
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(1)), meta={}), path)
    parts, _ = network_parts(replace(run, checkpoint=path), NetworkOptions())
    assert len(parts) == 6
    for part in parts.values():
        assert 'has no segmentation' in part.missing and not part.left_out
    empty = Run('a', tmp_path, curves=dict(loss=curve), config=cfg)
    with pytest.raises(ValueError, match='no score of its tasks'):
        recorded.miou(empty)


def test_only_a_page_is_replaced(needs_extra, tmp_path):
    """Seen before anything is read or evaluated."""
    from mmseg_ctt.lab.report.build import write_report

    other = tmp_path / 'config.py'
    other.write_text('a = 1\n')
    with pytest.raises(ValueError, match=r'config\.py is there and is no page'):
        write_report([tmp_path / 'absent'], other)
    with pytest.raises(ValueError, match=r'config\.py is a file: give another folder'):
        write_report([tmp_path / 'absent'], other / 'report.html')
    with pytest.raises(ValueError, match='is a folder: give a file in it'):
        write_report([tmp_path / 'absent'], tmp_path)
    assert other.read_text() == 'a = 1\n'
    page = tmp_path / 'page.html'
    page.write_text('<!DOCTYPE html>\n')
    with pytest.raises(FileNotFoundError, match='absent'):
        write_report([tmp_path / 'absent'], page)
