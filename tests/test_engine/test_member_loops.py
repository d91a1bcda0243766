# Copyright (c) mmseg_ctt contributors.
import copy

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image
from toy import toy_segmentor
from toy_data import LABELED, toy_config, toy_ctt

MEMBERS = ('student0', 'student1', 'teacher0', 'teacher1', 'ensemble')
METRICS = ('aAcc', 'mIoU', 'mAcc')


class Seen(Hook):
    """Names of the hooks that are called and what they are given."""

    def __init__(self):
        self.calls, self.outputs, self.metrics = [], [], None

    def __getattribute__(self, name):
        if name.startswith(('before_val', 'after_val', 'before_test', 'after_test')):
            def note(runner, *_, outputs=None, metrics=None, **__):
                self.calls.append(name)
                self.outputs += outputs or []
                self.metrics = metrics or self.metrics
            return note
        return super().__getattribute__(name)


def build(root, tmp_path, **changes):
    """A runner whose four members differ."""
    runner = Runner.from_cfg(toy_config(root, tmp_path / 'work', **changes))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in runner.model.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    runner.model.eval()
    return runner


def run(runner, stage):
    """Metrics of a validation or test pass."""
    loop = getattr(runner, f'{stage}_loop')
    runner.call_hook('before_run')
    return loop.run()


def alone(runner, name):
    """Metrics of one member, by mmengine's own loop."""
    runner.model.predict_on = name
    evaluator = copy.deepcopy(runner.test_loop.evaluator)
    for batch in runner.test_loop.dataloader:
        with torch.no_grad():
            evaluator.process(runner.model.test_step(batch), batch)
    return evaluator.evaluate(len(LABELED))


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_keys(root, tmp_path, stage):
    runner = build(root, tmp_path, model=toy_ctt(test_cfg=dict(predict_on='student1')))
    seen = Seen()
    runner.register_hook(seen)
    metrics = run(runner, stage)
    expected = {f'{member}/{metric}' for member in MEMBERS for metric in METRICS}
    assert set(metrics) == expected | set(METRICS)
    assert all(metrics[metric] == metrics[f'student1/{metric}'] for metric in METRICS)
    assert len({metrics[f'{member}/aAcc'] for member in MEMBERS}) == 5  # members differ
    assert seen.metrics == metrics
    middle = [f'before_{stage}_iter', f'after_{stage}_iter'] * 3
    assert seen.calls == [f'before_{stage}', f'before_{stage}_epoch', *middle,
                          f'after_{stage}_epoch', f'after_{stage}']


def test_equal_to_separate_evaluation(root, tmp_path):
    runner = build(root, tmp_path)
    metrics = run(runner, 'test')
    for member in MEMBERS:
        expected = alone(runner, member)
        assert {key: metrics[f'{member}/{key}'] for key in expected} == expected


def test_each_image_is_loaded_once(root, tmp_path):
    runner = build(root, tmp_path)
    dataset = runner.val_loop.dataloader.dataset
    loaded, prepare = [], dataset.prepare_data
    dataset.prepare_data = lambda index: loaded.append(index) or prepare(index)
    run(runner, 'val')
    assert loaded == [0, 1, 2]


def test_hooks_see_the_predicting_member(root, tmp_path):
    runner = build(root, tmp_path, model=toy_ctt(test_cfg=dict(predict_on='teacher1')))
    seen = Seen()
    runner.register_hook(seen)
    run(runner, 'val')
    assert len(seen.outputs) == 3
    for batch, shown in zip(runner.val_loop.dataloader, seen.outputs):
        with torch.no_grad():
            sample, = runner.model.test_step(batch)
        assert torch.equal(shown.pred_sem_seg.data, sample.pred_sem_seg.data)


def test_members_run_in_evaluation_mode_and_leave_no_trace(root, tmp_path):
    runner = build(root, tmp_path)
    runner.model.train()
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    run(runner, 'val')
    assert not runner.model.training
    assert all(torch.equal(value, before[name])
               for name, value in runner.model.state_dict().items())


def test_label_images_of_each_member(root, tmp_path):
    out = tmp_path / 'out'
    runner = build(root, tmp_path, test_evaluator=dict(
        type='IoUMetric', iou_metrics=['mIoU'], output_dir=str(out)))
    run(runner, 'test')
    assert sorted(path.name for path in out.iterdir()) == sorted(MEMBERS)
    for member in MEMBERS:
        runner.model.predict_on = member
        for batch, stem in zip(runner.test_loop.dataloader, LABELED):
            with torch.no_grad():
                sample, = runner.model.test_step(batch)
            written = np.array(Image.open(out / member / f'{stem}.png'))
            assert np.array_equal(written, sample.pred_sem_seg.data[0].numpy())


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_plain_model(root, tmp_path, stage):
    runner = build(root, tmp_path, model=toy_segmentor(), custom_hooks=[])
    assert set(run(runner, stage)) == set(METRICS)


def test_best_checkpoint_of_a_member(root, tmp_path):
    runner = Runner.from_cfg(toy_config(root, tmp_path, default_hooks=dict(
        checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=100,
                        save_best='ensemble/mIoU'))))
    runner.train()
    assert (tmp_path / 'best_ensemble_mIoU_iter_2.pth').is_file()
