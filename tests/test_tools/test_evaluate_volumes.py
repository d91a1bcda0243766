# Copyright (c) mmseg_ctt contributors.
import json
import re

import numpy as np
import pytest
from toy_volumes import AFFINE, SHAPE, toy_label, write_nifti

from mmseg_ctt.evaluation.volumes import class_scores

SPACING = (0.6, 0.7, 1.2)
CLASSES = ('--classes', 'background', 'box', 'rare')


def predicted(shift):
    return np.roll(toy_label(), shift, axis=0)


@pytest.fixture
def folders(tmp_path):
    """Predictions of a and b, a voxel and two voxels off; labels of a, b and c."""
    for shift, name in enumerate('abc'):
        write_nifti(tmp_path / f'labels/{name}.nii.gz', toy_label())
        if name != 'c':
            write_nifti(tmp_path / f'out/{name}.nii.gz', predicted(shift + 1))
    return tmp_path


@pytest.fixture
def call(load_tool, folders, capsys):
    tool = load_tool('volumes/evaluate_volumes')

    def call(*arguments, out='out', classes=CLASSES):
        capsys.readouterr()
        tool.call(folders / out, folders / 'labels', *classes, *arguments)
        return capsys.readouterr().out

    return call


def expected(shift):
    return class_scores(predicted(shift), toy_label(), (1, 2), SPACING)


def test_scores(call, folders):
    printed = call('--json', folders / 'made/s.json', '--csv', folders / 'made/s.csv')
    content = json.loads((folders / 'made/s.json').read_text())
    for shift, name in enumerate('ab', 1):
        found = [list(content['cases'][name][label].values()) for label in ('box', 'rare')]
        np.testing.assert_allclose(found, expected(shift), rtol=1e-6)
    assert content['settings'] == dict(empty='diagonal', ignore_index=255, background=0)
    assert content['mean']['box']['Dice'] == pytest.approx((expected(1) + expected(2))[0, 0] / 2)
    assert len((folders / 'made/s.csv').read_text().splitlines()) == 5
    assert 'labels without prediction: 1, such as c' in printed
    assert re.search(r'\| a +\| box +\|', printed) and 'HD95 in mm' in printed


def test_cases_of_a_list(call, folders):
    (folders / 'names.txt').write_text('b.nii.gz\n')
    call('--list', folders / 'names.txt', '--json', folders / 's.json')
    content = json.loads((folders / 's.json').read_text())
    assert list(content['cases']) == ['b'] and content['number_of_cases'] == 1
    (folders / 'names.txt').write_text('b\nc\n')
    with pytest.raises(FileNotFoundError, match='the volume c of the list .* is not in .*out'):
        call('--list', folders / 'names.txt')


@pytest.mark.parametrize('empty, distance', [('nan', None), ('7', 7.0)])
def test_setting_for_empty_masks(call, folders, empty, distance):
    write_nifti(folders / 'out/b.nii.gz', np.zeros(SHAPE, np.uint8))
    call('--empty', empty, '--json', folders / 's.json')
    content = json.loads((folders / 's.json').read_text())
    assert content['cases']['b']['box'] == dict(Dice=0, Jaccard=0, HD95=distance, ASD=distance)
    assert content['cases_counted']['box']['ASD'] == (1 if distance is None else 2)


@pytest.mark.parametrize('empty', ['nan', '7'])
def test_penalties_are_marked(call, folders, empty):
    write_nifti(folders / 'out/b.nii.gz', np.where(toy_label() == 1, 0, toy_label()))
    files = ('--json', folders / 's.json', '--csv', folders / 's.csv')
    printed = call('--empty', empty, *files)
    marked = empty == '7'  # distances that are left out are no penalties
    content = json.loads((folders / 's.json').read_text())
    assert content['penalties'] == (dict(b=['box']) if marked else {})
    lines = [line.split(',') for line in (folders / 's.csv').read_text().splitlines()]
    assert [line[-1] for line in lines] == ['penalty', '0', '0', str(int(marked)), '0']
    rows = [line for line in printed.splitlines() if '*' in line]
    cases = [bool(re.search(r'\| b +\| box .* 7\.00\* \| +7\.00\* \|', row)) for row in rows]
    assert cases == ([True, False, False, False] if marked else [])  # box and all classes, legend
    assert not marked or rows[-1].startswith('* not measured alone')
    assert '*' not in call(out='labels')


def test_members_in_one_table(call, folders):
    for member in ('student0', 'ensemble'):
        folder = folders / 'members' / member
        write_nifti(folder / 'a.nii.gz', predicted(len(member) % 3))
        record = dict(settings={}, classes=['background', 'box'], cases={})
        (folder / 'prediction.json').write_text(json.dumps(record))
    files = ('--json', folders / 's.json', '--csv', folders / 's.csv')
    printed = call(*files, out='members', classes=())
    assert 'ensemble' in printed.splitlines()[1] and 'student0' in printed.splitlines()[1]
    content = json.loads((folders / 's.json').read_text())['members']
    for member in content:
        dice = expected(len(member) % 3)[0, 0]
        assert content[member]['cases']['a']['box']['Dice'] == pytest.approx(dice)
    lines = (folders / 's.csv').read_text().splitlines()
    assert lines[0].startswith('member,case,class,Dice') and lines[1].startswith('ensemble,a,box')
    (folders / 'members/prediction.json').write_text(json.dumps(record))
    with pytest.raises(ValueError, match='holds predictions, and folders of members too'):
        call(out='members')


