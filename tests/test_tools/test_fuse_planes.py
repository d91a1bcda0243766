# Copyright (c) mmseg_ctt contributors.
"""Folders of predictions, one a plane, become one."""

import json

import nibabel as nib
import numpy as np
import pytest
from scipy import stats
from toy_volumes import AFFINE, SHAPE, write_nifti

NAMES = ('x', 'y', 'z')
CASES = ('a', 'p1/b')  # in a sub-folder, as predict_volume writes equal names


@pytest.fixture
def tool(load_tool):
    return load_tool('volumes/fuse_planes')


def predicted(seed):
    """Labels of the planes ``(3, X, Y, Z)``: three classes that agree on most voxels."""
    g = np.random.RandomState(seed)
    first = g.randint(0, 3, SHAPE)
    return np.stack(
        [np.where(g.rand(*SHAPE) < 0.2, g.randint(0, 3, SHAPE), first) for _ in NAMES]
    ).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for seed, case in enumerate(CASES):
        for name, labels in zip(NAMES, predicted(seed)):
            write_nifti(tmp_path / name / f'{case}.nii.gz', labels, descrip=f'plane {name}')
    (tmp_path / 'x/prediction.json').write_text('{}')
    return tmp_path


def given(folder, names=NAMES):
    return [f'{name}={folder / name}' for name in names]


def read(path):
    return np.asarray(nib.load(path).dataobj)


def test_majority(tool, folder, capsys):
    tool.call(*given(folder), '--out', folder / 'fused')
    agreement = json.loads((folder / 'fused/agreement.json').read_text())
    assert list(agreement) == list(CASES)
    for seed, case in enumerate(CASES):
        planes = predicted(seed)
        mode, count = stats.mode(planes, axis=0)
        file = nib.load(folder / f'fused/{case}.nii.gz')
        assert np.asarray(file.dataobj).dtype == np.uint8
        assert (read(folder / f'fused/{case}.nii.gz') == np.where(count > 1, mode, planes[2])).all()
        assert np.allclose(file.affine, AFFINE) and file.header['descrip'] == b'plane x'
        both = 2 * ((planes[0] == 1) & (planes[2] == 1)).sum()
        dice = both / ((planes[0] == 1).sum() + (planes[2] == 1).sum())
        assert agreement[case]['dice']['x-z'] == {
            '1': pytest.approx(dice),
            '2': pytest.approx(agreement[case]['dice']['x-z']['2']),
        }
        assert list(agreement[case]['dice']) == ['x-y', 'x-z', 'y-z']
        made = read(folder / f'fused/{case}.nii.gz')
        assert agreement[case]['fused'] == {str(k): int((made == k).sum()) for k in range(3)}
        assert agreement[case]['agreeing'] == pytest.approx((count == 3).mean())
    assert '2 volumes in' in capsys.readouterr().out


def test_another_plane_decides(tool, folder):
    tool.call(*given(folder), '--out', folder / 'fused', '--tie', 'y', '--agreement-mask')
    planes = predicted(0)
    same = (planes == planes[0]).all(axis=0)
    assert (read(folder / 'fused/a.nii.gz') == np.where(same, planes[0], 255)).all()
    tool.call(*given(folder), '--out', folder / 'other', '--tie', 'y')
    mode, count = stats.mode(planes, axis=0)
    assert (read(folder / 'other/a.nii.gz') == np.where(count > 1, mode, planes[1])).all()


def test_votes_and_components(tool, folder):
    tool.call(*given(folder), '--out', folder / 'all', '--fusion', 'intersection')
    planes = predicted(0)
    same = (planes == planes[0]).all(axis=0)
    made = read(folder / 'all/a.nii.gz')
    assert (made == np.where(same, planes[0], 0)).all()
    tool.call(
        *given(folder), '--out', folder / 'one', '--fusion', 'intersection', '--clean', 'largest'
    )
    cleaned = read(folder / 'one/a.nii.gz')
    assert (cleaned[cleaned != made] == 0).all() and 0 < (cleaned == 1).sum() < (made == 1).sum()


def probabilities(folder, seed=0):
    """Probabilities beside the labels; those of the planes, in double precision."""
    g = np.random.RandomState(seed)
    found = []
    for case in CASES:
        planes = g.dirichlet((1, 1, 1), (len(NAMES), *SHAPE)).transpose(0, 4, 1, 2, 3)
        for name, plane in zip(NAMES, planes.astype(np.float16)):
            path = folder / f'prob/{name}/{case}.npy'
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, plane)
            write_nifti(folder / name / f'{case}.nii.gz', plane.argmax(axis=0).astype(np.uint8))
        found.append(planes.astype(np.float16).astype(np.float64))
    return found


def soft(folder, names=NAMES):
    kept = [f'{name}={folder / "prob" / name}' for name in names]
    return [*given(folder), '--out', folder / 'fused', '--fusion', 'soft', '--probabilities', *kept]


