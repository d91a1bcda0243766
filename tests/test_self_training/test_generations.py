# Copyright (c) mmseg_ctt contributors.
"""Whole runs of self-training on the toy data, with the trainings in this process."""

import json
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from toy_data import SPLIT, UNLABELED, toy_config, write_toy_data
from toy_rounds import resources, trainings_here

from mmseg_ctt.datasets.frequency import label_frequency
from mmseg_ctt.datasets.wrappers import origin
from mmseg_ctt.engine.fingerprint import config_hash, former_hash
from mmseg_ctt.engine.processes import ChildFailed, Stopped
from mmseg_ctt.self_training import (
    SelfTraining,
    SelfTrainingDataset,
    build_rounds,
    generations,
    labelling,
    rounds,
)
from mmseg_ctt.self_training.image_lists import below_common_folder, keep_list


@pytest.fixture
def root(tmp_path):
    return write_toy_data(tmp_path / 'data')


@pytest.fixture
def trained():
    with trainings_here() as commands:
        yield commands


def config(root, **settings):
    cfg = toy_config(
        root,
        root / 'unused',
        train_cfg=dict(type='ResumableTrainLoop', max_iters=2, val_interval=100),
    )
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=2)
    cfg.self_training = settings
    return cfg


def test_an_alignment_of_the_base_config_is_replaced(root, tmp_path):
    cfg = config(root, align=True)
    cfg.default_hooks.alignment = dict(type='DistributionAlignmentHook', temperature=0.1)
    training = SelfTraining(cfg, tmp_path / 'run', tmp_path)
    training.frequency = label_frequency(cfg)
    hooks = training.config(0).default_hooks
    assert hooks.alignment.temperature == 1 and hooks.teacher_ema == cfg.default_hooks.teacher_ema
    cfg.self_training.align = False
    assert SelfTraining(cfg, tmp_path / 'run', tmp_path).config(0).default_hooks == (
        cfg.default_hooks
    )


@pytest.mark.parametrize('given', ['mmseg_ctt', ['mmseg_ctt', 'toy'], None])
def test_modules_that_a_training_imports(given, root, tmp_path):
    """A single module may stand as a string, as mmengine takes it."""
    cfg = config(root)
    cfg.custom_imports = given and dict(imports=given)
    names = SelfTraining(cfg, tmp_path / 'run', tmp_path).config(0).custom_imports.imports
    named = [given] if isinstance(given, str) else given or ['mmseg_ctt']
    assert names == [*named, 'mmseg_ctt.self_training']


def test_two_generations(root, tmp_path, trained):
    lines = []
    training = SelfTraining(
        config(root, generations=2, align=True, alpha=0.5), tmp_path / 'run', tmp_path, lines.append
    )
    checkpoint = training.run(resources())
    assert checkpoint == tmp_path / 'run' / 'gen1' / 'iter_2.pth'
    assert [command[4] for command in trained] == [
        str(tmp_path / 'run' / f'gen{g}') for g in (0, 1)
    ]
    first, second = (Config.fromfile(tmp_path / 'run' / f'gen{g}' / 'config.py') for g in (0, 1))
    assert first.train_dataloader.dataset.type == 'LabeledUnlabeledDataset'
    assert second.train_dataloader.dataset.type == 'SelfTrainingDataset'
    assert [cfg.default_hooks.alignment.temperature for cfg in (first, second)] == [1, 0.5]
    manifest = json.loads((tmp_path / 'run/gen0/pseudo/manifest.json').read_text())
    assert 0 < len(manifest['selected']) <= len(UNLABELED)
    state = [torch.load(tmp_path / f'run/gen{g}/iter_2.pth')['state_dict'] for g in (0, 1)]
    assert all(one['num_updates'] == 2 for one in state)  # both from the beginning
    assert len(lines) == len([line for line in lines if line.startswith('generation')]) >= 4
    before = len(trained)
    assert (
        SelfTraining(
            config(root, generations=2, align=True, alpha=0.5),
            tmp_path / 'run',
            tmp_path,
            lines.append,
        ).run(resources())
        == checkpoint
    )
    assert len(trained) == before + 1  # the last training, which finds itself at its end
    with pytest.raises(ValueError, match='other self_training settings: choose another'):
        SelfTraining(config(root, generations=3), tmp_path / 'run', tmp_path).run(resources())


