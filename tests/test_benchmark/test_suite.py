# Copyright (c) mmseg_ctt contributors.
"""All benchmarks by one command: parts in processes of their own, their page and JSON."""

import json
import os
import signal
import sys
import threading
import time
from datetime import datetime

import pytest
import torch

from mmseg_ctt.engine.processes import Resources
from mmseg_ctt.lab.benchmark.machine import describe_machine
from mmseg_ctt.lab.benchmark.several import NO_TIME, Limits, measure_each, result_file
from mmseg_ctt.lab.benchmark.suite import page as pages
from mmseg_ctt.lab.benchmark.suite.limits import ROOT, run_limited
from mmseg_ctt.lab.benchmark.suite.plan import FEW, Options, Part, plan
from mmseg_ctt.lab.benchmark.suite.run import Suite, new_folder
from mmseg_ctt.lab.benchmark.suite.tables import KINDS, rows_of

WRITES = (
    'import json, sys; rows = [["reading", 5, "", "", ""], ["all", 3, "", "", ""]];'
    'json.dump(dict(rows=rows), open(sys.argv[1], "w"))'
)
FAILS = 'raise ValueError("no | data")'
HANGS = 'import time; time.sleep(60)'


def python(program, *arguments):
    return ('-c', program, *arguments)


def part(program, label='', limit=60, obstacle=''):
    return Part('scale', label, python(program, '{out}/r.json'), 'r.json', limit, obstacle)


def suite(tmp_path, *parts, minutes=5):
    machine = describe_machine(torch.device('cpu'))
    folder = new_folder(tmp_path, datetime(2030, 1, 2))
    return Suite(parts, folder, machine, minutes, ['bash', 'all.sh', '--out', 'a b'])


def run(tmp_path, *parts, **options):
    """The written JSON and page of a run."""
    made = suite(tmp_path, *parts, **options)
    made.run(lambda line: None)
    written = json.loads((made.folder / 'benchmarks.json').read_text())
    return written, (made.folder / 'benchmarks.md').read_text()


def test_a_failed_or_hanging_part_does_not_lose_the_others(tmp_path):
    parts = part(FAILS, 'fails'), part(HANGS, 'hangs', limit=1), part(WRITES), part('', 'silent')
    written, page = run(tmp_path, *parts, part(WRITES, 'absent', obstacle='not fetched'))
    (table,) = written['tables']
    assert [row[:2] for row in table['rows']] == [
        ['fails', 'not measured: ValueError: no / data'],
        ['hangs', 'not measured: ended after its limit of 1 s'],
        ['reading', '5'],
        ['all', '3'],
        table['rows'][4][:2],
        ['absent', 'not measured: not fetched'],
    ]
    assert table['rows'][4][1].startswith('not measured: it wrote no result')
    assert '| reading | 5 |  |' in page and '| hangs | not measured: ended' in page
    assert [record['not_measured'] is None for record in written['parts']] == [False] * 2 + [
        True,
        *[False] * 2,
    ]


def test_the_page_names_machine_versions_commit_date_and_commands(tmp_path):
    command = python(WRITES, '{out}/r.json', '--out', '{out}')
    written, page = run(tmp_path, Part('scale', '', command, 'r.json', 60))
    assert set(written['versions']) >= {'mmseg_ctt', 'PyTorch', 'mmengine'}
    (table,) = written['tables']
    assert table['date'] == f'{datetime.now():%Y-%m-%d}' and table['date'] in page
    assert 'No GPU was found: a small case on the CPU' in page
    assert "bash all.sh --out 'a b'" in page
    assert table['commands'][0].startswith('python -c ') and table['commands'][0] in page
    assert table['commands'][0].endswith(' OUT/scale/r.json --out OUT/scale')
    assert torch.__version__ in table['machine']


def test_nothing_begins_after_the_time_is_over(tmp_path):
    written, _ = run(tmp_path, part(WRITES), minutes=0)
    (row,) = written['tables'][0]['rows']
    assert row[:2] == ['all', 'not measured: the time of --minutes was over']


def test_a_stopped_run_keeps_what_it_has(tmp_path):
    made = suite(tmp_path, part(WRITES), part(WRITES, 'second'))
    made.run(lambda line: made.resources.stop.set() if line.strip().startswith('done') else None)
    written = json.loads((made.folder / 'benchmarks.json').read_text())
    rows = written['tables'][0]['rows']
    assert rows[-1][:2] == ['second', 'not measured: the run was stopped']
    assert rows[0][:2] == ['reading', '5']


