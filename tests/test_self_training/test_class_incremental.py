# Copyright (c) mmseg_ctt contributors.
"""Steps of class-incremental learning on the toy data, with the trainings in this process."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from toy import toy_segmentor
from toy_data import (
    CLASSES,
    LABELED,
    UNLABELED,
    toy_config,
    toy_method,
    toy_pipeline,
    write_mask,
    write_toy_data,
)
from toy_rounds import resources, trainings_by, trainings_here

from mmseg_ctt.engine.processes import ChildFailed, Stopped
from mmseg_ctt.self_training import build_rounds, class_incremental

BACKGROUND, *NAMES = CLASSES
STEPS = [[NAMES[0]], [NAMES[1]], [NAMES[2]]]
TWO = [[NAMES[0]], NAMES[1:]]
# tags of the images l0, l1, l2, u0, u1, u2
TAGS = dict(zip((*LABELED, *UNLABELED), ([1], [1, 2], [2, 3], [1, 3], [3], [2])))


@pytest.fixture
def root(tmp_path):
    return data_at(tmp_path / 'data')


def data_at(root):
    write_toy_data(root)
    for seed, stem in enumerate(UNLABELED, 3):
        write_mask(root / 'ann' / f'{stem}.png', seed)
    named = {stem: [CLASSES[k] for k in ids] for stem, ids in TAGS.items()}
    (root / 'tags.json').write_text(json.dumps(named))
    return root


def config(root, **settings):
    segmentor = toy_segmentor()
    segmentor['decode_head'].update(num_classes=4, loss_decode=dict(type='PixelSigmoidLoss'))
    segmentor['data_preprocessor'].update(size=(32, 32))
    cfg = toy_config(
        root,
        root / 'unused',
        model=toy_method('WILSON', segmentor=segmentor, old_checkpoint=None),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=100),
    )
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=1)
    for part in ('val', 'test'):
        cfg[f'{part}_dataloader'].dataset.known_classes = CLASSES
    cfg.train_dataloader.dataset.tagged.known_classes = CLASSES
    cfg.train_dataloader.batch_size = 2
    labeled = dict(
        type='FolderSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        known_classes=CLASSES,
        pipeline=toy_pipeline(True),
    )
    usual = dict(type='ClassIncremental', steps=TWO, labeled=labeled)
    cfg.self_training = {**usual, **settings}
    return cfg


def rounds_of(root, folder, report=str, change=str, **settings):
    cfg = config(root, **settings)
    change(cfg)
    return build_rounds(cfg, folder, folder.parent, report)


def state_of(path):
    return torch.load(path)['state_dict']


def lists_of(folder):
    return {path.stem: path.read_text().split() for path in (folder / 'lists').iterdir()}


def rows_of(folder):
    return list(csv.DictReader((folder / 'results.csv').open()))


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Folder of a finished run of three steps; not to be changed."""
    place = tmp_path_factory.mktemp('whole')
    lines = []
    with trainings_here(), DefaultScope.overwrite_default_scope('mmseg'):
        made = rounds_of(data_at(place / 'data'), place / 'run', lines.append, steps=STEPS)
        assert made.run(resources()) == place / 'run/step2/iter_3.pth'
    (place / 'lines.txt').write_text('\n'.join(lines))
    return place


# ---- whole runs


def test_networks_of_the_steps(whole):
    for number in range(3):
        state = state_of(whole / f'run/step{number}/iter_3.pth')
        prefix = 'students.0.' if number else ''
        assert len(state[f'{prefix}decode_head.conv_seg.weight']) == number + 2
        cfg = Config.fromfile(whole / f'run/step{number}/config.py')
        assert 'self_training' not in cfg
        dataset = cfg.train_dataloader.dataset
        assert [name for name in ('labeled', 'tagged', 'unlabeled') if name in dataset] == (
            ['tagged'] if number else ['labeled']
        )
        known = [BACKGROUND, *NAMES[: number + 1]]
        source = dataset['tagged' if number else 'labeled']
        assert list(source.metainfo.classes) == known and source.background == BACKGROUND
        assert list(cfg.test_dataloader.dataset.metainfo.classes) == known
        if number:
            before = whole / f'run/step{number - 1}/iter_3.pth'
            assert cfg.model.old_checkpoint == str(before)
            assert list(cfg.model.old_classes) == known[:-1]
            assert cfg.model.segmentor.backbone.init_cfg is None  # the old network has the weights
            old = {k[4:]: v for k, v in state.items() if k.startswith('old.')}
            given = state_of(before)
            inner = 'students.0.' if number > 1 else ''
            assert all(torch.equal(value, given[inner + key]) for key, value in old.items())


