# Copyright (c) mmseg_ctt contributors.
"""Rounds of multi-planar co-training on toy volumes: what is trained, fused and written."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS
from reference.components import seeded
from toy_planes import plane_config
from toy_rounds import resources, trainings_by, trainings_here
from toy_volumes import AFFINE, SHAPE, toy_image, toy_label, write_nifti, write_toy_volumes

from mmseg_ctt.engine import prepare_config
from mmseg_ctt.engine.processes import ChildFailed, Stopped
from mmseg_ctt.evaluation.volumes import VolumeMetric, class_scores
from mmseg_ctt.self_training import build_rounds, multi_planar, plane_results, plane_steps
from mmseg_ctt.self_training.plane_data import set_plane, write_manifest
from mmseg_ctt.self_training.rounds import Job
from mmseg_ctt.volumes import read_label_slice

PLANES = ('x', 'y', 'z')


@pytest.fixture
def root(tmp_path):
    return write_toy_volumes(tmp_path / 'data')


def stub(cfg):
    """A training of no time: its weights depend on the plane and on the pseudo-labels it has."""
    data = cfg.train_dataloader.dataset
    seed = 'xyz'.index(data.labeled.plane)
    with torch.random.fork_rng([]), DefaultScope.overwrite_default_scope('mmseg'):
        if data.get('pseudo'):
            labeled = DATASETS.build(data).labeled
            for i in range(len(labeled)):
                seed += int(read_label_slice(labeled.get_data_info(i)['seg_map_path']).sum())
        torch.manual_seed(4)
        model = MODELS.build(cfg.model)
        weight = torch.nn.init.normal_(model.decode_head.conv_seg.weight)
        torch.manual_seed(seed)
        weight.data += 0.3 * torch.randn(weight.shape)
    path = f'{cfg.work_dir}/iter_2.pth'
    torch.save(dict(meta=dict(iter=2), state_dict=model.state_dict()), path)
    with open(f'{cfg.work_dir}/last_checkpoint', 'w') as file:
        file.write(path)


@pytest.fixture
def stubbed():
    with trainings_by(stub) as commands:
        yield commands


def run(root, folder, **settings):
    cfg = plane_config(root, **{'rounds': 1, **settings})
    made = build_rounds(cfg, folder, folder.parent, str)
    return made.run(resources())


def labels(folder, case):
    return np.asarray(nib.load(folder / f'{case}.nii.gz').dataobj)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Folder of a finished run, with its data and cache beside it; not to be changed."""
    folder = tmp_path_factory.mktemp('finished')
    with trainings_by(stub), DefaultScope.overwrite_default_scope('mmseg'):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('MMSEG_CTT_VOLUME_CACHE', str(folder / 'cache'))
            run(write_toy_volumes(folder / 'data'), folder / 'run')
    return folder


@pytest.mark.parametrize('method', ['', 'MeanTeacher'])
def test_a_real_round(root, tmp_path, method):
    """Trainings of the planes, pseudo-labels of them, and trainings on both."""
    write_nifti(root / 'labels/e.nii.gz', np.full((3, 3, 3), 77, np.uint8))  # never to be read
    with trainings_here() as commands:
        checkpoint = run(root, tmp_path / 'run', method=method, planes=['x', 'z'])
    assert checkpoint == tmp_path / 'run/round1/z/iter_2.pth'
    folders = [f'round{number}/{plane}' for number in (0, 1) for plane in 'xz']
    assert [command[4] for command in commands] == [str(tmp_path / 'run' / f) for f in folders]
    for number in (0, 1):
        for plane in 'xz':
            cfg = Config.fromfile(tmp_path / f'run/round{number}/{plane}/config.py')
            data = cfg.train_dataloader.dataset
            sets = (data.labeled, data.unlabeled, cfg.val_dataloader.dataset)
            assert {part.plane for part in (*sets, cfg.test_dataloader.dataset)} == {plane}
            assert data.type == ('SelfTrainingDataset' if number else 'LabeledUnlabeledDataset')
            assert cfg.get('load_from') is None and 'self_training' not in cfg
    state = json.loads((tmp_path / 'run/state.json').read_text())
    assert (state['round'], state['step']) == (1, 'evaluate')