def test_no_folder_is_used_twice(tmp_path):
    folders = [new_folder(tmp_path / 'deep', datetime(2030, 1, 2, 3)) for _ in range(3)]
    assert [folder.name for folder in folders] == [
        '2030-01-02_03-00-00',
        '2030-01-02_03-00-00_1',
        '2030-01-02_03-00-00_2',
    ]


@pytest.mark.parametrize('gpu', [False, True])
def test_every_command_of_the_plan_exists(gpu):
    parts = plan(Options(gpu))
    assert {part.table for part in parts} == {'', *KINDS}
    assert len({part.folder for part in parts}) == len(parts)
    for one in parts:
        files = [word for word in one.command if word.endswith('.py')]
        assert all((ROOT / file).is_file() for file in files) or one.obstacle
    if gpu:  # in less than ten minutes, the longest ones apart
        (methods,) = (one for one in parts if one.table == 'methods')
        assert len([word for word in methods.command if word.startswith('configs/')]) > 30
        assert [one.label for one in parts if one.table == 'step'] == ['bf16', 'fp16']


def test_choices_of_the_plan():
    (authors,) = plan(Options(False, tables=('authors',), unimatch_v2=True))
    assert '{authors}' in authors.command and not authors.obstacle
    assert plan(Options(False, tables=('authors',)))[0].obstacle.startswith('the code of the auth')
    (methods,) = plan(Options(False, tables=('methods',)))
    configs = [word for word in methods.command if word.startswith('configs/')]
    assert [word.split('/')[1] for word in configs] == list(FEW)
    drawn, evaluation = plan(Options(False, tables=('evaluation',)))
    assert drawn.label == 'streets' and evaluation.table == 'evaluation'
    with pytest.raises(ValueError, match='--methods nothing: choose from .*ctt'):
        plan(Options(False, methods=('nothing',)))


def test_the_limit_counts_from_the_last_result(tmp_path):
    """Each of three results takes less than the limit, all together more."""
    program = (
        'import pathlib, sys, time\n'
        'for i in range(3): time.sleep(1.4); pathlib.Path(sys.argv[1], str(i)).touch()'
    )
    results = tmp_path / 'results'
    results.mkdir()
    command = [sys.executable, *python(program, str(results))]
    begin = time.monotonic()
    assert (
        run_limited(
            command, tmp_path / 'log', Resources(1), 3.2, lambda: len(list(results.iterdir()))
        )
        is None
    )
    assert time.monotonic() - begin > 3.2


# ---- several configs


MEASURES = """
import json, pathlib, sys
for config in sys.argv[2:]:
    name = pathlib.Path(config).stem
    if name == 'broken':
        raise ValueError('bad config')
    folder = pathlib.Path(sys.argv[1], name)
    folder.mkdir(exist_ok=True)
    (folder / 'benchmark.json').write_text(json.dumps(dict(name=name)))
"""


@pytest.mark.parametrize('per_process', [1, 3])
def test_a_broken_config_does_not_lose_the_others(tmp_path, per_process, capsys):
    configs = ['a.py', 'broken.py', 'b.py']
    command = [sys.executable, *python(MEASURES, str(tmp_path))]
    found = measure_each(configs, tmp_path, command, Limits(60, 60, per_process), 1)
    assert found == ([dict(name='a'), dict(name='b')], dict(broken='ValueError: bad config'))
    assert 'broken: not measured: ValueError: bad config' in capsys.readouterr().err


def test_no_time_for_all_configs(tmp_path):
    result_file(tmp_path, 'a.py').parent.mkdir()
    result_file(tmp_path, 'a.py').write_text('{}')
    found = measure_each(['a.py', 'b.py'], tmp_path, ['absent'], Limits(60, 0), 1)
    assert found == ([{}], dict(b=NO_TIME))


# ---- rows and page


def step_result(device):
    return dict(
        machine=dict(device=device),
        seconds=dict(step=0.2, floor=0.1, floor_ratio=2.0),
        cpu_seconds=dict(step=0.3, floor=0.2, floor_ratio=1.5),
        operations=dict(outside=300),
        synchronisations=dict(counted=1, reported_by_cuda=4),
        memory=dict(step_mib=1234.5, floor_mib=99.96),
    )


@pytest.mark.parametrize(
    'device, ratio, milliseconds', [('cpu', '1.500', '300'), ('cuda:0', '2.000', '200')]
)
def test_seconds_are_of_the_processor_only_on_a_cpu(device, ratio, milliseconds):
    (row,) = rows_of('step', [dict(label='bf16', result=step_result(device))])
    assert row[0] == 'CTT, bf16' and (row[1], row[3]) == (milliseconds, ratio)
    assert row[4:] == ['300', '4', '1,234 / 100']