def test_a_state_of_0_10_goes_on(root, tmp_path):
    """There a checkpoint counted by its name, and not by the folder of its run."""
    cfg = config(root, generations=2)
    cfg.load_from = '/runs/a/iter_8.pth'
    training = SelfTraining(cfg, tmp_path / 'run', tmp_path, str)
    training.save(dict(generation=0, step='select'))
    state = json.loads(training.file.read_text())
    training.file.write_text(json.dumps(dict(state, config=former_hash(cfg))))
    assert former_hash(cfg) != state['config']
    assert training.steps()[training._next(training.steps())].position['step'] == 'select'
    cfg.load_from = '/runs/a/iter_9.pth'
    with pytest.raises(ValueError, match='another config'):
        training._next(training.steps())


def test_the_state_is_that_of_0_3(root, tmp_path):
    """A folder of 0.3 goes on where it stopped, whether the recipe is named or not."""
    training = SelfTraining(config(root, generations=2), tmp_path / 'run', tmp_path, str)
    assert type(build_rounds(config(root), tmp_path, tmp_path)) is SelfTraining
    assert type(build_rounds(config(root, type='CReST'), tmp_path, tmp_path)) is SelfTraining
    training.save(dict(generation=0, step='select'))
    state = json.loads(training.file.read_text())
    assert list(state) == ['settings', 'config', 'generation', 'step']
    assert state['step'] == 'select'
    former = config_hash(training.cfg)  # of the settings, too
    training.file.write_text(json.dumps(dict(state, config=former)))
    assert training.holds_this_run() and state['config'] != former
    assert list(state['settings']) == [
        'generations',
        'alpha',
        'mode',
        'confidence_threshold',
        'min_area',
        'count',
        'align',
        'low_temperature',
        'member',
    ]


def test_a_run_of_0_1_is_resumed(root, tmp_path, trained):
    cfg = config(root, generations=2, mode='restricted')
    training = SelfTraining(cfg, tmp_path / 'run', tmp_path, str)
    training.save(dict(generation=0, step='train'))
    state = json.loads(training.file.read_text())
    state['settings']['sure'] = state['settings'].pop('confidence_threshold')
    training.file.write_text(json.dumps(state))
    assert training.run(resources()) == tmp_path / 'run' / 'gen1' / 'iter_2.pth'
    state['settings']['sure'] = 0.5
    training.file.write_text(json.dumps(state))
    with pytest.raises(ValueError, match='other self_training settings'):
        training.run(resources())


def test_an_unused_setting_of_a_state_does_not_count(root, tmp_path, trained):
    """An earlier version took it; it would end the run now, and must be removed to go on."""
    training = SelfTraining(config(root, generations=1), tmp_path / 'run', tmp_path, str)
    training.run(resources())
    state = json.loads(training.file.read_text())
    state['settings'].update(confidence_threshold=0.9, low_temperature=0.1)
    training.file.write_text(json.dumps(state))
    training.run(resources())
    assert len(trained) == 2 and all(command[-1] == '--resume' for command in trained)
    training.file.write_text(json.dumps(dict(state, settings=dict(state['settings'], alpha=-1))))
    with pytest.raises(ValueError, match='other self_training settings'):
        training.run(resources())


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """Weights of a run of two generations."""
    place = tmp_path_factory.mktemp('whole')
    root = write_toy_data(place / 'data')
    with trainings_here(), DefaultScope.overwrite_default_scope('mmseg'):
        checkpoint = SelfTraining(config(root, generations=2), place / 'run', place, str).run(
            resources()
        )
    return torch.load(checkpoint)['state_dict']


def stop_at(patch, when):
    """Let the first generation fail: in its training, after one image, or in the selection."""
    if when == 'train':
        patch.setattr(rounds, 'run_logged', lambda *_, **__: fail())
    elif when == 'label':  # the first call is the check before the first training
        real, calls = labelling.predict_iter, []
        patch.setattr(
            labelling,
            'predict_iter',
            lambda *given: (calls.append(1), fail() if len(calls) == 3 else real(*given))[1],
        )
    else:
        patch.setattr(generations, 'write_selection', lambda *_: fail())


