# Copyright (c) mmseg_ctt contributors.
import logging

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import MMLogger
from PIL import Image

from mmseg_ctt.datasets import FolderSegDataset
from mmseg_ctt.datasets.image_files import IMAGE_SUFFIXES, find_files, find_images, find_masks
from mmseg_ctt.datasets.image_reading import decodes


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.fixture
def warned(monkeypatch):
    """Warnings of the log, every one of them."""
    records = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handle', records.append)
    return lambda: [r.getMessage() for r in records if r.levelno == logging.WARNING]


@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_every_suffix_is_read_by_both_libraries(tmp_path, suffix):
    pixels = np.random.RandomState(0).randint(0, 256, (12, 16, 3)).astype(np.uint8)
    options = dict(lossless=True) if suffix == '.webp' else {}
    path = tmp_path / f'a{suffix.upper()}'
    Image.fromarray(pixels).save(path, **options)
    assert decodes(str(path)) and Image.open(path).size == (16, 12)
    loaded = LoadImageFromFile()(dict(img_path=str(path)))['img']
    assert loaded.shape == (12, 16, 3)
    if suffix not in ('.jpg', '.jpeg'):
        assert (loaded[..., ::-1] == pixels).all()
    dataset = FolderSegDataset(str(tmp_path), metainfo=dict(classes=('a',)))
    assert dataset.get_data_info(0)['img_path'] == str(path)


def test_files_that_are_no_images_are_counted(tmp_path, warned):
    touch(tmp_path, 'a.jpg', 's/b.HEIC', 'c.heic', 'd.gif', 'notes.txt', 'e.json', '.f.gif')
    assert list(find_images(tmp_path)) == ['a']
    (line,) = warned()
    assert f'3 files in {tmp_path} are left out (2 .heic, 1 .gif)' in line and '.webp' in line


def test_nothing_is_said_of_other_files(tmp_path, warned):
    touch(tmp_path, 'a.jpg', 'notes.txt', 'Thumbs.db', 'b.WEBP')
    assert find_images(tmp_path) == dict(a='a.jpg', b='b.WEBP')
    touch(tmp_path / 'm', 'a.PNG', 'b.gif')
    assert find_masks(tmp_path / 'm') == dict(a='a.PNG')
    assert not warned()


def test_hidden_folders_are_left_out(tmp_path):
    touch(tmp_path, 'a.jpg', '.ipynb_checkpoints/a-checkpoint.jpg', 's/.thumbs/b.jpg')
    assert list(find_files(tmp_path)) == ['a']


@pytest.mark.parametrize('target', ['.', '..', 's', 's/t'])
def test_link_to_a_folder_above_it(tmp_path, warned, target):
    root = touch(tmp_path / 'images', 'a.jpg', 's/t/b.jpg')
    touch(tmp_path, 'masks/a.png')
    (root / 's' / 't' / 'loop').symlink_to((root / target).resolve())
    assert list(find_files(root)) == ['a', 's/t/b']
    (line,) = warned()
    assert 's/t/loop is a link to a folder above it: left out' in line


def test_links_to_one_another(tmp_path, warned):
    root = touch(tmp_path / 'images', 'a/x.jpg', 'b/y.jpg')
    (root / 'a' / 'to_b').symlink_to(root / 'b')
    (root / 'b' / 'to_a').symlink_to(root / 'a')
    assert list(find_files(root)) == ['a/to_b/y', 'a/x', 'b/to_a/x', 'b/y']
    assert len(warned()) == 2


def test_links_to_other_folders_and_to_nothing(tmp_path, warned):
    touch(tmp_path / 'store', 'x.jpg', 'f/y.jpg')
    root = touch(tmp_path / 'images', 'a.jpg')
    (root / 'x.jpg').symlink_to(tmp_path / 'store' / 'x.jpg')
    (root / 'more').symlink_to(tmp_path / 'store' / 'f')
    (root / 'gone.jpg').symlink_to(tmp_path / 'nothing.jpg')  # reported as missing when it is used
    (root / 'self.jpg').symlink_to(root / 'self.jpg')
    assert list(find_files(root)) == ['a', 'gone', 'more/y', 'self', 'x']
    assert not warned()


def test_masks_are_no_images(tmp_path):
    touch(tmp_path, 'a.png', 'a_GT.png', 's/b.jpg', 's/b_gt.PNG')
    assert find_images(tmp_path, '_GT.png') == {'a': 'a.png', 's/b': 's/b.jpg'}
    assert find_masks(tmp_path, '_GT.png') == {'a': 'a_GT.png', 's/b': 's/b_gt.PNG'}
    assert len(find_images(tmp_path)) == 4


def test_two_files_of_one_stem(tmp_path):
    touch(tmp_path, 'a.jpg', 'a.PNG')
    with pytest.raises(ValueError, match='stem a: a.PNG and a.jpg'):
        find_images(tmp_path)
    touch(tmp_path / 'm', 'a.png', 'a.PNG')
    with pytest.raises(ValueError, match='stem a'):
        find_masks(tmp_path / 'm')
