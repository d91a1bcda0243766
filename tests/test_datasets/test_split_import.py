# Copyright (c) mmseg_ctt contributors.
import os
import pickle

import numpy as np
import pytest

from mmseg_ctt.datasets.split_import import (
    entry_to_stem,
    import_lists,
    import_permutation,
    read_permutation,
    read_text_list,
)

CITY = 'aachen_000000_000019'


@pytest.mark.parametrize(
    'entry,stem',
    [
        ('2007_000032', '2007_000032'),
        ('JPEGImages/2007_000032.jpg', '2007_000032'),
        ('/JPEGImages/2007_000032.jpg', '2007_000032'),
        ('VOC2012/JPEGImages/2007_000032.JPG', '2007_000032'),
        (f'leftImg8bit/train/aachen/{CITY}_leftImg8bit.png', f'aachen/{CITY}'),
        (f'/images/train/{CITY}.png', f'aachen/{CITY}'),
        (f'aachen/{CITY}', f'aachen/{CITY}'),
        (CITY, f'aachen/{CITY}'),
        ('data/slices/patient099_frame01_slice_15.h5', 'patient099_frame01_slice_15'),
        ('site_a/img.1', 'site_a/img.1'),
    ],
)
def test_entry_to_stem(entry, stem):
    assert entry_to_stem(entry) == stem


@pytest.mark.parametrize('fmt', ['auto', 'unimatch', 'u2pl', 'cps'])
def test_image_and_mask_paths(tmp_path, fmt):
    path = tmp_path / 'l.txt'
    path.write_text(
        'JPEGImages/2007_000032.jpg SegmentationClass/x.png\r\n'
        f'/images/train/{CITY}.png\t/seg/{CITY}_gtFine.png\n'
    )
    assert read_text_list(path, fmt) == ['2007_000032', f'aachen/{CITY}']


def test_pseudoseg_has_one_entry_a_line(tmp_path):
    path = tmp_path / 'l.txt'
    path.write_text('2007_000032\n2007_000039\n')
    assert len(read_text_list(path, 'pseudoseg')) == 2
    path.write_text('2007_000032\na.jpg b.png\n')
    with pytest.raises(ValueError, match='line 2 has 2 entries'):
        read_text_list(path, 'pseudoseg')


@pytest.mark.parametrize(
    'text,message',
    [
        ('a b c\n', 'line 1 has 3 entries'),
        ('a.jpg b\n', "'b' is not the path of a mask"),
        ('', 'no line'),
        ('x/a.jpg\ny/a.jpg\n', 'a twice'),
    ],
)
def test_malformed_list(tmp_path, text, message):
    path = tmp_path / 'l.txt'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_text_list(path)


def test_unknown_format_and_missing_file(tmp_path):
    with pytest.raises(ValueError, match='unknown list format'):
        read_text_list(tmp_path, 'foo')
    with pytest.raises(FileNotFoundError, match='none'):
        read_text_list(tmp_path / 'none')


def test_import_lists(tmp_path):
    labeled, rest, full = (tmp_path / n for n in ('l.txt', 'u.txt', 'a.txt'))
    labeled.write_text('c\na\n')
    rest.write_text('b\na\n')
    full.write_text('a\nb\nc\nd\n')
    split = import_lists(labeled, rest)
    assert split == (['c', 'a'], ['b'], 1)
    assert import_lists(labeled, full_list=full) == (['c', 'a'], ['b', 'd'], 0)
    assert import_lists(labeled, rest, full).unlabeled == ['b']
    with pytest.raises(ValueError, match='give the unlabelled list'):
        import_lists(labeled)
    full.write_text('a\nb\n')
    with pytest.raises(ValueError, match='1 stems are missing.*c'):
        import_lists(labeled, rest, full)


def dump(path, thing, protocol=None):
    path.write_bytes(pickle.dumps(thing, protocol))
    return path


@pytest.mark.parametrize('protocol', range(6))
@pytest.mark.parametrize('as_list', [False, True])
def test_permutation_of_every_protocol(tmp_path, protocol, as_list):
    order = np.random.default_rng(0).permutation(50)
    path = dump(tmp_path / 'p.pkl', list(order) if as_list else order, protocol)
    assert read_permutation(path).tolist() == order.tolist()


