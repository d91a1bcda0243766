# Copyright (c) mmseg_ctt contributors.
import re

import pytest
from toy_data import toy_config


@pytest.fixture
def call(load_tool, capsys):
    def call(*arguments: object) -> str:
        load_tool('misc/benchmark_resume').call(*arguments)
        return capsys.readouterr().out

    return call


def test_resume_table(call, root, tmp_path):
    cfg = toy_config(root, tmp_path / 'work')
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=100)
    cfg.dump(tmp_path / 'toy.py')
    text = call(tmp_path / 'toy.py', '--iters', 5, 1000, '--stock', 3)
    rows = re.findall(r'^(\w+Loop) +(\d+) +(\d+\.\d+)$', text, re.MULTILINE)
    assert [row[:2] for row in rows] == [
        ('ResumableTrainLoop', '0'),
        ('ResumableTrainLoop', '5'),
        ('ResumableTrainLoop', '1000'),
        ('IterBasedTrainLoop', '3'),
    ]
    assert all(float(row[2]) > 0 for row in rows)


def test_sampler_table(call):
    rows = call('--sampler').splitlines()[1:]
    assert [row.split()[0] for row in rows] == ['1,000', '100,000', '10,000,000', '1,000,000,000']


def test_nothing_to_do(call):
    with pytest.raises(SystemExit):
        call()
