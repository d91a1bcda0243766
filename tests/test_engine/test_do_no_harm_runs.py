# Copyright (c) mmseg_ctt contributors.
"""Unlabelled images that do harm, and what the guard against it saves: runs of a toy network."""

import numpy as np
import pytest
from mmengine.runner import Runner
from PIL import Image
from toy_data import (
    CROP,
    HEIGHT,
    LABELED,
    NUM_CLASSES,
    SPLIT,
    UNLABELED,
    WIDTH,
    toy_config,
    toy_method,
    write_lists,
)

COLOURS = np.array([[220, 30, 30], [30, 200, 30], [30, 30, 220], [230, 230, 230]], np.uint8)
ITERATIONS, INTERVAL = 100, 5
# every pixel counts, whatever the network says there
HARMFUL = dict(loss_weights=dict(unsup=0.3), consistency=dict(confidence_threshold=0))


@pytest.fixture
def coloured(tmp_path):
    """Labelled images whose colours are their classes; unlabelled ones are dark noise."""
    random = np.random.RandomState(0)
    for folder in ('img', 'ann'):
        (tmp_path / folder).mkdir()
    for stem in LABELED:
        ids = random.randint(0, NUM_CLASSES, (HEIGHT // 8, WIDTH // 8)).repeat(8, 0).repeat(8, 1)
        Image.fromarray(COLOURS[ids]).save(tmp_path / 'img' / f'{stem}.jpg', quality=95)
        Image.fromarray(ids.astype(np.uint8)).save(tmp_path / 'ann' / f'{stem}.png')
    for stem in UNLABELED:
        noise = random.randint(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / 'img' / f'{stem}.jpg', quality=95)
    write_lists(tmp_path / SPLIT)
    return tmp_path


def final_score(root, name, model=None, hook=None):
    """mIoU at the end of a run; the plain network of FixMatch where no model is given."""
    cfg = toy_config(
        root,
        root / name,
        hooks=dict(do_no_harm=hook),
        model=toy_method('FixMatchSeg', **(model or {})),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=INTERVAL),
        visualizer=dict(
            type='SegLocalVisualizer',
            vis_backends=[dict(type='LocalVisBackend')],
            name=f'{root}{name}',
        ),
    )
    if model is None:
        cfg.model = dict(
            cfg.model.segmentor.to_dict(),
            data_preprocessor=dict(type='SegDataPreProcessor', size=CROP),
        )
        cfg.train_dataloader.sampler.ratio = dict(labeled=1, unlabeled=0)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner.message_hub.get_scalar('val/mIoU').current()


def test_harmful_images(coloured):
    """The guarded run ends where its baseline does, and the other far below."""
    baseline = final_score(coloured, 'supervised')
    plain = final_score(coloured, 'plain', HARMFUL)
    guarded = final_score(coloured, 'guarded', HARMFUL, dict(type='DoNoHarmHook'))
    assert plain < baseline - 10 and guarded > baseline - 3
