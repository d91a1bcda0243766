# Copyright (c) mmseg_ctt contributors.
import json
import pickle

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def main(load_tool):
    return load_tool('dataset_converters/make_split').exit_code


@pytest.fixture
def ann_dir(tmp_path):
    folder = tmp_path / 'ann'
    folder.mkdir()
    for i in range(16):
        ids = np.array([[0, i % 3, 255]], np.uint8)
        Image.fromarray(ids).save(folder / f'{"ab"[i % 2]}_{i:02d}.png')
    return folder


def lines(path):
    return path.read_text().split()


def one_line_error(capsys):
    message = capsys.readouterr().err
    assert message.startswith('error: ')
    assert message.count('\n') == 1
    return message


def test_make(main, ann_dir, tmp_path, capsys):
    args = (
        'make',
        '--ann-dir',
        ann_dir,
        '--num-classes',
        3,
        '--fraction',
        '1/4',
        '2/16',
        '--seed',
        0,
        1,
        '--out',
        tmp_path / 'out',
    )
    assert main(*args) == 0
    folders = sorted(
        p.parent.relative_to(tmp_path / 'out').as_posix() for p in tmp_path.rglob('manifest.json')
    )
    assert folders == ['1_4/seed0', '1_4/seed1', '1_8/seed0', '1_8/seed1']
    folder = tmp_path / 'out' / '1_4' / 'seed1'
    labeled, rest = (lines(folder / f'{n}.txt') for n in ('labeled', 'unlabeled'))
    assert len(labeled) == 4
    assert sorted(labeled + rest) == sorted(p.stem for p in ann_dir.iterdir())
    assert {int(stem[2:]) % 3 for stem in labeled} >= {1, 2}
    first = (folder / 'manifest.json').read_bytes()
    assert main(*args) == 0
    assert (folder / 'manifest.json').read_bytes() == first
    assert main('verify', tmp_path / 'out') == 0
    assert capsys.readouterr().out.count(': ok, ') == 4


def test_make_with_list_meta_and_number(main, ann_dir, tmp_path):
    stems = sorted(p.stem for p in ann_dir.iterdir())[:6]
    (tmp_path / 'l.txt').write_text('\n'.join(stems))
    (tmp_path / 'meta.json').write_text('{"classes": ["x", "y", "z"]}')
    assert (
        main(
            'make',
            '--ann-dir',
            ann_dir,
            '--meta',
            tmp_path / 'meta.json',
            '--list',
            tmp_path / 'l.txt',
            '--num',
            5,
            '--out',
            tmp_path / 'out',
        )
        == 0
    )
    folder = tmp_path / 'out' / '5' / 'seed0'
    assert len(lines(folder / 'unlabeled.txt')) == 1
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert set(manifest['class_images']) == {'x', 'y', 'z'}


def test_make_from_images_alone(main, ann_dir, tmp_path):
    assert main('make', '--img-dir', ann_dir, '--num', 1, '--out', tmp_path / 'out') == 0
    assert len(lines(tmp_path / 'out/1/seed0/labeled.txt')) == 1


def test_arguments_that_would_be_unused(main, ann_dir, tmp_path, capsys):
    out = ('--out', tmp_path / 'out')
    for name in ('all', 'l', 'u'):
        (tmp_path / f'{name}.txt').write_text('a\nb\n' if name == 'all' else f'{name}\n')
    path = tmp_path / 'split_0.pkl'
    path.write_bytes(pickle.dumps(np.array([1, 0])))
    (tmp_path / 'meta.json').write_text(json.dumps(dict(classes=['x', 'y', 'z'])))
    of_masks = (
        ('--num-classes', 3),
        ('--meta', tmp_path / 'meta.json'),
        ('--ignore-index', 254),
        ('--ignore-index', 0),
        ('--reduce-zero-label',),
    )
    order = (
        '--format',
        'permutation',
        '--labeled',
        path,
        '--all',
        tmp_path / 'all.txt',
        '--num',
        1,
    )
    lists = ('--labeled', tmp_path / 'l.txt', '--unlabeled', tmp_path / 'u.txt')
    for command, unused in (
        *((('make', '--img-dir', ann_dir, '--num', 1), given) for given in of_masks),
        *((('sequence', '--img-dir', ann_dir, '--labeled-prefix', 'a'), g) for g in of_masks),
        (('import', *order), ('--img-dir', ann_dir)),
        (('import', *order), ('--suffix', '.png')),
        (('import', *lists), ('--suffix', '.png')),
    ):
        assert main(*command, *unused, *out) == 2, (command, unused)
        error = one_line_error(capsys)
        assert f'{unused[0]} would be unused' in error and '{' not in error
        assert not (tmp_path / 'out').exists()
    for command in (('import', *order), ('import', *lists)):
        assert main(*command, *out, '--overwrite') == 0


