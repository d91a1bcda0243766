# Copyright (c) mmseg_ctt contributors.
"""The guard against harm on two ranks, of which the first alone reads the baseline."""

import json

from mmengine.dist import is_main_process
from ranks import Counted, on_ranks, rank_runner
from toy_data import toy_method

from mmseg_ctt.engine.baseline_run import BaselineRun


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
        runner = rank_runner(
            root,
            tmp_path / 'work',
            model=toy_method('FixMatchSeg'),
            hooks=dict(do_no_harm=dict(type='DoNoHarmHook')),
            train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=1),
        )
        with Counted() as counted:
            runner.train()
        weight = runner.model.module.unlabeled_weight
        return weight.factor, weight.state.tolist(), sum(counted.calls.values())

    first, other = on_ranks(body)
    assert first[:2] == (0, [0, 0.25])
    assert other == first
