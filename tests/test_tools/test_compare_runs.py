# Copyright (c) mmseg_ctt contributors.
import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image
from toy import toy_segmentor
from toy_data import LABELED, PALETTE, toy_config, write_toy_data

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
