# Copyright (c) mmseg_ctt contributors.
from pathlib import Path

import pytest

from mmseg_ctt.engine.processes import ChildFailed
from mmseg_ctt.lab.experiments import evaluate, runs
from mmseg_ctt.lab.experiments.fingerprint import versions
from mmseg_ctt.lab.experiments.matrix import Cell
from mmseg_ctt.lab.experiments.runs import CellRun, Workspace


@pytest.mark.parametrize(
    'text,tool,folder',
    [
        ('model = dict()', 'train.py', '.'),
        (
            'model = dict()\nself_training = dict(generations=4)',
            'self_train.py',
            'generations/gen3',
        ),
        (
            'model = dict()\nself_training = dict(type="MultiPlanar", rounds=1, tie="y")',
            'self_train.py',
            'generations/round1/y',
        ),
    ],
)
def test_tool_and_checkpoint_of_a_cell(tmp_path, text, tool, folder):
    """Self-training has a tool of its own; its last training is what counts."""
    config = tmp_path / 'toy.py'
    config.write_text(text)
    workspace = Workspace(tmp_path, tmp_path / 'runs', tmp_path / 'out.csv', ('val',))
    cell = CellRun(Cell('toy', 'all', 0, str(config), {}), workspace)
    command = cell.train_command()
    assert Path(command[1]) == tmp_path / 'tools' / tool
    assert cell.checkpoint() is None
    where = cell.folder / folder
    where.mkdir(parents=True)
    (where / 'iter_2.pth').touch()
    (where / 'last_checkpoint').write_text(str(where / 'iter_2.pth'))
    assert cell.checkpoint() == str(where / 'iter_2.pth')
    moved = Workspace(tmp_path, tmp_path / 'moved', tmp_path / 'out.csv', ('val',))
    workspace.work_dir.rename(moved.work_dir)
    there = CellRun(Cell('toy', 'all', 0, str(config), {}), moved)
    assert there.checkpoint() == str(there.folder / folder / 'iter_2.pth')


def test_evaluating_one_set_leaves_the_config_for_the_next(tmp_path, monkeypatch):
    """A runner writes its config into its folder; that of the training has to stay what it was."""
    given = []

    def noted(config, checkpoint, eval_set, work_dir):
        given.append(work_dir)
        return {}

    monkeypatch.setattr(evaluate, 'evaluate', noted)
    monkeypatch.setattr(evaluate, 'facts_of', lambda checkpoint: {})
    monkeypatch.setattr(
        'sys.argv',
        [
            'evaluate',
            'config.py',
            'a.pth',
            '--eval-sets',
            'val',
            'test',
            '--out',
            str(tmp_path / 'scores.json'),
        ],
    )
    evaluate.main()
    assert given == [tmp_path / 'evaluate_val', tmp_path / 'evaluate_test']


def test_changed_lists_are_not_trained_on_further(tmp_path, monkeypatch):
    config = tmp_path / 'toy.py'
    config.write_text('model = dict()')
    cell = CellRun(
        Cell('toy', 'all', 0, str(config), {}),
        Workspace(tmp_path, tmp_path / 'runs', tmp_path / 'out.csv', ('val',)),
    )
    monkeypatch.setattr(runs, 'run_logged', lambda *args, **kwargs: None)
    monkeypatch.setattr(runs, 'split_checksum', lambda cfg: 'one')
    cell.folder.mkdir(parents=True)
    cell._train(None, 0)
    assert cell.read_record()['versions'] == versions()
    cell._train(None, 0)
    monkeypatch.setattr(runs, 'split_checksum', lambda cfg: 'two')
    with pytest.raises(ValueError, match='toy all seed 0: the lists of its split have changed'):
        cell._train(None, 0)
    assert cell.read_record()['split_checksum'] == 'one'


def test_another_config_in_the_folder_is_neither_used_nor_overwritten(tmp_path, monkeypatch):
    config = tmp_path / 'toy.py'
    config.write_text("model = dict(type='Mine')")
    cell = CellRun(
        Cell('toy', 'all', 0, str(config), {}),
        Workspace(tmp_path, tmp_path / 'runs', tmp_path / 'out.csv', ('val',)),
    )
    cell.folder.mkdir(parents=True)
    (cell.folder / 'iter_2.pth').touch()
    (cell.folder / 'last_checkpoint').write_text(str(cell.folder / 'iter_2.pth'))
    (cell.folder / 'config.py').write_text("model = dict(type='Other')")
    seen = []

    def run_logged(command, *args, **kwargs):
        seen.append(Path(command[3]).read_text())
        raise ChildFailed('enough')

    monkeypatch.setattr(runs, 'run_logged', run_logged)
    with pytest.raises(ChildFailed, match='enough'):
        cell._evaluate(None, 0, ('val',))
    assert 'Mine' in seen[0] and 'Other' not in seen[0]
    assert 'Other' in (cell.folder / 'config.py').read_text()
