# Copyright (c) mmseg_ctt contributors.
"""docs/benchmarks.md is made from docs/benchmarks.json."""

import json

import pytest

ENTRY = dict(
    name='a',
    title='A table',
    text='It is.',
    columns=['x', 'y'],
    rows=[['1', '2']],
    commands=['python a.py'],
    date='2030-01-02',
    commit='abc',
    machine='a CPU',
)


@pytest.fixture
def tool(load_tool):
    return load_tool('misc/make_benchmarks')


@pytest.fixture
def copy(tool, tmp_path, monkeypatch):
    """A folder of pages with one table."""
    (tmp_path / 'docs/images').mkdir(parents=True)
    (tmp_path / 'docs/benchmarks.json').write_text(json.dumps([ENTRY]))
    (tmp_path / 'docs/step_costs.json').write_text(json.dumps([dict(name='ctt', step=1)]))
    monkeypatch.setattr(tool.module, 'ROOT', tmp_path)
    assert tool.exit_code() == 0
    return tmp_path


def run_of(folder, names, **changes):
    """A run of all benchmarks with costs of methods."""
    (folder / 'run/methods').mkdir(parents=True)
    new = dict(ENTRY, **changes)
    (folder / 'run/benchmarks.json').write_text(json.dumps(dict(tables=[new])))
    costs = dict(costs=[dict(name=name, step=2) for name in names])
    (folder / 'run/methods/methods.json').write_text(json.dumps(costs))
    (folder / 'run/methods/methods.png').write_bytes(b'new')
    return folder / 'run'


def test_up_to_date(tool, capsys):
    assert tool.exit_code('--check') == 0, capsys.readouterr().out


def test_the_page_has_figures_date_machine_and_command(copy):
    page = (copy / 'docs/benchmarks.md').read_text()
    for words in ('## A table', '| 1 | 2 |', '2030-01-02, commit abc, a CPU.', 'python a.py'):
        assert words in page


def test_other_figures_make_the_page_outdated(tool, copy, capsys):
    (copy / 'docs/benchmarks.json').write_text(json.dumps([dict(ENTRY, rows=[['1', '3']])]))
    assert tool.exit_code('--check') == 1
    words = 'docs/benchmarks.md: run python tools/misc/make_benchmarks.py\n'
    assert capsys.readouterr().out.endswith(words)
    assert tool.exit_code() == 0 and tool.exit_code('--check') == 0


def test_a_run_renews_figures_costs_and_pictures(tool, copy):
    run = run_of(copy, ['ctt', 'cps'], rows=[['3', '4']])
    assert tool.exit_code('--from', run) == 0
    assert '| 3 | 4 |' in (copy / 'docs/benchmarks.md').read_text()
    costs = json.loads((copy / 'docs/step_costs.json').read_text())
    assert [cost['name'] for cost in costs] == ['ctt', 'cps']
    assert (copy / 'docs/images/step_costs.png').read_bytes() == b'new'


def test_a_run_of_a_few_methods_keeps_the_costs_of_all(tool, copy, capsys):
    assert tool.exit_code('--from', run_of(copy, ['cps'])) == 0
    assert json.loads((copy / 'docs/step_costs.json').read_text()) == [dict(name='ctt', step=1)]
    assert 'docs/step_costs.json is kept: the run has not ctt' in capsys.readouterr().out
    assert not (copy / 'docs/images/step_costs.png').exists()


def test_tables_of_another_command(tool, copy, tmp_path):
    path = tmp_path / 'more.json'
    path.write_text(json.dumps([dict(ENTRY, name='b', title='B table')]))
    assert tool.exit_code('--entries', path) == 0
    page = (copy / 'docs/benchmarks.md').read_text()
    assert page.index('## A table') < page.index('## B table')


def test_a_table_without_a_command_is_an_error(tool, copy, tmp_path, capsys):
    before = (copy / 'docs/benchmarks.json').read_text()
    (tmp_path / 'more.json').write_text(json.dumps([dict(ENTRY, name='b', commands=[])]))
    assert tool.exit_code('--entries', tmp_path / 'more.json') == 2
    assert "the benchmark 'b' has no command" in capsys.readouterr().err
    assert (copy / 'docs/benchmarks.json').read_text() == before
