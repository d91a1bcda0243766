# Copyright (c) mmseg_ctt contributors.
"""Runs of methods that learn features alone: validation, test, the best checkpoint, mistakes."""

import pytest
import torch
from mmengine.runner import Runner
from test_distributed.ranks import on_ranks, rank_runner
from toy_data import toy_config, toy_method, toy_pipeline, toy_set, write_toy_data

SELF, MATCH = 'SelfSupervisedPretraining', 'MixAndMatchTuning'
SCORES = {SELF: 'rotation/accuracy', MATCH: 'patches/retrieval'}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp('data'))


def config(root, work, kind=SELF, settings=None, **changes):
    model = toy_method(kind, **(settings or {}))
    loop = dict(type='ResumableTrainLoop', max_iters=2, val_interval=1)
    return toy_config(root, work, model=model, **{'train_cfg': loop, **changes})


def refused(root, work, kind=SELF, **changes):
    """The sentence before the first iteration, after which the folder is empty."""
    runner = Runner.from_cfg(config(root, work, kind, **changes))
    with pytest.raises(ValueError) as caught:
        runner.train()
    assert runner.iter == 0 and not list(work.glob('**/*.pth'))
    assert '\n' not in str(caught.value)
    return str(caught.value)


def without_masks(root, ann_file):
    images = toy_set(root, False, random=False, ann_file=ann_file)
    sampler = dict(type='DefaultSampler', shuffle=False)
    return dict(batch_size=1, num_workers=0, sampler=sampler, dataset=images)


@pytest.mark.parametrize('kind', SCORES)
def test_validation_chooses_the_best_checkpoint_and_test_has_its_score(kind, root, tmp_path):
    score = SCORES[kind]
    best = dict(type='SafeCheckpointHook', interval=1, save_best=score)
    cfg = config(root, tmp_path, kind, hooks=dict(checkpoint=best))
    runner = Runner.from_cfg(cfg)
    runner.train()
    history = runner.message_hub.log_scalars[f'val/{score}'].data[0]
    assert len(history) == 2
    (path,) = tmp_path.glob('best_*.pth')
    cfg = config(root, tmp_path / 'test', kind, load_from=str(path))
    metrics = Runner.from_cfg(cfg).test()
    names = (score, f'student0/{score}', f'ensemble/{score}')
    assert [metrics[name] for name in names] == [max(history)] * 3
    assert set(metrics) == set(names)


def test_results_are_gathered_over_ranks(root, tmp_path):
    """Two processes have the score of one, over three images; each image counts once."""
    model = toy_method(MATCH)
    torch.manual_seed(0)
    alone = Runner.from_cfg(config(root, tmp_path / 'one', MATCH))
    path = tmp_path / 'net.pth'
    torch.save(dict(state_dict=alone.model.state_dict()), path)
    expected = alone.test()

    def body(rank):
        return rank_runner(root, tmp_path / 'two', model=model, load_from=str(path)).test()

    first, second = on_ranks(body)
    assert first == second == expected and set(first) >= {SCORES[MATCH]}


def test_images_without_masks_are_enough_for_rotation(root, tmp_path):
    loader = without_masks(root, 'splits/toy/unlabeled.txt')
    cfg = config(root, tmp_path, val_dataloader=loader, test_dataloader=loader)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert 0 <= runner.message_hub.get_scalar('val/rotation/accuracy').current() <= 100
    assert 'rotation/accuracy' in runner.test()


def test_patches_need_masks(root, tmp_path):
    loader = without_masks(root, 'splits/toy/unlabeled.txt')
    assert 'packs no labels' in refused(root, tmp_path, MATCH, val_dataloader=loader)


@pytest.mark.parametrize('kind', SCORES)
def test_a_metric_of_segmentations(kind, root, tmp_path):
    iou = dict(type='IoUMetric', iou_metrics=['mIoU'])
    line = refused(root, tmp_path, kind, val_evaluator=iou)
    assert f'val_evaluator: IoUMetric scores a segmentation, and {kind}' in line
    cfg = config(root, tmp_path / 'test', kind, test_evaluator=iou)
    with pytest.raises(ValueError, match='test_evaluator: IoUMetric scores a segmentation'):
        Runner.from_cfg(cfg).test()


def test_there_is_nothing_to_draw(root, tmp_path):
    drawing = dict(visualization=dict(type='SegVisualizationHook', draw=True))
    assert 'no segmentation to draw' in refused(root, tmp_path, hooks=drawing)
    cfg = config(root, tmp_path / 'test', hooks=drawing)
    with pytest.raises(ValueError, match='leave out --show-dir'):
        Runner.from_cfg(cfg).test()


def test_there_is_nothing_to_augment(root, tmp_path):
    cfg = config(root, tmp_path)
    cfg.model = dict(type='SegTTAModel', module=dict(cfg.model), data_preprocessor=None)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[key] = None
    with pytest.raises(ValueError, match='test-time augmentation joins segmentations'):
        Runner.from_cfg(cfg).test()


def test_a_metric_of_tasks_for_a_segmentor(root, tmp_path):
    line = refused(root, tmp_path, 'S4L', val_evaluator=dict(type='TaskMetric'))
    assert 'S4L gives a segmentation' in line


def test_a_score_that_does_not_exist(root, tmp_path):
    wrong = dict(type='SafeCheckpointHook', interval=1, save_best='mIoU')
    line = refused(root, tmp_path, hooks=dict(checkpoint=wrong))
    assert "save_best='mIoU' is no score" in line and 'student0/rotation/accuracy' in line


def test_all_images_of_a_folder_are_unlabelled(root, tmp_path):
    """One source, no list, no class names."""
    images = dict(
        type='FolderSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='img'),
        ann_file='',
        pipeline=toy_pipeline(False),
    )
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(unlabeled=1)),
        dataset=dict(type='LabeledUnlabeledDataset', unlabeled=images),
    )
    tested = without_masks(root, '')
    tested['dataset'] = dict(images, pipeline=toy_pipeline(False, random=False))
    runner = Runner.from_cfg(config(root, tmp_path, train_dataloader=loader, val_dataloader=tested))
    runner.train()
    assert runner.train_dataloader.dataset.num_images == dict(unlabeled=6)


def test_there_are_no_label_images_to_write(root, tmp_path, load_tool):
    set_output = load_tool('test').module.set_output
    with pytest.raises(ValueError, match='--out: no metric of test_evaluator writes'):
        set_output(config(root, tmp_path), 'out')
    cfg = config(root, tmp_path, 'S4L')
    set_output(cfg, 'out')
    assert cfg.test_evaluator.output_dir == 'out'
