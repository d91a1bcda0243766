# Copyright (c) mmseg_ctt contributors.
import itertools
import json

import numpy as np
import pytest
from PIL import Image
from toy_volumes import SHAPE, toy_image, toy_label, write_nifti, write_toy_volumes

from mmseg_ctt.datasets.split_files import verify_split

NAMES = [f'p{k}_{visit}' for k in range(8) for visit in 'ab']  # two visits a patient


@pytest.fixture
def call(load_tool, capsys):
    script = load_tool('dataset_converters/patient_lists')

    def call(*arguments):
        code = script.exit_code(*arguments)
        printed = capsys.readouterr()
        return code, printed.out if code == 0 else printed.err

    return call


@pytest.fixture
def root(tmp_path):
    """Eight patients with two visits; the last two have no label, p5 has one of two."""
    for seed, name in enumerate(NAMES):
        write_nifti(tmp_path / f'images/{name}.nii.gz', toy_image(seed))
        if seed < 11:
            write_nifti(tmp_path / f'labels/{name}.nii.gz', toy_label())
    (tmp_path / 'meta.json').write_text('{"classes": ["background", "box"]}')
    return tmp_path


def make(root, *more):
    """Arguments of ``make``; ``more`` counts where both name an option."""
    usual = {'--images': root / 'images', '--labels': root / 'labels', '--out': root / 'out'}
    usual['--patient'] = '(p[0-9]+)_.'
    pairs = [pair for pair in usual.items() if pair[0] not in more]
    return ('make', *itertools.chain.from_iterable(pairs), *more)


def lists(folder):
    return {path.stem: path.read_text().split() for path in sorted(folder.glob('*.txt'))}


def patients(names):
    return {name.split('_')[0] for name in names}


def test_no_patient_is_in_two_parts(call, root):
    code, out = call(*make(root, '--num-labeled', 2, '--num-val', 1, '--num-test', 1))
    assert code == 0 and '2 labelled (3 files), 4 unlabelled (8 files), 1 for validation' in out
    found = lists(root / 'out')
    assert sorted(found) == ['labeled', 'test', 'unlabeled', 'val']
    parts = [patients(names) for names in found.values()]
    assert sum(map(len, parts)) == 8 and set.union(*parts) == {f'p{k}' for k in range(8)}
    assert {'p6', 'p7'} <= patients(found['unlabeled'])
    manifest = verify_split(root / 'out')
    assert manifest['kind'] == 'patients' and manifest['patient'] == '(p[0-9]+)_.'
    assert sorted(manifest['patients']['labeled']) == sorted(patients(found['labeled']))


def test_seeds_and_sizes(call, root):
    test_parts = []
    for number, seed in ((1, 0), (3, 0), (3, 1), (3, 2)):
        out = root / f'{number}_{seed}'
        size = ('--num-labeled', number, '--num-test', 2, '--seed', seed, '--out', out)
        assert call(*make(root, *size))[0] == 0
        test_parts.append((out / 'test.txt').read_text())
    assert test_parts[0] == test_parts[1]  # does not depend on the number of labelled patients
    assert len(set(test_parts)) > 1


def test_a_volume_without_label_of_a_labelled_patient_is_on_no_list(call, root):
    code, out = call(*make(root))
    assert code == 0 and '1 files without label of patients with labels are on no list' in out
    found = lists(root / 'out')
    assert 'p5_a' in found['labeled'] and 'p5_b' not in sum(found.values(), [])
    assert patients(found['unlabeled']) == {'p6', 'p7'}


def test_labelled_patients_show_every_class(call, root):
    label = toy_label()
    label[0, 0, 0] = 2
    write_nifti(root / 'labels/p3_a.nii.gz', label)
    (root / 'meta.json').write_text('{"classes": ["background", "box", "rare"]}')
    for seed in range(4):
        out = root / f'seed{seed}'
        assert call(*make(root, '--num-labeled', 1, '--seed', seed, '--out', out))[0] == 0
        assert lists(out)['labeled'] == ['p3_a', 'p3_b']


@pytest.mark.parametrize(
    'more, message',
    [
        (['--num-labeled', 6, '--num-val', 1], '6 patients have labels, fewer than 6 labelled, 1'),
        (['--num-test', 6], 'fewer than 1 labelled'),
        (['--num-labeled', 0], '0 labelled, 0 for validation and 0 for the test are no numbers'),
        (['--num-val', -1], '-1 for validation'),
        (['--patient', '(.+)_z[0-9]+'], "does not match the name 'p0_a'"),
        (['--patient', 'p'], 'has no group'),
        (['--num-classes', 1], 'holds 1, which is no class'),
        (['--meta', 'three.json', '--num-classes', 2], '2, but three.json names 3 classes'),
        (['--images', 'absent'], 'absent does not exist'),
    ],
)
def test_wrong_arguments(call, root, more, message, monkeypatch):
    monkeypatch.chdir(root)
    (root / 'three.json').write_text('{"classes": ["a", "b", "c"]}')
    code, error = call(*make(root, *more))
    assert code == 2 and message in error and not (root / 'out').exists()


def test_other_lists_are_not_replaced(call, root):
    assert call(*make(root, '--num-labeled', 2, '--num-val', 1))[0] == 0
    code, error = call(*make(root, '--num-labeled', 3, '--num-val', 1))
    assert code == 2 and 'already holds another list' in error
    assert call(*make(root, '--num-labeled', 3, '--num-val', 1, '--overwrite'))[0] == 0


