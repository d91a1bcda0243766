# Copyright (c) mmseg_ctt contributors.
"""Rounds of AuxSegNet on toy data: what is trained, labelled, refined and written."""

import csv
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from PIL import Image
from toy import NUM_CLASSES
from toy_data import CLASSES, LABELED, UNLABELED, toy_config, toy_method, write_mask, write_toy_data
from toy_rounds import resources, trainings_by, trainings_here

from mmseg_ctt.datasets import PseudoLabelDataset
from mmseg_ctt.deploy.api import load_model
from mmseg_ctt.deploy.class_maps import folder as class_map_folder
from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.processes import ChildFailed, Stopped
from mmseg_ctt.engine.start_config import read_config
from mmseg_ctt.functional import normalized_class_maps, propagate
from mmseg_ctt.self_training import (
    AuxSegNetSettings,
    auxsegnet_initial,
    auxsegnet_refinement,
    auxsegnet_rounds,
    build_rounds,
)
from mmseg_ctt.self_training.rounds import Rounds
from mmseg_ctt.weak_labels import fuse
from mmseg_ctt.weak_labels.class_map_files import read_class_maps

STEMS = (*LABELED, *UNLABELED)
UNFLIPPED = dict(scales=None, flip=True)  # defaults: no class maps are made
SIZE = (32, 48)


def toy_rounds_config(root, **settings):
    """A run of AuxSegNet around the toy segmentor on images with tags."""
    cfg = toy_config(
        root,
        root / 'unused',
        model=toy_method('AuxSegNet'),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=2, val_interval=100),
    )
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=2)
    usual = dict(rounds=2, scales=[1.0], flip=False, truth='ann', saliency='grabcut')
    cfg.self_training = {'type': 'AuxSegNet', **usual, **settings}
    return prepare_config(cfg)


def write_data(root):
    """Toy data with masks of all images, which a run may only score its labels with."""
    write_toy_data(root)
    for seed, stem in enumerate(UNLABELED, 7):
        write_mask(root / 'ann' / f'{stem}.png', seed)
    return root


@pytest.fixture
def root(tmp_path):
    return write_data(tmp_path / 'data')


def stub(cfg):
    """A training of no time: its weights depend on those before and on the pseudo-labels."""
    with torch.random.fork_rng([]), DefaultScope.overwrite_default_scope('mmseg'):
        torch.manual_seed(4)
        model = MODELS.build(cfg.model)
        seed = 0
        for step in cfg.train_dataloader.dataset.tagged.pipeline:
            if step['type'] == 'LoadMaps':
                seed += sum(int(pixels(step['maps']['pseudo_label'], s).sum()) for s in STEMS)
        if cfg.get('load_from'):
            model.load_state_dict(torch.load(cfg.load_from)['state_dict'])
        torch.manual_seed(seed)
        for name, weight in model.named_parameters():
            weight.data += (0.5 if 'query' in name or 'key' in name else 0.1) * torch.randn(
                weight.shape
            )
    path = f'{cfg.work_dir}/iter_2.pth'
    torch.save(dict(meta=dict(iter=2), state_dict=model.state_dict()), path)
    with open(f'{cfg.work_dir}/last_checkpoint', 'w') as file:
        file.write(path)


@pytest.fixture
def stubbed():
    with trainings_by(stub) as commands:
        yield commands


def build(root, folder, lines=None, **settings):
    report = str if lines is None else lines.append
    return build_rounds(toy_rounds_config(root, **settings), folder, folder.parent, report)


def run(root, folder, lines=None, **settings):
    return build(root, folder, lines, **settings).run(resources())


