# Copyright (c) mmseg_ctt contributors.
"""Whole runs with frozen and adapted backbones: exact resume, and two ranks."""

import pytest
import torch
from mmengine.runner import Runner
from test_distributed.ranks import on_ranks, rank_runner
from toy_data import toy_config
from tuned import TUNINGS, vit_segmentor
from versions import GLOO_BOOL

from mmseg_ctt.nn.lora import is_adapter

pytest.importorskip('timm', reason='timm is not installed')


def settings(tuning, iterations=3, **changes):
    return dict(
        model=dict(
            type='CrossTeacherTraining',
            segmentor=vit_segmentor(**TUNINGS[tuning]),
            bank=dict(size=2),
        ),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=100),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1)),
        optim_wrapper=dict(
            type='OptimWrapper',
            constructor='StudentOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=0.01),
        ),
        **changes,
    )


def test_exact_resume_with_adapters(root, tmp_path):
    Runner.from_cfg(toy_config(root, tmp_path / 'whole', **settings('lora'))).train()
    middle = dict(load_from=str(tmp_path / 'whole' / 'iter_1.pth'), resume=True)
    Runner.from_cfg(toy_config(root, tmp_path / 'again', **settings('lora', **middle))).train()
    whole, again = (torch.load(tmp_path / name / 'iter_3.pth') for name in ('whole', 'again'))
    first = torch.load(tmp_path / 'whole' / 'iter_1.pth')['state_dict']
    assert whole['state_dict'].keys() == again['state_dict'].keys()
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, again['state_dict'][name]), name
        if '.backbone.' in name:
            learnt = is_adapter(name) and not name.endswith('lora_scale')
            assert torch.equal(value, first[name]) != learnt, name
    trained = len(whole['optimizer']['state'])
    heads = [name for name in first if 'students' in name and 'decode_head' in name]
    adapters = [name for name in first if 'students' in name and name.endswith(('_a', '_b'))]
    weights = [name for name in heads if 'running' not in name and 'num_batches' not in name]
    assert trained == len(weights) + len(adapters)


@GLOO_BOOL
@pytest.mark.parametrize('tuning', ['frozen', 'lora'])
def test_two_ranks_have_no_unused_weights(root, tmp_path, tuning):
    def body(rank):
        runner = rank_runner(root, tmp_path / 'work', **settings(tuning))
        runner.train()
        return runner.model.module.state_dict()

    first, second = on_ranks(body)
    for name, value in first.items():
        if 'running' not in name:
            assert torch.equal(value, second[name]), name


def test_adapters_of_another_scale_are_refused(root, tmp_path):
    """Shapes of the adapters are the same, and the network would compute something else."""
    Runner.from_cfg(toy_config(root, tmp_path / 'first', **settings('lora', 1))).train()
    first = str(tmp_path / 'first' / 'iter_1.pth')
    changed = settings('lora', 1, load_from=first)
    lora = dict(changed['model']['segmentor']['backbone']['lora'], alpha=99)
    changed['model']['segmentor']['backbone']['lora'] = lora
    with pytest.raises(ValueError, match=r'scale \(alpha / rank\) 4.0, and this config 49.5'):
        Runner.from_cfg(toy_config(root, tmp_path / 'second', **changed)).train()
    with pytest.raises(ValueError, match='this config 49.5'):
        Runner.from_cfg(toy_config(root, tmp_path / 'third', **changed)).test()
    same = settings('lora', 1, load_from=first)
    Runner.from_cfg(toy_config(root, tmp_path / 'fourth', **same)).test()
