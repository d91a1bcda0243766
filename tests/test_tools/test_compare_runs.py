# Copyright (c) mmseg_ctt contributors.
import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image
from toy import toy_segmentor
from toy_data import LABELED, PALETTE, toy_config, write_toy_data

from mmseg_ctt.lab.experiments.evaluate import evaluate

MEMBERS = ['student0', 'student1', 'teacher0', 'teacher1', 'ensemble']


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/compare_runs')


def make_run(tmp_path, name, **changes):
    """``CONFIG:CHECKPOINT`` of a run that has just begun, and its own score of each member."""
    cfg = toy_config(tmp_path / 'data', tmp_path / name, **changes)
    path = tmp_path / f'{name}.py'
    cfg.dump(path)
    runner = Runner.from_cfg(cfg)
    with torch.no_grad():
        for parameter in runner.model.parameters():
            parameter += torch.randn_like(parameter)
    torch.save(dict(state_dict=runner.model.state_dict()), tmp_path / f'{name}.pth')
    runner.call_hook('before_run')
    return f'{path}:{tmp_path / f"{name}.pth"}', runner.val_loop.run()


def test_tables_and_pictures(tmp_path, tool, capsys):
    write_toy_data(tmp_path / 'data')
    plain, plain_scores = make_run(tmp_path, 'plain', model=toy_segmentor())
    semi, semi_scores = make_run(tmp_path, 'semi')
    out = tmp_path / 'out'
    tool.call(f'supervised={plain}', f'ctt={semi}', '--out', out, '--images', 2)
    scores = json.loads((out / 'comparison.json').read_text())
    assert scores['supervised'] == pytest.approx({'model': plain_scores['mIoU']}, abs=0.006)
    assert scores['ctt'] == pytest.approx(
        {member: semi_scores[f'{member}/mIoU'] for member in MEMBERS}, abs=0.006
    )
    assert len(set(scores['ctt'].values())) > 2
    table = (out / 'comparison.md').read_text()
    assert table.startswith(f'mIoU on {len(LABELED)} images of the val set\n')
    for name, members in scores.items():
        for member, value in members.items():
            assert f'| {name} | {member} | {value:.2f} |' in table
    colours = set(
        map(
            tuple, np.array(Image.open(out / 'pictures.png').convert('RGB')).reshape(-1, 3).tolist()
        )
    )
    assert {tuple(colour) for colour in PALETTE} <= colours
    printed = capsys.readouterr().out
    assert 'supervised' in printed and str(out) in printed.replace('\n', '')


def test_a_run_that_only_validates(tmp_path, tool, capsys):
    write_toy_data(tmp_path / 'data')
    none = dict(test_dataloader=None, test_evaluator=None, test_cfg=None)
    entry, scores = make_run(tmp_path, 'plain', model=toy_segmentor(), **none)
    out = tmp_path / 'out'
    out.mkdir()
    record = tool.module.record_of([('plain', *entry.split(':'))], 'val', out)
    (out / 'runs.json').write_text(record)
    (out / 'pictures.png').write_text('of an earlier call for this run')
    tool.call(f'plain={entry}', '--out', out, '--images', 0)
    assert not (out / 'pictures.png').exists() and (out / 'runs.json').read_text() == record
    assert 'pictures' not in capsys.readouterr().out
    found = json.loads((out / 'comparison.json').read_text())
    assert found['plain'] == pytest.approx({'model': scores['mIoU']}, abs=0.006)
    metrics = evaluate(*entry.split(':'), 'val', tmp_path / 'logs/val')
    assert metrics['model']['mIoU'] == pytest.approx(scores['mIoU'], abs=0.006)