def test_user_errors_are_one_line(main, ann_dir, tmp_path, capsys):
    out = ('--out', tmp_path / 'out')
    make = ('make', '--ann-dir', ann_dir, *out)
    assert main(*make, '--num', 4) == 2
    assert '--num-classes' in one_line_error(capsys)
    assert main(*make, '--num', 4, '--num-classes', 2) == 2
    assert '2 (1 pixels)' in one_line_error(capsys)
    assert main(*make, '--num', 1, '--num-classes', 3) == 2
    assert 'left out: class' in one_line_error(capsys)
    assert main(*make, '--num', 99, '--num-classes', 3) == 2
    assert '1 to 16' in one_line_error(capsys)
    assert main('make', '--img-dir', tmp_path / 'none', '--num', 1, *out) == 2
    assert 'does not exist' in one_line_error(capsys)
    assert main('make', '--img-dir', ann_dir, '--suffix', '.gif', '--num', 1, *out) == 2
    assert 'no such file' in one_line_error(capsys)
    assert not (tmp_path / 'out').exists()
    for bad in ('9/8', 'x', '1/0', '1'):
        assert main(*make, '--fraction', bad) == 2


def test_lists_are_kept_unless_told(main, ann_dir, tmp_path, capsys):
    make = ('make', '--img-dir', ann_dir, '--num', 4, '--out', tmp_path / 'o')
    assert main(*make) == 0
    path = tmp_path / 'o/4/seed0/labeled.txt'
    path.write_text('mine\n')
    assert main(*make) == 2
    assert 'already holds' in one_line_error(capsys)
    assert main('verify', tmp_path / 'o') == 2
    assert 'differs' in one_line_error(capsys)
    assert main(*make, '--overwrite') == 0
    assert len(lines(path)) == 4


def test_sequence(main, ann_dir, tmp_path, capsys):
    args = ('sequence', '--img-dir', ann_dir, '--out', tmp_path / 'out')
    assert main(*args, '--labeled-prefix', 'a') == 0
    labeled = lines(tmp_path / 'out' / 'seq_a' / 'labeled.txt')
    assert len(labeled) == 8 and all(s.startswith('a') for s in labeled)
    assert main(*args, '--labeled-prefix', 'zz') == 2
    assert "'zz'" in one_line_error(capsys)
    (ann_dir / 'c_00.png').write_bytes((ann_dir / 'a_00.png').read_bytes())
    assert (
        main(
            'sequence',
            '--ann-dir',
            ann_dir,
            '--num-classes',
            3,
            '--labeled-prefix',
            'c',
            '--out',
            tmp_path / 'out',
        )
        == 0
    )
    assert 'no labelled image shows class 1, class 2' in capsys.readouterr().out


def test_import_lists(main, tmp_path, capsys):
    (tmp_path / 'l.txt').write_text('JPEGImages/b.jpg Seg/b.png\n')
    (tmp_path / 'u.txt').write_text('JPEGImages/a.jpg Seg/a.png\nJPEGImages/b.jpg Seg/b.png\n')
    args = ('import', '--format', 'unimatch', '--labeled', tmp_path / 'l.txt')
    assert main(*args, '--unlabeled', tmp_path / 'u.txt', '--out', tmp_path / 'out') == 0
    assert '1 labelled stems were removed' in capsys.readouterr().out
    assert lines(tmp_path / 'out' / 'unlabeled.txt') == ['a']
    manifest = json.loads((tmp_path / 'out' / 'manifest.json').read_text())
    assert manifest['sources']['labeled']['name'] == 'l.txt'
    assert main('verify', tmp_path / 'out') == 0
    assert main(*args, '--out', tmp_path / 'o2') == 2
    assert 'unlabelled list' in one_line_error(capsys)
    assert main(*args, '--num', 1, '--out', tmp_path / 'o2') == 2
    assert 'permutation only' in one_line_error(capsys)


def test_import_permutation(main, tmp_path, capsys):
    path = tmp_path / 'split_0.pkl'
    path.write_bytes(pickle.dumps(np.array([1, 2, 0])))
    (tmp_path / 'all.txt').write_text('a\nb\nc\n')
    args = ('import', '--format', 'permutation', '--labeled', path, '--out', tmp_path / 'out')
    assert main(*args) == 2
    assert '--all and --num' in one_line_error(capsys)
    assert main(*args, '--all', tmp_path / 'all.txt', '--num', 2) == 0
    assert lines(tmp_path / 'out' / 'labeled.txt') == ['b', 'c']
    path.write_bytes(pickle.dumps(print))
    assert main(*args, '--all', tmp_path / 'all.txt', '--num', 2) == 2
    assert 'builtins.print' in one_line_error(capsys)


def test_verify_without_a_split(main, tmp_path, capsys):
    assert main('verify', tmp_path) == 2
    assert 'manifest.json' in one_line_error(capsys)


