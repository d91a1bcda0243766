# Copyright (c) mmseg_ctt contributors.
"""Writing a copy: what is made again, what is refused."""

import json
import os

import numpy as np
import pytest
from copied import SCALE, big_images, copy_of, plan_of, prepared
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import toy_set, write_image, write_mask

from mmseg_ctt.datasets.training_copy.make import make_copy
from mmseg_ctt.datasets.training_copy.manifest import (
    FILES,
    MANIFEST,
    Entry,
    checksum,
    damaged_files,
    entry_line,
    read_entries,
)
from mmseg_ctt.datasets.training_copy.options import options_of
from mmseg_ctt.datasets.training_copy.plan import plan_of_folder, plan_of_sources
from mmseg_ctt.datasets.training_copy.sizes import Scale


@pytest.fixture
def cfg(root):
    big_images(root)
    return prepared(root, SCALE)


def test_manifest(cfg, root, tmp_path):
    folder = tmp_path / 'copy'
    made = copy_of(cfg, folder, 'jpeg')
    manifest, entries = json.loads((folder / MANIFEST).read_text()), read_entries(folder)
    assert manifest['root'] == str(root) and manifest['complete'] and manifest['files'] == 9
    assert manifest['options'] == dict(
        format='jpeg',
        quality=95,
        scale=list(SCALE),
        keep_ratio=True,
        interpolation='bilinear',
        color_type='color',
    )
    assert manifest['bytes'] == made.bytes == sum(entry.bytes for entry in entries.values())
    entry = entries['ann/l1.png']
    assert entry.file == 'ann/l1.png'
    assert entry.sha256 == checksum((folder / entry.file).read_bytes())
    assert entry.source_sha256 == checksum((root / 'ann' / 'l1.png').read_bytes())
    assert not damaged_files(folder, entries.values())
    assert not list(folder.rglob('*.part'))


def test_names_with_other_line_ends(tmp_path):
    names = ['a\u2028b.jpg', 'a\x85b.jpg', 'a\x0cb.jpg']
    entries = [Entry(name, name, 1, 'c', 1, 1, 's') for name in names]
    (tmp_path / FILES).write_text(''.join(map(entry_line, entries)), encoding='utf-8')
    assert list(read_entries(tmp_path).values()) == entries


