# Copyright (c) mmseg_ctt contributors.
import contextlib
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mmseg_ctt.datasets.class_cover import hold_out, missing_of
from mmseg_ctt.datasets.image_files import find_files
from mmseg_ctt.datasets.label_check import scan_presence
from mmseg_ctt.datasets.splits import (
    make_split,
    num_from_fraction,
    random_ranking,
    random_split,
    read_list,
    sequence_split,
    split_by_prefix,
    stems_sha256,
    verify_split,
    write_drawn,
    write_split,
)

RANKING_0 = [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]
RANKING_7 = [6, 3, 4, 9, 0, 2, 8, 7, 5, 1]


def random_presence(seed, num_images=60, num_classes=8, rate=0.2):
    return np.random.default_rng(seed).random((num_images, num_classes)) < rate


def test_ranking_is_the_same_everywhere():
    # Written down once; a change means every seed gives other lists.
    assert random_ranking(10, 0).tolist() == RANKING_0
    assert random_ranking(10, 7).tolist() == RANKING_7


@pytest.mark.parametrize('seed', range(5))
def test_parts_are_disjoint_whole_and_cover_all_classes(seed):
    presence = random_presence(seed)
    labeled, unlabeled = make_split(presence, 12, seed)
    assert len(labeled) == 12
    assert sorted([*labeled, *unlabeled]) == list(range(60))
    assert presence[labeled].any(0).tolist() == presence.any(0).tolist()