def test_an_evaluator_without_miou(tmp_path, tool):
    """It is refused before a run is evaluated; a matrix measures the mIoU all the same."""
    write_toy_data(tmp_path / 'data')
    entry, scores = make_run(tmp_path, 'plain', model=toy_segmentor())
    text = (tmp_path / 'plain.py').read_text()
    assert text.count("'mIoU'") == 2
    (tmp_path / 'plain.py').write_text(text.replace("'mIoU'", "'mDice'"))
    words = r"plain.py: val_evaluator \(IoUMetric\) gives no mIoU, .* iou_metrics=\['mIoU'\]"
    with pytest.raises(ValueError, match=words):
        tool.call(f'plain={entry}', '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    metrics = evaluate(*entry.split(':'), 'val', tmp_path / 'logs/val')
    assert metrics['model']['mIoU'] == pytest.approx(scores['mIoU'], abs=0.006)


@pytest.mark.parametrize('of', ['images', 'order', 'classes', 'nothing'])
def test_runs_that_cannot_be_compared(tmp_path, tool, monkeypatch, of):
    root = write_toy_data(tmp_path / 'data')
    (root / 'fewer.txt').write_text('l0\n')
    (root / 'other.txt').write_text('l2\nl1\nl0\n')
    changed = dict(images=dict(ann_file='fewer.txt'), order=dict(ann_file='other.txt')).get(of, {})
    if of == 'classes':
        changed = dict(metainfo=dict(classes=[f'other{k}' for k in range(4)], palette=PALETTE))
    entries = []
    for name, changes in (('one', {}), ('other', changed)):
        cfg = toy_config(root, tmp_path / name, model=toy_segmentor())
        cfg.val_dataloader.dataset.update(changes)
        if of == 'nothing':
            cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        cfg.dump(tmp_path / f'{name}.py')
        (tmp_path / f'{name}.pth').touch()
        entries.append(f'{name}={tmp_path}/{name}.py:{tmp_path}/{name}.pth')
    words = f'one and other have other {"images" if of == "order" else of} in their val sets'
    words = 'one.py has no val_dataloader' if of == 'nothing' else words
    with pytest.raises(ValueError, match=words):
        tool.call(*entries, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_file_in_place_of_the_folder(tmp_path, tool):
    (tmp_path / 'out').touch()
    with pytest.raises(ValueError, match='to be a folder of outputs, and .*out is a file'):
        tool.call('a=a.py:a.pth', '--out', tmp_path / 'out')


@pytest.mark.parametrize('file', ['comparison.json', 'comparison.md', 'pictures.png', 'runs.json'])
def test_files_of_other_runs_are_not_replaced(tmp_path, tool, file):
    for name in ('a.py', 'a.pth', 'b.pth'):
        (tmp_path / name).touch()
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / file).write_text('mine')
    with pytest.raises(ValueError, match=f'{file} exists, and is not of these runs and this set'):
        tool.call(f'a={tmp_path}/a.py:{tmp_path}/a.pth', '--out', tmp_path / 'out')
    assert (tmp_path / 'out' / file).read_text() == 'mine'


def test_which_comparisons_are_the_same(tmp_path, tool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, module = tmp_path / 'w' / 'out', tool.module
    out.mkdir(parents=True)
    runs = [('a', 'c.py', 'w/a.pth')]
    record = module.record_of(runs, 'val', out)
    (out / 'runs.json').write_text(record)
    (out / 'comparison.md').touch()
    same = module.record_of([('a', f'{tmp_path}/c.py', f'{tmp_path}/w/a.pth')], 'val', out)
    module.check_earlier(out, same)
    for others, eval_set in ((runs, 'test'), ([('a', 'c.py', 'w/b.pth')], 'val'), (2 * runs, '')):
        with pytest.raises(ValueError, match='runs.json exists'):
            module.check_earlier(out, module.record_of(others, eval_set, out))


def test_runs_in_another_order_are_the_same(tmp_path, tool):
    runs, module = [('a', 'c.py', 'a.pth'), ('b', 'c.py', 'b.pth')], tool.module
    (tmp_path / 'runs.json').write_text(module.record_of(runs, 'val', tmp_path))
    (tmp_path / 'comparison.json').touch()
    module.check_earlier(tmp_path, module.record_of(runs[::-1], 'val', tmp_path))


def test_a_comparison_of_an_earlier_version(tmp_path, tool):
    """It has no runs.json: its names and its set must be these."""
    runs, module = [('a', 'c.py', 'a.pth'), ('b', 'c.py', 'b.pth')], tool.module
    scores = {name: {'model': 1.0} for name, *_ in runs}
    module.write_tables(tmp_path, scores, 'val', 3)
    (tmp_path / 'pictures.png').touch()
    module.check_earlier(tmp_path, module.record_of(runs, 'val', tmp_path))
    others = [('a', 'c.py', 'a.pth'), ('c', 'c.py', 'b.pth')]
    for names, eval_set in ((runs, 'test'), (runs[:1], 'val'), (others, 'val')):
        with pytest.raises(ValueError, match='comparison.json exists'):
            module.check_earlier(tmp_path, module.record_of(names, eval_set, tmp_path))
    (tmp_path / 'comparison.json').write_text('["a", "b"]')
    with pytest.raises(ValueError, match='comparison.json exists'):
        module.check_earlier(tmp_path, module.record_of(runs, 'val', tmp_path))


def test_scores_of_members(tool):
    assert tool.module.member_scores({'mIoU': 1.0, 'aAcc': 2.0}) == {'model': 1.0}
    assert tool.module.member_scores(
        {'a/mIoU': 1.0, 'b/mIoU': 3.0, 'a/aAcc': 2.0, 'mIoU': 1.0}
    ) == {'a': 1.0, 'b': 3.0}


@pytest.mark.parametrize(
    'entry, words',
    [
        ('ctt', 'NAME=CONFIG:CHECKPOINT'),
        ('ctt=a.py', 'NAME=CONFIG:CHECKPOINT'),
        ('ctt=absent.py:b.pth', 'config absent.py does not exist'),
    ],
)
def test_errors(tmp_path, tool, entry, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        tool.call(entry, '--out', tmp_path / 'out')