def test_students_learn_from_labels_and_fused_volumes_alike(finished):
    fused = finished / 'run/round0/fused'
    for plane, number in zip(PLANES, SHAPE):
        cfg = Config.fromfile(finished / f'run/round1/{plane}/config.py')
        data = DATASETS.build(cfg.train_dataloader.dataset)
        assert data.num_labeled == 4 * number and data.num_unlabeled == 2 * number
        infos = [data.labeled.get_data_info(i) for i in range(data.num_labeled)]
        names = {(info['img_path'], info['seg_map_path']) for info in infos}
        image = f'{finished}/data/images/e.nii.gz#{plane}=003'
        assert (image, f'{fused}/e.nii.gz#{plane}=003') in names
        last = infos[-1]['seg_map_path']
        expected = labels(fused, 'f').take(number - 1, 'xyz'.index(plane))
        assert last.endswith(f'f.nii.gz#{plane}={number - 1:03d}')
        assert (read_label_slice(last) == expected).all()
        assert data[3 * number]['inputs'].shape[0] == 3


@pytest.mark.parametrize('part, cases', [('predictions', 'ef'), ('test', 'cd')])
def test_majority_is_cleaned_by_agreement(finished, part, cases):
    folder = finished / 'run/round0'
    for case in cases:
        given = np.stack([labels(folder / part / plane, case) for plane in PLANES])
        votes = given.sum(axis=0)
        assert 0 < votes.sum() < 3 * votes.size and (votes == 1).any()
        seeds = votes == 3 if (votes == 3).any() else votes >= 2
        expected = seeded(votes >= 2, seeds, 0.5)
        out = folder / ('fused' if part == 'predictions' else 'test/fused')
        made = labels(out, case)
        assert made.dtype == np.uint8 and (made == expected).all()
        file = nib.load(out / f'{case}.nii.gz')
        assert np.allclose(file.affine, AFFINE) and file.header.get_xyzt_units()[0] == 'mm'


def test_pseudo_labels_alone_are_masked(root, tmp_path, stubbed):
    """Two planes, of which the first decides; voxels where they differ are not trained on."""
    run(root, tmp_path / 'run', planes=['z', 'x'], tie='z', clean=None, agreement_mask=True)
    for part, out, case in (('predictions', 'fused', 'e'), ('test', 'test/fused', 'c')):
        folder = tmp_path / 'run/round0'
        first, second = (labels(folder / part / plane, case) for plane in 'zx')
        differ = (first != second) & (part == 'predictions')
        assert (first != second).any()
        assert (labels(folder / out, case) == np.where(differ, 255, first)).all()


def test_soft_fusion(root, tmp_path, stubbed):
    run(root, tmp_path / 'run', fusion='soft', clean=None, planes=['x', 'z'])
    folder = tmp_path / 'run/round0/predictions'
    kept = [np.load(folder / f'probabilities_{plane}/e.npy') for plane in 'xz']
    assert all(part.dtype == np.float16 and part.shape == (2, *SHAPE) for part in kept)
    mean = np.mean([part.astype(np.float32) for part in kept], axis=0)
    assert (labels(tmp_path / 'run/round0/fused', 'e') == mean.argmax(axis=0)).all()
    settings = dict(fusion='soft', clean=None, planes=['x', 'z'])
    made = build_rounds(plane_config(root, rounds=1, **settings), tmp_path / 'run', tmp_path, str)
    command = made.closing_lines()[-1]
    assert '--fusion soft' in command and '--tie' not in command


def test_results(finished):
    """The table has the scores of the files, by round and network."""
    rows = list(csv.DictReader((finished / 'run/results.csv').open()))
    assert [(row['round'], row['network']) for row in rows] == [
        (number, network) for number in '01' for network in (*PLANES, 'fused')
    ]
    assert {row['set'] for row in rows} == {'test'}  # the validation set has the same volumes
    for row in rows:
        folder = finished / f'run/round{row["round"]}/test' / row['network']
        scores = [
            class_scores(labels(folder, case), toy_label(), [1], (0.6, 0.7, 1.2))[0]
            for case in 'cd'
        ]
        made = [float(row[name]) for name in ('Dice', 'Jaccard', 'HD95', 'ASD')]
        assert made == pytest.approx(np.mean(scores, axis=0).tolist())
    assert len({row['Dice'] for row in rows}) > 2


