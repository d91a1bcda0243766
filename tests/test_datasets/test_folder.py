# Copyright (c) mmseg_ctt contributors.
import json
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_ctt.datasets.folder import FolderSegDataset
from mmseg_ctt.datasets.image_files import find_files

META = dict(classes=('road', 'sky'))


def make_images(folder, *names):
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
        image.save(path, format='PNG')


def build(root, **kwargs):
    kwargs.setdefault('metainfo', META)
    return FolderSegDataset(data_root=str(root), **kwargs)


def names_of(dataset, key='img_path'):
    return [Path(dataset.get_data_info(i)[key]).name for i in range(len(dataset))]


def test_mixed_suffixes_sorted_by_stem(tmp_path):
    make_images(tmp_path / 'img', 'd.PNG', 'b.jpeg', 'a.tif', 'c.JPG', 'e.bmp', 'f.tiff')
    (tmp_path / 'img' / 'notes.txt').touch()
    (tmp_path / 'img' / '.hidden.jpg').touch()
    dataset = build(tmp_path, data_prefix=dict(img_path='img'))
    assert names_of(dataset) == ['a.tif', 'b.jpeg', 'c.JPG', 'd.PNG', 'e.bmp', 'f.tiff']


def test_masks_by_stem(tmp_path):
    make_images(tmp_path / 'img', 's/a.jpg', 'b.png')
    dataset = build(
        tmp_path, data_prefix=dict(img_path='img', seg_map_path='ann'), seg_map_suffix='_m.png'
    )
    paths = [dataset.get_data_info(i)['seg_map_path'] for i in range(2)]
    assert paths == [str(tmp_path / 'ann' / 'b_m.png'), str(tmp_path / 'ann' / 's' / 'a_m.png')]


@pytest.mark.parametrize('prefix', [dict(img_path='img'), dict(img_path='img', seg_map_path=None)])
def test_images_only_has_no_path_to_labels(tmp_path, prefix):
    make_images(tmp_path / 'img', 'a.jpg')
    dataset = build(tmp_path, data_prefix=prefix, pipeline=[dict(type='LoadImageFromFile')])
    assert 'seg_map_path' not in dataset[0]
    assert dataset[0]['img'].shape == (4, 6, 3)


def test_list_decides_members_and_order(tmp_path):
    make_images(tmp_path / 'img', 'a.jpg', 's/b.png', 'c.bmp')
    (tmp_path / 'l.txt').write_text('c\ns/b\n')
    dataset = build(tmp_path, ann_file='l.txt', data_prefix=dict(img_path='img'))
    assert names_of(dataset) == ['c.bmp', 'b.png']


def test_listed_image_is_missing(tmp_path):
    make_images(tmp_path / 'img', 'a.jpg')
    (tmp_path / 'l.txt').write_text('a\nb\n')
    with pytest.raises(FileNotFoundError, match='1 images .*such as b'):
        build(tmp_path, ann_file='l.txt', data_prefix=dict(img_path='img'))
    with pytest.raises(FileNotFoundError, match='none.txt'):
        build(tmp_path, ann_file='none.txt', data_prefix=dict(img_path='img'))


def test_two_images_of_one_stem(tmp_path):
    make_images(tmp_path / 'img', 'a.jpg', 'a.png')
    with pytest.raises(ValueError, match='stem a: a.jpg and a.png'):
        build(tmp_path, data_prefix=dict(img_path='img'))


def test_missing_or_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='img does not exist'):
        build(tmp_path, data_prefix=dict(img_path='img'))
    (tmp_path / 'img').mkdir()
    with pytest.raises(FileNotFoundError, match='no image'):
        build(tmp_path, data_prefix=dict(img_path='img'))


def test_classes_from_meta_json(tmp_path):
    make_images(tmp_path / 'img', 'a.jpg')
    palette = [[1, 2, 3], [4, 5, 6]]
    (tmp_path / 'meta.json').write_text(
        json.dumps(dict(classes=['x', 'y'], palette=palette, other=1))
    )
    dataset = build(tmp_path, metainfo=None, data_prefix=dict(img_path='img'))
    assert list(dataset.metainfo['classes']) == ['x', 'y']
    assert dataset.metainfo['palette'] == palette
    assert 'other' not in dataset.metainfo
    assert dataset.label_map is None


def write_meta(root, *classes, **other):
    (root / 'meta.json').write_text(json.dumps(dict(classes=classes, **other)))


@pytest.mark.parametrize('palette', [None, [[1, 1, 1], [2, 2, 2], [3, 3, 3]]])
def test_classes_in_another_order_than_meta_json(tmp_path, palette):
    make_images(tmp_path / 'img', 'a.jpg')
    (tmp_path / 'ann').mkdir()
    Image.fromarray(np.array([[0, 1, 2, 255]] * 2, np.uint8)).save(tmp_path / 'ann' / 'a.png')
    write_meta(tmp_path, 'road', 'car', 'sky', **(dict(palette=palette) if palette else {}))
    prefix = dict(img_path='img', seg_map_path='ann')
    steps = [dict(type='LoadAnnotations')]
    for classes, ids in (
        (('sky', 'road', 'car'), [1, 2, 0, 255]),
        (('sky', 'road'), [1, 255, 0, 255]),
        (['road', 'car', 'sky'], [0, 1, 2, 255]),
    ):
        made = build(tmp_path, metainfo=dict(classes=classes), data_prefix=prefix, pipeline=steps)
        assert made.metainfo['classes'] == classes
        assert made[0]['gt_seg_map'].tolist() == [ids] * 2  # by name
        colours = made.metainfo['palette']
        assert len(colours) == len(classes)
        if palette:
            assert colours == [palette[['road', 'car', 'sky'].index(name)] for name in classes]
    own = dict(classes=('sky', 'road'), palette=[[9, 9, 9], [8, 8, 8]])
    assert build(tmp_path, metainfo=own, data_prefix=prefix).metainfo['palette'] == own['palette']


