# Copyright (c) mmseg_ctt contributors.
import os

import pytest
from toy_data import write_image, write_mask

from mmseg_ctt.datasets.checks import (
    check_classes,
    check_files,
    check_list,
    check_no_masks,
    check_overlap,
    check_same_classes,
)


def infos(root, *stems, masks=True):
    """Entries of a data set, their files written."""
    made = []
    for seed, stem in enumerate(stems):
        write_image(root / f'{stem}.jpg', seed)
        made.append(dict(img_path=str(root / f'{stem}.jpg')))
        if masks:
            write_mask(root / f'{stem}.png', seed)
            made[-1]['seg_map_path'] = str(root / f'{stem}.png')
    return made


def test_list(tmp_path):
    (tmp_path / 'a.txt').write_text('\nstem\n')
    check_list('labeled', dict(data_root=str(tmp_path), ann_file='a.txt'))
    check_list('labeled', dict(data_root='elsewhere', ann_file=str(tmp_path / 'a.txt')))
    check_list('labeled', dict(data_root='elsewhere'))
    with pytest.raises(FileNotFoundError, match=r'b.txt of train_dataloader.dataset.unlabeled'):
        check_list('unlabeled', dict(data_root=str(tmp_path), ann_file='b.txt'))


@pytest.mark.parametrize('content', ['', '\n', ' \n\t\n'])
def test_empty_list(tmp_path, content):
    (tmp_path / 'a.txt').write_text(content)
    with pytest.raises(ValueError, match=r'list .*a.txt of train_dataloader.dataset.tagged is emp'):
        check_list('tagged', dict(data_root=str(tmp_path), ann_file='a.txt'))


def test_files(tmp_path):
    good = infos(tmp_path, *'abcdef')
    check_files('labeled', good, masks=True)
    check_files('unlabeled', infos(tmp_path, 'g', masks=False), masks=False)
    for stem in 'bcef':
        os.remove(tmp_path / f'{stem}.png')
    with pytest.raises(FileNotFoundError) as error:
        check_files('labeled', good, masks=True)
    message = str(error.value)
    assert all(f'{stem}.png' in message for stem in 'bce')  # three examples
    assert 'f.png' not in message and '4 of 6 masks are missing' in message
    os.remove(tmp_path / 'a.jpg')
    with pytest.raises(FileNotFoundError, match='image .*a.jpg of train_dataloader.dataset.lab'):
        check_files('labeled', good, masks=True)


def test_remote_files_are_not_looked_for():
    check_files('unlabeled', [dict(img_path='s3://bucket/a.jpg')], masks=False)


def test_labelled_set_without_masks(tmp_path):
    with pytest.raises(ValueError, match='set .*labeled.data_prefix.seg_map_path'):
        check_files('labeled', infos(tmp_path, 'a', masks=False), masks=True)


def test_paths_to_masks_where_none_belong(tmp_path):
    check_no_masks('unlabeled', infos(tmp_path, 'a', masks=False))
    with pytest.raises(ValueError, match='unlabeled has paths to masks, such as .*a.png'):
        check_no_masks('unlabeled', infos(tmp_path, 'a'))


def test_classes():
    road, sky = ('road', 'car'), ('road', 'sky')
    check_classes(dict(labeled=road, unlabeled=list(road), tagged=None), 'labeled', True)
    check_classes(dict(unlabeled=None), 'unlabeled', False)
    for other, words in (
        (sky, r'dataset.tagged .*dataset.labeled \(class 1 is .sky. instead of .car.\)'),
        (road[:1], 'class 1 is None instead of .car.'),
        ((*road, 'sky'), 'class 2 is .sky. instead of None'),
    ):
        with pytest.raises(ValueError, match=words):
            check_classes(dict(labeled=road, unlabeled=road, tagged=other), 'labeled', True)
    with pytest.raises(ValueError, match='dataset.labeled names no classes'):
        check_classes(dict(labeled=None, unlabeled=road), 'labeled', True)


def test_two_data_sets_must_agree_in_classes():
    check_same_classes(['road', 'car'], 'a', ('road', 'car'), 'b')
    check_same_classes(None, 'a', ('road',), 'b')
    check_same_classes(('road',), 'a', None, 'b')
    with pytest.raises(ValueError, match='^a has other classes than b .class 0 is .car. instead'):
        check_same_classes(('car', 'road'), 'a', ('road', 'car'), 'b')


def test_overlap_by_the_real_path(tmp_path):
    labeled = infos(tmp_path / 'img', 'a', 'b', masks=False)
    other = infos(tmp_path / 'other', 'a', masks=False)
    check_overlap(dict(labeled=labeled, unlabeled=other))  # the same stem in another folder
    (tmp_path / 'link').symlink_to(tmp_path / 'img')
    aliases = [
        dict(img_path=str(tmp_path / 'link' / 'b.jpg')),
        dict(img_path=str(tmp_path / 'other' / '..' / 'img' / 'a.jpg')),
    ]
    with pytest.raises(ValueError, match='^2 images are in both .*labeled and .*unlab.*b.jpg'):
        check_overlap(dict(labeled=labeled, unlabeled=other + aliases))


@pytest.mark.parametrize('first, second', [('a', 'b'), ('a', 'c'), ('b', 'c')])
def test_overlap_of_every_pair(tmp_path, first, second):
    sources = {name: infos(tmp_path, name, masks=False) for name in 'abc'}
    check_overlap(sources)
    sources[second] += sources[first]
    words = f'^1 images are in both .*dataset.{first} and .*dataset.{second}, .*{first}.jpg'
    with pytest.raises(ValueError, match=words):
        check_overlap(sources)


@pytest.mark.parametrize(
    'root, message',
    [
        ('absent', r'the folder .*absent of .*labeled does not exist, .*environment variable'),
        ('', 'list .*labeled.txt of .*labeled does not exist: make it with'),
    ],
)
def test_a_list_that_is_missing_with_or_without_its_folder(tmp_path, root, message):
    cfg = dict(data_root=str(tmp_path / root), ann_file='labeled.txt')
    with pytest.raises(FileNotFoundError, match=message):
        check_list('labeled', cfg)