def pixels(folder, stem):
    return np.array(Image.open(f'{folder}/{stem}.png'))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Folder of a finished run, with its data beside it; not to be changed."""
    folder = tmp_path_factory.mktemp('finished')
    with trainings_by(stub), DefaultScope.overwrite_default_scope('mmseg'):
        run(write_data(folder / 'data'), folder / 'run')
    return folder


def tags_of(folder, stem):
    return tuple(json.loads((folder / 'data/tags.json').read_text())[stem])


# ---- what is trained


def test_real_rounds(root, tmp_path):
    """A classifier, then two rounds from tags alone."""
    with trainings_here() as commands:
        checkpoint = run(root, tmp_path / 'run', truth=None)
    work = tmp_path / 'run'
    assert checkpoint == work / 'round1/iter_2.pth'
    folders = [str(work / name) for name in ('classifier', 'round0', 'round1')]
    assert [command[4] for command in commands] == folders
    state = json.loads((work / 'state.json').read_text())
    assert (state['round'], state['step']) == (2, 'label')


def test_configs_of_the_trainings(finished):
    work = finished / 'run'
    configs = [Config.fromfile(work / f'{n}/config.py') for n in ('classifier', 'round0', 'round1')]
    assert [cfg.model.type for cfg in configs] == ['ClassActivationMaps', 'AuxSegNet', 'AuxSegNet']
    head = configs[0].model.segmentor.decode_head
    assert head.type == 'ClassMapHead' and head.num_classes == NUM_CLASSES
    steps = [cfg.train_dataloader.dataset.tagged.pipeline for cfg in configs]
    assert 'LoadMaps' not in [step['type'] for step in steps[0]]
    for number, pipeline in enumerate(steps[1:]):
        labels = work / f'round{number}/labels'
        assert pipeline[1]['maps'] == {
            'pseudo_label': str(labels / 'masks'),
            'saliency': str(labels / 'saliency'),
        }
    before = str(work / 'round0/iter_2.pth')
    assert [cfg.get('load_from') for cfg in configs] == [None, None, before]
    assert all('self_training' not in cfg for cfg in configs)


def test_changes_of_the_classifier(root, tmp_path):
    made = build(root, tmp_path / 'run', classifier=dict(train_cfg=dict(max_iters=7)))
    assert made.classifier_config().train_cfg.max_iters == 7
    assert made.config(0).train_cfg.max_iters == 2
    assert [step.position['step'] for step in made.steps()] == [
        *('classify', 'label', 'train', 'evaluate', 'label', 'train', 'evaluate', 'label')
    ]


def test_another_length_of_the_classifier_moves_its_schedule(tmp_path):
    """As the page of the method says; the config of VOC names the end of its schedule."""
    cfg = read_config(
        'auxsegnet_r101-d8_voc.py', {'self_training.classifier.sizes.max_iters': 4000}
    )
    made = build_rounds(cfg, tmp_path / 'run', tmp_path)
    shorter, whole = prepare_config(made.classifier_config()), made.config(0)
    assert (whole.train_cfg.max_iters, whole.param_scheduler[0].end) == (39700, 39701)
    assert (shorter.train_cfg.max_iters, shorter.param_scheduler[0].end) == (4000, 4001)


def test_a_schedule_of_another_length_than_the_classifier(root, tmp_path, stubbed):
    cfg = toy_rounds_config(root, classifier=dict(train_cfg=dict(max_iters=1)))
    cfg.param_scheduler[0].end = 3
    words = (
        r'classifier.train_cfg.max_iters=1 leaves param_scheduler.0.end=3.*set self_training\.cl'
    )
    with pytest.raises(ValueError, match=words):
        build_rounds(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert not stubbed
    cfg.self_training.classifier.param_scheduler = [dict(type='PolyLR', end=2, by_epoch=False)]
    build_rounds(cfg, tmp_path / 'run', tmp_path, str).run(resources())


# ---- labels


def test_first_labels_join_class_maps_and_saliency(finished):
    work, kinds = finished / 'run', set()
    for stem in STEMS:
        found = read_class_maps(work / 'classifier/class_maps', stem)
        saliency = pixels(work / 'saliency', stem)
        assert tuple(found.classes) == tuple(sorted(set(found.classes)))
        expected = fuse('auxsegnet', found.maps, list(found.classes), saliency / 255)
        label = pixels(work / 'round0/labels/masks', stem)
        assert (label == expected).all()
        assert (pixels(work / 'round0/labels/saliency', stem) == saliency).all()
        kinds |= set(np.unique(label).tolist())
    assert {0, 255} < kinds


def refined_by_hand(work, number, image, stem, settings):
    """Label and saliency: maps walk along the cross-task affinity of the round before."""
    before = work / f'round{number - 1}'
    model = load_model(Config.fromfile(before / 'config.py'), before / 'iter_2.pth')
    mean, std = ([120.0, 110.0, 100.0], [60.0, 50.0, 40.0])
    x = torch.tensor((image - mean) / std).float().permute(2, 0, 1)[None]
    found = read_class_maps(work / 'classifier/class_maps', stem)
    tags = found.classes
    with torch.no_grad():
        features, head = model.extract_feat(x), model.decode_head
        cross = head.cross_task(*head._affinities(features[1])[2])
        maps = normalized_class_maps(head.class_maps(features))[:, tags - 1]
        if settings.get('refines') == 'classifier':
            maps = F.avg_pool2d(torch.from_numpy(found.maps)[None], 4)
        maps = propagate(cross, maps)
        if settings.get('normalize_refined', True):
            maps = normalized_class_maps(maps)
        saliency = propagate(cross, head.task_maps(features).sal_init).sigmoid()
    maps, saliency = (F.interpolate(m, SIZE, mode='bilinear')[0].numpy() for m in (maps, saliency))
    first = pixels(work / 'round0/labels/saliency', stem) / 255
    saliency = ((saliency[0] + first) / 2).astype(np.float32)
    if settings.get('saliency_refinement', 'pamr'):
        saliency = auxsegnet_refinement.by_pamr(image, saliency)
    level = settings.get('refined_salient_level', 0.3)
    levels = dict(salient_level=level, object_level=settings.get('refined_object_level', 0.2))
    return fuse('auxsegnet', maps, list(tags), saliency, **levels), saliency, tags


def assert_refined(root, work, out, number, settings):
    for stem in STEMS:
        image = np.array(Image.open(root / f'img/{stem}.jpg'))
        label, saliency, tags = refined_by_hand(work, number, image, stem, settings)
        assert np.abs(pixels(out / 'saliency', stem) / 255 - saliency).max() < 0.003
        got = pixels(out / 'masks', stem)
        assert (got == label).mean() > 0.999  # rounding at the thresholds
        assert set(np.unique(got)) <= {0, 255, *tags}


@pytest.mark.parametrize('number', [1, 2])
def test_labels_are_refined_by_the_affinity(finished, number):
    work = finished / 'run'
    out = work / ('final_labels' if number == 2 else f'round{number}/labels')
    assert_refined(finished / 'data', work, out, number, {})


def test_other_ways_to_refine(root, tmp_path, stubbed):
    settings = dict(
        refines='classifier',
        normalize_refined=False,
        saliency_refinement=None,
        refined_salient_level=0.06,
        refined_object_level=0.35,
        rounds=1,
    )
    run(root, tmp_path / 'run', **settings)
    assert_refined(root, tmp_path / 'run', tmp_path / 'run/final_labels', 1, settings)


@pytest.mark.parametrize('name', ['round0/labels', 'round1/labels', 'final_labels'])
def test_labels_are_a_data_set(finished, name):
    labels = finished / 'run' / name
    classes = json.loads((labels / 'meta.json').read_text())['classes']
    assert len(classes) == NUM_CLASSES
    data = PseudoLabelDataset(
        str(labels), dict(img_path=str(finished / 'data/img')), metainfo=dict(classes=classes)
    )
    assert [info['seg_map_path'] for info in data] == [f'{labels}/masks/{s}.png' for s in STEMS]


def test_truth_is_scored_and_nothing_else(root, tmp_path, finished, stubbed):
    run(root, tmp_path / 'run', truth=None)
    folder = 'final_labels/masks'
    for stem in STEMS:
        one, other = (
            pixels(tmp_path / 'run' / folder, stem),
            pixels(finished / 'run' / folder, stem),
        )
        assert (one == other).all()
    rows = list(csv.DictReader((tmp_path / 'run/results.csv').open()))
    assert [(row['round'], row['scored']) for row in rows] == [('0', 'network'), ('1', 'network')]


def test_results(finished):
    """By hand: a pixel without a label is a miss, and is left out of the second score."""
    rows = list(csv.DictReader((finished / 'run/results.csv').open()))
    expected = [(n, scored) for n in '01' for scored in ('pseudo-labels', 'network')]
    expected.append(('2', 'pseudo-labels'))
    assert [(row['round'], row['scored']) for row in rows] == expected
    pairs = [
        (pixels(finished / 'run/round1/labels/masks', stem), pixels(finished / 'data/ann', stem))
        for stem in STEMS
    ]
    label, truth = (np.concatenate([p[i].ravel() for p in pairs]) for i in (0, 1))
    known = truth != 255
    label, truth = label[known], truth[known]
    for name, counted in (
        ('mIoU', np.ones_like(label, bool)),
        ('mIoU of labelled pixels', label != 255),
    ):
        given, true = label[counted], truth[counted]
        iou = [
            ((given == k) & (true == k)).sum() / ((given == k) | (true == k)).sum()
            for k in range(NUM_CLASSES)
        ]
        assert float(rows[2][name]) == pytest.approx(100 * np.mean(iou), abs=0.02)
    assert float(rows[2]['labelled']) == pytest.approx(100 * (label != 255).mean(), abs=0.01)
    assert int(rows[2]['images']) == len(STEMS) and int(rows[1]['images']) == len(LABELED)


# ---- given saliency and pseudo-labels


def write_maps(folder, value=None, size=SIZE):
    folder.mkdir(parents=True)
    for seed, stem in enumerate(STEMS):
        values = np.random.RandomState(seed).randint(0, NUM_CLASSES, size)
        Image.fromarray((values if value is None else values * 0 + value).astype(np.uint8)).save(
            folder / f'{stem}.png'
        )
    return str(folder)


def test_given_pseudo_labels_and_saliency(root, tmp_path, stubbed):
    initial = write_maps(tmp_path / 'labels')
    saliency = write_maps(tmp_path / 'saliency', 200)
    lines = []
    run(root, tmp_path / 'run', lines, initial=initial, saliency=saliency, rounds=1, **UNFLIPPED)
    assert len(stubbed) == 1 and not (tmp_path / 'run/classifier').exists()
    assert not (tmp_path / 'run/saliency').exists()
    for stem in STEMS:
        made = tmp_path / 'run/round0/labels'
        assert (pixels(made / 'masks', stem) == pixels(initial, stem)).all()
        assert (pixels(made / 'saliency', stem) == 200).all()
    assert any('mIoU of the pseudo-labels' in line for line in lines)


# ---- stopped and started again


def all_files(folder):
    """Content of what a run comes to."""
    maps = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*.png')}
    return maps, (folder / 'results.csv').read_text()


def failing(patch, module, name, call):
    """Let call number ``call`` of a function fail, before it does anything."""
    real, calls = getattr(module, name), []

    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise ChildFailed('on purpose')
        return real(*args, **kwargs)

    patch.setattr(module, name, counted)


LABELS = auxsegnet_initial.LabelFolder
STOPS = [  # round and step that fail, the function, and the call of it; the first is a check
    ((0, 'label'), auxsegnet_initial, 'write_map', 4),
    ((0, 'label'), auxsegnet_rounds, 'class_maps_of', 1),
    ((0, 'label'), LABELS, 'write', 4),
    ((0, 'train'), Rounds, 'train', 2),
    ((0, 'evaluate'), auxsegnet_rounds, 'network_scores', 1),
    ((1, 'label'), LABELS, 'write', 10),
    ((2, 'label'), auxsegnet_rounds, 'label_scores', 3),
]


@pytest.mark.parametrize('stop', STOPS, ids=lambda stop: f'{stop[0]}-{stop[2]}')
def test_stopped_anywhere_it_comes_to_the_same(root, tmp_path, stubbed, finished, stop):
    at, module, name, call = stop
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ChildFailed):
        failing(patch, module, name, call)
        run(root, tmp_path / 'run')
    state = json.loads((tmp_path / 'run/state.json').read_text())
    assert (state['round'], state['step']) == at
    run(root, tmp_path / 'run')
    assert len(stubbed) == 3  # none is trained twice
    maps, results = all_files(tmp_path / 'run')
    expected, table = all_files(finished / 'run')
    assert maps == expected and results == table


def test_labels_of_two_settings_are_not_mixed(root, tmp_path, stubbed):
    """The first labels bind the folder, also where no training comes before them."""
    first, second = (write_maps(tmp_path / name, value) for name, value in (('a', 1), ('b', 2)))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ChildFailed):
        failing(patch, LABELS, 'write', 4)  # the first is a check
        run(root, tmp_path / 'run', initial=first, **UNFLIPPED)
    assert len(list((tmp_path / 'run/round0/labels/masks').glob('*.png'))) == 2
    with pytest.raises(ValueError, match='other self_training settings: choose another'):
        run(root, tmp_path / 'run', initial=second, **UNFLIPPED)
    run(root, tmp_path / 'run', initial=first, **UNFLIPPED)
    assert all((pixels(tmp_path / 'run/round0/labels/masks', stem) == 1).all() for stem in STEMS)


def swap_tags(root):
    """Other tags of an image, as many as before."""
    tags = json.loads((root / 'tags.json').read_text())
    stem = next(stem for stem, given in tags.items() if 0 < len(given) < NUM_CLASSES - 1)
    others = [name for name in CLASSES[1:] if name not in tags[stem]]
    (root / 'tags.json').write_text(json.dumps({**tags, stem: [*tags[stem][1:], others[0]]}))


@pytest.mark.parametrize('refines', ['classifier', 'network'])
def test_other_tags_end_a_run_that_goes_on(root, tmp_path, stubbed, refines):
    """Class maps are kept by their number, and labels made before would be of other classes."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ChildFailed):
        failing(patch, LABELS, 'write', 10)
        run(root, tmp_path / 'run', refines=refines)
    before, given = all_files_in(tmp_path / 'run'), (root / 'tags.json').read_text()
    swap_tags(root)
    with pytest.raises(
        ValueError, match=r'tags\.txt has other images or tags than the data set now'
    ):
        run(root, tmp_path / 'run', refines=refines)
    assert all_files_in(tmp_path / 'run') == before
    if refines == 'classifier':  # a folder made before the list was written
        (tmp_path / 'run/tags.txt').unlink()
        with pytest.raises(ValueError, match='has the maps of the class ids .* and the tags of'):
            run(root, tmp_path / 'run', refines=refines)
        (tmp_path / 'run/tags.txt').unlink()
    (root / 'tags.json').write_text(given)
    run(root, tmp_path / 'run', refines=refines)