def test_soft(tool, folder):
    planes = probabilities(folder)
    tool.call(*soft(folder))
    for case, of_case in zip(CASES, planes):
        mean = np.sort(of_case.mean(axis=0), axis=0)
        clear = mean[-1] - mean[-2] > 1e-6
        expected = of_case.mean(axis=0).argmax(axis=0)
        assert (read(folder / f'fused/{case}.nii.gz') == expected)[clear].all() and clear.any()


def test_volumes_without_geometry(tool, tmp_path):
    for name, labels in zip(NAMES, predicted(0)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / 'a.npy', labels)
    tool.call(*given(tmp_path), '--out', tmp_path / 'fused')
    assert np.load(tmp_path / 'fused/a.npy').shape == SHAPE


# ---- bad input


def other_shape(folder):
    write_nifti(folder / 'y/p1/b.nii.gz', np.zeros((5, 5, 5), np.uint8))


def other_affine(folder):
    write_nifti(folder / 'y/p1/b.nii.gz', predicted(1)[1], AFFINE * 2)


def missing_case(folder):
    (folder / 'z/p1/b.nii.gz').unlink()


def no_class(folder):
    write_nifti(folder / 'z/p1/b.nii.gz', np.full(SHAPE, 255, np.uint8))


def no_label(folder):
    write_nifti(folder / 'z/p1/b.nii.gz', np.full(SHAPE, 0.5, np.float32))


def damaged(folder):
    path = folder / 'z/p1/b.nii.gz'
    path.write_bytes(path.read_bytes()[:-50])


def output_exists(folder):
    write_nifti(folder / 'fused/p1/b.nii.gz', np.zeros(SHAPE, np.uint8))


def no_folder(folder):
    (folder / 'z').rename(folder / 'w')


def empty_folder(folder):
    no_folder(folder)
    (folder / 'z').mkdir()


@pytest.mark.parametrize(
    'change, words',
    [
        (other_shape, r'has the shape .* no predictions of one volume'),
        (other_affine, r'have different affines'),
        (missing_case, r'z lacks 1 of 2 cases that other planes have, such as p1/b'),
        (no_class, r'p1/b.nii.gz holds the id 255: predicted classes are 0..254'),
        (no_label, r'holds 0.5, which is no class'),
        (damaged, r'p1/b.nii.gz cannot be read'),
        (output_exists, r'fused/p1/b.nii.gz exists and is not replaced'),
        (no_folder, r'the folder .*z does not exist'),
        (empty_folder, r'no volume was found in .*z'),
    ],
)
def test_bad_folders(tool, folder, change, words):
    change(folder)
    before = sorted(folder.rglob('*'))
    with pytest.raises((ValueError, FileNotFoundError), match=words) as error:
        tool.call(*given(folder), '--out', folder / 'fused')
    assert '\n' not in str(error.value)
    assert sorted(folder.rglob('*')) == before  # nothing is written


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['x={0}/x'], 'the folders of two planes at least'),
        (['{0}/x', 'y={0}/y'], 'is no NAME=FOLDER'),
        (['x={0}/x', 'x={0}/y'], 'two folders have the name x'),
        (['x={0}/x', 'y={0}/y', '--tie', 'z'], '--tie z is none of the planes x, y'),
        (['x={0}/x', 'y={0}/y', '--fusion', 'mean'], 'fusion must be one of'),
        (['x={0}/x', 'y={0}/y', '--clean', 'big'], 'clean must be one of'),
        (['x={0}/x', 'y={0}/y', '--fusion', 'soft'], 'need one another'),
        (['x={0}/x', 'y={0}/y', '--probabilities', 'x={0}/x'], 'need one another'),
    ],
)
def test_bad_arguments(tool, folder, arguments, words):
    with pytest.raises(ValueError, match=words):
        tool.call(*(text.format(folder) for text in arguments), '--out', folder / 'fused')
    assert not (folder / 'fused').exists()


def absent(folder):
    (folder / 'prob/y/a.npy').unlink()


def of_other_classes(folder):
    np.save(folder / 'prob/y/a.npy', np.zeros((2, *SHAPE), np.float16))


def of_another_shape(folder):
    np.save(folder / 'prob/y/a.npy', np.zeros((3, 4, 4, 4), np.float16))


def no_array(folder):
    (folder / 'prob/y/a.npy').write_bytes(b'none')


@pytest.mark.parametrize(
    'change, words',
    [
        (absent, 'prob/y/a.npy do not exist: predict the volume with --probabilities'),
        (of_other_classes, 'are of 2 and 3 classes'),
        (of_another_shape, r'a.npy holds float16 of shape \(3, 4, 4, 4\), no probabilities'),
        (no_array, 'a.npy cannot be read'),
    ],
)
def test_bad_probabilities(tool, folder, change, words):
    probabilities(folder)
    change(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        tool.call(*soft(folder))
    with pytest.raises(ValueError, match='name the same planes'):
        tool.call(*soft(folder, 'xy'))
    assert not (folder / 'fused').exists()
