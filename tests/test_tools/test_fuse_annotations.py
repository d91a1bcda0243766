# Copyright (c) mmseg_ctt contributors.
"""Folders of raters to fused masks: images and volumes, every method, bad input."""

import json
import re
import shutil
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from toy_raters import RATERS, SKIPPED, write_raters
from toy_volumes import AFFINE, toy_image, toy_label, write_nifti

from mmseg_ctt.label_fusion.staple import staple
from mmseg_ctt.label_fusion.votes import majority_vote

TOOL = 'consensus/fuse_annotations'
FAST = ('--trees', 5, '--min-leaf', 2, '--pictures', 1)


@pytest.fixture
def folder(tmp_path):
    """Three images with the masks of three raters, alone in their folders."""
    root = write_raters(tmp_path / 'data')
    for path in root.glob('img/u*'):
        path.unlink()
    (root / 'meta.json').write_text(json.dumps(dict(classes=['w', 'x', 'y', 'z'])))
    return root


def arguments(root, out, *more):
    dirs = [root / name for name in RATERS]
    return [root / 'img', *dirs, '--out', out, '--meta', root / 'meta.json', *more]


def read(path):
    return np.array(Image.open(path))


def masks_of(root, stem):
    found = [read(root / name / f'{stem}.png') for name in RATERS[:2]]
    third = root / 'cem' / f'{stem}.png'
    return np.stack([*found, read(third) if third.is_file() else np.full_like(found[0], 255)])


@pytest.mark.parametrize('method', ['majority', 'staple', 'soft'])
def test_methods_without_forests(folder, tmp_path, load_tool, method):
    out = tmp_path / 'out'
    load_tool(TOOL).call(*arguments(folder, out, '--method', method, '--pictures', 0))
    for stem in ('l0', 'l1', 'l2'):
        masks = masks_of(folder, stem)
        want = staple(masks, 4).label if method == 'staple' else majority_vote(masks, 4)
        assert np.array_equal(read(out / f'masks/{stem}.png'), want)
        margin = read(out / f'consensus_margin/{stem}.png')
        assert margin.dtype == np.uint8 and not margin[:3, :3].any() and margin.max() == 255
    assert (out / 'probability').is_dir() == (method == 'soft')
    if method == 'soft':
        parts = np.stack([read(out / f'probability/{name}/l1.png') for name in 'wxyz'])
        masks = masks_of(folder, 'l1')  # of two raters
        assert set(np.unique(parts)) == {0, 128, 255}
        assert ((parts[0] == 255) == ((masks[0] == 0) & (masks[1] == 0))).all()
    assert not (out / 'completed').exists() and not (out / 'pictures').exists()


def test_consensus(folder, tmp_path, load_tool, capsys):
    out, again = tmp_path / 'out', tmp_path / 'again'
    load_tool(TOOL).call(*arguments(folder, out, '--completed', *FAST))
    text = capsys.readouterr().out
    assert '[3/3]' in text and 'anna and ben | 3' in text and 'self-consistency' in text
    scores = json.loads((out / 'scores.json').read_text())
    assert scores['classes'] == ['w', 'x', 'y', 'z'] and scores['settings']['trees'] == 5
    assert scores['raters']['cem']['masks'] == 2
    assert scores['images'][SKIPPED]['self_consistency'][2] is None
    values = [scores['images'][stem]['self_consistency'][0] for stem in ('l0', 'l1', 'l2')]
    assert scores['raters']['anna']['self_consistency'] == pytest.approx(np.mean(values))
    rows = {tuple(row['raters']): row for row in scores['agreement']}
    assert rows['anna', 'cem']['cohen_kappa'] == 1 > rows['anna', 'ben']['cohen_kappa']
    assert rows['anna', 'cem']['images'] == 2

    mask = read(out / 'masks/l0.png')
    assert mask.max() < 4, 'the consensus is complete'
    completed = read(out / 'completed/cem/l0.png')
    kept = read(folder / 'cem/l0.png')
    assert np.array_equal(completed[kept != 255], kept[kept != 255]) and completed.max() < 4
    assert not (out / f'completed/cem/{SKIPPED}.png').exists()
    assert len(list((out / 'pictures').iterdir())) == 1
    # the same by two processes
    load_tool(TOOL).call(*arguments(folder, again, '--completed', *FAST, '--jobs', 2))
    for path in out.rglob('*.*'):
        assert path.read_bytes() == (again / path.relative_to(out)).read_bytes(), path


