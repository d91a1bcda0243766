# Copyright (c) mmseg_ctt contributors.
"""Worker processes: no more than CPUs, where results do not depend on their number."""

import pytest
from mmengine.runner import Runner
from toy_data import toy_config

from mmseg_ctt.engine import workers


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch):
    monkeypatch.setattr(workers, 'cores', lambda: 2)
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)


def test_a_test_speaks_of_its_own_loader(root, tmp_path, capsys):
    cfg = toy_config(root, tmp_path / 'work')
    cfg.train_dataloader.num_workers = 5
    Runner.from_cfg(cfg).test()
    assert 'num_workers=5' not in capsys.readouterr().out
    cfg = toy_config(root, tmp_path / 'other')
    cfg.test_dataloader.num_workers = 5
    Runner.from_cfg(cfg).test()
    assert capsys.readouterr().out.count('num_workers=5 of test_dataloader is more') == 1


def loader(number, sampler='LabeledUnlabeledSampler'):
    return dict(num_workers=number, sampler=dict(type=sampler))


def test_no_more_than_cpus():
    given = dict(train_dataloader=loader(4), val_dataloader=loader(4, 'DefaultSampler'))
    changed, (line,) = workers.limit_workers(given)
    assert {name: one['num_workers'] for name, one in changed.items()} == {
        'train_dataloader': 2,
        'val_dataloader': 2,
    }
    assert given['train_dataloader']['num_workers'] == 4, "the caller's config stays"
    assert line.startswith('num_workers=4 of train_dataloader, val_dataloader is more than')


def test_ranks_of_a_machine_divide_the_cpus(monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert workers.allowed_workers() == 1
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '8')
    assert workers.allowed_workers() == 1


@pytest.mark.parametrize(
    'name, given',
    [
        ('train_dataloader', loader(2)),
        ('train_dataloader', loader(0)),
        ('train_dataloader', loader(4, 'InfiniteSampler')),
        ('train_dataloader', loader(4, 'DefaultSampler')),
        ('train_dataloader', None),
        ('val_dataloader', object()),
        ('val_dataloader', dict(batch_size=1)),
    ],
)
def test_loaders_that_stay(name, given):
    """Random numbers of mmengine's own samplers depend on the workers."""
    assert workers.limit_workers({name: given}) == ({}, [])


def test_loading_in_the_main_process():
    """PyTorch refuses settings of workers where there are none."""
    given = dict(loader(0), persistent_workers=True, prefetch_factor=2, batch_size=1)
    changed, lines = workers.limit_workers(dict(val_dataloader=given))
    assert changed == dict(val_dataloader=dict(loader(0), batch_size=1)) and not lines


def test_in_a_run(root, tmp_path, capsys):
    """The config that is recorded has the number that was asked for."""
    cfg = toy_config(root, tmp_path / 'work')
    cfg.train_dataloader.num_workers = 5
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.train_dataloader.num_workers == 2
    assert runner.cfg.train_dataloader.num_workers == 5
    assert capsys.readouterr().out.count('num_workers=5 of train_dataloader is more') == 1