def test_images_of_the_steps(whole):
    assert lists_of(whole / 'run') == dict(
        step0=['l0', 'l1', 'u0'], step1=['l1', 'l2', 'u2'], step2=['l2', 'u0', 'u1']
    )
    text = (whole / 'lines.txt').read_text()
    assert 'images that show' in text and '* new in this step' in text
    assert all(f'steps[{i}] has the one class' in text for i in (1, 2))
    assert 'steps[0] has the one class' not in text


def test_results(whole):
    rows = rows_of(whole / 'run')
    assert [(row['method'], row['step']) for row in rows] == [
        ('wilson', f'step{i}') for i in range(3)
    ]
    assert not rows[0]['old'] and rows[0]['step0'] == rows[0]['new']
    for number, row in enumerate(rows):
        found = json.loads((whole / f'run/step{number}/scores.json').read_text())
        assert list(found['iou']) == [BACKGROUND, *NAMES[: number + 1]]
        iou = [found['iou'][name] for name in NAMES[: number + 1]]
        assert float(row['new']) == pytest.approx(iou[-1], abs=0.01)
        if number:
            assert float(row['old']) == pytest.approx(np.mean(iou[:-1]), abs=0.01)
        everything = [found['iou'][BACKGROUND], *iou]
        assert float(row['all']) == pytest.approx(np.mean(everything), abs=0.01)


def test_the_disjoint_setting(root, tmp_path):
    with trainings_here():
        rounds_of(root, tmp_path / 'run', setting='disjoint').run(resources())
    assert lists_of(tmp_path / 'run') == dict(step0=['l0'], step1=['l1', 'l2', 'u0', 'u1', 'u2'])


def test_fine_tuning_reads_masks_of_the_new_classes(root, tmp_path):
    with trainings_here() as commands:
        rounds_of(root, tmp_path / 'run', method='finetune').run(resources())
    assert len(commands) == 2
    cfg = Config.fromfile(tmp_path / 'run/step1/config.py')
    source = cfg.train_dataloader.dataset.labeled
    assert source.type == 'StepSegDataset' and list(source.hidden) == NAMES[:1]
    assert cfg.model.type == 'EncoderDecoder' and cfg.load_from.endswith('starts/step1.pth')
    start = state_of(tmp_path / 'run/starts/step1.pth')
    old = state_of(tmp_path / 'run/step0/iter_3.pth')
    key = 'decode_head.conv_seg.weight'
    assert torch.equal(start[key][:2], old[key]) and len(start[key]) == 4
    assert torch.equal(start['backbone.body.weight'], old['backbone.body.weight'])
    assert {row['method'] for row in rows_of(tmp_path / 'run')} == {'finetune'}


def test_joint_training(root, tmp_path):
    changes = dict(sizes=dict(max_iters=2))
    with trainings_here() as commands:
        made = rounds_of(root, tmp_path / 'run', method='joint', first_training=changes)
        assert made.run(resources()) == tmp_path / 'run/joint/iter_2.pth'
    assert len(commands) == 1
    assert lists_of(tmp_path / 'run') == dict(joint=sorted(TAGS, key=(*LABELED, *UNLABELED).index))
    (row,) = rows_of(tmp_path / 'run')
    iou = json.loads((tmp_path / 'run/joint/scores.json').read_text())['iou']
    assert float(row['old']) == pytest.approx(iou[NAMES[0]], abs=0.01)
    assert float(row['new']) == pytest.approx((iou[NAMES[1]] + iou[NAMES[2]]) / 2, abs=0.01)


def test_a_first_network_that_is_given(whole, tmp_path):
    first = whole / 'run/step0/iter_3.pth'
    with trainings_here() as commands:
        made = rounds_of(whole / 'data', tmp_path / 'run', steps=STEPS, first_checkpoint=str(first))
        last = made.run(resources())
    assert [command[4] for command in commands] == [str(tmp_path / f'run/step{i}') for i in (1, 2)]
    state, expected = state_of(last), state_of(whole / 'run/step2/iter_3.pth')
    assert all(torch.equal(value, state[name]) for name, value in expected.items())
    assert rows_of(tmp_path / 'run') == rows_of(whole / 'run')


