# Copyright (c) mmseg_ctt contributors.
"""One case has one name everywhere, also where img_suffix is more than an extension."""

import json
import shutil

import numpy as np
import pytest
import torch
from toy_planes import plane_config
from toy_volume_run import make_volume_run
from toy_volumes import toy_image, toy_label, write_nifti, write_toy_volumes

from mmseg_ctt.deploy.volumes import Case, PredictionFolder, find_cases, input_files
from mmseg_ctt.deploy.volumes.settings import input_path
from mmseg_ctt.evaluation.volumes import FolderScores
from mmseg_ctt.self_training import build_rounds
from mmseg_ctt.self_training.rounds import Job
from mmseg_ctt.volumes.names import case_names

SUFFIX = '_0000.nii.gz'


def renamed(root):
    """The images end in the suffix."""
    for path in list((root / 'images').iterdir()):
        path.rename(path.with_name(path.name.replace('.nii.gz', SUFFIX)))
    return root


def test_ends_of_some_of_the_names():
    paths = ['v/a_0000.nii.gz', 'w/b_0000.nii.gz', 'w/c.nii']
    assert list(case_names(paths, {paths[0]: SUFFIX}).values()) == ['a', 'b_0000', 'c']
    assert list(case_names(paths, SUFFIX).values()) == ['a', 'b', 'c']


def test_cases_of_multi_planar_training(tmp_path):
    root = renamed(write_toy_volumes(tmp_path / 'data'))
    cfg = plane_config(root, rounds=1)
    for owner, key in (
        (cfg.train_dataloader.dataset, 'labeled'),
        (cfg.train_dataloader.dataset, 'unlabeled'),
        (cfg.val_dataloader, 'dataset'),
        (cfg.test_dataloader, 'dataset'),
    ):
        owner[key].img_suffix = SUFFIX
    made = build_rounds(cfg, tmp_path / 'run', tmp_path, str)
    made.read_data()
    assert list(made.unlabeled.values()) == ['e', 'f']
    labels, ends = made.evaluated['test'], made.suffixes['test']
    assert list(case_names(labels, ends).values()) == ['c', 'd']
    for plane in 'xyz':
        folder = tmp_path / 'run/round0/predictions' / plane
        begun = [Case(f'{name}_0000', path) for path, name in made.unlabeled.items()]
        PredictionFolder(folder, {}, begun).start(['x'])
        write_nifti(folder / 'e_0000.nii.gz', toy_label())
    (tmp_path / 'run/round0/x').mkdir()
    torch.save({}, tmp_path / 'run/round0/x/iter_2.pth')
    (tmp_path / 'run/round0/x/last_checkpoint').write_text(f'{tmp_path}/run/round0/x/iter_2.pth')
    with pytest.raises(ValueError, match='as the case e_0000, which is e now'):
        made._fuse(0, Job(None, 0))
    predicted = find_cases([root / 'images'], None, input_files(cfg))
    assert {'c', 'd', 'e', 'f'} < {case.name for case in predicted}


def test_scores_of_a_loop(tmp_path):
    from mmengine.runner import Runner

    run = make_volume_run(tmp_path, img_suffix=SUFFIX)
    renamed(tmp_path / 'volumes')
    run.cfg.test_evaluator[1].output_dir = str(tmp_path / 'out')
    run.cfg.load_from = str(run.checkpoint)
    Runner.from_cfg(run.cfg).test()
    content = json.loads((tmp_path / 'out/student0/volume_scores.json').read_text())
    assert list(content['cases']) == ['c', 'd']


def test_lines_of_a_list_have_the_suffix(tmp_path, load_tool):
    for name in 'ab':
        write_nifti(tmp_path / f'out/{name}.nii.gz', toy_label())
        write_nifti(tmp_path / f'labels/{name}.nii.gz', toy_label())
    (tmp_path / 'names.txt').write_text(f'b{SUFFIX}\n')
    given = tmp_path / 'out', tmp_path / 'labels', ('background', 'box', 'rare')
    found = FolderScores(*given, listed=tmp_path / 'names.txt', img_suffix=SUFFIX)
    assert [pair.name for pair in found.pairs] == ['b']
    load_tool('volumes/evaluate_volumes').call(
        *given[:2],
        *('--list', tmp_path / 'names.txt', '--suffix', SUFFIX),
        *('--classes', *given[2], '--json', tmp_path / 's.json'),
    )
    assert list(json.loads((tmp_path / 's.json').read_text())['cases']) == ['b']


@pytest.mark.parametrize('overwrite', [False, True])
def test_a_folder_of_the_same_inputs_under_other_names(tmp_path, overwrite):
    for name in 'ab':
        write_nifti(tmp_path / f'{name}_0000.nii.gz', toy_image())
    paths = {name: str(tmp_path / f'{name}_0000.nii.gz') for name in 'ab'}
    begun = [Case('a_0000', paths['a'])]
    PredictionFolder(tmp_path / 'out', {}, begun).start(['x'])
    for cases in (begun, [Case('b', paths['b'])], [*begun, Case('b', paths['b'])]):
        PredictionFolder(tmp_path / 'out', {}, cases).check(overwrite)
    with pytest.raises(ValueError, match='as the case a_0000, which is a now .*remove'):
        PredictionFolder(tmp_path / 'out', {}, [Case('a', paths['a'])]).check(overwrite)
    shutil.rmtree(tmp_path / 'out')
    PredictionFolder(tmp_path / 'out', {}, [Case('a', paths['a'])]).check(overwrite)


def write_arrays(path, **arrays):
    if path.suffix == '.npz':
        np.savez(path, **arrays)
        return
    h5py = pytest.importorskip('h5py')
    with h5py.File(path, 'w') as opened:
        for name, array in arrays.items():
            opened[name] = array


@pytest.mark.parametrize('end', ['.npz', '.h5'])
def test_the_key_counts_for_files_that_have_it(tmp_path, end):
    cases = dict(
        one=dict(volume=toy_image()),
        usual=dict(image=toy_image(), label=toy_label()),
        own=dict(scan=toy_image(), image=toy_image(1)),
    )
    (tmp_path / 'in').mkdir()
    for name, arrays in cases.items():
        write_arrays(tmp_path / f'in/{name}{end}', **arrays)
    cfg = dict(test_dataloader=dict(dataset=dict(type='VolumeSliceDataset', image_key='scan')))
    expected = dict(own=f'own{end}:scan', one=f'one{end}', usual=f'usual{end}:image')
    singly = [tmp_path / f'in/{name}{end}' for name in cases]
    for given in ([tmp_path / 'in'], singly):
        found = find_cases(given, None, input_files(cfg))
        assert {case.name: case.path.split('/')[-1] for case in found} == expected
    assert input_path(f'{singly[2]}:image', 'scan') == f'{singly[2]}:image'


def test_a_key_in_a_group(tmp_path):
    write_arrays(tmp_path / 'a.h5', **{'ct/scan': toy_image(), 'ct/image': toy_image(1)})
    assert input_path(str(tmp_path / 'a.h5'), 'ct/scan').endswith('a.h5:ct/scan')
