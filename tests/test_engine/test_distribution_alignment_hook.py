# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmengine.runner import Runner
from toy import NUM_CLASSES, toy_model, toy_segmentor
from toy_data import toy_config, write_toy_data

from mmseg_ctt.datasets.frequency import label_frequency
from mmseg_ctt.engine import DistributionAlignmentHook
from mmseg_ctt.functional import target_distribution
from mmseg_ctt.methods import CrossTeacherTraining

ALIGN = dict(type='DistributionAlignmentHook', frequency=[8, 4, 2, 1], temperature=0.7, steps=2)


def test_a_method_that_aligns_nothing(root, tmp_path, monkeypatch):
    def not_aligned(model, **images):
        return model.forward_teachers(images)

    monkeypatch.setattr(CrossTeacherTraining, 'teacher_outputs', not_aligned)
    runner = Runner.from_cfg(toy_config(root, tmp_path / 'work', hooks=dict(alignment=ALIGN)))
    with pytest.raises(ValueError, match='CrossTeacherTraining does not call teacher_outputs'):
        runner.train()


def test_a_method_without_pseudo_labels_is_refused(root, tmp_path, monkeypatch):
    runner = Runner.from_cfg(toy_config(root, tmp_path / 'work', hooks=dict(alignment=ALIGN)))
    monkeypatch.setattr(CrossTeacherTraining, 'uses_pseudo_labels', False)
    with pytest.raises(ValueError, match='CrossTeacherTraining makes no pseudo-labels'):
        runner.train()


def test_frequencies_are_counted_in_the_labels(tmp_path):
    """Not in the masks that the unlabelled images happen to have; and only for a training."""
    root = write_toy_data(tmp_path / 'data')
    hook = DistributionAlignmentHook()
    cfg = toy_config(root, tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    hook.before_run(runner)
    target = runner.model.alignment['teacher0'].target
    torch.testing.assert_close(target, torch.full((NUM_CLASSES,), 1 / NUM_CLASSES))
    assert runner.train_loop is not None  # is built here
    hook.before_run(runner)
    pixels = label_frequency(cfg).pixel
    assert pixels.sum() > 0
    want = target_distribution(pixels).float()
    torch.testing.assert_close(runner.model.alignment['teacher0'].target, want)


def test_bad_settings(tmp_path):
    root = write_toy_data(tmp_path / 'data')
    for settings, words in (
        (dict(steps=0), 'steps'),
        (dict(temperature=-1), 'temperature'),
        (dict(frequency=[0, 0]), 'frequency must be finite, not negative, and'),
        (dict(frequency=[]), 'one positive'),
        (dict(frequency=[1, float('nan')]), 'frequency must be finite'),
        (dict(frequency=[1, -1]), 'frequency must be finite, not negative'),
    ):
        with pytest.raises(ValueError, match=words):
            DistributionAlignmentHook(**settings)
    cfg = toy_config(root, tmp_path / 'a', model=toy_segmentor(), hooks=dict(alignment=ALIGN))
    cfg.train_dataloader.sampler.ratio = dict(labeled=1, unlabeled=0)
    with pytest.raises(ValueError, match='model of this package, got EncoderDecoder'):
        Runner.from_cfg(cfg).train()
    with pytest.raises(ValueError, match='4 entries for 3 classes'):
        DistributionAlignmentHook([8, 4, 2, 1]).before_run(
            type('R', (), dict(model=toy_model(segmentor=toy_segmentor(num_classes=3))))
        )