def test_seed_decides():
    presence = random_presence(0)
    first, again = (make_split(presence, 12, 3)[0] for _ in range(2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != make_split(presence, 12, 4)[0].tolist()


def test_smaller_parts_lie_inside_larger_ones():
    presence = random_presence(1)
    parts = [set(make_split(presence, n, 5)[0]) for n in (10, 20, 40)]
    assert parts[0] < parts[1] < parts[2]


def test_each_image_is_drawn_equally_often():
    presence = np.ones((10, 2), dtype=bool)
    drawn = [i for seed in range(2000) for i in make_split(presence, 3, seed)[0]]
    counts = np.bincount(drawn, minlength=10)
    # Binomial with mean 600 and standard deviation 20.5.
    assert np.abs(counts - 600).max() < 100


@pytest.mark.parametrize('seed', range(40))
def test_succeeds_exactly_where_a_cover_exists(seed):
    presence = random_presence(seed, num_images=7, num_classes=6, rate=0.35)
    wanted = presence.any(0)
    for num in range(1, 8):
        possible = any(
            (presence[list(chosen)].any(0) == wanted).all()
            for chosen in itertools.combinations(range(7), num)
        )
        if possible:
            labeled, _ = make_split(presence, num, seed)
            assert (presence[labeled].any(0) == wanted).all()
        else:
            with pytest.raises(ValueError, match='left out: class'):
                make_split(presence, num, seed)


def test_impossible_split_names_the_classes():
    presence = np.eye(3, dtype=bool)
    with pytest.raises(ValueError, match='no 2 images.*left out: (car|sky|man)'):
        make_split(presence, 2, 0, ('car', 'sky', 'man'))


def test_class_without_images_is_not_asked_for():
    presence = np.zeros((5, 3), dtype=bool)
    presence[:, 0] = True
    assert len(make_split(presence, 1, 0)[0]) == 1
    assert len(make_split(np.zeros((5, 0), dtype=bool), 2, 0)[0]) == 2


@pytest.mark.parametrize('num', [0, 6, -1])
def test_number_out_of_range(num):
    with pytest.raises(ValueError, match='1 to 5'):
        make_split(np.ones((5, 2), dtype=bool), num, 0)


def test_bad_seed_and_shape():
    with pytest.raises(ValueError, match='seed'):
        make_split(np.ones((5, 2), dtype=bool), 2, -1)
    with pytest.raises(ValueError, match='shape'):
        make_split(np.ones(5, dtype=bool), 2, 0)


@pytest.mark.parametrize(
    'fraction,total,expected',
    [
        ('1/16', 10582, 662),
        ('1/8', 10582, 1323),
        ('1/4', 10582, 2646),
        ('1/8', 2975, 372),
        ('1/30', 2975, 100),
        ('1/16', 367, 23),
        ('0.125', 16, 2),
        ('1/3', 3, 1),
    ],
)
def test_fraction_gives_published_sizes(fraction, total, expected):
    assert num_from_fraction(fraction, total) == expected


@pytest.mark.parametrize('fraction', ['0', '9/8', '-1/8', 'x', '1/0'])
def test_bad_fraction(fraction):
    with pytest.raises(ValueError, match='1/8'):
        num_from_fraction(fraction, 100)


def test_split_by_prefix():
    stems = ['a_1', 'b_1', 'a_2', 'c_1']
    labeled, unlabeled = split_by_prefix(stems, ['a_', 'c'])
    assert (labeled.tolist(), unlabeled.tolist()) == ([0, 2, 3], [1])
    with pytest.raises(ValueError, match="'d'"):
        split_by_prefix(stems, ['a', 'd'])
    with pytest.raises(ValueError, match='nothing is unlabelled'):
        split_by_prefix(stems, ['a', 'b', 'c'])


def test_written_split_is_read_back_and_verified(tmp_path):
    folder = write_split(tmp_path / 's', ['b', 'a'], ['c'], dict(seed=3))
    assert read_list(folder / 'labeled.txt') == ['b', 'a']
    assert (folder / 'unlabeled.txt').read_bytes() == b'c\n'
    manifest = verify_split(folder)
    assert manifest['seed'] == 3
    assert (manifest['num_labeled'], manifest['num_unlabeled']) == (2, 1)
    assert manifest['stems_sha256'] == stems_sha256(['c', 'a', 'b'])
    first = (folder / 'manifest.json').read_bytes()
    write_split(folder, ['b', 'a'], ['c'], dict(seed=3))
    assert (folder / 'manifest.json').read_bytes() == first


def test_other_lists_are_not_overwritten_unasked(tmp_path):
    write_split(tmp_path, ['a'], ['b'])
    with pytest.raises(ValueError, match='already holds'):
        write_split(tmp_path, ['b'], ['a'])
    assert read_list(tmp_path / 'labeled.txt') == ['a']
    write_split(tmp_path, ['b'], ['a'], overwrite=True)
    assert read_list(tmp_path / 'labeled.txt') == ['b']


@pytest.mark.parametrize('fatal', [OSError, KeyboardInterrupt])
def test_a_split_that_is_not_written_whole_does_not_pass_for_one(tmp_path, monkeypatch, fatal):
    """Whichever write, removal or rename is the last."""
    old, new = (['a', 'b'], ['c', 'd'], ['e', 'f']), (['e', 'a'], ['c', 'b'], ['d', 'f'])
    parts, number = ('labeled', 'unlabeled', 'val'), itertools.count()

    def failing(call):
        def changed(*given, **more):
            if next(calls) == last:
                raise fatal
            return call(*given, **more)

        return changed

    for last in number:
        folder = tmp_path / str(last)
        write_split(folder, *old[:2], val=old[2])
        calls, done = itertools.count(), False
        with monkeypatch.context() as patch:
            patch.setattr(os, 'fsync', failing(os.fsync))  # of each file, and of the folder
            patch.setattr(os, 'replace', failing(os.replace))
            patch.setattr(Path, 'unlink', failing(Path.unlink))
            with contextlib.suppress(fatal):
                write_split(folder, *new[:2], val=new[2], overwrite=True)
                done = True
        found = tuple(read_list(folder / f'{part}.txt') for part in parts)
        if (folder / 'manifest.json').is_file():
            verify_split(folder)
            assert found in (old, new) and (found == new or not done)
            assert not list(folder.glob('*.part'))
        else:
            assert not done
        if done:
            break
    # three lists and a manifest are written and renamed, the old manifest is removed; the flush of
    # the folder may fail
    assert last == (9 if fatal is OSError else 10)


AWKWARD = [
    'a ',
    ' a',
    'a\u2028b',
    'a\u2028',
    'a\x0cb',
    'a\x85b',
    'a\nb',
    'a\rb',
    '\ufeffa',
    '\udce4',
    '',
]


@pytest.mark.parametrize('stem', AWKWARD)
def test_a_name_is_read_back_or_refused(tmp_path, stem):
    try:
        write_split(tmp_path, ['l', stem], ['u'])
    except ValueError as error:
        assert repr(stem) in str(error) and 'rename it' in str(error)
        assert not list(tmp_path.iterdir())
    else:
        assert read_list(tmp_path / 'labeled.txt') == ['l', stem]
        verify_split(tmp_path)


def test_stem_in_both_lists_is_refused(tmp_path):
    with pytest.raises(ValueError, match='names b twice'):
        write_split(tmp_path, ['a', 'b'], ['b'])
    assert not list(tmp_path.iterdir())


def test_verify_finds_changes(tmp_path):
    write_split(tmp_path, ['a'], ['b', 'c'])
    (tmp_path / 'unlabeled.txt').write_text('b\n')
    with pytest.raises(ValueError, match='unlabeled.txt differs'):
        verify_split(tmp_path)


def test_verify_finds_wrong_content_checksum(tmp_path):
    write_split(tmp_path, ['a'], ['b'])
    path = tmp_path / 'manifest.json'
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(dict(manifest, stems_sha256='0')))
    with pytest.raises(ValueError, match='stems_sha256'):
        verify_split(tmp_path)
    path.write_text('{"files": []}')
    with pytest.raises(ValueError, match='not a split manifest'):
        verify_split(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='manifest'):
        verify_split(tmp_path)


def test_read_list(tmp_path):
    path = tmp_path / 'l.txt'
    path.write_bytes(b'\xef\xbb\xbfa\r\n\r\n  b c \r\n')
    assert read_list(path) == ['a', 'b c']
    path.write_text('a\nb\na\n')
    with pytest.raises(ValueError, match='a twice'):
        read_list(path)
    path.write_bytes(b'\x80\x03\xff')
    with pytest.raises(ValueError, match='not a text file'):
        read_list(path)
    with pytest.raises(FileNotFoundError, match='none.txt'):
        read_list(tmp_path / 'none.txt')


def test_random_split_names_its_folder(tmp_path):
    stems = [f'i{n}' for n in range(16)]
    presence = np.ones((16, 2), dtype=bool)
    split = random_split(str(tmp_path), stems, presence, '1/8', 1, ('road', 'sky'))
    assert not any(tmp_path.iterdir())
    other = random_split(str(tmp_path), stems, presence, '5', 0)
    assert [made['num_labeled'] for made in write_drawn([split, other])] == [2, 5]
    manifest = verify_split(tmp_path / '1_8' / 'seed1')
    assert manifest['class_images']['sky'] == dict(labeled=2, all=16)
    assert manifest['fraction'] == '1/8'
    assert verify_split(tmp_path / '5' / 'seed0')['num_labeled'] == 5


def test_sequence_split_names_missing_classes(tmp_path):
    presence = np.array([[1, 0], [1, 1]], dtype=bool)
    split = sequence_split(str(tmp_path), ['a_0', 'b_0'], presence, ['a_'], ('road', 'sky'))
    (written,) = write_drawn([split])
    assert written['missing'] == ['sky']
    assert read_list(tmp_path / 'seq_a' / 'labeled.txt') == ['a_0']


def test_all_splits_are_checked_before_the_first_is_written(tmp_path):
    stems, presence = [f'i{n}' for n in range(16)], np.ones((16, 2), dtype=bool)
    splits = [random_split(str(tmp_path), stems, presence, size, 0) for size in ('2', '3')]
    other = tmp_path / '3' / 'seed0' / 'labeled.txt'
    other.parent.mkdir(parents=True)
    other.write_text('i0\n')
    with pytest.raises(ValueError, match='already holds another list'):
        write_drawn(splits)
    assert not (tmp_path / '2').exists() and other.read_text() == 'i0\n'
    write_drawn(splits, overwrite=True)
    assert len(read_list(other)) == 3


def test_camvid_labels_make_splits(shared_dir):
    root = shared_dir / 'data' / 'camvid' / 'ann_dir' / 'train'
    files = find_files(root, ['.png'])
    presence = scan_presence([root / name for name in files.values()], 11)
    # Images per class as the description beside the data set counts them.
    meta = json.loads((root.parents[1] / 'meta.json').read_text())
    expected = list(meta['class_image_count']['train'].values())
    assert presence.sum(0).tolist() == expected
    for seed in range(3):
        labeled, _ = make_split(presence, 23, seed)
        assert presence[labeled].any(0).all()


def held(presence, number):
    rows = hold_out(presence, number)
    assert len(set(rows.tolist())) == number
    rest = np.setdiff1d(np.arange(len(presence)), rows)
    return presence[rows].any(0), presence[rest].any(0)


@pytest.mark.parametrize('seed', range(20))
def test_held_out_images_show_every_class_and_leave_it(seed):
    presence = random_presence(seed, num_images=60, num_classes=8, rate=0.15)
    val, rest = held(presence, 10)
    assert val.all() and rest.all()


@pytest.mark.parametrize('seed', range(40))
def test_held_out_images_are_as_good_as_the_best(seed):
    presence = random_presence(seed, num_images=8, num_classes=5, rate=0.35)
    for number in range(1, 5):
        best = min(
            len(missing_of(presence, np.array(chosen)))
            for chosen in itertools.combinations(range(8), number)
        )
        # Greedy orders: at most a class more than the best choice of up to half of the images.
        assert len(missing_of(presence, hold_out(presence, number))) <= best + 1


def test_class_of_one_image_stays_for_training():
    presence = np.array([[1, 0], [1, 1], [1, 0]], dtype=bool)
    val, rest = held(presence, 1)
    assert val.tolist() == [True, False] and rest.tolist() == [True, True]
    val, rest = held(presence, 2)
    assert rest.tolist() == [True, True]


def test_many_held_out_images_take_the_last_of_a_class():
    val, rest = held(np.eye(3, dtype=bool), 2)
    assert val.sum() == 2 and rest.sum() == 1
    assert hold_out(np.zeros((4, 0), dtype=bool), 2).tolist() == [0, 1]
    assert hold_out(np.ones((4, 2), dtype=bool), 0).tolist() == []