@pytest.mark.parametrize(
    'old,new', [(b'numpy._core', b'numpy.core'), (b'numpy.core', b'numpy._core')]
)
def test_permutation_of_other_numpy_versions(tmp_path, old, new):
    content = pickle.dumps(np.array([2, 0, 1]), protocol=2)
    path = tmp_path / 'p.pkl'
    path.write_bytes(content.replace(old, new))
    assert read_permutation(path).tolist() == [2, 0, 1]


class Call:
    def __init__(self, function, *args):
        self.reduced = (function, args)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    'function,args,symbol',
    [
        (os.mkdir, ('made',), 'mkdir'),
        (eval, ('__import__("os").mkdir("made")',), 'builtins.eval'),
        (np.save, ('made', 0), 'save'),
        (getattr, ('text', 'upper'), 'builtins.getattr'),
    ],
)
def test_foreign_calls_are_refused(tmp_path, monkeypatch, function, args, symbol):
    monkeypatch.chdir(tmp_path)
    path = dump(tmp_path / 'evil.pkl', [0, Call(function, *args)])
    with pytest.raises(ValueError, match=f'evil.pkl.*refused.*{symbol}'):
        read_permutation(path)
    assert [p.name for p in tmp_path.iterdir()] == ['evil.pkl']


def test_other_codecs_are_refused(tmp_path):
    import _codecs

    path = dump(tmp_path / 'p.pkl', Call(_codecs.encode, 'abc', 'rot13'))
    with pytest.raises(ValueError, match='rot13'):
        read_permutation(path)


@pytest.mark.parametrize(
    'thing',
    [
        np.array([0, 0, 1]),
        np.array([1, 2, 3]),
        np.array([0.0, 1.0]),
        np.zeros((2, 2), int),
        np.array([], int),
        'text',
        {'a': 1},
    ],
)
def test_not_a_permutation(tmp_path, thing):
    path = dump(tmp_path / 'p.pkl', thing)
    with pytest.raises(ValueError, match='p.pkl does not hold a permutation'):
        read_permutation(path)


def test_broken_pickle(tmp_path):
    path = tmp_path / 'p.pkl'
    path.write_bytes(pickle.dumps(np.arange(9))[:-5])
    with pytest.raises(ValueError, match='p.pkl cannot be read'):
        read_permutation(path)
    with pytest.raises(FileNotFoundError, match='none'):
        read_permutation(tmp_path / 'none')


def test_import_permutation(tmp_path):
    path = dump(tmp_path / 'p.pkl', np.array([2, 0, 1]))
    full = tmp_path / 'all.txt'
    full.write_text('a\nb\nc\n')
    assert import_permutation(path, full, 2) == (['c', 'a'], ['b'], 0)
    with pytest.raises(ValueError, match='cannot label 4'):
        import_permutation(path, full, 4)
    full.write_text('a\nb\n')
    with pytest.raises(ValueError, match='3 images.*lists 2'):
        import_permutation(path, full, 2)


def test_published_lists_import(shared_dir):
    root = shared_dir / 'data' / 'splits'
    paths = sorted(root.glob('pascal/*/*.txt')) + sorted(root.glob('cityscapes/*/*.txt'))
    assert len(paths) > 100
    for path in paths:
        assert read_text_list(path) == path.read_text().split()


def test_cps_lists_name_one_labelled_image_twice(shared_dir):
    root = shared_dir / 'data' / 'splits' / 'pascal' / 'cps'
    split = import_lists(
        root / 'pseudoseg_1-8.txt', root / 'pseudoseg_1-8_unlabeled.txt', fmt='cps'
    )
    assert split.num_dropped == 1
    assert not set(split.labeled) & set(split.unlabeled)


def test_permutation_reproduces_the_published_list(shared_dir, tmp_path):
    root = shared_dir / 'data' / 'splits' / 'pascal'
    stems = read_text_list(root / 'train_aug.txt')
    head = read_text_list(root / 'classmix_perm' / '1_4.txt')
    index = {stem: i for i, stem in enumerate(stems)}
    rest = sorted(set(range(len(stems))) - {index[stem] for stem in head})
    order = np.array([index[stem] for stem in head] + rest)
    path = dump(tmp_path / 'split_0.pkl', order, protocol=3)
    split = import_permutation(path, root / 'train_aug.txt', 1323)
    assert split.labeled == read_text_list(root / 'classmix_perm' / '1_8.txt')
    assert len(split.unlabeled) == 10582 - 1323
