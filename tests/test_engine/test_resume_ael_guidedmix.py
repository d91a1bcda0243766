# Copyright (c) mmseg_ctt contributors.
"""AEL or GuidedMix-Net, stopped after any iteration, goes on as if it had not been."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy import toy_segmentor
from toy_data import toy_config, write_toy_data

ITERATIONS = 4


class Losses(Hook):
    """Losses by iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.seen = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen[runner.iter + 1] = {key: float(value) for key, value in outputs.items()}


def run(root, work, model, resume=None):
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=resume,
        model=dict(segmentor=toy_segmentor(0.1), confident=0.2, **model),
        custom_hooks=[dict(type='TeacherEMAHook', alpha=0.9)],
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=100),
    )
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=1)
    runner, losses = Runner.from_cfg(cfg), Losses()
    runner.register_hook(losses)
    runner.train()
    return losses.seen


@pytest.mark.parametrize(
    'model,state',
    [
        (dict(type='AEL'), ('bank.confidence', 'bank.updates', 'bank.pixels')),
        (dict(type='AEL', bank=dict(start='random', skip_absent=False)), ('bank.confidence',)),
        (dict(type='GuidedMixNet'), ('mitrans.merge.conv.weight', 'align.weight')),
    ],
)
def test_stopped_after_any_iteration(tmp_path, model, state):
    root = write_toy_data(tmp_path / 'data')
    whole = run(root, tmp_path / 'whole', model)
    want = torch.load(tmp_path / 'whole' / f'iter_{ITERATIONS}.pth')['state_dict']
    early = torch.load(tmp_path / 'whole' / 'iter_1.pth')['state_dict']
    for name in state:
        assert not torch.equal(want[name], early[name]), name
    for stop in range(1, ITERATIONS):
        work = tmp_path / f'from{stop}'
        later = run(root, work, model, str(tmp_path / 'whole' / f'iter_{stop}.pth'))
        assert later == {n: seen for n, seen in whole.items() if n > stop}
        made = torch.load(work / f'iter_{ITERATIONS}.pth')['state_dict']
        assert want.keys() == made.keys()
        for name, value in want.items():
            assert torch.equal(value, made[name]), name
