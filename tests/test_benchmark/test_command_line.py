# Copyright (c) mmseg_ctt contributors.
import json

import pytest
import torch
from PIL import Image
from toy_data import toy_config

from mmseg_ctt.lab.benchmark import parts
from mmseg_ctt.lab.benchmark.sections import SECTIONS


@pytest.fixture
def command(load_tool):
    """Runs a tool; gives its exit code."""
    return lambda name, *arguments: load_tool(f'analysis_tools/{name}').exit_code(*arguments)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'toy.py'
    toy_config(tmp_path / 'absent', tmp_path / 'work').dump(path)
    return path


def test_benchmark_of_a_step(tmp_path, command, config, capsys):
    out = tmp_path / 'deep' / 'out'
    assert (
        command(
            'benchmark_step',
            config,
            '--out',
            out,
            '--synthetic',
            '--warmup',
            1,
            '--cfg-options',
            'train_dataloader.batch_size=2',
        )
        == 0
    )
    result = json.loads((out / 'benchmark.json').read_text())
    assert next(iter(result)) == 'floor_ratio'
    assert result['floor_ratio'] == result['seconds']['step'] / result['seconds']['floor'] > 0
    assert result['synthetic'] is True
    assert result['iterations'] == dict(repeats=10, warmup=1)
    assert result['config'] == str(config) and '--cfg-options' in result['command']
    chart = Image.open(out / 'benchmark.png')
    assert min(chart.size) > 300 and len(chart.convert('RGB').getcolors(1 << 20)) > 10
    printed = capsys.readouterr().out
    # CTT does not perturb features
    assert all(name in printed for name in set(SECTIONS) - {'perturbation'})
    assert f'{result["floor_ratio"]:.3f} x floor' in printed


def test_benchmark_of_the_parts(tmp_path, command, monkeypatch, capsys):
    monkeypatch.setattr(parts, 'teacher_shapes', lambda: [torch.Size([3, 2])] * 4)
    monkeypatch.setattr(
        parts,
        'contrast_part',
        lambda device, repeats: dict(
            high=dict(
                seconds=1, reference_seconds=2, times_faster=2, memory=dict(mib=3, reference_mib=30)
            ),
            times_faster=2,
        ),
    )
    monkeypatch.setattr(
        parts,
        'run_in_process',
        lambda *args: parts._run(*map(str, args[:2]), args[2], torch.get_num_threads()),
    )
    assert command('benchmark_parts', 'ema', 'contrast', '--out', tmp_path) == 0
    result = json.loads((tmp_path / 'parts.json').read_text())
    assert result['ema']['operations'] == 1 and 'bank' not in result
    printed = capsys.readouterr().out
    assert 'EMA' in printed and '3 / 30' in printed and '2.00 times faster' in printed


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['absent.py'], 'the config absent.py does not exist'),
        (['absent.py', '--repeats', 9], '--repeats=9: a median needs at least 10'),
    ],
)
def test_errors_of_a_step_are_one_line(command, capsys, arguments, words):
    assert command('benchmark_step', *arguments) == 2
    assert capsys.readouterr().err == f'error: {words}\n'


def test_data_that_is_absent_is_one_line(command, config, capsys):
    assert command('benchmark_step', config) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1


def test_float16_needs_a_gpu(command, config, capsys, monkeypatch):
    monkeypatch.setattr('mmseg_ctt.engine.precision.get_device', lambda: 'cpu')
    assert command('benchmark_step', config, '--synthetic', '--amp', 'fp16') == 2
    assert capsys.readouterr().err == (
        'error: mixed precision (amp) in float16 needs a GPU, and none is found: on a CPU use '
        'bfloat16, --amp bf16\n'
    )


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['speed'], 'unknown part speed: choose from contrast, ema, bank, lal, chunks'),
        (['--repeats', 1], '--repeats=1: a median needs at least 10'),
    ],
)
def test_errors_of_the_parts_are_one_line(command, capsys, arguments, words):
    assert command('benchmark_parts', *arguments) == 2
    assert capsys.readouterr().err == f'error: {words}\n'