def test_goes_on(cfg, root, tmp_path):
    """Missing files, those whose line was cut off, and those of changed originals are made."""
    folder = tmp_path / 'copy'
    copy_of(cfg, folder)
    lines = (folder / FILES).read_text().splitlines(True)
    last = json.loads(lines[-1])['source']
    (folder / FILES).write_text(''.join(lines[:-1]) + lines[-1][:20])
    gone = next(name for name in ('img/u0.jpg', 'img/u2.jpg') if name != last)
    (folder / read_entries(folder)[gone].file).unlink()
    touched = root / 'img' / 'l1.jpg'
    os.utime(touched, ns=(1, 1))
    times = {path: path.stat().st_mtime_ns for path in folder.rglob('*.bmp')}
    made = copy_of(cfg, folder)
    assert (made.made, made.present) == (3, 6)
    remade = {path.stem for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert (
        {'l1'} <= remade
        and len(remade) <= 2
        and not damaged_files(folder, read_entries(folder).values())
    )
    assert copy_of(cfg, folder).made == 0


def test_further_images_are_added(cfg, root, tmp_path):
    folder = tmp_path / 'copy'
    copy_of(cfg, folder)
    path = root / 'splits' / 'toy' / 'unlabeled.txt'
    path.write_text(path.read_text() + 'u3\n')
    Image.fromarray(np.full((64, 96, 3), 9, np.uint8)).save(root / 'img' / 'u3.jpg')
    made = copy_of(cfg, folder)
    assert (made.made, made.present) == (1, 9)
    assert json.loads((folder / MANIFEST).read_text())['files'] == 10


@pytest.mark.parametrize(
    'options, words',
    [
        (options_of('jpeg', 95, Scale(*SCALE)), 'made with format raw, now it is jpeg'),
        (options_of('raw', 95, None), r'made with scale \(48, 32\), now it is None'),
        (options_of('raw', 95, Scale(60, 40)), r'made with scale \(48, 32\), now it is \(60, 40\)'),
    ],
)
def test_options_are_not_mixed(cfg, tmp_path, options, words):
    copy_of(cfg, tmp_path / 'copy')
    with pytest.raises(ValueError, match=words):
        make_copy(plan_of(cfg), tmp_path / 'copy', options)


def test_another_data_set_is_not_mixed_in(cfg, root, tmp_path):
    copy_of(cfg, tmp_path / 'copy')
    plan = plan_of_folder(str(root / 'img'), '', None)
    with pytest.raises(ValueError, match='made with root of the data .*data, now it is .*img'):
        make_copy(plan, tmp_path / 'copy', options_of('raw', 95, Scale(*SCALE)))


@pytest.mark.parametrize('where', ['', 'img', 'img/copy', 'ann/deep/copy'])
def test_not_among_the_originals(cfg, root, where):
    with pytest.raises(ValueError, match='lies among the originals'):
        copy_of(cfg, root / where)
    assert not list(root.rglob(MANIFEST))


@pytest.mark.parametrize('where', ['img/fast', 'ann/fast', 'img/a/b/fast'])
def test_not_where_a_data_set_looks_for_files(tmp_path, where):
    """All files are in folders below; the copies would be further images."""
    for name in ('a/x', 'b/x'):
        write_image(tmp_path / 'img' / f'{name}.jpg', 0)
        write_mask(tmp_path / 'ann' / f'{name}.png', 0)
    steps = [dict(type='CheckedLoadImageFromFile'), dict(type='CheckedLoadAnnotations')]
    data = DATASETS.build(toy_set(tmp_path, True, pipeline=steps))
    for plan in (plan_of_folder(str(tmp_path), 'img', 'ann'), plan_of_sources(dict(labeled=data))):
        with pytest.raises(ValueError, match='lies among the originals'):
            make_copy(plan, tmp_path / where, options_of('raw', 95, None), report=str)
    assert not list(tmp_path.rglob(MANIFEST))
    made = make_copy(plan, tmp_path / 'fast', options_of('raw', 95, None), report=str)
    assert made.made == 4


@pytest.mark.parametrize('recorded', [True, False])
def test_a_copy_without_color_type_has_none_but_colours(cfg, tmp_path, recorded):
    """Copies of earlier versions do not name it, and are gone on with."""
    copy_of(cfg, tmp_path / 'copy')
    path = tmp_path / 'copy' / MANIFEST
    manifest = json.loads(path.read_text())
    if not recorded:
        del manifest['options']['color_type']
        path.write_text(json.dumps(manifest))
    assert copy_of(cfg, tmp_path / 'copy').made == 0
    plan = plan_of(cfg)._replace(color_type='unchanged')
    with pytest.raises(ValueError, match='made with color_type color, now it is unchanged'):
        make_copy(plan, tmp_path / 'copy', options_of('raw', 95, Scale(*SCALE)))


def test_not_into_a_folder_of_other_files(cfg, tmp_path):
    (tmp_path / 'copy').mkdir()
    (tmp_path / 'copy' / 'notes.txt').write_text('mine')
    with pytest.raises(ValueError, match='is not empty and no training copy'):
        copy_of(cfg, tmp_path / 'copy')
    assert [path.name for path in (tmp_path / 'copy').iterdir()] == ['notes.txt']


def test_files_that_cannot_be_copied_are_all_named(cfg, root, tmp_path):
    (root / 'img' / 'u0.jpg').write_bytes(b'no image')
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(root / 'ann' / 'l0.png')
    Image.fromarray(np.zeros((63, 96), np.uint8)).save(root / 'ann' / 'l1.png')
    cfg.train_dataloader.dataset.scan_masks = 0
    with pytest.raises(ValueError, match='3 of 9 files cannot be copied') as raised:
        copy_of(cfg, tmp_path / 'copy')
    for words in ('u0.jpg', 'l0.png has shape (64, 96, 3)', 'l1.png is 63 high and 96 wide'):
        assert words in str(raised.value)
    assert len(read_entries(tmp_path / 'copy')) == 6
    assert not json.loads((tmp_path / 'copy' / MANIFEST).read_text())['complete']


def test_an_image_that_is_missing_does_not_stop_the_others(cfg, root, tmp_path):
    plan = plan_of(cfg)
    (root / 'img' / 'l1.jpg').unlink()
    with pytest.raises(ValueError, match='2 of 9 files cannot be copied: .*l1.jpg') as raised:
        make_copy(plan, tmp_path / 'copy', options_of('raw', 95, None), report=str)
    assert 'the image' in str(raised.value)  # that the mask belongs to
    assert len(read_entries(tmp_path / 'copy')) == 7


def test_one_name_for_two_files(root, tmp_path):
    """An image that is called like the mask of another, but for the suffix."""
    for name, shape in (('a.jpg', (8, 8, 3)), ('a_GT.jpg', (8, 8, 3)), ('a_GT.png', (8, 8))):
        (root / 'both').mkdir(exist_ok=True)
        Image.fromarray(np.ones(shape, np.uint8)).save(root / 'both' / name)
    plan = plan_of_folder(str(root), 'both', 'both', '_GT.png')
    make_copy(plan, tmp_path / 'copy', options_of('raw', 95, None), report=str)
    files = {key: entry.file for key, entry in read_entries(tmp_path / 'copy').items()}
    assert files == {
        'both/a.jpg': 'both/a.bmp',
        'both/a_GT.jpg': 'both/a_GT.jpg.bmp',
        'both/a_GT.png': 'both/a_GT.png.bmp',
    }