def test_methods_without_a_result_are_named():
    cost = dict(floor=0.1, step=0.2, memory=7.0, operations=3, synchronisations=0)
    result = dict(
        costs=[dict(cost, name='cps_fcn_voc'), dict(cost, name='ctt_fcn_voc')],
        not_measured=dict(semivl_fcn_voc='no weights'),
    )
    rows = rows_of('methods', [dict(label='', result=result)])
    assert [row[0] for row in rows] == ['cps', 'ctt', 'semivl']
    assert rows[0] == ['cps', '200', '100', '2.00', '3', '0', '7']
    assert rows[2][1] == 'not measured: no weights'


@pytest.mark.parametrize('table', sorted(KINDS))
def test_rows_fit_their_columns(table):
    (row,) = rows_of(table, [dict(label='x', result=None, not_measured='no')])
    assert len(row) == len(KINDS[table].columns)


def test_rows_of_the_loader():
    result = dict(
        stages=dict(originals=dict(labeled=dict(decoding=0.004, RandomFlip=0.001))),
        images_per_second=dict(originals={'0': 150.0}),
    )
    assert rows_of('loader', [dict(label='', result=result)]) == [
        ['originals, labeled: decoding', '4', ''],
        ['originals, labeled: RandomFlip', '1', ''],
        ['originals, labeled: all', '5', ''],
        ['originals, 0 workers', '', '150'],
    ]


def entry(**changes):
    made = dict(name='a', title='A', text='It is.', columns=['x', 'y'], rows=[['1', '2']])
    made.update(commands=['python a.py'], date='2030-01-02', commit='abc', machine='a CPU')
    return {**made, **changes}


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(rows=[['1']]), "benchmark 'a' has a row that does not fit"),
        (dict(commands=[]), "benchmark 'a' has no command"),
    ],
)
def test_entries_are_checked(changes, words):
    with pytest.raises(ValueError, match=words):
        pages.section(entry(**changes))


def test_a_rerun_replaces_figures_but_not_by_nothing():
    old, new = entry(), entry(rows=[['3', '4']])
    nothing = entry(rows=[['all', 'not measured: no']])
    assert pages.merged([old], [new, entry(name='b')]) == [new, entry(name='b')]
    assert pages.merged([old], [nothing]) == [old]
    assert pages.merged([], [nothing]) == [nothing]


def test_tool(load_tool, tmp_path, capsys, monkeypatch):
    """The command itself, with the quickest table."""
    monkeypatch.setattr('mmseg_ctt.lab.benchmark.suite.plan.plan', lambda options: [part(WRITES)])
    tool = load_tool('analysis_tools/benchmark_all')
    assert tool.exit_code('--out', tmp_path, '--tables', 'scale') == 0
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} >= {'benchmarks.md', 'benchmarks.json'}
    assert str(folder) in capsys.readouterr().out


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--tables', 'speed'], '--tables speed: choose from step, methods,'),
        (['--minutes', -1], '--minutes=-1 must be positive'),
        (['--unimatch-v2', 'absent'], '--unimatch-v2: there is no absent/unimatch_v2.py'),
        (['--methods', 'nothing'], '--methods nothing: choose from'),
    ],
)
def test_errors_come_before_anything_is_written(load_tool, tmp_path, capsys, arguments, words):
    tool = load_tool('analysis_tools/benchmark_all')
    assert tool.exit_code('--out', tmp_path / 'out', *arguments) == 2
    assert capsys.readouterr().err.startswith(f'error: {words}')
    assert not (tmp_path / 'out').exists()


def test_a_stopped_measurement_ends_its_process_and_keeps_results(tmp_path):
    """As when its own limit ends it: no process is left behind."""
    program = (
        'import os, pathlib, sys, time\n'
        'pathlib.Path(sys.argv[1], "pid").write_text(str(os.getpid())); time.sleep(60)'
    )
    result_file(tmp_path, 'a.py').parent.mkdir()
    result_file(tmp_path, 'a.py').write_text('{}')

    def stop():
        while not (tmp_path / 'pid').is_file():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    command = [sys.executable, *python(program, str(tmp_path))]
    found = measure_each(['a.py', 'b.py'], tmp_path, command, Limits(60, 60), 1)
    assert found == ([{}], dict(b='the run was stopped'))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / 'pid').read_text()), 0)


def test_a_part_knows_the_time_that_it_has(tmp_path):
    made = suite(tmp_path)
    one = Part('scale', '', python('', '{seconds}', '{out}'), 'r.json', 300)
    assert made.arguments(one, 'here', 100.0)[2:] == ['55', 'here']
