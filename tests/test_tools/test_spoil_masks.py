# Copyright (c) mmseg_ctt contributors.
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from toy_data import write_mask

from mmseg_ctt.lab.label_review.spoil import read_manifest, shifted, spoil_masks, wrong_class

STEMS = [f'day{i % 2}/{i}' for i in range(8)]


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/spoil_masks')


@pytest.fixture
def masks(tmp_path):
    for seed, stem in enumerate(STEMS):
        write_mask(tmp_path / 'masks' / f'{stem}.png', seed)
    return tmp_path / 'masks'


def pixels(folder, stem):
    with Image.open(folder / f'{stem}.png') as image:
        return np.array(image)


def test_a_fraction_of_a_list_is_spoilt(masks, tmp_path, tool, capsys):
    before = {stem: pixels(masks, stem) for stem in STEMS}
    out = tmp_path / 'out'
    (tmp_path / 'list.txt').write_text('\n'.join(STEMS[:6]) + '\n')
    arguments = (masks, out, '--list', tmp_path / 'list.txt', '--fraction', 0.5, '--seed', 2)
    tool.call(*arguments)
    assert '3 of 6 masks are spoilt' in capsys.readouterr().out
    spoilt = read_manifest(out / 'spoilt.json')
    assert len(set(spoilt)) == 3 and set(spoilt) <= set(STEMS[:6]) and spoilt == sorted(spoilt)
    changed = [stem for stem in STEMS if (pixels(out, stem) != before[stem]).any()]
    assert sorted(changed) == spoilt
    assert all((pixels(masks, stem) == before[stem]).all() for stem in STEMS), 'the source stays'
    kinds = [entry['kind'] for entry in json.loads((out / 'spoilt.json').read_text())['spoilt']]
    assert sorted(kinds) == ['class', 'class', 'shift']
    with pytest.raises(ValueError, match='out is not empty'):
        tool.call(*arguments)
    again = tmp_path / 'again'
    tool.call(masks, again, *arguments[2:])
    assert (again / 'spoilt.json').read_text() == (out / 'spoilt.json').read_text()


def test_wrong_class():
    mask = np.zeros((20, 20), np.uint8)
    mask[:10] = 255
    mask[12:15, 3:6] = 1
    seen = set()
    for seed in range(20):
        made, facts = wrong_class(mask, [0, 1, 2], np.random.RandomState(seed))
        changed = made != mask
        assert changed.sum() == facts['pixels'] and (mask[changed] == facts['was']).all()
        assert (made[changed] == facts['is']).all() and made.dtype == mask.dtype
        assert facts['is'] != facts['was'] and not (mask[changed] == 255).any()
        seen.add(facts['was'])
    assert seen == {0, 1}
    with pytest.raises(ValueError, match='without any class'):
        wrong_class(np.full((4, 4), 255, np.uint8), [0, 1], np.random.RandomState(0))
    with pytest.raises(ValueError, match='a single class'):
        wrong_class(np.zeros((4, 4), np.uint8), [0], np.random.RandomState(0))


def random_mask():
    mask = np.random.RandomState(3).randint(0, 3, (6, 8)).astype(np.uint8)
    mask[0, :3] = 255
    return mask


@pytest.mark.parametrize(
    'seed, was, new, pixels',  # of version 0.10
    [(0, 1, 2, [12]), (1, 0, 1, [30]), (2, 0, 2, [39, 46, 47]), (3, 1, 0, [6, 7])],
)
def test_a_seed_draws_the_same_region_in_every_version(seed, was, new, pixels):
    mask = random_mask()
    made, facts = wrong_class(mask, [0, 1, 2, 3], np.random.RandomState(seed))
    assert facts == {'was': was, 'is': new, 'pixels': len(pixels)}
    assert np.flatnonzero(made != mask).tolist() == pixels


def test_memory_of_many_regions():
    mask = np.random.RandomState(0).randint(0, 3, (512, 512)).astype(np.uint8)
    tracemalloc.start()
    wrong_class(mask, [0, 1, 2], np.random.RandomState(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize('kind', ['class', 'shift'])
def test_another_ignored_id(masks, tmp_path, tool, kind):
    for stem in STEMS:
        with Image.open(masks / f'{stem}.png') as image:
            ids = np.array(image)
        Image.fromarray(np.where(ids == 255, 200, ids).astype(np.uint8)).save(masks / f'{stem}.png')
    options = ('--fraction', 1, '--kinds', kind, '--ignore-index', 200)
    tool.call(masks, tmp_path / 'out', *options)
    for entry in json.loads((tmp_path / 'out' / 'spoilt.json').read_text())['spoilt']:
        before, made = (pixels(folder, entry['name']) for folder in (masks, tmp_path / 'out'))
        assert set(np.unique(made)) <= {*range(4), 200}
        if kind == 'class':
            assert 200 not in (entry['was'], entry['is'])
            assert ((made == 200) == (before == 200)).all()


def test_shifted():
    mask = np.arange(400).reshape(20, 20).astype(np.int32) % 7
    made, facts = shifted(mask, np.random.RandomState(0))
    down, right = facts['down_right']
    assert abs(down) == abs(right) == 2
    known = made != 255
    assert known.sum() == 18 * 18
    rows, columns = known.nonzero()
    np.testing.assert_array_equal(made[known], mask[rows - down, columns - right])


def test_names_and_palettes_are_kept(tmp_path):
    folder = tmp_path / 'masks'
    write_mask(folder / 'a_GT.png', 0)
    with Image.open(folder / 'a_GT.png') as image:
        coloured = Image.fromarray(np.array(image))
    coloured.putpalette([7, 8, 9] + [0] * 765)
    coloured.save(folder / 'a_GT.png')
    spoil_masks(folder, {'a': 'a_GT.png'}, tmp_path / 'out', ['a'], 1, ['class'])
    with Image.open(tmp_path / 'out' / 'a_GT.png') as image:
        assert image.mode == 'P' and image.getpalette()[:3] == [7, 8, 9]


@pytest.mark.parametrize(
    'options, words',
    [
        (['--fraction', 0], 'the fraction must be in'),
        (['--kinds', 'blur'], 'kinds of errors are class, shift'),
        (['--suffix', '_x.png'], 'no mask was found'),
    ],
)
def test_mistakes(masks, tmp_path, tool, options, words, capsys):
    assert tool.exit_code(masks, tmp_path / 'out', *options) == 2
    assert words in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_manifest_of_something_else(tmp_path):
    (tmp_path / 'a.json').write_text('[1]')
    with pytest.raises(ValueError, match='is no spoilt.json'):
        read_manifest(tmp_path / 'a.json')
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_manifest(tmp_path / 'b.json')