def test_names_of_raters_and_of_files(folder, tmp_path, load_tool):
    """Sub-folders are kept, another end of the names of masks, folders of one name."""
    for old, new in (('anna', 'a/val'), ('ben', 'b/val')):
        (folder / new / 'day1').mkdir(parents=True)
        for path in (folder / old).iterdir():
            shutil.move(path, folder / new / 'day1' / f'{path.stem}_GT.PNG')
    (folder / 'img/day1').mkdir()
    for path in folder.glob('img/*.jpg'):
        shutil.move(path, folder / 'img/day1' / path.name)
    out = tmp_path / 'out'
    given = [folder / 'img', folder / 'a/val', folder / 'b/val', '--out', out, '--num-classes', 4]
    load_tool(TOOL).call(*given, '--suffix', '_GT.png', '--method', 'majority')
    assert (out / 'masks/day1/l0.png').is_file()
    assert set(json.loads((out / 'scores.json').read_text())['raters']) == {'a_val', 'b_val'}


# ---- volumes


@pytest.fixture
def volumes(tmp_path):
    """Two volumes, two raters, one of whom lacks a part of the first and all of the second."""
    root = tmp_path / 'volumes'
    for seed, name in enumerate('pq'):
        write_nifti(root / f'images/{name}.nii.gz', toy_image(seed))
        write_nifti(root / f'a/{name}.nii.gz', toy_label())
    label = np.roll(toy_label(), 1, axis=0)
    label[:, :, :2] = 255
    write_nifti(root / 'b/p.nii', label)
    return root


def volume_arguments(root, out, *more):
    return [root / 'images', root / 'a', root / 'b', '--out', out, *more]


@pytest.mark.parametrize('method', ['consensus', 'staple'])
def test_volumes(volumes, tmp_path, load_tool, method):
    out = tmp_path / 'out'
    more = FAST if method == 'consensus' else ()
    load_tool(TOOL).call(*volume_arguments(volumes, out, '--method', method, *more))
    for name in 'pq':
        fused = nib.load(out / f'masks/{name}.nii.gz')
        assert np.allclose(fused.affine, AFFINE) and fused.get_data_dtype() == np.uint8
        assert fused.header.get_xyzt_units()[0] == 'mm'
        margin = nib.load(out / f'consensus_margin/{name}.nii.gz')
        assert margin.get_data_dtype() == np.float32 and margin.shape == fused.shape
        assert 0 <= margin.get_fdata().min() and margin.get_fdata().max() <= 1
    assert np.array_equal(fused.get_fdata(), toy_label()), 'one rater alone'
    assert (out / 'pictures/p.png').is_file()


def test_files_of_image_and_label(tmp_path, load_tool):
    for rater in ('images', 'a', 'b'):
        (tmp_path / rater).mkdir()
        np.savez(tmp_path / rater / 'p.npz', image=toy_image(), label=toy_label())
    out = tmp_path / 'out'
    load_tool(TOOL).call(*volume_arguments(tmp_path, out, '--method', 'majority'))
    assert np.array_equal(nib.load(out / 'masks/p.nii.gz').get_fdata(), toy_label())


# ---- bad input: one line, before anything is written


def spoil_size(root):
    spoil(root / 'ben/l2.png', lambda mask: mask[:-8])


def spoil_id(root):
    spoil(root / 'ben/l2.png', lambda mask: np.where(mask == 0, 9, mask).astype(np.uint8))


