# Copyright (c) mmseg_ctt contributors.
"""Options that name the run of the baseline."""

from pathlib import Path

import pytest

from mmseg_ctt.lab.experiments.baseline_cells import with_baselines, with_folder
from mmseg_ctt.lab.experiments.matrix import Cell
from mmseg_ctt.lab.experiments.runs import CellRun, Workspace

OPTIONS = [
    {'load_from': '{baseline}'},
    {'load_from': '{baseline}/best.pth'},
    {'hooks': [dict(baseline='{baseline}/best.pth')]},
]


def cells(options):
    """The baseline, and a run with the options, on two seeds."""
    return [
        Cell(method, 's', seed, 'c.py', changes)
        for seed in (0, 1)
        for method, changes in (('semi', options), ('plain', {'a': 1}))
    ]


@pytest.mark.parametrize('options', OPTIONS)
def test_the_baseline_is_that_of_the_split_and_seed(options):
    found = with_baselines(cells(options), 'plain', 'm.yaml')
    assert [cell.baseline for cell in found] == [found[1], None, found[3], None]
    for baseline in (None, 'semi'):
        with pytest.raises(ValueError, match='m.yaml: semi s seed 0 has the option {baseline}'):
            with_baselines(cells(options), baseline, 'm.yaml')


def test_the_name_becomes_the_folder():
    found = [with_folder(options, Path('/runs/a')) for options in OPTIONS]
    assert found[:2] == [{'load_from': '/runs/a'}, {'load_from': '/runs/a/best.pth'}]
    assert found[2] == {'hooks': [{'baseline': '/runs/a/best.pth'}]}
    assert with_folder({'a': (1, None, 'b')}, Path('/runs/a')) == {'a': (1, None, 'b')}


def test_a_file_of_the_baseline_in_a_run(tmp_path):
    config = tmp_path / 'toy.py'
    config.write_text('model = dict()\nload_from = None')
    workspace = Workspace(tmp_path, tmp_path / 'runs', tmp_path / 'out.csv', ('val',))
    baseline = Cell('plain', 's', 0, str(config), {})
    cell = Cell('semi', 's', 0, str(config), {'load_from': '{baseline}/best.pth'}, baseline)
    run = CellRun(cell, workspace)
    assert run.cfg.load_from == str(CellRun(baseline, workspace).folder / 'best.pth')
    assert run.waits()


def test_changes_of_all_runs_cannot_name_it(tmp_path):
    changes = {'load_from': '{baseline}/best.pth'}
    with pytest.raises(ValueError, match='--cfg-options has {baseline}, which only the matrix'):
        Workspace(tmp_path, tmp_path / 'runs', tmp_path / 'out.csv', ('val',), changes)