@pytest.mark.parametrize('when', ['train', 'label', 'select'])
def test_stopped_anywhere_it_comes_to_the_same(root, tmp_path, uninterrupted, trained, when):
    stopped = SelfTraining(config(root, generations=2), tmp_path / 'run', tmp_path, str)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, when)
        with pytest.raises(ChildFailed):
            stopped.run(resources())
    assert json.loads((tmp_path / 'run/state.json').read_text())['step'] == when
    if when == 'label':
        made = sorted(path.name for path in (tmp_path / 'run/gen0/predictions').iterdir())
        assert made == ['0.npz', 'images.txt', 'teacher.txt']
    made = torch.load(
        SelfTraining(config(root, generations=2), tmp_path / 'run', tmp_path, str).run(resources())
    )['state_dict']
    assert all(torch.equal(value, made[name]) for name, value in uninterrupted.items())


@pytest.mark.parametrize('when', ['label', 'select'])
def test_predictions_are_not_taken_for_those_of_other_images(root, tmp_path, trained, when):
    """They are files by number: another list would give each image the labels of another."""
    cfg = config(root, generations=2)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ChildFailed):
        stop_at(patch, when)
        SelfTraining(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    kept = (tmp_path / 'run/gen0/predictions/images.txt').read_text()
    assert kept == ''.join(f'{stem}.jpg\n' for stem in UNLABELED)
    listed = root / SPLIT / 'unlabeled.txt'
    before = listed.read_text()
    for stems in (UNLABELED[1:], UNLABELED[::-1]):
        listed.write_text(''.join(f'{stem}\n' for stem in stems))
        with pytest.raises(ValueError, match=r'predictions/images\.txt has other images than'):
            SelfTraining(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    listed.write_text(before)
    assert SelfTraining(cfg, tmp_path / 'run', tmp_path, str).run(resources()).is_file()


def test_a_list_of_images_is_that_of_moved_data(tmp_path):
    names = below_common_folder(['/a/img/x.jpg', '/a/img/day/y.jpg'])
    assert names == below_common_folder(['/b/c/x.jpg', '/b/c/day/y.jpg'])
    assert names == ['x.jpg', 'day/y.jpg']
    assert below_common_folder([]) == [] and below_common_folder(['/a/x.jpg']) == ['x.jpg']
    keep_list(tmp_path / 'images.txt', names, 'why')
    keep_list(tmp_path / 'images.txt', names, 'why')
    with pytest.raises(ValueError, match=r'images\.txt has other images than .*: why'):
        keep_list(tmp_path / 'images.txt', names[::-1], 'why')


def shifted(root):
    """Masks whose class ids count from 1, and 0 is no class."""
    for path in (root / 'ann').glob('*.png'):
        ids = np.array(Image.open(path)).astype(int)
        Image.fromarray(np.where(ids == 255, 0, ids + 1).astype(np.uint8)).save(path)


@pytest.mark.parametrize('explicit', [False, True])
def test_reduce_zero_label(root, tmp_path, trained, explicit):
    """Labels are shifted when they are read, pseudo-labels are not."""
    shifted(root)
    cfg = config(root, generations=2)
    cfg.train_dataloader.dataset.labeled.reduce_zero_label = True
    if explicit:
        cfg.train_dataloader.dataset.labeled.pipeline[1].reduce_zero_label = True
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    checkpoint = SelfTraining(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert checkpoint.parent.name == 'gen1' and len(trained) == 2
    data = dict(Config.fromfile(tmp_path / 'run/gen1/config.py').train_dataloader.dataset)
    with DefaultScope.overwrite_default_scope('mmseg'):
        data = SelfTrainingDataset(**{k: v for k, v in data.items() if k != 'type'})
    entries = json.loads((tmp_path / 'run/gen0/pseudo/manifest.json').read_text())['selected']
    for index, entry in enumerate(entries, 3):
        info = data.labeled.get_data_info(index)
        assert info['img_path'] == entry['image'] and not info['reduce_zero_label']
        leaf, position = origin(data.labeled, index)
        load = leaf.pipeline.transforms[1]
        read = load(leaf.get_data_info(position))['gt_seg_map']
        mask = np.array(Image.open(tmp_path / 'run/gen0/pseudo' / entry['mask']))
        assert (read == mask).all()
    labels = {value for i in range(3) for value in data[i]['data_samples'].gt_sem_seg.data.unique()}
    assert {int(value) for value in labels} <= {0, 1, 2, 3, 255}


@pytest.mark.parametrize('wrap', ['RepeatDataset', 'ConcatDataset'])
def test_joined_and_repeated_sets(root, tmp_path, trained, wrap):
    cfg = config(root, generations=2)
    for name in ('labeled', 'unlabeled'):
        part = cfg.train_dataloader.dataset[name]
        inner = dict(times=2, dataset=part) if wrap == 'RepeatDataset' else dict(datasets=[part])
        cfg.train_dataloader.dataset[name] = dict(type=wrap, **inner)
    SelfTraining(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    predictions = list((tmp_path / 'run/gen0/predictions').glob('*.npz'))
    assert len(predictions) == len(UNLABELED)  # each image once


def no_checkpoint(cfg):
    cfg.default_hooks.checkpoint = None


def last_is_not_saved(cfg):
    cfg.default_hooks.checkpoint.save_last = False


def own_dataset(cfg):
    cfg.train_dataloader.dataset.type = 'OwnDataset'


def pipeline_from_pixels(cfg):
    cfg.test_dataloader.dataset.pipeline[0].type = 'LoadImageFromNDArray'


def pipeline_of_another_kind(cfg):
    cfg.train_dataloader.dataset.labeled.pipeline.insert(
        2, dict(type='LoadAnnotations', reduce_zero_label=False, imdecode_backend='none')
    )


def pseudo_of_the_config(cfg):
    cfg.train_dataloader.dataset.pseudo = 'somewhere'


def another_unlabelled_list(cfg):
    cfg.train_dataloader.dataset.unlabeled.ann_file = 'nowhere.txt'


@pytest.mark.parametrize(
    'change, settings, words',
    [
        (no_checkpoint, {}, 'default_hooks.checkpoint does not save the last'),
        (last_is_not_saved, {}, 'default_hooks.checkpoint does not save the last'),
        (own_dataset, {}, 'dataset.type="OwnDataset": self-training adds'),
        (pipeline_from_pixels, {}, 'labelling the images would fail: test_dataloader.dataset.pip'),
        (pipeline_of_another_kind, {}, 'training on pseudo-labels would fail: .*none'),
        (pseudo_of_the_config, {}, 'dataset.pseudo is set by self-training: remove it'),
        (another_unlabelled_list, {}, 'nowhere.txt .* does not exist'),
        (str, dict(member='teacher7'), "labelling .* no member 'teacher7'"),
        (str, dict(align=True), 'align=True aligns .*EncoderDecoder makes none'),
    ],
)
def test_faults_of_later_generations_end_before_the_first(
    root, tmp_path, trained, change, settings, words
):
    cfg = config(root, generations=2, **settings)
    if settings.get('align'):
        cfg.model = cfg.model.segmentor  # a plain segmentor makes no pseudo-labels
        cfg.default_hooks.teacher_ema = cfg.default_hooks.queue_warmup = None
    change(cfg)
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        SelfTraining(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert '\n' not in str(error.value)
    assert trained == [] and not (tmp_path / 'run/gen0').exists()
    assert not (tmp_path / 'run/.check').exists()


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(generations=2.5), 'generations must be a whole number'),
        (dict(alpha='much'), 'alpha must be a number'),
        (dict(min_area=True), 'min_area must be a number'),
        (dict(align=1), 'align must be True or False'),
        (dict(member=0), 'member must be a name or None'),
    ],
)
def test_types_of_settings(root, tmp_path, settings, words):
    with pytest.raises(TypeError, match=f'self_training.{words}'):
        SelfTraining(config(root, **settings), tmp_path / 'run', tmp_path)


def fail():
    raise ChildFailed('on purpose')


def test_a_start_that_fails_can_be_corrected(root, tmp_path, monkeypatch):
    """Missing data leave nothing; a training that fails at its start does not bind the folder."""
    folder = tmp_path / 'run'
    cfg = config(root, generations=1)
    cfg.train_dataloader.dataset.split = 'splits/absent'
    with pytest.raises(FileNotFoundError, match='splits/absent'):
        SelfTraining(cfg, folder, tmp_path).run(resources())
    assert not folder.exists()
    cfg = config(root, generations=1)
    cfg.load_from = 'absent.pth'
    with trainings_here(), pytest.raises((ValueError, FileNotFoundError), match=r'absent\.pth'):
        SelfTraining(cfg, folder, tmp_path).run(resources())
    cfg.load_from, cfg.randomness.seed = None, 8
    with trainings_here():
        checkpoint = SelfTraining(cfg, folder, tmp_path).run(resources())
    assert [path.name for path in (folder / 'gen0').glob('*.py')] == ['config.py']
    assert Config.fromfile(folder / 'gen0' / 'config.py').randomness.seed == 8
    cfg.randomness.seed = 9
    with pytest.raises(ValueError, match='belongs to a run with another config'):
        SelfTraining(cfg, folder, tmp_path).run(resources())
    assert Config.fromfile(folder / 'gen0' / 'config.py').randomness.seed == 8
    assert checkpoint.is_file()


def test_labelling_ends_when_asked(root, tmp_path, trained):
    stopping = resources()
    training = SelfTraining(config(root, generations=2), tmp_path / 'run', tmp_path, str)
    training._train, inner = lambda *given: (inner(*given), stopping.stop.set()), training._train
    with pytest.raises(Stopped):
        training.run(stopping)
    assert not list((tmp_path / 'run/gen0/predictions').glob('*.npz'))


def test_one_process_at_a_time(root, tmp_path):
    training = SelfTraining(config(root), tmp_path / 'run', tmp_path, str)
    with (
        rounds.locked(training.folder / '.lock'),
        pytest.raises(ValueError, match='another process'),
    ):
        training.run(resources())


def test_a_checkpoint_is_needed(root, tmp_path):
    with pytest.raises(ValueError, match='no checkpoint'):
        SelfTraining(config(root), tmp_path / 'run', tmp_path, str).checkpoint(0)


def test_dataset_with_pseudo_labels(root, tmp_path):
    settings = dict(config(root).train_dataloader.dataset)
    settings.pop('type')
    with pytest.raises(FileNotFoundError, match='train_dataloader.dataset.pseudo'):
        SelfTrainingDataset(pseudo=str(tmp_path / 'none'), **settings)
    (tmp_path / 'p' / 'masks').mkdir(parents=True)
    Image.fromarray(np.full((32, 48), 2, np.uint8)).save(tmp_path / 'p/masks/0_u1.png')
    entry = dict(image=str(root / 'img' / 'u1.jpg'), mask='masks/0_u1.png')
    (tmp_path / 'p/manifest.json').write_text(json.dumps(dict(selected=[entry])))
    data = SelfTrainingDataset(pseudo=str(tmp_path / 'p'), **settings)
    assert len(pickle.loads(pickle.dumps(data.labeled))) == 4  # as for a loader's workers
    assert (data.num_labeled, data.num_unlabeled, len(data)) == (4, 3, 7)
    sample = data[3]['data_samples']
    assert sample.metainfo['source'] == 'labeled' and (sample.gt_sem_seg.data == 2).all()
    assert data[4]['data_samples'].metainfo['source'] == 'unlabeled'
    images = [data.unlabeled.get_data_info(i)['img_path'] for i in range(3)]
    assert entry['image'] in images  # the unlabelled set is unchanged
    (tmp_path / 'p/masks/0_u1.png').unlink()
    with pytest.raises(FileNotFoundError, match='mask'):
        SelfTrainingDataset(pseudo=str(tmp_path / 'p'), **settings)