def test_class_that_meta_json_does_not_have(tmp_path):
    make_images(tmp_path / 'img', 'a.jpg')
    write_meta(tmp_path, 'road', 'car')
    with pytest.raises(ValueError, match="'sky', but .*meta.json has 'road', 'car'"):
        build(tmp_path, data_prefix=dict(img_path='img'))


def test_classes_of_the_config_where_meta_json_is_another_file(tmp_path):
    make_images(tmp_path / 'img', 'a.jpg')
    (tmp_path / 'meta.json').write_text('{"license": "CC0"}')
    dataset = build(tmp_path, data_prefix=dict(img_path='img'))
    assert dataset.metainfo['classes'] == META['classes'] and dataset.label_map is None


def test_no_classes_anywhere(tmp_path):
    """Masks need them, images alone do not."""
    make_images(tmp_path / 'img', 'a.jpg')
    prefix = dict(img_path='img')
    with pytest.raises(ValueError, match='metainfo=dict.*meta.json'):
        build(tmp_path, metainfo=None, data_prefix=dict(prefix, seg_map_path='ann'))
    with pytest.raises(ValueError, match='background'):
        build(tmp_path, metainfo=None, data_prefix=prefix, background='ground')
    dataset = build(tmp_path, metainfo=None, data_prefix=prefix)
    assert len(dataset) == 1 and not dataset.metainfo.get('classes')


@pytest.mark.parametrize(
    'text,message',
    [
        ('{', 'no valid JSON'),
        ('[]', '"classes"'),
        ('{"classes": [1]}', 'names'),
        ('{"classes": ["a"], "palette": []}', '0 colours for 1 classes'),
    ],
)
def test_malformed_meta_json(tmp_path, text, message):
    (tmp_path / 'meta.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        build(tmp_path, metainfo=None)


def test_palette_is_made_the_same_each_time(tmp_path):
    make_images(tmp_path, 'a.jpg')
    np.random.seed(0)
    first = build(tmp_path).metainfo['palette']
    np.random.seed(1)
    assert build(tmp_path).metainfo['palette'] == first
    assert first[0] != first[1]


def test_built_by_the_registry(tmp_path):
    make_images(tmp_path, 'a.jpg')
    dataset = DATASETS.build(dict(type='FolderSegDataset', data_root=str(tmp_path), metainfo=META))
    assert len(dataset) == 1


def test_find_files_prefers_the_longest_suffix(tmp_path):
    make_images(tmp_path, 'c/a_leftImg8bit.png', 'b.png')
    found = find_files(tmp_path, ['.png', '_leftImg8bit.png'])
    assert found == {'b': 'b.png', 'c/a': 'c/a_leftImg8bit.png'}


def test_other_real_folders(shared_dir):
    for name, sizes in (('drive', None), ('la2d', (640, 160))):
        root = shared_dir / 'data' / name
        for part in ('train', 'val'):
            dataset = build(
                root,
                metainfo=None,
                data_prefix=dict(img_path=f'img_dir/{part}', seg_map_path=f'ann_dir/{part}'),
            )
            if sizes:
                assert len(dataset) == sizes[part == 'val']
            for i in range(len(dataset)):
                assert Path(dataset.get_data_info(i)['seg_map_path']).is_file()


@pytest.mark.parametrize('suffix', ['.png', '_GT.png', '.tif'])
def test_masks_in_upper_case(tmp_path, suffix):
    make_images(tmp_path / 'img', 's/a.JPG', 'b.png', 'c.webp')
    make_images(tmp_path / 'ann', f's/a{suffix.upper()}', f'b{suffix}')
    prefix = dict(img_path='img', seg_map_path='ann')
    dataset = build(tmp_path, data_prefix=prefix, seg_map_suffix=suffix)
    names = [f'b{suffix}', f'c{suffix}', f'a{suffix.upper()}']  # the second is missing
    assert names_of(dataset, 'seg_map_path') == names


def test_masks_beside_their_images(tmp_path):
    make_images(tmp_path, 'a.jpg', 'a_GT.png', 'b.png', 'b_GT.png')
    prefix = dict(img_path='', seg_map_path='')
    dataset = build(tmp_path, data_prefix=prefix, seg_map_suffix='_GT.png')
    assert names_of(dataset) == ['a.jpg', 'b.png']
    assert names_of(dataset, 'seg_map_path') == ['a_GT.png', 'b_GT.png']


def test_list_of_file_names(tmp_path):
    make_images(tmp_path / 'img', 'a b.jpg', 's/b.PNG', 'c.png')
    (tmp_path / 'l.txt').write_text('s/b.png\r\na b.jpg\nc\n')
    dataset = build(tmp_path, ann_file='l.txt', data_prefix=dict(img_path='img'))
    assert names_of(dataset) == ['b.PNG', 'a b.jpg', 'c.png']
    (tmp_path / 'l.txt').write_text('c\nc.png\n')
    with pytest.raises(ValueError, match='names c twice'):
        build(tmp_path, ann_file='l.txt', data_prefix=dict(img_path='img'))


@pytest.mark.parametrize(
    'line', ['img/c.png ann/c.png', 'img/c.png', 'c.png,c_GT.png', 'image,mask']
)
def test_list_of_another_project(tmp_path, line):
    make_images(tmp_path / 'img', 'c.png')
    (tmp_path / 'l.txt').write_text(f'{line}\n')
    with pytest.raises(FileNotFoundError, match='1 images .*: a list has one name.* import'):
        build(tmp_path, ann_file='l.txt', data_prefix=dict(img_path='img'))
