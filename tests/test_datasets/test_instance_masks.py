# Copyright (c) mmseg_ctt contributors.
import json

import numpy as np
import pytest
from PIL import Image

from mmseg_ctt.datasets import COCOObjectsDataset
from mmseg_ctt.datasets.coco_objects import OBJECTS
from mmseg_ctt.datasets.instance_masks import (
    AnnotatedImage,
    Instance,
    draw_classes,
    instance_mask,
    polygon_mask,
    read_instances,
)

SIZE = (6, 8)
SQUARE = [1, 1, 5, 1, 5, 5, 1, 5]  # columns and rows 1 to 4


def rows(mask):
    return [''.join('#' if pixel else '.' for pixel in row) for row in mask]


def test_polygon_of_whole_pixels():
    expected = ['........', '.####...', '.####...', '.####...', '.####...', '........']
    assert rows(polygon_mask(SQUARE, SIZE)) == expected
    backwards = np.reshape(SQUARE, (-1, 2))[::-1].ravel()
    assert rows(polygon_mask(backwards, SIZE)) == expected


@pytest.mark.parametrize(
    'polygon,pixels',
    [
        ([1.4, 1, 2.4, 1, 2.4, 2, 1.4, 2], [(1, 1)]),  # the centre at 1.5 is inside
        ([1.6, 1, 2.6, 1, 2.6, 2, 1.6, 2], [(1, 2)]),
        ([-9, -9, 1, -9, 1, 1, -9, 1], [(0, 0)]),  # reaches out of the image
        ([7, 5, 99, 5, 99, 99, 7, 99], [(5, 7)]),
        ([20, 20, 30, 20, 30, 30], []),
        ([1, 1, 5, 5], []),  # a line
        ([3, 3], []),
        ([], []),
    ],
)
def test_polygon_at_the_edge(polygon, pixels):
    assert list(zip(*np.nonzero(polygon_mask(polygon, SIZE)))) == pixels


@pytest.mark.parametrize('seed', range(5))
def test_any_polygon(seed):
    """Also with edges that cross: a pixel is inside if a ray crosses an odd number of edges."""
    points = np.random.default_rng(seed).uniform(-3, 15, (7, 2))
    mask = polygon_mask(points.ravel(), (11, 12))
    for (row, column), inside in np.ndenumerate(mask):
        crossed = 0
        for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, 0)):
            if (y1 > row + 0.5) != (y2 > row + 0.5):
                crossed += x1 + (row + 0.5 - y1) * (x2 - x1) / (y2 - y1) < column + 0.5
        assert inside == bool(crossed % 2)


def test_polygons_are_joined_and_rle_runs_down_the_columns():
    two = instance_mask([SQUARE, [4, 4, 7, 4, 7, 6, 4, 6]], SIZE)
    assert two.sum() == 16 + 6 - 1 and two[4, 4] and two[5, 6]
    rle = instance_mask(dict(size=[6, 8], counts=[4, 3, 41]), SIZE)
    assert list(zip(*np.nonzero(rle))) == [(0, 1), (4, 0), (5, 0)]


@pytest.mark.parametrize(
    'rle,message',
    [
        (dict(size=[6, 8], counts='abc'), 'compressed'),
        (dict(size=[8, 6], counts=[48]), r'of size \(8, 6\)'),
        (dict(size=[6, 8], counts=[40]), 'with 40 pixels'),
    ],
)
def test_an_rle_that_does_not_fit(rle, message):
    with pytest.raises(ValueError, match=f'a.jpg: .*{message}'):
        draw_classes(AnnotatedImage('a.jpg', SIZE, [Instance(1, rle, True)]))


@pytest.mark.parametrize(
    'segmentation, words',
    [
        ([[1, 1, 5, 1, 5]], 'pairs of finite numbers'),
        ([1, 1, 5, 1, 5, 5], 'pairs of finite numbers'),
        ([[1, 1, float('nan'), 1, 5, 5]], 'pairs of finite numbers'),
        (None, 'no segmentation of COCO'),
        (dict(size=SIZE), "no segmentation of COCO.*'counts'"),
        (dict(size=SIZE, counts=[-2, 50]), 'does not fit'),
    ],
)
def test_what_cannot_be_drawn_names_its_image(segmentation, words):
    image = AnnotatedImage('a.jpg', SIZE, [Instance(1, segmentation, False)])
    with pytest.raises(ValueError, match=f'a.jpg: .*{words}'):
        draw_classes(image)


def test_overlaps():
    """The smaller object has the pixels in any order; a region of many has those of no object."""
    whole = dict(size=[6, 8], counts=[0, 48])
    small = [[2, 2, 3, 2, 3, 3, 2, 3]]
    crowd = dict(size=[6, 8], counts=[0, 6, 42])  # in the first column
    instances = [
        Instance(3, small, False),
        Instance(2, [SQUARE], False),
        Instance(1, whole, True),
        Instance(4, crowd, True),
    ]
    for order in (instances, instances[::-1]):
        label = draw_classes(AnnotatedImage('a.jpg', SIZE, order))
        assert label.dtype == np.uint8
        assert np.bincount(label.ravel(), minlength=5).tolist() == [0, 26, 15, 1, 6]
        assert label[2, 2] == 3 and label[1, 1] == 2 and label[0, 0] == 4
    tiny = dict(size=[6, 8], counts=[7, 1, 40])  # a crowd of one pixel in the square
    label = draw_classes(
        AnnotatedImage('a.jpg', SIZE, [Instance(2, [SQUARE], False), Instance(5, tiny, True)])
    )
    assert label[1, 1] == 2 and set(np.unique(label)) == {0, 2}


