# Copyright (c) mmseg_ctt contributors.
"""Benchmarks refuse, before they measure, what they could not write or would replace."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    'tool, arguments, file',
    [
        ('step', ['absent.py'], 'benchmark.json'),
        ('step', ['absent.py'], 'benchmark.png'),
        ('step', ['--each', 'a/x.py', 'b/absent.py'], 'absent/benchmark.json'),
        ('parts', [], 'parts.json'),
        ('loader', ['absent.py'], 'loader.json'),
        ('evaluation', ['absent.py'], 'evaluation.json'),
        ('authors', ['absent.py', 'absent'], 'authors.json'),
        ('scale', [], 'scale.json'),
    ],
)
@pytest.mark.parametrize('where', ['result', 'folder'])
def test_before_measuring(load_tool, tmp_path, capsys, tool, arguments, file, where):
    """The result of an earlier call, or a file in the place of the folder."""
    path = tmp_path / 'out' / file if where == 'result' else tmp_path / 'out'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('mine')
    tool = load_tool(f'analysis_tools/benchmark_{tool}')
    assert tool.exit_code(*arguments, '--out', tmp_path / 'out') == 2
    words = f'{path} exists: give another name' if where == 'result' else f'{path} is a file'
    assert words in capsys.readouterr().err
    assert path.read_text() == 'mine'


def test_two_configs_of_one_name(load_tool, tmp_path, capsys):
    tool = load_tool('analysis_tools/benchmark_step')
    assert tool.exit_code('--each', 'a/x.py', 'b/x.py', '--out', tmp_path / 'out') == 2
    assert 'two configs have the same name' in capsys.readouterr().err
    assert not Path(tmp_path, 'out').exists()
