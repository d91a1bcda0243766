# Copyright (c) mmseg_ctt contributors.
"""GuidedMix-Net on two ranks: the same weights on both, and nothing said but gradients."""

import pytest
import torch
from ranks import Counted, Watch, on_ranks, rank_runner
from toy import NUM_CLASSES, toy_segmentor
from toy_data import write_toy_data


@pytest.mark.parametrize('mode', ['paper', 'released'])
def test_a_run(tmp_path, mode):
    root = write_toy_data(tmp_path / 'data')
    head = dict(
        type='ASPPHead',
        in_channels=8,
        in_index=1,
        channels=6,
        dilations=(1, 2),
        num_classes=NUM_CLASSES,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )

    def body(rank):
        with Counted() as counted:
            runner = rank_runner(
                root,
                tmp_path / 'work',
                custom_hooks=[dict(type='TeacherEMAHook')],
                model=dict(
                    type='GuidedMixNet',
                    mode=mode,
                    mitrans=dict(width=4),
                    segmentor=toy_segmentor(decode_head=head),
                ),
                train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=100),
            )
            watch = Watch(counted)
            runner.register_hook(watch)
            runner.train()
        return list(zip(watch.keys, watch.calls, watch.states))

    first, second = on_ranks(body)
    assert len(first) == 3
    for (keys, calls, state), (other_keys, other_calls, other) in zip(first, second):
        assert keys == other_keys == first[0][0] and calls == other_calls == {}
        for name, value in state.items():
            # batch statistics are local, and the average follows the student's
            if not name.endswith(('running_mean', 'running_var')):
                assert torch.equal(value, other[name]), name
    weight = 'mitrans.merge.conv.weight'
    assert not torch.equal(first[0][2][weight], first[-1][2][weight])