def test_masks_labels_images_that_have_one(main, tmp_path):
    for stem in 'abcdef':
        for folder in ('images', *(['masks'] if stem in 'abcd' else [])):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new('L', (4, 4)).save(tmp_path / folder / f'{stem}.png')
    command = [
        'masks',
        '--img-dir',
        str(tmp_path / 'images'),
        '--ann-dir',
        str(tmp_path / 'masks'),
        '--out',
        str(tmp_path / 'mine'),
    ]
    assert main(*command, '--val', '1') == 0
    lists = {
        name: (tmp_path / 'mine' / f'{name}.txt').read_text().split()
        for name in ('labeled', 'unlabeled', 'val')
    }
    assert lists['unlabeled'] == ['e', 'f']
    assert len(lists['labeled']) == 3 and len(lists['val']) == 1
    assert sorted(lists['labeled'] + lists['val']) == list('abcd')
    assert main(*command, '--val', '4') == 2
    assert main('verify', tmp_path / 'mine') == 0


def test_masks_keeps_the_validation_list_in_the_manifest(main, ann_dir, tmp_path, capsys):
    folder = tmp_path / 'mine'
    command = ['masks', '--img-dir', ann_dir, '--ann-dir', ann_dir, '--out', folder]
    assert main(*command, '--val', 3) == 0 and main('verify', folder) == 0
    assert set(json.loads((folder / 'manifest.json').read_text())['files']) == {
        'labeled.txt',
        'unlabeled.txt',
        'val.txt',
    }
    (folder / 'val.txt').write_text('a_00\n')
    assert main('verify', folder) == 2
    assert 'val.txt differs from its manifest' in one_line_error(capsys)
    assert main(*command, '--val', 3) == 2
    assert 'val.txt already holds another list' in one_line_error(capsys)
    assert main(*command, '--val', 3, '--overwrite') == 0 and main('verify', folder) == 0


# ---- import of lists with folders, tables and names with a space


def test_import_keeps_folders_and_spaces(main, tmp_path, capsys):
    (tmp_path / 'l.csv').write_text('image,mask\nimages/day 1/a b.jpg,masks/day 1/a b_GT.png\n')
    (tmp_path / 'u.txt').write_text('images/day2/0001.png\nimages/day2/street 1.JPG\n')
    args = ('import', '--labeled', tmp_path / 'l.csv', '--unlabeled', tmp_path / 'u.txt')
    assert main(*args, '--out', tmp_path / 'out') == 0
    assert (tmp_path / 'out/labeled.txt').read_text() == 'day 1/a b\n'
    assert (tmp_path / 'out/unlabeled.txt').read_text() == 'day2/0001\nday2/street 1\n'
    printed = capsys.readouterr().out
    assert 'names are below images/' in printed and "seg_map_suffix='_GT.png'" in printed


def test_import_of_paths_that_begin_elsewhere(main, tmp_path, capsys):
    (tmp_path / 'l.txt').write_text('a.jpg\n')
    (tmp_path / 'u.txt').write_text('images/day2/b.jpg\n')
    args = ('import', '--labeled', tmp_path / 'l.txt', '--unlabeled', tmp_path / 'u.txt')
    assert main(*args, '--out', tmp_path / 'out') == 0
    printed = capsys.readouterr().out
    assert 'no folder in common' in printed and 'images/day2/b.jpg' in printed
    (tmp_path / 'u.txt').write_text('b.jpg\nc\n')
    assert main(*args, '--out', tmp_path / 'o2') == 0
    assert 'warning' not in capsys.readouterr().out


def test_import_below_the_image_folder(main, ann_dir, tmp_path, capsys):
    (tmp_path / 'l.txt').write_text('/data/x/a_00.png\n')
    (tmp_path / 'u.txt').write_text('b_01\n')
    args = ('import', '--labeled', tmp_path / 'l.txt', '--unlabeled', tmp_path / 'u.txt')
    args = (*args, '--img-dir', ann_dir, '--out', tmp_path / 'out')
    assert main(*args) == 0 and lines(tmp_path / 'out/labeled.txt') == ['a_00']
    (tmp_path / 'u.txt').write_text('b_77\n')
    assert main(*args, '--overwrite') == 2
    assert 'such as b_77' in one_line_error(capsys)


def test_list_with_suffixes(main, ann_dir, tmp_path, capsys):
    (tmp_path / 'l.txt').write_text('a_00.PNG\nb_01\n')
    make = ('make', '--img-dir', ann_dir, '--list', tmp_path / 'l.txt', '--num', 1)
    assert main(*make, '--out', tmp_path / 'out') == 0
    parts = [lines(tmp_path / f'out/1/seed0/{name}labeled.txt') for name in ('', 'un')]
    assert sorted(parts[0] + parts[1]) == ['a_00', 'b_01']
    (tmp_path / 'l.txt').write_text('image,mask\na_00.png,a_00.png\n')
    assert main(*make, '--out', tmp_path / 'out') == 2
    assert 'make_split.py import' in one_line_error(capsys)


def test_no_split_is_written_if_one_cannot_be_drawn(main, ann_dir, tmp_path, capsys):
    make = ('make', '--img-dir', ann_dir, '--num', 2, 1000, '--out', tmp_path / 'out')
    assert main(*make) == 2
    assert 'cannot label 1000' in one_line_error(capsys)
    assert not (tmp_path / 'out').exists()
