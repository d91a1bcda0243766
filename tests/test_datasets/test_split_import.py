# Copyright (c) mmseg_ctt contributors.
import json
import os
import pickle
import re

import numpy as np
import pytest

from mmseg_ctt.datasets.lists import read_entries
from mmseg_ctt.datasets.split_import import (
    entry_to_stem,
    import_lists,
    import_permutation,
    read_permutation,
    read_text_list,
)

CITY = 'aachen_000000_000019'


@pytest.mark.parametrize(
    'entry,folder,stem',
    [
        ('2007_000032', '', '2007_000032'),
        ('JPEGImages/2007_000032.jpg', 'JPEGImages', '2007_000032'),
        ('/JPEGImages/2007_000032.jpg', 'JPEGImages', '2007_000032'),
        ('VOC2012/JPEGImages/2007_000032.JPG', 'VOC2012/JPEGImages', '2007_000032'),
        ('VOC2012/JPEGImages/2007_000032.JPG', 'VOC2012', 'JPEGImages/2007_000032'),
        ('./images\\day 1\\a b.webp', 'images', 'day 1/a b'),
        (f'leftImg8bit/train/aachen/{CITY}_leftImg8bit.png', '', f'aachen/{CITY}'),
        (f'/images/train/{CITY}.png', 'images', f'aachen/{CITY}'),
        (f'aachen/{CITY}', '', f'aachen/{CITY}'),
        (CITY, '', f'aachen/{CITY}'),
        ('x/bad-honnef_000000_000001.png', '', 'bad-honnef/bad-honnef_000000_000001'),
        ('x/scene_000001_000002_gtFine_labelIds.png', '', 'scene/scene_000001_000002'),
        ('images/scene_000001_000002.png', 'images', 'scene_000001_000002'),
        ('images/scene_000001_000002_left.png', 'images', 'scene_000001_000002_left'),
        (f'images/{CITY}_left.png', 'images', f'{CITY}_left'),
        ('day/scene_000001_000002', '', 'day/scene_000001_000002'),
        ('data/slices/p99_slice_15.h5', 'data/slices', 'p99_slice_15'),
        ('site_a/img.1', 'images', 'site_a/img.1'),
    ],
)
def test_entry_to_stem(entry, folder, stem):
    assert entry_to_stem(entry, folder) == stem


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
        ('a.jpg b.png c.png\n', 'line 1 has 3 entries'),
        ('a\tb.png\tc\n', 'line 1 has 3 entries'),
        ('a.jpg b\n', "'b' is not the path of a mask"),
        ('', 'no line'),
        ('x/a.jpg\nx/a.JPG\n', 'a twice'),
        ('x\ny\nx\n', 'x twice'),
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
    assert split[:3] == (['c', 'a'], ['b'], 1)
    assert import_lists(labeled, full_list=full)[:3] == (['c', 'a'], ['b', 'd'], 0)
    assert import_lists(labeled, rest, full).unlabeled == ['b']
    with pytest.raises(ValueError, match='give the unlabelled list'):
        import_lists(labeled)
    full.write_text('a\nb\n')
    with pytest.raises(ValueError, match='1 stems are missing.*c'):
        import_lists(labeled, rest, full)


def test_sub_folders_of_all_lists_are_kept(tmp_path):
    labeled, rest, full = (tmp_path / n for n in ('l.txt', 'u.txt', 'a.txt'))
    labeled.write_text('images/day1/0001.png masks/day1/0001.png\n')
    rest.write_text('images/day2/0001.png\nimages/day2/0003.PNG\n')
    split = import_lists(labeled, rest)
    assert split[:3] == (['day1/0001'], ['day2/0001', 'day2/0003'], 0)
    assert split.folder == 'images' and split.mask_note == ''
    full.write_text('images/day1/0001.png\nimages/day3/0001.png\n')
    assert import_lists(labeled, full_list=full).unlabeled == ['day3/0001']


