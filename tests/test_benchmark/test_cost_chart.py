# Copyright (c) mmseg_ctt contributors.
"""Costs of the step of several methods: the table, the chart and the tool."""

import json
import shlex

import pytest

from mmseg_ctt.lab.benchmark.methods import Cost, print_costs, save_costs, short_names

RESULT = dict(
    config='configs/ctt/ctt_streets.py',
    cpu_seconds=dict(step=1.5, floor=1.2),
    memory=dict(step_mib=300.0),
    operations=dict(outside=400),
    synchronisations=dict(counted=0, reported_by_cuda=2),
    machine=dict(device_name='a CPU'),
)


def test_cost_of_a_result():
    cost = Cost.of(RESULT)
    assert cost == Cost('ctt_streets', 1.2, 1.5, 300.0, 400, 2)
    assert cost.beyond == pytest.approx(0.3)


def test_table_and_chart(tmp_path, capsys):
    costs = [Cost.of(RESULT), Cost('other', 1.0, 2.0, 100.0, 50, 0)]
    print_costs(costs)
    table = capsys.readouterr().out
    assert 'ctt_streets' in table and '1.25' in table and '2.00' in table
    save_costs(tmp_path / 'chart.png', costs, 'title')
    assert (tmp_path / 'chart.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    'names, short',
    [
        (['ctt-plus_fcn_voc_1-8', 'cps_fcn_voc_1-8'], ['ctt-plus', 'cps']),
        (['ctt_fcn_voc_92', 'ctt_fcn_voc_183'], ['ctt_fcn_voc_92', 'ctt_fcn_voc_183']),
        (['dual_teacher_voc', 'teacher_voc'], ['dual_teacher', 'teacher']),
        (['a_teacher_voc', 'teacher_voc'], ['a_teacher', 'teacher']),
        (['ctt_voc'], ['ctt_voc']),
    ],
)
def test_names_without_their_common_end(names, short):
    assert short_names(names) == short


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/benchmark_methods')


def written(folder, name, step):
    result = dict(RESULT, config=f'{name}.py', cpu_seconds=dict(step=step, floor=1.0))
    (folder / name).mkdir()
    (folder / name / 'benchmark.json').write_text(json.dumps(result))
    (folder / f'{name}.py').touch()
    return folder / f'{name}.py'


def test_finished_benchmarks_are_read(tool, tmp_path, capsys):
    """The cheapest step comes first; nothing is measured again."""
    configs = [written(tmp_path, 'slow', 3.0), written(tmp_path, 'fast', 2.0)]
    tool.call(*configs, '--out', tmp_path)
    found = json.loads((tmp_path / 'methods.json').read_text())
    assert [row['name'] for row in found['costs']] == ['fast', 'slow']
    assert found['not_measured'] == {} and found['command'].startswith('python ')
    assert (tmp_path / 'methods.png').is_file()
    assert 'processor time' in capsys.readouterr().out


@pytest.mark.parametrize(
    'options, others',
    [
        (['--synthetic'], []),
        ([], ['--synthetic']),
        (['--amp', 'bf16'], []),
        ([], ['--repeats', 50]),
        (['--repeats', 50], []),
        (['--repeats', 50], ['--repeats', 20]),
        (['--cfg-options', 'a=1'], []),
        ([], ['--cfg-options', 'a=1']),
        (['--cfg-options', 'a=1'], ['--cfg-options', 'a=2']),
        (['--cfg-options', 'a=10'], ['--cfg-options', 'a=1']),
        (['--cfg-options', 'a=1', 'b=(96, 128)'], ['--cfg-options', 'a=1']),
        (['--cfg-options', 'a=1'], ['--cfg-options', 'a=1', 'b=(96, 128)']),
    ],
)
def test_earlier_results_of_other_options_are_not_mixed_in(tool, tmp_path, options, others):
    config = written(tmp_path, 'ctt', 3.0)
    times = options[1] if '--repeats' in options else 10
    path = tmp_path / 'ctt' / 'benchmark.json'
    more = dict(
        amp='bf16' if '--amp' in options else None,
        synthetic='--synthetic' in options,
        iterations=dict(repeats=times, warmup=3),
        command=shlex.join(['python', 'benchmark_step.py', *map(str, options), '--each', 'ctt.py']),
    )
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    with pytest.raises(ValueError, match='measured with other options: name another --out'):
        tool.call(config, '--out', tmp_path, *others)
    tool.call(config, '--out', tmp_path, *options)
    assert (tmp_path / 'methods.json').is_file()


@pytest.mark.parametrize(
    'repeats, words', [(9, '--repeats=9: a median needs'), ('many', 'invalid int')]
)
def test_repeats_are_checked(tool, tmp_path, capsys, repeats, words):
    """Although all results are there already."""
    config = written(tmp_path, 'ctt', 3.0)
    assert tool.exit_code(config, '--out', tmp_path, '--repeats', repeats) == 2
    assert words in capsys.readouterr().err and not (tmp_path / 'methods.json').exists()


@pytest.mark.parametrize(
    'configs,error,words',
    [
        (['missing.py'], FileNotFoundError, 'there is no config missing.py'),
        (['a/x.py', 'b/x.py'], ValueError, 'two configs have the same name'),
    ],
)
def test_errors(tool, tmp_path, configs, error, words):
    with pytest.raises(error, match=words):
        tool.call(*configs, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
