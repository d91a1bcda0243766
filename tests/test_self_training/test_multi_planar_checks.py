# Copyright (c) mmseg_ctt contributors.
"""What is wrong with data and settings of multi-planar co-training is found at the start."""

import numpy as np
import pytest
from toy_planes import plane_config
from toy_rounds import resources, trainings_here
from toy_volumes import toy_image, toy_label, write_nifti, write_toy_volumes

from mmseg_ctt.self_training import build_rounds


@pytest.fixture
def root(tmp_path):
    return write_toy_volumes(tmp_path / 'data')


@pytest.fixture
def trained():
    with trainings_here() as commands:
        yield commands


def no_slices(cfg, root):
    cfg.val_dataloader.dataset.type = 'FolderSegDataset'


def no_unlabeled(cfg, root):
    cfg.train_dataloader.dataset.unlabeled = None


def empty_list(cfg, root):
    (root / 'splits/unlabeled.txt').write_text('')


def patient_on_both_sides(cfg, root):
    (root / 'splits/unlabeled.txt').write_text('a\ne\n')


def large_crop(cfg, root):
    for step in cfg.train_dataloader.dataset.labeled.pipeline:
        if step.type == 'RandomCrop':
            step.crop_size = (18, 18)


def no_last_checkpoint(cfg, root):
    cfg.default_hooks.checkpoint.save_last = False


def pseudo_of_the_config(cfg, root):
    cfg.train_dataloader.dataset.pseudo = 'somewhere'


def no_spacing(cfg, root):
    for name in 'cd':
        np.save(root / f'images/{name}.npy', toy_image(3))
        (root / f'images/{name}.nii.gz').unlink()


def damaged_volume(cfg, root):
    path = root / 'images/e.nii.gz'
    path.write_bytes(path.read_bytes()[:-200])


def no_class(cfg, root):
    write_nifti(root / 'labels/d.nii.gz', 5 * toy_label())


def wrong_pipeline(cfg, root):
    cfg.test_dataloader.dataset.pipeline = [dict(type='PackSegInputs')]


@pytest.mark.parametrize(
    'change, settings, words',
    [
        (str, dict(planes=['z']), "planes=.'z',.: co-training needs two planes"),
        (str, dict(planes=['x', 'w']), "planes has the unknown plane 'w'"),
        (str, dict(planes=['x', 'x']), 'names a plane twice'),
        (str, dict(tie='y', planes=['x', 'z']), 'self_training.tie must be one of'),
        (str, dict(tie='x', fusion='soft'), "tie='x' would be unused with .*fusion='soft': remove"),
        (str, dict(tie='x', fusion='intersection'), "would be unused with .*fusion='intersection'"),
        (str, dict(init='teacher', rounds=0), "init='teacher' would be unused with .*rounds=0"),
        (str, dict(agreement_mask=True, rounds=0), 'agreement_mask=True would be unused with'),
        (str, dict(fusion='mean'), 'self_training.fusion must be one of'),
        (str, dict(clean='big'), 'self_training.clean must be one of'),
        (str, dict(init='student'), 'self_training.init must be one of'),
        (str, dict(rounds=-1), 'self_training.rounds must be at least 0'),
        (str, dict(alpha=1), r"self_training has unknown settings \['alpha'\]"),
        (str, dict(type='MultiPlane'), r"self_training.type must be one of .*'CReST'.*'MultiPlan"),
        (str, dict(member='teacher0'), 'predicting along x would fail: .*teacher0'),
        (no_slices, {}, 'val_dataloader.dataset.type="FolderSegDataset": a network for each plane'),
        (no_unlabeled, {}, 'train_dataloader.dataset.unlabeled is missing'),
        (empty_list, {}, r'unlabeled'),
        (patient_on_both_sides, {}, 'labeled.*unlabeled.*a'),
        (large_crop, {}, r'too thin for plane x: its slices of 10x8 .* half of the crop 18x18'),
        (no_last_checkpoint, {}, 'checkpoint does not save the last iteration'),
        (pseudo_of_the_config, {}, 'dataset.pseudo is set by self-training: remove it'),
        (
            no_spacing,
            {},
            r'c.npy does not say its spacing.*set test_evaluator=dict.type="VolumeMetric"',
        ),
        (no_class, {}, r'labels/d.nii.gz holds 5 in 120 voxels, which is no class'),
        (damaged_volume, {}, 'e.nii.gz cannot be read'),
        (wrong_pipeline, {}, 'predicting along x would fail: test_dataloader.dataset.pipeline'),
    ],
)
def test_bad_input_ends_before_the_first_training(root, tmp_path, trained, change, settings, words):
    cfg = plane_config(root, **{'rounds': 1, **settings})
    if change is not str:
        change(cfg, root)
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        build_rounds(cfg, tmp_path / 'run', tmp_path, str).run(resources())
    assert '\n' not in str(error.value)
    assert trained == [] and not (tmp_path / 'run/round0').exists()
    assert not (tmp_path / 'run/.check').exists()


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(planes='xyz'), 'planes must be a list'),
        (dict(rounds=1.5), 'rounds must be an integer'),
        (dict(agreement_mask=1), 'agreement_mask must be True or False'),
        (dict(member=0), 'member must be a name or None'),
    ],
)
def test_types_of_settings(root, tmp_path, settings, words):
    with pytest.raises(TypeError, match=f'self_training.{words}'):
        build_rounds(plane_config(root, **settings), tmp_path / 'run', tmp_path)