def test_slices_as_images(call, tmp_path):
    for name in NAMES[:8]:
        for k in (1, 2):
            for folder, value in (('img', 100), ('ann', 1)):
                path = tmp_path / folder / f'{name}_z{k}.png'
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)
    folders = ('--images', tmp_path / 'img', '--labels', tmp_path / 'ann')
    rule = ('--patient', '(.+)_._z[0-9]+', '--num-classes', 2)
    assert call('make', *folders, *rule, '--num-labeled', 1, '--out', tmp_path / 'out')[0] == 0
    found = lists(tmp_path / 'out')
    assert [len(found[part]) for part in ('labeled', 'unlabeled')] == [4, 12]
    assert not patients(found['labeled']) & patients(found['unlabeled'])


def test_masks_beside_their_images(call, tmp_path):
    """The end of their names, in upper or lower case, is that of no image."""
    for name in NAMES[:6]:
        (tmp_path / 'img').mkdir(exist_ok=True)
        for end, value in (('', 100), ('_GT', 1)):
            pixels = Image.fromarray(np.full((4, 4), value, np.uint8))
            pixels.save(tmp_path / 'img' / f'{name}{end}.png')
    folders = ('--images', tmp_path / 'img', '--labels', tmp_path / 'img')
    rule = ('--label-suffix', '_gt.png', '--num-classes', 2, '--out', tmp_path / 'out')
    assert call('make', *folders, *rule, '--num-labeled', 2)[0] == 0
    found = lists(tmp_path / 'out')
    assert sorted(found['labeled'] + found['unlabeled']) == NAMES[:6]


@pytest.mark.parametrize('key', ['label', 'mask'])
def test_image_and_label_in_one_file(call, tmp_path, key):
    for seed, name in enumerate(NAMES[:6]):
        (tmp_path / 'npz').mkdir(exist_ok=True)
        arrays = {'image': toy_image(seed), 'label': toy_image(seed), key: toy_label()}
        np.savez(tmp_path / f'npz/{name}.npz', **arrays)
    folders = ('--images', tmp_path / 'npz', '--labels', tmp_path / 'npz', '--num-classes', 2)
    more = () if key == 'label' else ('--label-key', key)
    code, out = call('make', *folders, *more, '--num-labeled', 2, '--out', tmp_path / 'out')
    assert code == 0 and '2 labelled, 4 unlabelled' in out


# ---- import


def test_import_of_a_json_file(call, tmp_path):
    root = write_toy_volumes(tmp_path)
    meta = dict(labeled=['a', 'b'], unlabeled=['e', 'f'], test=['c', 'd'], shapes=dict(a=SHAPE))
    (root / 'parts.json').write_text(json.dumps(meta))
    code, out = call(
        *('import', '--meta', root / 'parts.json', '--images', root / 'images'),
        *('--labels', root / 'labels', '--out', root / 'out'),
    )
    assert code == 0 and '2 labelled, 2 unlabelled, 2 for test' in out
    assert lists(root / 'out') == dict(labeled=['a', 'b'], unlabeled=['e', 'f'], test=['c', 'd'])
    assert verify_split(root / 'out')['kind'] == 'import'


@pytest.mark.parametrize(
    'meta, message',
    [
        (dict(labeled=['a'], unlabeled=['a']), 'the patient a is both in labeled and in unlabeled'),
        (dict(labeled=['a', 'z'], unlabeled=[]), 'the patient z of labeled has no volume'),
        (dict(labeled=['e'], unlabeled=[]), 'the patient e of labeled has no label'),
        (dict(labeled=[], unlabeled=[]), 'must hold the lists "labeled" and "unlabeled"'),
        (dict(labeled='a', unlabeled=[]), 'must hold the lists'),
    ],
)
def test_wrong_json_file(call, tmp_path, meta, message):
    root = write_toy_volumes(tmp_path)
    (root / 'parts.json').write_text(json.dumps(meta))
    folders = ('--images', root / 'images', '--labels', root / 'labels', '--out', root / 'out')
    code, error = call('import', '--meta', root / 'parts.json', *folders)
    assert code == 2 and message in error and not (root / 'out').exists()


def test_import_of_lists_with_a_folder_for_the_test(call, tmp_path):
    for part, names in (('train', ['x1_z1', 'x1_z2', 'y1_z1']), ('val', ['v1_z1'])):
        for name in names:
            path = tmp_path / part / f'{name}.jpg'
            path.parent.mkdir(exist_ok=True)
            Image.new('L', (4, 4)).save(path)
    for part, patient in (('labeled', 'x1'), ('unlabeled', 'y1'), ('test', 'v1')):
        (tmp_path / f'{part}.txt').write_text(f'{patient}\n')
    given = [
        word
        for part in ('labeled', 'unlabeled', 'test')
        for word in (f'--{part}', tmp_path / f'{part}.txt')
    ]
    folders = ('--images', tmp_path / 'train', '--test-images', tmp_path / 'val')
    rule = ('--patient', '(.+)_z[0-9]+', '--out', tmp_path / 'out')
    assert call('import', *given, *folders, *rule)[0] == 0
    found = lists(tmp_path / 'out')
    assert found == dict(labeled=['x1_z1', 'x1_z2'], unlabeled=['y1_z1'], test=['v1_z1'])
    (tmp_path / 'test.txt').write_text('y1\n')
    code, error = call('import', *given, *folders, *rule)
    assert code == 2 and 'the patient y1 is both in training and in val or test' in error
    code, error = call('import', *given[:4], *folders, *rule)
    assert code == 2 and '--test-images would be unused' in error
    code, error = call('import', *folders, *rule)
    assert code == 2 and 'give either --meta, or --labeled' in error