def spoil_all(root):
    for name in RATERS:
        spoil(root / name / 'l2.png', lambda mask: np.full_like(mask, 255))


def spoil(path, change):
    Image.fromarray(change(read(path))).save(path)


def remove_masks(root):
    for name in RATERS:
        (root / name / 'l0.png').unlink()


def damage(root):
    (root / 'anna/l1.png').write_bytes(b'no image')


def empty_rater(root):
    shutil.rmtree(root / 'ben')
    (root / 'ben').mkdir()


BAD = {
    'size': (spoil_size, (), r'the mask \S+ben/l2.png is 24 high'),
    'id': (spoil_id, (), r'ben/l2.png holds ids outside 0..3'),
    'all missing': (spoil_all, (), r'no rater annotated any pixel of \S+img/l2.jpg'),
    'no mask': (remove_masks, (), r'no rater has a mask of \S+img/l0.jpg'),
    'damaged': (damage, (), r'anna/l1.png cannot be read'),
    'no masks': (empty_rater, (), r'ben has no mask of an image in'),
    'no folder': (lambda root: shutil.rmtree(root / 'ben'), (), r'ben does not exist'),
    'tie of consensus': (None, ('--tie', 'first'), '--method consensus does not use --tie'),
    'trees of majority': (
        None,
        ('--method', 'majority', '--trees', 5),
        '--method majority does not use --trees',
    ),
    'neighbours': (None, ('--neighbours', 6), r'neighbours=6 must be one of \[4, 8\] in images'),
    'any neighbours': (None, ('--neighbours', 5), r'neighbours=5 must be one of \[4, 8, 6\]'),
    'scale': (None, ('--scale', 10**10), r'img/l0.jpg: the costs of .* 32 bit .* lower scale'),
    'window': (None, ('--window', 4), 'window=4 must be odd'),
    'completed': (None, ('--method', 'staple', '--completed'), 'completes no annotations'),
    'jobs': (None, ('--jobs', 0), 'jobs=0 must be positive'),
    'names': (None, ('--names', 'a', 'b'), '2 names for 3 raters'),
    'equal names': (None, ('--names', 'a', 'b', 'b'), "'b' is no name of one rater"),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input(folder, tmp_path, load_tool, capsys, case):
    change, more, words = BAD[case]
    if change is not None:
        change(folder)
    out = tmp_path / 'out'
    assert load_tool(TOOL).exit_code(*arguments(folder, out, *more)) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and error.startswith('error: '), error
    assert re.search(words, error), error
    assert not out.exists(), 'something was written'


def test_it_never_overwrites(folder, tmp_path, load_tool, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'mine.txt').write_text('mine')
    assert load_tool(TOOL).exit_code(*arguments(folder, out, '--method', 'majority')) == 2
    assert 'is not empty: choose another folder' in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ['mine.txt']


def test_one_folder_for_two_raters(folder, tmp_path, load_tool, capsys):
    given = [folder / 'img', folder / 'anna', folder / 'anna', '--out', tmp_path / 'out']
    assert load_tool(TOOL).exit_code(*given) == 2
    assert 'a folder is given for two raters' in capsys.readouterr().err


@pytest.mark.parametrize(
    'shape, affine, words',
    [
        ((12, 10, 7), AFFINE, 'has the shape'),
        ((12, 10, 8), np.diag([2, 2, 2, 1]), 'another affine'),
    ],
)
def test_volumes_that_do_not_fit(volumes, tmp_path, load_tool, capsys, shape, affine, words):
    write_nifti(volumes / 'b/p.nii', np.zeros(shape, np.uint8), affine)
    out = tmp_path / 'out'
    assert load_tool(TOOL).exit_code(*volume_arguments(volumes, out, '--method', 'majority')) == 2
    assert words in capsys.readouterr().err and not out.exists()


def test_images_and_volumes_are_not_mixed(volumes, tmp_path, load_tool, capsys):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(volumes / 'images/r.png')
    assert load_tool(TOOL).exit_code(*volume_arguments(volumes, tmp_path / 'out')) == 2
    assert 'holds images and volumes' in capsys.readouterr().err


# ---- experiments


def test_hidden_blocks(folder, tmp_path, load_tool, capsys):
    for name in ('anna', 'ben'):
        for path in (folder / name).iterdir():
            spoil(path, lambda mask: (mask % 2).astype(np.uint8))
    given = [folder / 'img', folder / 'anna', folder / 'ben', '--block', 4, '--limit', 2]
    file = tmp_path / 'new' / 'values.json'
    load_tool('consensus/hidden_blocks').call(*given, '--json', file)
    rows = {
        line.split(' | ')[0].strip('| '): line.split(' | ')[1:]
        for line in capsys.readouterr().out.splitlines()
    }
    assert rows['majority'][0] == rows['STAPLE'][0] == rows['rater 0'][0], 'one rater is left'
    assert 'completed' in rows and 'consensus, by rater' in rows
    assert len(json.loads(file.read_text())) == 2
    script = load_tool('consensus/hidden_blocks')
    assert (
        script.exit_code(*given, '--json', file) == 2
        and script.exit_code(*given, '--rater', 2) == 2
    )


def test_hidden_blocks_without_the_class(folder, tmp_path, load_tool, capsys):
    """No Dice is defined: neither table nor file has a number."""
    for name in ('anna', 'ben'):
        for path in (folder / name).iterdir():
            spoil(path, lambda mask: (np.arange(mask.size).reshape(mask.shape) == 0) * np.uint8(1))
    given = [folder / 'img', folder / 'anna', folder / 'ben', '--block', 4, '--limit', 1]
    file = tmp_path / 'values.json'
    load_tool('consensus/hidden_blocks').call(*given, '--json', file, '--part', 0.02)
    assert '| rater 0 | - | 1.0000 |' in capsys.readouterr().out
    (values,) = json.loads(file.read_text()).values()
    assert values['rater 0'] == dict(hidden=None, whole=1)


@pytest.mark.parametrize('number, expected', [(3, [0, 1, 3]), (5, [0, 1, 2, 3, 4]), (1, [0])])
def test_images_are_spread_evenly(monkeypatch, load_tool, number, expected):
    cases = SimpleNamespace(labels=np.ones((1, 20, 20), np.uint8))
    monkeypatch.setattr('mmseg_ctt.label_fusion.cases.find_cases', lambda *folders: range(5))
    monkeypatch.setattr('mmseg_ctt.label_fusion.cases.load_case', lambda case, classes: cases)
    module = load_tool('consensus/simulated_raters').module
    assert [case for case, _ in module.chosen('', '', number)] == expected


@pytest.mark.parametrize('tool', ['hidden_blocks', 'simulated_raters'])
@pytest.mark.parametrize(
    'file, words',
    [('mine.json', 'mine.json exists: give'), ('mine.json/x', 'mine.json is a file'), ('', 'is a')],
)
def test_files_of_values_are_checked_first(tmp_path, load_tool, capsys, tool, file, words):
    (tmp_path / 'mine.json').write_text('mine')
    given = ('absent', 'absent', 'absent')[: 3 if tool == 'hidden_blocks' else 2]
    assert load_tool(f'consensus/{tool}').exit_code(*given, '--json', tmp_path / file) == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / 'mine.json').read_text() == 'mine'


def test_simulated_raters(folder, load_tool, capsys):
    for path in (folder / 'anna').iterdir():
        spoil(path, lambda mask: (mask % 2).astype(np.uint8))
    script = load_tool('consensus/simulated_raters')
    more = ('--number', 1, '--json', folder / 'new' / 'values.json')
    assert script.exit_code(folder / 'img', folder / 'anna', *more) == 0
    assert (folder / 'new' / 'values.json').is_file()
    text = capsys.readouterr().out
    assert '| 2 good, 3 noisy | 0.' in text and 'self-consistency of each rater' in text
    assert script.exit_code(folder / 'img', folder / 'anna', '--number', 9) == 2