def all_files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_a_start_that_failed_binds_no_tags(root, tmp_path, stubbed):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ChildFailed):
        failing(patch, Rounds, 'train', 1)
        run(root, tmp_path / 'run')
    swap_tags(root)
    run(root, tmp_path / 'run')


@pytest.mark.parametrize('origin', ['iter_2.pth', '/before/classifier/iter_2.pth'])
def test_a_run_that_was_moved_goes_on(root, tmp_path, stubbed, finished, origin):
    """Its class maps are half done, and say by which checkpoint they were made."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ChildFailed):
        failing(patch, class_map_folder, 'write_class_maps', 4)
        run(root, tmp_path / 'run')
    (tmp_path / 'run').rename(tmp_path / 'moved')
    settings = tmp_path / 'moved/classifier/class_maps/class_maps.json'
    assert json.loads(settings.read_text())['checkpoint'] == 'iter_2.pth'
    settings.write_text(json.dumps(dict(json.loads(settings.read_text()), checkpoint=origin)))
    run(root, tmp_path / 'moved')
    assert len(stubbed) == 3
    assert all_files(tmp_path / 'moved') == all_files(finished / 'run')


def test_stopped_by_a_signal_between_images(root, tmp_path, stubbed):
    made, stopping, calls = build(root, tmp_path / 'run'), resources(), []
    real = LABELS.write

    def stops(self, *args):
        calls.append(1)
        if len(calls) == 4:  # the first is a check
            stopping.stop.set()
        real(self, *args)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(LABELS, 'write', stops)
        made.run(stopping)
    assert len(list((tmp_path / 'run/round0/labels/masks').glob('*.png'))) == 3
    assert made.run(resources()).is_file()


def test_a_finished_run_does_nothing_again(finished, monkeypatch, stubbed):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob('run/**/*.png')}
    monkeypatch.setattr(auxsegnet_rounds, 'Refiner', lambda *_: pytest.fail('refines again'))
    run(finished / 'data', finished / 'run')
    assert {path: path.stat().st_mtime_ns for path in before} == before and not stubbed
    with pytest.raises(ValueError, match='other self_training settings: choose another'):
        run(finished / 'data', finished / 'run', object_level=0.3)


# ---- bad input, each one line before the first training


def no_maps(cfg):
    cfg.train_dataloader.dataset.tagged.pipeline.pop(1)


def other_method(cfg):
    cfg.model = toy_method('ClassActivationMaps')


def last_is_not_saved(cfg):
    cfg.default_hooks.checkpoint.save_last = False


def packs_nothing(cfg):
    cfg.train_dataloader.dataset.tagged.pipeline[-1] = dict(type='PackSegInputs')


def pipeline_from_pixels(cfg):
    cfg.test_dataloader.dataset.pipeline[0].type = 'LoadImageFromNDArray'


@pytest.mark.parametrize(
    'change, settings, words',
    [
        (no_maps, {}, 'tagged.pipeline loads no pseudo_label: put dict.type="LoadMaps"'),
        (other_method, {}, 'trains model.type="AuxSegNet", got .ClassActivationMaps'),
        (last_is_not_saved, {}, 'default_hooks.checkpoint does not save the last'),
        (packs_nothing, {}, 'training on pseudo-labels would fail: .* packed without pseudo_label'),
        (pipeline_from_pixels, {}, 'making its class maps would fail: test_dataloader.dataset'),
        (str, dict(saliency='nowhere'), 'saliency=.nowhere. is no folder and no stand-in .grabcut'),
        (
            str,
            dict(initial='nowhere', **UNFLIPPED),
            'the folder nowhere of pseudo-labels does not exist',
        ),
        (str, dict(truth='nowhere'), 'nowhere.* of self_training.truth does not exist'),
    ],
)
def test_faults_end_before_the_first_training(root, tmp_path, stubbed, change, settings, words):
    cfg = toy_rounds_config(root, **settings)
    change(cfg)
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        build_rounds(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert '\n' not in str(error.value)
    assert stubbed == [] and not list((tmp_path).glob('run/r*'))
    assert not (tmp_path / 'run/.check').exists()


@pytest.mark.parametrize(
    'name, value, size, words',
    [
        ('saliency', 9, (32, 40), r'saliency map .*l0.png is of \(32, 40\) and its image of'),
        ('initial', 9, SIZE, 'l0.png has the id 9, and the data set has 4 classes'),
    ],
)
def test_maps_that_do_not_fit(root, tmp_path, stubbed, name, value, size, words):
    folder = write_maps(tmp_path / 'maps', value, size)
    with pytest.raises(ValueError, match=words):
        run(root, tmp_path / 'run', **{**UNFLIPPED, name: folder})
    (tmp_path / 'maps/u1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 6 images have no .*u1\.png'):
        run(root, tmp_path / 'run', **{**UNFLIPPED, name: folder})
    assert stubbed == []


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(rounds=0), 'rounds must be at least 1'),
        (dict(object_level=2), r'object_level must be in \[0, 1\]'),
        (dict(saliency_refinement='sharp'), 'saliency_refinement must be one of'),
        (dict(saliency=None), 'saliency must be a folder'),
        (dict(flip=1), 'flip must be True or False'),
        (dict(scales=1.0), 'scales must be a list'),
        (dict(scales=(1, 0.5, 1)), r'scales=\[1.0, 0.5, 1.0\] must be different'),
        (dict(initial='x', scales=(1.0,)), r"scales=\(1.0,\) would be unused with .*initial='x'"),
        (dict(initial='x', scales=None), "flip=False would be unused with .*initial='x'"),
        (
            dict(initial='x', **UNFLIPPED, object_level=0.3, refined_object_level=0.4),
            'object_level=0.3 would be unused with .* and refined_object_level',
        ),
        (
            dict(initial='x', **UNFLIPPED, salient_level=0.3),
            'salient_level=0.3 would be unused with .* without a dense CRF',
        ),
        (dict(initial='x', classifier=dict(resume=True)), 'classifier would be unused'),
        (dict(initial='x', refines='classifier'), 'refines="classifier": .*no classifier'),
        (dict(refines='both'), 'refines must be one of'),
        (dict(generations=3), 'unknown settings'),
    ],
)
def test_settings(root, tmp_path, settings, words):
    with pytest.raises((ValueError, TypeError), match=f'self_training.*{words}'):
        build(root, tmp_path / 'run', **settings)


def test_level_of_refined_saliency():
    """A CRF pushes saliency to 0 and 1; without it the level of the released code lets all in."""
    for refinement, given, expected in (
        ('crf', None, 0.06),
        ('pamr', None, 0.3),
        (None, None, 0.3),
        ('pamr', 0.1, 0.1),
    ):
        made = AuxSegNetSettings(
            saliency_refinement=refinement, refined_salient_level=given, salient_level=0.06
        )
        assert made.levels(refined=True) == dict(object_level=0.2, salient_level=expected)
        assert made.levels(refined=False) == dict(object_level=0.2, salient_level=0.06)