@pytest.mark.parametrize('case, penalties', [('c', 1), ('', 0)])
def test_penalties_are_marked(tmp_path, case, penalties):
    """A prediction without the class has no measured distance."""
    root = write_toy_volumes(tmp_path / 'data')
    for name in 'cd':
        predicted = toy_label() * (name != case)
        write_nifti(tmp_path / f'out/{name}.nii.gz', predicted)
    metric = VolumeMetric()
    metric.dataset_meta = dict(classes=['background', 'box'])
    names = {str(root / f'images/{name}.nii.gz'): name for name in 'cd'}
    true = {volume: str(root / f'labels/{name}.nii.gz') for volume, name in names.items()}
    table = plane_steps.score_predictions(tmp_path / 'out', names, true, metric)
    plane_results.write_results(tmp_path / 'round0', dict(test=dict(x=table)))
    rows = plane_results.read_results([tmp_path / 'round0'])
    assert [row['penalties'] for row in rows] == [penalties]
    assert plane_results.as_csv(rows).splitlines()[0].endswith('HD95,ASD,penalties')
    printed = plane_results.as_text(rows)
    assert printed.count('*') == 3 * penalties  # HD95, ASD and the legend


def test_another_set_of_test_volumes(root, tmp_path, stubbed):
    """Each set has results of its own; one without labels is predicted and not scored."""
    for case in 'gh':
        write_nifti(root / f'images/{case}.nii.gz', toy_image(ord(case)))
    (root / 'splits/test.txt').write_text('g\nh\n')
    cfg = plane_config(root, rounds=0, planes=['x', 'z'])
    dataset = cfg.test_dataloader.dataset
    dataset.ann_file, dataset.data_prefix = 'splits/test.txt', dict(img_path='images')
    dataset.pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    prepare_config(cfg)
    made = build_rounds(cfg, tmp_path / 'run', tmp_path, str)
    made.run(resources())
    assert labels(tmp_path / 'run/round0/test/fused', 'g').shape == SHAPE
    rows = list(csv.DictReader((tmp_path / 'run/results.csv').open()))
    assert {(row['set'], row['round']) for row in rows} == {('val', '0')}
    lines = made.closing_lines()
    assert f'{tmp_path}/run/round0/test/fused' in lines[0]
    assert [line.split()[1] for line in lines[1:]] == [
        *['tools/volumes/predict_volume.py'] * 2,
        'tools/volumes/fuse_planes.py',
    ]


def test_a_class_that_is_fused_nowhere_is_named(root, tmp_path):
    """The run goes on: the next round has its labels."""
    lines = []
    made = build_rounds(plane_config(root), tmp_path / 'run', tmp_path, lines.append)
    made.read_data()
    for plane in PLANES:
        for case in 'ef':
            empty = np.zeros(SHAPE, np.uint8)
            write_nifti(tmp_path / f'run/round0/predictions/{plane}/{case}.nii.gz', empty)
    made._fuse(0, Job(resources(), 0))
    assert lines == [
        'round 0: fuses the planes, which agree on 100.00% of the voxels',
        'round 0: no fused volume shows box',
    ]


@pytest.mark.parametrize('init', ['teacher', 'scratch'])
def test_weights_that_a_student_starts_from(root, tmp_path, init):
    made = build_rounds(plane_config(root, init=init), tmp_path / 'run', tmp_path, str)
    for plane in PLANES:
        assert made.config(0, plane).get('load_from') is None
        teacher = tmp_path / f'run/round0/{plane}/iter_2.pth'
        teacher.parent.mkdir(parents=True)
        torch.save(dict(meta=dict(iter=2), state_dict={}), teacher)
        expected = str(teacher) if init == 'teacher' else None
        assert made.config(1, plane).get('load_from') == expected