def test_image_folder_decides_where_names_begin(tmp_path):
    labeled, rest = tmp_path / 'l.txt', tmp_path / 'u.txt'
    labeled.write_text('root/images/day1/0001.png\n')
    rest.write_text('/data/day1/0002.jpg\nday2/0001\n')
    files = {stem: f'{stem}.jpg' for stem in ('day1/0001', 'day1/0002', 'day2/0001', '0001')}
    split = import_lists(labeled, rest, images=files)
    assert split[:2] == (['day1/0001'], ['day1/0002', 'day2/0001']) and split.folder == ''
    rest.write_text('day2/0009\n')
    with pytest.raises(ValueError, match='1 images of .*u.txt are not in .*day2/0009'):
        import_lists(labeled, rest, images=files)


@pytest.mark.parametrize(
    'name,text,expected',
    [
        ('l.csv', 'image,mask\nimages/a.jpg,masks/a_mask.png\n', [('images/a.jpg', 1)]),
        ('l.txt', 'image,mask\nimages/a.jpg,masks/a_mask.png\n', [('images/a.jpg', 1)]),
        ('l.csv', 'no;Filename;Split\n1;"a b.jpg";train\n', [('a b.jpg', 0)]),
        ('l.tsv', 'a.jpg\tb.png\n', [('a.jpg', 1)]),
        ('l.csv', 'image,mask\na.jpg,\nb.jpg,b.png\n', [('a.jpg', 0), ('b.jpg', 1)]),
        ('l.txt', 'images/a.jpg,masks/a.png\n', [('images/a.jpg', 1)]),
        ('l.txt', 'street 1.jpg\nday 2/b\n', [('street 1.jpg', 0), ('day 2/b', 0)]),
        ('l.txt', 'day 1/a b.jpg masks/day 1/a b.png\n', [('day 1/a b.jpg', 1)]),
        ('l.txt', 'night, late\n', [('night, late', 0)]),
        ('l.txt', 'a.jpg None\nb.jpg b.png\n', [('a.jpg', 0), ('b.jpg', 1)]),
        ('l.txt', 'None\n', [('None', 0)]),
    ],
)
def test_entries(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    entries = read_entries(tmp_path / name)
    assert [(entry.image, entry.mask is not None) for entry in entries] == expected


@pytest.mark.parametrize(
    'text,message',
    [
        ('picture,truth\na.jpg,b.png\n', 'line 1 names no column of images'),
        ('a.jpg,b.png,3\n', 'line 1 names no column of images'),
        ('image,mask\n', 'has a header and no image'),
        ('image,mask\na.jpg,7\n', "'7' is not the path of a mask"),
    ],
)
def test_table_that_is_not_understood(tmp_path, text, message):
    (tmp_path / 'l.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_entries(tmp_path / 'l.csv')


@pytest.mark.parametrize(
    'text,note',
    [
        ('i/d/a.jpg m/d/a.png\n', ''),
        ('i/d/a.jpg m/d/a.PNG\n', ''),
        ('i/d/a.jpg m/d/a_GT.png\n', "seg_map_suffix='_GT.png'"),
        ('i/d/a.jpg m/e/a.png\ni/e/a.jpg m/d/b.png\n', 'not called after their images .*line 1'),
        ('i/a.jpg m/a.png\ni/b.jpg m/b_GT.png\n', 'not called after .*line 2'),
        (f'{CITY}_leftImg8bit.png {CITY}_gtFine.png\n', ''),
    ],
)
def test_names_of_masks(tmp_path, text, note):
    (tmp_path / 'l.txt').write_text(text)
    (tmp_path / 'u.txt').write_text('i/u.jpg\n')
    found = import_lists(tmp_path / 'l.txt', tmp_path / 'u.txt').mask_note
    assert re.search(note, found) if note else found == ''


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
    assert import_permutation(path, full, 2)[:3] == (['c', 'a'], ['b'], 0)
    with pytest.raises(ValueError, match='cannot label 4'):
        import_permutation(path, full, 4)
    full.write_text('a\nb\n')
    with pytest.raises(ValueError, match='3 images.*lists 2'):
        import_permutation(path, full, 2)


@pytest.mark.parametrize(
    'form,stem',
    [
        ('images/training/{}.jpg annotations/training/{}.png', 'ADE_train_0000{}'),
        ('train2017/{}.jpg masks/{}.png', '00000028321{}'),
        ('JPEGImages/{}.jpg SegmentationClass/{}.png', '2007_00003{}'),
        (
            'leftImg8bit/train/{}_leftImg8bit.png gtFine/train/{}_gtFine_labelTrainIds.png',
            'aachen/aachen_00000{}_000019',
        ),
    ],
)
def test_lists_of_unimatch_v2(tmp_path, form, stem):
    """Lines of the kind of every data set of its repository."""
    lines = [form.format(*[stem.format(number)] * 2) + '\n' for number in range(6)]
    labeled, rest = tmp_path / 'l.txt', tmp_path / 'u.txt'
    labeled.write_text(''.join(lines[:2]))
    rest.write_text(''.join(lines[2:]))
    split = import_lists(labeled, rest, fmt='unimatch')
    assert split.labeled + split.unlabeled == [stem.format(number) for number in range(6)]
    assert not (split.num_dropped or split.mixed or split.mask_note)


def test_labelled_images_without_masks_are_refused(tmp_path):
    labeled, rest = tmp_path / 'l.txt', tmp_path / 'u.txt'
    labeled.write_text('img/a.jpg ann/a.png\r\n')
    rest.write_text('img/b.jpg None\r\n')
    assert import_lists(labeled, rest).unlabeled == ['b']
    with pytest.raises(ValueError, match='u.txt, line 1.*has no mask.*swapped'):
        import_lists(rest, labeled)


FULL = dict(pascal='pascal/train_aug.txt', cityscapes='cityscapes/train.txt')


def published(root, *sources):
    """What the manifest tells of each labelled list."""
    for split in json.loads((root / 'manifest.json').read_text())['splits']:
        if split['dataset'] in FULL and (not sources or split['source'] in sources):
            yield split


def test_published_lists_import(shared_dir):
    """Every labelled list is read whole, and is a part of the full list."""
    root = shared_dir / 'data' / 'splits'
    full = {data: set(read_text_list(root / path)) for data, path in FULL.items()}
    splits = list(published(root))
    assert len(splits) > 100
    for split in splits:
        stems = read_text_list(root / split['file'])
        assert stems == (root / split['file']).read_text().split()
        assert len(stems) == split['n_labeled']
        assert len(set(stems) - full[split['dataset']]) == split['outside_train']


def test_partitions_of_unimatch_import(shared_dir):
    """VOC 92 to 1464 and the blended ones, Cityscapes 1/30 to 1/2: the rest is unlabelled."""
    root = shared_dir / 'data' / 'splits'
    found = set()
    for split in published(root, 'unimatch'):
        made = import_lists(root / split['file'], full_list=root / FULL[split['dataset']])
        assert (len(made.labeled), len(made.unlabeled)) == (
            split['n_labeled'],
            split['n_unlabeled'],
        )
        assert not made.num_dropped and not made.mask_note
        found.add((split['dataset'], split['name'], len(made.labeled)))
    assert found >= {('pascal', '92', 92), ('pascal', '1464', 1464), ('pascal', '1_8', 1323)}
    assert found >= {('cityscapes', '1_16', 186), ('cityscapes', '1_2', 1488)}


def test_published_slices_import(shared_dir):
    """Slices of volumes: the unlabelled list is what the labelled one leaves of all."""
    root = shared_dir / 'data' / 'splits' / 'acdc' / 'unimatch'
    for number in (1, 3, 7):
        lists = [root / f'{number}_{part}.txt' for part in ('labeled', 'unlabeled')]
        made = import_lists(*lists, root / 'train_slices.txt')
        assert len(made.labeled) + len(made.unlabeled) == 1312 and not made.num_dropped


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