@pytest.mark.parametrize('most', ['student0', 'teacher0'])
def test_members_of_other_cases(call, folders, most):
    """A prediction that was stopped: a column must not be the mean over fewer cases."""
    record = dict(settings={}, classes=['background', 'box'], cases=dict(a='', b=''))
    for member in ('student0', 'teacher0'):
        folder = folders / 'members' / member
        for name in 'ab' if member == most else 'a':
            write_nifti(folder / f'{name}.nii.gz', predicted(1))
        (folder / 'prediction.json').write_text(json.dumps(record))
    words = rf'{most} \(2 cases\) and \w+ \(1\) have predicted other cases, \w+ lacks b: predict'
    with pytest.raises(ValueError, match=words):
        call('--json', folders / 's.json', out='members', classes=())
    assert not (folders / 's.json').exists()
    (folders / 'names.txt').write_text('a\n')
    call('--list', folders / 'names.txt', '--json', folders / 's.json', out='members', classes=())
    found = json.loads((folders / 's.json').read_text())['members']
    assert {name: list(one['cases']) for name, one in found.items()} == dict(
        student0=['a'], teacher0=['a']
    )


def test_members_of_other_classes(call, folders):
    for member, name in (('student0', 'box'), ('teacher0', 'cube')):
        write_nifti(folders / 'members' / member / 'a.nii.gz', predicted(1))
        record = dict(settings={}, classes=['background', name], cases={})
        (folders / 'members' / member / 'prediction.json').write_text(json.dumps(record))
    with pytest.raises(ValueError, match='student0 has the classes background, box, teacher0 back'):
        call(out='members', classes=())
    call(out='members', classes=('--classes', 'background', 'box'))


def test_files_without_spacing(call, folders):
    (folders / 'arrays').mkdir()
    np.save(folders / 'arrays/a.npy', predicted(1))
    call('--json', folders / 's.json', out='arrays')  # the labels say it
    found = json.loads((folders / 's.json').read_text())['cases']['a']['box']['ASD']
    assert found == pytest.approx(expected(1)[0, 3], rel=1e-6)
    (folders / 'labels/a.nii.gz').unlink()
    np.savez(folders / 'labels/a.npz', image=toy_label(), label=toy_label())
    with pytest.raises(ValueError, match=r'a\.npz:label does not say its spacing'):
        call(out='arrays')
    call('--spacing', *SPACING, '--json', folders / 't.json', out='arrays')
    again = json.loads((folders / 't.json').read_text())['cases']['a']['box']['ASD']
    assert again == pytest.approx(found, rel=1e-6)


def test_a_spacing_that_the_files_contradict(call):
    with pytest.raises(ValueError, match=r'has a spacing of .* spacing is \(1\.0, 1\.0, 1\.0\)'):
        call('--spacing', 1, 1, 1)
    call('--spacing', *SPACING)


def spoil(folders, kind):
    other = AFFINE.copy()
    other[0, 3] += 5
    if kind == 'shape':
        write_nifti(folders / 'out/a.nii.gz', toy_label((12, 10, 9)))
    elif kind == 'affine':
        write_nifti(folders / 'out/a.nii.gz', toy_label(), other)
    elif kind == 'prediction':
        write_nifti(folders / 'out/a.nii.gz', toy_label() * 3)
    elif kind == 'label':
        write_nifti(folders / 'labels/a.nii.gz', toy_label() * 3)
    elif kind == 'fraction':
        write_nifti(folders / 'out/a.nii.gz', (toy_label() * 0.5).astype(np.float32))
    elif kind == 'missing':
        (folders / 'labels/a.nii.gz').unlink()
    elif kind == 'truncated':
        path = folders / 'out/a.nii.gz'
        path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    'kind, words',
    [
        ('shape', r'has the shape \(12, 10, 8\)'),
        ('affine', 'has another affine'),
        ('prediction', r'the prediction .*a\.nii\.gz holds 3, which is no class'),
        ('label', r'the label .*a\.nii\.gz holds 3 '),
        ('fraction', 'holds 0.5, which is no class'),
        ('missing', '1 predictions in .*out have no label in .*labels, such as a'),
        ('truncated', r'a\.nii\.gz cannot be read'),
    ],
)
def test_files_that_do_not_fit(call, folders, kind, words):
    spoil(folders, kind)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        call('--json', folders / 's.json')
    assert not (folders / 's.json').exists()