def test_another_first_network_of_the_same_name(whole, tmp_path):
    """Scores of step 0 would be of one, later steps of the other."""
    first = tmp_path / 'first.pth'
    shutil.copy(whole / 'run/step0/iter_3.pth', first)

    def run():
        given = dict(steps=STEPS, first_checkpoint=str(first))
        return rounds_of(whole / 'data', tmp_path / 'run', **given).run(resources())

    def fail(cfg):
        raise ChildFailed('on purpose')

    with trainings_by(fail), pytest.raises(ChildFailed):
        run()
    checkpoint = torch.load(first)
    checkpoint['state_dict']['decode_head.conv_seg.bias'] += 1
    torch.save(checkpoint, first)
    kept = tmp_path / 'run/first_checkpoint.txt'
    words = r'first_checkpoint\.txt has another self_training.first_checkpoint now: its weights'
    with trainings_by(lambda cfg: pytest.fail('no')), pytest.raises(ValueError, match=words):
        run()
    kept.unlink()  # as in a folder of an earlier version
    with trainings_here():
        run()
    assert kept.is_file()


def test_without_validation(root, tmp_path):
    """An evaluator without images to score would stop the runner."""

    def no_validation(cfg):
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None

    with trainings_here():
        made = rounds_of(root, tmp_path / 'run', change=no_validation, method='joint')
        made.run(resources())
    cfg = Config.fromfile(tmp_path / 'run/joint/config.py')
    assert cfg.val_evaluator is None and cfg.test_evaluator.type == 'IncrementalIoUMetric'
    assert rows_of(tmp_path / 'run')[0]['all']


# ---- stops


@pytest.mark.parametrize('step, task', [(0, 'evaluate'), (1, 'within'), (2, 'train')])
def test_stopped_anywhere_it_comes_to_the_same(whole, tmp_path, step, task):
    """Between steps, within a training, and while test images are scored."""
    count = []

    def fail(*_, **__):
        raise Stopped

    def train(cfg):
        from mmengine.runner import Runner

        count.append(cfg)
        if task != 'evaluate' and len(count) == step + 1:
            if task == 'train':
                raise ChildFailed('killed')
            cfg.train_cfg.max_iters, cfg.param_scheduler[0].end = 2, 3
            Runner.from_cfg(cfg).train()
            raise ChildFailed('killed')
        Runner.from_cfg(cfg).train()

    made = rounds_of(whole / 'data', tmp_path / 'run', steps=STEPS)
    with trainings_by(train), pytest.MonkeyPatch.context() as patch:
        if task == 'evaluate':
            real = class_incremental.scores_of
            patch.setattr(
                class_incremental,
                'scores_of',
                lambda *given: fail() if len(count) == step + 1 else real(*given),
            )
        with pytest.raises((ChildFailed, Stopped)):
            made.run(resources())
    state = json.loads((tmp_path / 'run/state.json').read_text())
    assert (state['step'], state['task']) == (f'step{step}', task.replace('within', 'train'))
    with trainings_here() as commands:
        last = rounds_of(whole / 'data', tmp_path / 'run', steps=STEPS).run(resources())
    assert len(commands) == (2 if task == 'evaluate' else 3) - step
    state, expected = state_of(last), state_of(whole / 'run/step2/iter_3.pth')
    assert all(torch.equal(value, state[name]) for name, value in expected.items())
    assert rows_of(tmp_path / 'run') == rows_of(whole / 'run')


def stop_in(folder, root, checkpoint, **settings):
    """Start a run, and stop in its first training, before or after its first checkpoint."""

    def train(cfg):
        if checkpoint:
            torch.save({}, f'{cfg.work_dir}/iter_1.pth')
        raise Stopped

    with trainings_by(train), pytest.raises(Stopped):
        rounds_of(root, folder, **settings).run(resources())


def test_tags_that_change_in_a_run(root, tmp_path):
    stop_in(tmp_path / 'run', root, checkpoint=True)
    tags = {stem: [CLASSES[k] for k in (1, 2, 3)] for stem in TAGS}
    (root / 'tags.json').write_text(json.dumps(tags))
    with trainings_by(lambda cfg: pytest.fail('no')):
        with pytest.raises(ValueError, match='the tags have changed since the run began'):
            rounds_of(root, tmp_path / 'run').run(resources())


def test_a_start_that_failed_leaves_no_images_behind(root, tmp_path):
    """The first training may begin again with other classes, which other images have."""
    folder, other = tmp_path / 'run', [[NAMES[2]], NAMES[:2]]
    stop_in(folder, root, checkpoint=False)
    before = lists_of(folder)
    stop_in(folder, root, checkpoint=True, steps=other)
    assert lists_of(folder).keys() == before.keys() == {'step0'} and lists_of(folder) != before
    with pytest.raises(ValueError, match='belongs to a run with another config'):
        rounds_of(root, folder).run(resources())


# ---- refused before anything is written


def other_model(cfg):
    cfg.model = toy_method('MeanTeacher')


def two_sources(cfg):
    cfg.train_dataloader.dataset.labeled = cfg.self_training.labeled


