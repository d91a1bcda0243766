# Copyright (c) mmseg_ctt contributors.
"""The guard against harm on two ranks, of which the first alone reads the baseline."""

import json

import pytest
from mmengine.dist import is_main_process
from ranks import Counted, on_ranks, rank_runner
from toy_data import toy_method

from mmseg_ctt.engine.baseline_run import BaselineRun, named_baseline


def guarded_runner(root, work, **hook):
    return rank_runner(
        root,
        work,
        model=toy_method('FixMatchSeg'),
        hooks=dict(do_no_harm=dict(type='DoNoHarmHook', **hook)),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=1),
    )


def test_the_factor_is_that_of_the_first_rank(root, tmp_path, monkeypatch):
    """Nodes may see the folder of the baseline at different times."""
    find = 'mmseg_ctt.engine.hooks.do_no_harm_hook.find_baseline'
    folder = tmp_path / 'supervised' / '20260101_000000' / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'config.py').write_text('train_cfg = dict(max_iters=4)\n')
    rows = [dict(mIoU=99.0, step=step) for step in (1, 2, 3)]
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    run = BaselineRun(tmp_path / 'supervised', lambda cfg: True)
    monkeypatch.setattr(find, lambda *_: run if is_main_process() else None)

    def body(rank):
        runner = guarded_runner(root, tmp_path / 'work')
        with Counted() as counted:
            runner.train()
        weight = runner.model.module.unlabeled_weight
        return weight.factor, weight.state.tolist(), sum(counted.calls.values())

    first, other = on_ranks(body)
    assert first[:2] == (0, [0, 0, 0])
    assert other == first


def test_an_error_of_the_first_rank_is_that_of_all(root, tmp_path, monkeypatch):
    """No rank is left waiting for the others."""
    absent = str(tmp_path / 'absent')
    named = 'mmseg_ctt.engine.hooks.do_no_harm_hook.named_baseline'

    def find(*given):
        assert is_main_process(), 'the first rank alone reads files'
        return named_baseline(*given)

    monkeypatch.setattr(named, find)

    def body(rank):
        runner = guarded_runner(root, tmp_path / 'work', baseline=absent)
        with pytest.raises(FileNotFoundError, match='this folder has no run') as error:
            runner.train()
        return str(error.value)

    first, other = on_ranks(body)
    assert absent in first and other == first