# ---- the file


def annotations(**changes):
    """Two images, one with three objects; ids of categories with gaps as in COCO."""
    categories = [dict(id=2 * k + 3, name=name) for k, name in enumerate(OBJECTS)]
    content = dict(
        images=[
            dict(id=7, file_name='b.jpg', height=6, width=8),
            dict(id=5, file_name='a.jpg', height=6, width=8),
        ],
        annotations=[
            dict(image_id=7, category_id=3, iscrowd=0, segmentation=[SQUARE]),
            dict(image_id=7, category_id=161, segmentation=[[2, 2, 3, 2, 3, 3, 2, 3]]),
            dict(image_id=7, category_id=5, iscrowd=1, segmentation=dict(size=[6, 8], counts=[48])),
        ],
        categories=categories[::-1],
    )
    return {**content, **changes}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_read_instances(tmp_path):
    images = read_instances(write(tmp_path / 'i.json', annotations()), OBJECTS)
    assert [(image.name, image.size, len(image.instances)) for image in images] == [
        ('b.jpg', (6, 8), 3),
        ('a.jpg', (6, 8), 0),
    ]
    assert [made[::2] for made in images[0].instances] == [(1, False), (80, False), (2, True)]


@pytest.mark.parametrize(
    'content,message',
    [
        (annotations(categories=[dict(id=1, name='cell')]), '1 categories, cell'),
        (annotations(images=[]), 'annotates image 7, which it does not list'),
        (annotations(images=annotations()['images'] * 2), 'gives one id to two images'),
        (annotations(images=[dict(id=7, file_name='b.jpg')]), "of instances: KeyError.'height'"),
        (
            annotations(annotations=[dict(image_id=7, category_id=4, segmentation=[])]),
            'annotates category 4, which it does not list',
        ),
        (annotations(annotations=[dict(image_id=7)]), 'an annotation has no category_id'),
        (dict(images=[]), 'holds no annotations of instances'),
        ([], 'holds no annotations of instances'),
    ],
)
def test_another_file(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_instances(write(tmp_path / 'i.json', content), OBJECTS)
    with pytest.raises(FileNotFoundError, match='none.json'):
        read_instances(tmp_path / 'none.json', OBJECTS)


def test_a_byte_order_mark(tmp_path):
    path = tmp_path / 'i.json'
    path.write_text(json.dumps(annotations()), encoding='utf-8-sig')
    assert len(read_instances(path, OBJECTS)) == 2


# ---- the tool and the data set


@pytest.fixture
def main(load_tool):
    return load_tool('dataset_converters/coco_objects').exit_code


@pytest.mark.parametrize('workers', [1, 2])
def test_masks_load_as_a_data_set(main, tmp_path, capsys, workers):
    for part, names in (('train2017', 'ab'), ('val2017', 'cd')):
        content = annotations()
        for image, name in zip(content['images'], names):
            image['file_name'] = f'{name}.jpg'
            (tmp_path / part).mkdir(exist_ok=True)
            Image.new('RGB', (8, 6)).save(tmp_path / part / f'{name}.jpg')
        write(tmp_path / f'annotations/instances_{part}.json', content)
    assert main(tmp_path, '--workers', workers) == 0
    assert '4 masks, 2 of them of images without objects' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / 'masks').iterdir()) == [
        f'{name}.png' for name in 'abcd'
    ]
    for part in ('train2017', 'val2017'):
        data = COCOObjectsDataset(
            data_root=str(tmp_path),
            data_prefix=dict(img_path=part, seg_map_path='masks'),
            pipeline=[dict(type='LoadAnnotations')],
        )
        label, empty = (data[index]['gt_seg_map'] for index in (0, 1))
        assert [data.metainfo['classes'][k] for k in np.unique(label)] == [
            'background',
            'person',
            'toothbrush',
        ]
        assert label[1, 1] == 1 and label[2, 2] == 80 and not empty.any()


def test_masks_are_not_replaced(main, tmp_path, capsys):
    file = write(tmp_path / 'i.json', annotations())
    options = [tmp_path, '--annotations', file, '--out', tmp_path / 'm', '--workers', 1]
    assert main(*options) == 0
    before = (tmp_path / 'm/b.png').read_bytes()
    (tmp_path / 'm/b.png').write_bytes(b'mine')
    assert main(*options) == 2 and '2 masks exist' in capsys.readouterr().err
    assert (tmp_path / 'm/b.png').read_bytes() == b'mine'
    assert main(*options, '--overwrite') == 0 and (tmp_path / 'm/b.png').read_bytes() == before
    assert main(*options[:-1], 0) == 2 and '--workers 0' in capsys.readouterr().err
    assert main(tmp_path / 'no') == 2 and 'instances_train2017.json' in capsys.readouterr().err


@pytest.mark.parametrize('name, words', [('b.png', 'b twice'), ('train/a.jpg', 'has a folder')])
def test_each_image_has_a_mask_of_its_own(main, tmp_path, capsys, name, words):
    images = [dict(image) for image in annotations()['images']]
    images[1]['file_name'] = name
    file = write(tmp_path / 'i.json', annotations(images=images))
    assert main(tmp_path, '--annotations', file, '--overwrite') == 2
    assert words in capsys.readouterr().err and not (tmp_path / 'masks').exists()


def test_classes():
    classes, palette = (COCOObjectsDataset.METAINFO[key] for key in ('classes', 'palette'))
    assert len(classes) == len(palette) == len(set(map(tuple, palette))) == 81
    assert classes[:2] == ('background', 'person') and classes[80] == 'toothbrush'
    assert palette[0] == [0, 0, 0]
