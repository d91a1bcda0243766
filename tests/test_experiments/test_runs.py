# Copyright (c) mmseg_ctt contributors.
from pathlib import Path

import pytest

from mmseg_ctt.experiments.matrix import Cell
from mmseg_ctt.experiments.runs import CellRun, Place


@pytest.mark.parametrize('text,tool,folder', [
    ('model = dict()', 'train.py', '.'),
    ('model = dict()\nself_training = dict(generations=4)', 'self_train.py', 'generations/gen3')])
def test_tool_and_checkpoint_of_a_cell(tmp_path, text, tool, folder):
    """Self-training has a tool of its own; its last generation is what counts."""
    config = tmp_path / 'toy.py'
    config.write_text(text)
    place = Place(tmp_path, tmp_path / 'runs', tmp_path / 'out.csv', ('val', ))
    cell = CellRun(Cell('toy', 'all', 0, str(config), {}), place)
    command = cell.train_command()
    assert Path(command[1]) == tmp_path / 'tools' / tool
    assert cell.checkpoint() is None
    where = cell.folder / folder
    where.mkdir(parents=True)
    (where / 'iter_2.pth').touch()
    (where / 'last_checkpoint').write_text(str(where / 'iter_2.pth'))
    assert cell.checkpoint() == str(where / 'iter_2.pth')