def no_checkpoint(cfg):
    cfg.default_hooks.checkpoint = None


def no_test(cfg):
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None


def other_masks(cfg):
    cfg.self_training.labeled.data_prefix.seg_map_path = 'nowhere'


def other_data(cfg):
    cfg.self_training.labeled.type = 'CamVidDataset'


def late_start(cfg):
    cfg.model.pseudo_start = 3


def ending_schedule(cfg):
    cfg.param_scheduler[0].end = 4


def many_heads(cfg):
    cfg.model.localizer = dict(width=3)


@pytest.mark.parametrize(
    'change, settings, words',
    [
        (str, dict(steps=[NAMES[:2], NAMES[1:]]), r'steps\[1\] has .*class2., which steps\[0\] h'),
        (str, dict(steps=[NAMES[:1], ['horse']]), r"steps\[1\] has 'horse', which is no class"),
        (str, dict(steps=[[BACKGROUND], NAMES]), r"steps\[0\] has 'class0', which is no class"),
        (str, dict(steps=[NAMES]), 'steps has 1 steps: it needs a first and a later one'),
        (str, dict(steps=[NAMES, []]), r'steps\[1\] has no class'),
        (str, dict(steps=[NAMES[1:], NAMES[:1]], setting='joint'), 'setting must be one of'),
        (str, dict(method='mib'), 'self_training.method must be one of'),
        (str, dict(labeled=None), 'self_training.labeled is missing'),
        (str, dict(first_checkpoint='a.pth', method='joint'), 'first_checkpoint would be unused'),
        (str, dict(first_checkpoint='a.pth'), 'self_training.first_checkpoint=.*does not exist'),
        (other_model, {}, "model.type='MeanTeacher': the recipe ClassIncremental"),
        (two_sources, {}, 'has the sources labeled, tagged: it must have tagged alone'),
        (no_checkpoint, {}, 'default_hooks.checkpoint does not save the last iteration'),
        (no_test, {}, 'test_dataloader is missing'),
        (other_masks, {}, 'training step 0 would fail: .*nowhere'),
        (other_data, {}, 'self_training.labeled.type=.CamVidDataset. must be FolderSegDataset'),
        (late_start, {}, 'training step 1 would fail: model.pseudo_start=3 is behind its last'),
        (
            ending_schedule,
            dict(first_training=dict(train_cfg=dict(max_iters=2))),
            'first_training.train_cfg.max_iters=2 leaves param_scheduler.0.end=4, .* run of 3',
        ),
        (many_heads, {}, 'training step 1 would fail: model.localizer has unknown settings'),
    ],
)
def test_refused_before_the_first_training(root, tmp_path, change, settings, words):
    with (
        trainings_by(lambda cfg: pytest.fail('a training')),
        pytest.raises((ValueError, FileNotFoundError), match=words) as error,
    ):
        rounds_of(root, tmp_path / 'run', change=change, **settings).run(resources())
    assert '\n' not in str(error.value)
    left = {path.name for path in (tmp_path / 'run').glob('*')} - {'.lock', '.check'}
    assert not left


@pytest.mark.parametrize('steps', [1, ['a', 'b'], [[1], [2]]])
def test_steps_that_are_no_lists_of_classes(root, tmp_path, steps):
    with pytest.raises(TypeError, match='self_training.steps must be lists of classes'):
        rounds_of(root, tmp_path / 'run', steps=steps)


def test_a_step_without_images(root, tmp_path):
    """Every image of the first class shows a later one."""
    tags = {
        stem: [CLASSES[1], CLASSES[2]] if 1 in ids else [CLASSES[3]] for stem, ids in TAGS.items()
    }
    (root / 'tags.json').write_text(json.dumps(tags))
    made = rounds_of(root, tmp_path / 'run', setting='disjoint')
    with pytest.raises(ValueError, match=r"steps\[0\] has no image at all .*setting='overlap'"):
        made.run(resources())
    made = rounds_of(
        root, tmp_path / 'run', steps=[[NAMES[0], NAMES[2]], [NAMES[1]]], setting='disjoint'
    )
    with pytest.raises(ValueError, match=r'steps\[0\] has no image with the classes class1 in'):
        made.run(resources())


def test_a_first_network_of_other_classes(whole, tmp_path):
    first = str(whole / 'run/step1/iter_3.pth')
    made = rounds_of(whole / 'data', tmp_path / 'run', steps=STEPS, first_checkpoint=first)
    words = 'first_checkpoint: .* is of the classes class0, class1, class2, and the old classes'
    with pytest.raises(ValueError, match=words):
        made.run(resources())
