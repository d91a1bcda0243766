# Copyright (c) mmseg_ctt contributors.
"""Distillation of a run into a small network on the toy data, trainings in this process."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from toy import toy_segmentor
from toy_data import CLASSES, UNLABELED, toy_config
from toy_rounds import resources, trainings_by, trainings_here
from toy_run import make_run

from mmseg_ctt.apis import load_model, predict
from mmseg_ctt.datasets.wrappers import leaf_configs
from mmseg_ctt.engine.fingerprint import config_hash, former_hash
from mmseg_ctt.engine.processes import ChildFailed, Stopped
from mmseg_ctt.self_training import Distillation, build_rounds, distillation, labelling
from mmseg_ctt.self_training.distillation_results import (
    check_test_images,
    compared_set,
    times_in_turns,
)


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return make_run(tmp_path_factory.mktemp('teacher'))


def config(teacher, tmp_path, **settings):
    """A plain toy segmentor, trained for two iterations on labelled images alone."""
    sampler = dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=0))
    cfg = toy_config(
        teacher.config.parent / 'data',
        tmp_path / 'unused',
        model=toy_segmentor(),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=2, val_interval=100),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)),
    )
    cfg.model.data_preprocessor.size = (32, 32)
    cfg.train_dataloader.sampler = sampler
    cfg.train_dataloader.batch_size = 2
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=2)
    files = dict(teacher_config=str(teacher.config), teacher_checkpoint=str(teacher.checkpoint))
    cfg.self_training = dict(type='Distillation', timed_images=2, **{**files, **settings})
    return cfg


def test_a_distillation(teacher, tmp_path):
    lines = []
    cfg = config(teacher, tmp_path, member='ensemble', confidence_threshold=0.5, baseline=True)
    training = build_rounds(cfg, tmp_path / 'run', tmp_path, lines.append)
    assert type(training) is Distillation
    with trainings_here() as commands:
        checkpoint = training.run(resources())
    folder = tmp_path / 'run'
    assert checkpoint == folder / 'distilled' / 'iter_2.pth'
    assert [command[4] for command in commands] == [
        str(folder / 'baseline'), str(folder / 'distilled')
    ]  # fmt: skip
    manifest = json.loads((folder / 'pseudo/manifest.json').read_text())
    assert manifest['class_names'] == list(CLASSES)
    model = load_model(teacher.config, teacher.checkpoint, 'ensemble')
    for entry in manifest['selected']:
        mask = np.array(Image.open(folder / 'pseudo' / entry['mask']))
        result = predict(model, entry['image'])
        sure = result.confidence >= 0.5 + 1e-4
        assert (mask[sure] == result.labels[sure]).all()
        assert (mask[result.confidence < 0.5 - 1e-4] == 255).all()
    trained = [Config.fromfile(folder / name / 'config.py') for name in ('baseline', 'distilled')]
    kinds = [one.train_dataloader.dataset.type for one in trained]
    assert kinds == ['LabeledUnlabeledDataset', 'SelfTrainingDataset']
    results = json.loads((folder / 'results.json').read_text())
    rows = results['networks']
    assert list(rows) == ['teacher', 'baseline', 'distilled'] and results['images'] == 2
    assert rows['teacher']['parameters'] > rows['distilled']['parameters']
    assert all(0 <= row['mIoU'] <= 100 and row['seconds'] > 0 for row in rows.values())
    table = training.closing_lines()
    assert any('small network, distilled' in line for line in table)
    assert '| teacher |' in (folder / 'results.md').read_text()
    (told,) = [line for line in lines if 'passes over' in line]
    batch, images = cfg.train_dataloader.batch_size, 3 + len(manifest['selected'])
    assert f'2 iterations, {2 * batch / images:.1f} passes over {images} images' in told


@pytest.mark.parametrize(
    'settings, words',
    [
        ({}, '3 of 3 images have pseudo-labels, for every pixel'),
        (
            dict(confidence_threshold=0.3),
            r'images have .*% of the pixels reach self_training\.confidence_threshold=0\.3$',
        ),
    ],
)
def test_what_is_said_of_the_pixels(teacher, tmp_path, settings, words):
    """All are labelled unless a threshold is set, and then none is called confident."""
    lines = []
    run(config(teacher, tmp_path, **settings), tmp_path, lines.append)
    assert any(re.search(words, line) for line in lines)
    assert not any('confident' in line for line in lines)


def run(cfg, tmp_path, report=str):
    """Folders of the trainings that were done."""
    with trainings_here() as commands:
        Distillation(cfg, tmp_path / 'run', tmp_path, report).run(resources())
    return [Path(command[4]).name for command in commands]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('stopped', [False, True])
def test_a_baseline_is_added_later(teacher, tmp_path, stopped):
    """What is there is kept: the labels, the small network, and the folder."""
    plain, more = (config(teacher, tmp_path, baseline=baseline) for baseline in (False, True))
    folder = tmp_path / 'run'

    def fail(_):
        raise ChildFailed('on purpose')

    if stopped:
        with trainings_by(fail), pytest.raises(ChildFailed):
            Distillation(plain, folder, tmp_path, str).run(resources())
    else:
        assert run(plain, tmp_path) == ['distilled']
    kept = [folder / name for name in ('predictions', 'pseudo', *['distilled'][stopped:])]
    before = [contents(path) for path in kept]
    assert run(more, tmp_path) == ['baseline', 'distilled'][: 1 + stopped]
    assert [contents(path) for path in kept] == before
    results = json.loads((folder / 'results.json').read_text())['networks']
    assert list(results) == ['teacher', 'baseline', 'distilled']
    assert 'labels alone' in (folder / 'results.md').read_text()
    assert run(more, tmp_path) == []
    with pytest.raises(ValueError, match='other self_training settings'):
        run(plain, tmp_path)


def test_a_stopped_baseline_that_was_added_goes_on(teacher, tmp_path):
    plain, more = (config(teacher, tmp_path, baseline=baseline) for baseline in (False, True))
    run(plain, tmp_path)

    def fail(_):
        raise ChildFailed('on purpose')

    with trainings_by(fail), pytest.raises(ChildFailed):
        Distillation(more, tmp_path / 'run', tmp_path, str).run(resources())
    whole = config(teacher, tmp_path, confidence_threshold=0, baseline=True)  # the default is 0.0
    assert run(whole, tmp_path) == ['baseline']
    assert run(more, tmp_path) == []
    other = config(teacher, tmp_path, confidence_threshold=0.1, baseline=True)
    with pytest.raises(ValueError, match='other self_training settings'):
        run(other, tmp_path)


@pytest.mark.parametrize('baseline', [False, True])
@pytest.mark.parametrize('hash_of', [config_hash, former_hash])
def test_a_folder_of_0_10_goes_on(teacher, tmp_path, hash_of, baseline):
    """There the checksum was of the settings, too, all of which distill.py wrote out."""
    cfg = config(teacher, tmp_path)
    training = Distillation(cfg, tmp_path / 'run', tmp_path, str)
    training.save(dict(step='distilled'))
    state = json.loads(training.file.read_text())
    full = dict(type='Distillation', **state['settings'])
    former = hash_of({**cfg, 'self_training': full})
    training.file.write_text(json.dumps(dict(state, config=former)))
    more = config(teacher, tmp_path, baseline=baseline)
    later = Distillation(more, tmp_path / 'run', tmp_path, str)
    assert former != state['config'] and later.holds_this_run()
    step = later.steps()[later._next(later.steps())].position['step']
    assert step == ('baseline' if baseline else 'distilled')


def test_a_stopped_distillation_goes_on(teacher, tmp_path):
    cfg = config(teacher, tmp_path, confidence_threshold=0.0)

    def fail(_):
        raise ChildFailed('on purpose')

    with trainings_by(fail), pytest.raises(ChildFailed):
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    state = json.loads((tmp_path / 'run/state.json').read_text())
    assert state['step'] == 'distilled'
    written = [tmp_path / 'run/predictions' / f'{i}.npz' for i in range(len(UNLABELED))]
    before = [path.stat().st_mtime_ns for path in written]
    with trainings_here():
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert [path.stat().st_mtime_ns for path in written] == before
    assert list(json.loads((tmp_path / 'run/results.json').read_text())['networks']) == [
        'teacher', 'distilled'
    ]  # fmt: skip
    (tmp_path / 'run/predictions/images.txt').write_text('another.jpg\n')
    with pytest.raises(ValueError, match=r'images\.txt has other images than the data set now'):
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    (tmp_path / 'run/predictions/images.txt').unlink()  # as in a folder of an earlier version
    other = config(teacher, tmp_path, confidence_threshold=0.1)
    with pytest.raises(ValueError, match='other self_training settings: choose another'):
        Distillation(other, tmp_path / 'run', tmp_path, str).run(resources())


def other_weights(teacher, folder):
    """A teacher of the same paths, with other weights."""
    checkpoint = torch.load(teacher.checkpoint)
    for value in checkpoint['state_dict'].values():
        if value.is_floating_point():
            value += 0.01
    torch.save(checkpoint, folder / 'teacher.pth')


def other_pipeline(teacher, folder):
    cfg = Config.fromfile(teacher.config)
    cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='Resize', scale=(24, 16)))
    cfg.dump(folder / 'teacher.py')


@pytest.mark.parametrize('change', [other_weights, other_pipeline])
@pytest.mark.parametrize('stop', ['label', 'distilled'])
def test_another_teacher_of_the_same_name(teacher, tmp_path, monkeypatch, change, stop):
    """Half of the pseudo-labels would be of one, half of the other."""
    shutil.copy(teacher.checkpoint, tmp_path / 'teacher.pth')
    shutil.copy(teacher.config, tmp_path / 'teacher.py')
    given = dict(
        teacher_checkpoint=str(tmp_path / 'teacher.pth'),
        teacher_config=str(tmp_path / 'teacher.py'),
    )
    cfg = config(teacher, tmp_path, confidence_threshold=0.0, **given)
    run = lambda: Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())  # noqa: E731

    def fail(_):
        raise ChildFailed('on purpose')

    with trainings_by(fail), pytest.raises(ChildFailed), monkeypatch.context() as patch:
        if stop == 'label':
            fail_after(patch, 2)  # the first is a check
        run()
    before = {path: path.read_bytes() for path in tmp_path.glob('run/**/*.*')}
    change(teacher, tmp_path)
    with pytest.raises(ValueError, match=r'teacher\.txt has another teacher now: weights, net'):
        run()
    assert {path: path.read_bytes() for path in tmp_path.glob('run/**/*.*')} == before
    (tmp_path / 'run/predictions/teacher.txt').unlink()  # as in a folder of an earlier version
    with trainings_here():
        run()


def fail_after(patch, number):
    """Let labelling fail after so many images."""
    real, done = labelling.predict_iter, []

    def predicts(model, images):
        if len(done) == number:
            raise ChildFailed('on purpose')
        done.append(images)
        return real(model, images)

    patch.setattr(labelling, 'predict_iter', predicts)


def test_labelling_ends_when_told(teacher, tmp_path):
    stopping = resources()
    stopping.stop.set()
    with pytest.raises(Stopped):
        Distillation(config(teacher, tmp_path), tmp_path / 'run', tmp_path, str).run(stopping)


@pytest.mark.parametrize(
    'settings, error, words',
    [
        (dict(teacher_config=''), ValueError, 'teacher_config must name a file'),
        (dict(teacher_config='absent.py'), FileNotFoundError, 'absent.py does not exist'),
        (dict(teacher_checkpoint='absent.pth'), FileNotFoundError, 'absent.pth does not exist'),
        (dict(confidence_threshold=1.5), ValueError, 'confidence_threshold'),
        (dict(baseline=1), TypeError, 'baseline must be True or False'),
        (dict(member=1), TypeError, 'member must be a name or None'),
        (dict(member='teacher9'), ValueError, 'labelling an image would fail.*teacher9'),
    ],
)
def test_bad_settings_write_nothing(teacher, tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        cfg = config(teacher, tmp_path, **settings)
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert not list((tmp_path / 'run').glob('[!.]*'))


def test_other_classes(teacher, tmp_path):
    cfg = config(teacher, tmp_path)
    names = [*CLASSES[:-1], 'another']
    for source in ('labeled', 'unlabeled'):
        cfg.train_dataloader.dataset[source].metainfo = dict(classes=names)
    with pytest.raises(ValueError, match='the teacher has the classes .* both must have the same'):
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())


@pytest.mark.parametrize('part', ['val', 'test'])
def test_test_images_are_not_labelled(teacher, tmp_path, part):
    """The lists of the small network may be others than those of the teacher."""
    cfg = config(teacher, tmp_path)
    own = tmp_path / 'own.txt'
    own.write_text(f'{UNLABELED[1]}\n')
    cfg[f'{part}_dataloader'].dataset.ann_file = str(own)
    with pytest.raises(ValueError, match=f'1 images of {part}_dataloader .*such as .*u1'):
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert not list((tmp_path / 'run').glob('[!.]*'))


def test_another_metric(teacher, tmp_path):
    cfg = config(teacher, tmp_path)
    cfg.test_evaluator = [dict(type='TaskMetric'), dict(type='IoUMetric', iou_metrics=['mDice'])]
    with pytest.raises(ValueError, match='test_evaluator gives no mIoU'):
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())


def sized(cfg, size, wrap, part='test'):
    """Let the images of a loader be resized in the pipeline, the data set within a wrapper."""
    dataset = cfg[f'{part}_dataloader'].dataset
    dataset.pipeline.insert(1, dict(type='Resize', scale=size, keep_ratio=True))
    inner = dict(times=1, dataset=dataset) if wrap == 'RepeatDataset' else dict(datasets=[dataset])
    if wrap:
        cfg[f'{part}_dataloader'].dataset = dict(type=wrap, **inner)
    return cfg


def scales(dataset):
    return [
        step['scale']
        for leaf in leaf_configs(dataset).values()
        for step in leaf['pipeline']
        if step['type'] == 'Resize'
    ]


@pytest.mark.parametrize('of_small', [None, 'ConcatDataset', 'RepeatDataset'])
@pytest.mark.parametrize('of_teacher', [None, 'ConcatDataset', 'RepeatDataset'])
def test_each_network_has_its_own_test_pipeline(teacher, tmp_path, of_small, of_teacher):
    small = sized(config(teacher, tmp_path), (24, 16), of_small)
    large = sized(Config.fromfile(teacher.config), (96, 64), of_teacher)
    for own, size in ((small, (24, 16)), (large, (96, 64))):
        assert scales(compared_set(own, small)) == [size]
        check_test_images(own, small)
    large.test_dataloader = None
    assert scales(compared_set(sized(large, (72, 48), of_teacher, 'val'), small)) == [(72, 48)]


def test_leaves_with_pipelines_of_their_own(teacher, tmp_path):
    cfg = config(teacher, tmp_path)
    (one, other) = (sized(config(teacher, tmp_path), size, None) for size in ((24, 16), (48, 32)))
    datasets = [made.test_dataloader.dataset for made in (one, other)]
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=datasets)
    assert scales(compared_set(cfg, cfg)) == [(24, 16), (48, 32)]


def test_a_teacher_without_labels_in_its_test_pipeline(teacher, tmp_path):
    large = Config.fromfile(teacher.config)
    large.test_dataloader.dataset.pipeline = [
        step
        for step in large.test_dataloader.dataset.pipeline
        if step['type'] not in ('LoadAnnotations', 'CheckSegMap')
    ]
    path = tmp_path / 'teacher.py'
    large.dump(path)
    cfg = config(teacher, tmp_path, teacher_config=str(path))
    with pytest.raises(ValueError, match='scoring the teacher would fail: .*packs no labels'):
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert not list((tmp_path / 'run').glob('[!.]*'))


def test_nothing_confident(teacher, tmp_path, monkeypatch):
    nothing = (np.zeros((32, 48), np.int64), np.zeros((32, 48), np.uint16))
    monkeypatch.setattr(distillation, 'read_label', lambda *_: nothing)
    cfg = config(teacher, tmp_path, confidence_threshold=0.5)
    with pytest.raises(ValueError, match='no pixel of 3 images reaches'):
        Distillation(cfg, tmp_path / 'run', tmp_path, str).run(resources())


def test_networks_take_turns():
    order = []

    class Noted(torch.nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def test_step(self, batch):
            order.append((self.name, batch))

    models = {name: Noted(name) for name in 'ab'}
    seconds = times_in_turns(models, dict(a=[1, 2], b=[3, 4]), lambda: None)
    assert order == [('a', 1), ('b', 3), ('a', 1), ('b', 3), ('a', 2), ('b', 4)]
    assert set(seconds) == {'a', 'b'}