@pytest.mark.parametrize(
    'arguments, words',
    [
        (dict(out='absent'), 'absent does not exist'),
        (dict(classes=()), 'name them by --classes'),
        (dict(classes=('--classes', 'background')), 'no class has scores'),
        (dict(arguments=('--empty', 'zero')), "'diagonal', 'nan' or a number"),
        (dict(arguments=('--background', 9)), 'background=9 must be one of the classes 0 to 2'),
        (dict(arguments=('--background', -2)), 'background=-2 must be one of the classes'),
        (dict(arguments=('--spacing', 1, 0, 1)), 'spacing must be 3 positive'),
    ],
)
def test_bad_arguments(call, arguments, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        call(*arguments.pop('arguments', ()), **arguments)


def test_files_are_not_replaced(call, folders):
    (folders / 's.json').write_text('mine')
    with pytest.raises(ValueError, match='s.json exists'):
        call('--json', folders / 's.json')
    assert (folders / 's.json').read_text() == 'mine'
    call('--json', folders / 's.json', '--overwrite')
    assert json.loads((folders / 's.json').read_text())['number_of_cases'] == 2


@pytest.mark.parametrize('more', [(), ('--overwrite',)])
def test_outputs_are_two_files(call, folders, more):
    (folders / 'link').symlink_to(folders)
    with pytest.raises(ValueError, match='--json and --csv are both .*s.json: give one of them'):
        call('--json', folders / 'link' / 's.json', '--csv', folders / 's.json', *more)
    with pytest.raises(ValueError, match='out is a folder'):
        call('--csv', folders / 'out', *more)
    assert not (folders / 's.json').exists()


def move(folders, names):
    """Predictions and labels to other places below their folders; those without one are gone."""
    for part, new in zip(('out', 'labels'), names):
        for old in 'abc':
            path = folders / part / f'{old}.nii.gz'
            if path.exists():
                target = folders / part / f'{new.get(old, "gone/x")}.nii.gz'
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target) if old in new else path.unlink()


NESTED = dict(a='p1/v', b='p2/v', c='p3/v')


@pytest.mark.parametrize(
    'predictions, labels, names',
    [
        (dict(a='p1/v'), NESTED, ['p1/v']),
        (dict(a='p1/v', b='p2/v'), dict(a='all/p1/v', b='all/p2/v'), ['p1/v', 'p2/v']),
        (dict(a='x/a', b='x/b'), {}, ['x/a', 'x/b']),
        (dict(a='v', b='w'), dict(a='p1/v', b='p2/w'), ['v', 'w']),
    ],
)
def test_cases_in_folders(call, folders, predictions, labels, names):
    move(folders, (predictions, labels or dict(zip('abc', 'abc'))))
    call('--json', folders / 's.json')
    assert list(json.loads((folders / 's.json').read_text())['cases']) == names


@pytest.mark.parametrize(
    'predictions, labels, words',
    [
        (dict(a='v'), NESTED, 'not clear which of the labels p1/v, p2/v, p3/v of .* put pred'),
        (dict(a='p1/v', b='p2/v'), dict(a='v'), 'belongs to which of the predictions p1/v, p2/v'),
        (dict(a='p1/v'), dict(a='p2/v'), '1 predictions in .* have no label in .* such as p1/v'),
    ],
)
def test_cases_of_equal_names(call, folders, predictions, labels, words):
    move(folders, (predictions, labels))
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        call('--json', folders / 's.json')


def test_a_list_of_the_data_set(call, folders):
    """Its lines are paths below the images; predictions of unique names have no folders."""
    move(folders, (dict(a='v', b='w'), dict(a='p1/v', b='p2/w')))
    (folders / 'names.txt').write_text('p2/w\n')
    call('--list', folders / 'names.txt', '--json', folders / 's.json')
    assert list(json.loads((folders / 's.json').read_text())['cases']) == ['w']
    (folders / 'names.txt').write_text('p1/w\n')
    with pytest.raises(FileNotFoundError, match='the volume p1/w of the list'):
        call('--list', folders / 'names.txt')


def test_labels_with_an_ending_and_arrays_of_their_own(call, folders):
    """As seg_map_suffix and label_key of the data set name them."""
    for name in 'abc':
        path = folders / f'labels/{name}.nii.gz'
        path.rename(path.with_name(f'{name}_gt.nii.gz'))
        write_nifti(path, toy_label() * 3)  # beside the labels: the images
    call('--label-suffix', '_gt.nii.gz', '--json', folders / 's.json')
    first = json.loads((folders / 's.json').read_text())['cases']
    assert sorted(first) == ['a', 'b']
    for path in (folders / 'labels').iterdir():
        path.unlink()
    for name in 'ab':
        np.savez(folders / f'labels/{name}.npz', label=toy_label() * 0, mask=toy_label())
    call('--label-key', 'mask', '--json', folders / 't.json')
    assert json.loads((folders / 't.json').read_text())['cases'] == first


def test_classes_of_another_number_than_the_record(call, folders):
    record = dict(settings={}, classes=['background', 'box'], cases={})
    (folders / 'out/prediction.json').write_text(json.dumps(record))
    with pytest.raises(ValueError, match='--classes names 3 classes'):
        call()
    call(classes=())
