# Copyright (c) mmseg_ctt contributors.
"""TensorBoard through mmengine's back end."""

import pytest
from mmengine.runner import Runner
from toy_data import toy_config, write_toy_data


def test_scalars_of_every_member(tmp_path):
    pytest.importorskip('tensorboard', reason='tensorboard is not installed')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    hooks = dict(pseudo_labels=dict(type='PseudoLabelHook', interval=2, num_images=2))
    cfg = toy_config(
        write_toy_data(tmp_path / 'data'),
        tmp_path / 'work',
        hooks=hooks,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=2, val_interval=2),
        visualizer=dict(
            type='SegLocalVisualizer',
            vis_backends=[dict(type='TensorboardVisBackend', save_dir=str(tmp_path / 'events'))],
        ),
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    runner.visualizer.close()
    events = EventAccumulator(str(tmp_path / 'events')).Reload()
    for member in ('student0', 'student1', 'teacher0', 'teacher1', 'ensemble'):
        assert [one.step for one in events.Scalars(f'{member}/mIoU')] == [2]
    assert [one.step for one in events.Scalars('student0.loss_ct')] == [1, 2]
    assert [one.step for one in events.Scalars('pseudo/used')] == [2]
    assert events.Tags()['images'] == ['pseudo_labels']