def test_foreground_only_holds_for_pseudo_labels_too(root):
    cfg = plane_config(root)
    set_plane(cfg, 'x')
    for case in 'ef':
        write_nifti(root / f'fused/{case}.nii.gz', toy_label())  # slices 3 to 8 of 12
    masks = {f'{root}/images/{case}.nii.gz': f'{case}.nii.gz' for case in 'ef'}
    for only, number in ((False, 24), (True, 12)):
        cfg.train_dataloader.dataset.labeled.foreground_only = only
        write_manifest(root / 'fused/a.json', cfg, masks)
        selected = json.loads((root / 'fused/a.json').read_text())['selected']
        assert len(selected) == number
    assert selected[-1]['mask'] == 'f.nii.gz#x=008'
    assert selected[-1]['image'] == f'{root}/images/f.nii.gz#x=008'


# ---- stopped and started again


def all_files(folder):
    """Content of what a run comes to."""
    volumes = {
        str(path.relative_to(folder)): labels(path.parent, path.name[: -len('.nii.gz')])
        for path in folder.rglob('*.nii.gz')
    }
    return volumes, (folder / 'results.csv').read_text()


TWO = dict(planes=['x', 'z'])


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    with trainings_by(stub), DefaultScope.overwrite_default_scope('mmseg'):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('MMSEG_CTT_VOLUME_CACHE', str(folder / 'cache'))
            run(write_toy_volumes(folder / 'data'), folder / 'run', **TWO)
    return all_files(folder / 'run')


def failing(patch, module, name, call):
    """Let call number ``call`` of a function fail, before it does anything."""
    real, calls = getattr(module, name), []

    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise ChildFailed('on purpose')
        return real(*args, **kwargs)

    patch.setattr(module, name, counted)


STOPS = [  # round and step that fail, the function, and the call of it
    ((0, 'train'), multi_planar.Rounds, 'train', 2),
    ((0, 'evaluate'), multi_planar, 'predict_missing', 2),
    ((0, 'label'), plane_steps, 'predict_cases', 4),
    ((0, 'fuse'), multi_planar, 'fuse_folders', 2),
    ((0, 'fuse'), multi_planar, 'write_manifest', 2),
    ((1, 'train'), multi_planar.Rounds, 'train', 4),
    ((1, 'evaluate'), multi_planar, 'score_predictions', 5),
]


@pytest.mark.parametrize('stop', STOPS, ids=lambda stop: f'{stop[0]}-{stop[2]}')
def test_stopped_anywhere_it_comes_to_the_same(root, tmp_path, stubbed, uninterrupted, stop):
    at, module, name, call = stop
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ChildFailed):
        failing(patch, module, name, call)
        run(root, tmp_path / 'run', **TWO)
    state = json.loads((tmp_path / 'run/state.json').read_text())
    assert (state['round'], state['step']) == at
    run(root, tmp_path / 'run', **TWO)
    assert len(stubbed) == 4  # none is trained twice
    volumes, results = all_files(tmp_path / 'run')
    expected, table = uninterrupted
    assert volumes.keys() == expected.keys() and results == table
    assert all((volumes[name] == expected[name]).all() for name in expected)


def test_stopped_by_a_signal_between_volumes(root, tmp_path, stubbed):
    made = build_rounds(plane_config(root, rounds=1, **TWO), tmp_path / 'run', tmp_path, str)
    stopping, real, calls = resources(), plane_steps.predict_cases, []

    def stops(model, outputs, options, report):
        calls.append(1)
        if len(calls) == 3:
            stopping.stop.set()
        real(model, outputs, options, report)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(plane_steps, 'predict_cases', stops)
        made.run(stopping)
    folder = tmp_path / 'run/round0/predictions/x'
    assert [path.name for path in folder.glob('*.nii.gz')] == ['e.nii.gz']
    assert made.run(resources()).is_file()


def test_a_finished_run_does_nothing_again(finished, monkeypatch, stubbed):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob('x/*.nii.gz')}
    monkeypatch.setattr(plane_steps, 'load_model', lambda *_: pytest.fail('predicts again'))
    run(finished / 'data', finished / 'run')
    assert {path: path.stat().st_mtime_ns for path in before} == before and not stubbed
    for settings in (dict(rounds=2), dict(tie='x'), dict(planes=['x', 'z'])):
        with pytest.raises(ValueError, match='other self_training settings: choose another'):
            run(finished / 'data', finished / 'run', **settings)
