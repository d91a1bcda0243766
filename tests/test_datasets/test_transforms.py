# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmseg_ctt.datasets.label_check import reduce_zero, scan_presence
from mmseg_ctt.datasets.transforms import CheckSegMap, check_mask


def results_with(ids, shape=(4, 6), **kwargs):
    seg_map = np.resize(np.array(ids, np.uint8), shape)
    return dict(
        gt_seg_map=seg_map,
        img=np.zeros((*shape, 3), np.uint8),
        ori_shape=shape,
        seg_map_path='some/a.png',
        **kwargs,
    )


def save(path, array):
    Image.fromarray(array).save(path)
    return path


def test_good_map_passes_unchanged():
    results = results_with([0, 1, 2, 255])
    before = results['gt_seg_map'].copy()
    assert CheckSegMap(num_classes=3)(results) is results
    assert (results['gt_seg_map'] == before).all()


def test_wrong_ids_are_named_with_counts():
    results = results_with([0, 1, 2, 3, 3, 7])
    with pytest.raises(ValueError) as error:
        CheckSegMap(num_classes=3)(results)
    for part in (
        'some/a.png',
        '3 (8 pixels)',
        '7 (4 pixels)',
        '0..2',
        'reduce_zero_label',
        'num_classes',
        'ignore index 255',
    ):
        assert part in str(error.value)


def test_other_ignore_index():
    results = results_with([0, 1, 9])
    CheckSegMap(num_classes=2, ignore_index=9)(results)
    with pytest.raises(ValueError, match=r'9 \(8 pixels\)'):
        CheckSegMap(num_classes=2)(results)
    with pytest.raises(ValueError, match='255'):
        CheckSegMap(num_classes=2, ignore_index=9)(results_with([0, 255]))


def test_negative_ids():
    results = results_with([0])
    results['gt_seg_map'] = results['gt_seg_map'].astype(np.int64) - 1
    with pytest.raises(ValueError, match=r'-1 \(24 pixels\)'):
        CheckSegMap(num_classes=2)(results)
    CheckSegMap(num_classes=2, ignore_index=-1)(results)


def test_shape_and_type():
    results = results_with([0])
    results['gt_seg_map'] = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(ValueError, match='single-channel'):
        CheckSegMap(num_classes=2)(results)
    results['gt_seg_map'] = np.zeros((4, 6), np.float32)
    with pytest.raises(ValueError, match='float32'):
        CheckSegMap(num_classes=2)(results)


def test_size_must_be_that_of_the_image():
    results = results_with([0])
    results['gt_seg_map'] = np.zeros((6, 4), np.uint8)
    with pytest.raises(ValueError, match='6 high and 4 wide'):
        CheckSegMap(num_classes=2)(results)


def test_image_resized_before_labels_were_loaded():
    results = results_with([0])
    results['img'] = np.zeros((8, 12, 3), np.uint8)
    CheckSegMap(num_classes=2)(results)
    results['ori_shape'] = (5, 6)
    with pytest.raises(ValueError, match='its image 8 high'):
        CheckSegMap(num_classes=2)(results)


def test_number_of_classes_from_label_map():
    transform = CheckSegMap()
    transform(results_with([0, 1, 255], label_map={0: 0, 1: 255, 2: 1}))
    with pytest.raises(ValueError, match=r'2 \('):
        transform(results_with([2], label_map={0: 0, 1: 255, 2: 1}))
    with pytest.raises(ValueError, match='set num_classes'):
        transform(results_with([0], label_map=None))
    with pytest.raises(ValueError, match='num_classes=0'):
        CheckSegMap(num_classes=0)


@pytest.mark.parametrize('resize_first', [False, True])
def test_in_a_pipeline(tmp_path, resize_first):
    save(tmp_path / 'i.png', np.zeros((4, 6, 3), np.uint8))
    save(tmp_path / 'm.png', np.full((4, 6), 1, np.uint8))
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='CheckSegMap', num_classes=2),
    ]
    if resize_first:
        steps.insert(1, dict(type='Resize', scale=(12, 8)))
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    sample = dict(
        img_path=str(tmp_path / 'i.png'),
        seg_fields=[],
        seg_map_path=str(tmp_path / 'm.png'),
        label_map=None,
        reduce_zero_label=False,
    )
    assert pipeline(dict(sample))['gt_seg_map'].shape == (4, 6)
    save(tmp_path / 'm.png', np.full((4, 6), 2, np.uint8))
    with pytest.raises(ValueError, match=r'm.png.* 2 \(24 pixels\)'):
        pipeline(dict(sample, seg_fields=[]))


def test_check_mask_counts_pixels(tmp_path):
    mask = save(tmp_path / 'm.png', np.array([[0, 1, 1], [255, 2, 2]], np.uint8))
    image = save(tmp_path / 'i.png', np.zeros((2, 3, 3), np.uint8))
    assert check_mask(mask, image, 4).tolist() == [1, 2, 2, 0]
    reduced = check_mask(mask, None, 2, reduce_zero_label=True)
    assert reduced.tolist() == [2, 2]


def test_check_mask_names_the_file(tmp_path):
    mask = save(tmp_path / 'm.png', np.zeros((2, 3), np.uint8))
    image = save(tmp_path / 'i.png', np.zeros((3, 2, 3), np.uint8))
    with pytest.raises(ValueError, match='m.png is 2 high'):
        check_mask(mask, image, 4)
    with pytest.raises(FileNotFoundError, match='none.png'):
        check_mask(tmp_path / 'none.png', None, 4)
    with pytest.raises(FileNotFoundError, match='none.jpg'):
        check_mask(mask, tmp_path / 'none.jpg', 4)
    (tmp_path / 'bad.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match='bad.png cannot be read'):
        check_mask(tmp_path / 'bad.png', None, 4)


def test_check_mask_sees_ids_that_8_bits_would_wrap(tmp_path):
    mask = save(tmp_path / 'm.png', np.full((2, 3), 256, np.uint16))
    with pytest.raises(ValueError, match=r'256 \(6 pixels\)'):
        check_mask(mask, None, 4)


def test_palette_images_give_their_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8))
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.save(tmp_path / 'm.png')
    assert check_mask(tmp_path / 'm.png', None, 3).tolist() == [1, 2, 1]
    colour = save(tmp_path / 'c.png', np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match='single-channel'):
        check_mask(colour, None, 3)


def test_reduce_zero_agrees_with_mmseg(tmp_path):
    ids = np.array([[0, 1, 2, 255], [3, 7, 253, 0]], np.uint8)
    path = save(tmp_path / 'm.png', ids)
    load = TRANSFORMS.build(dict(type='LoadAnnotations'))
    results = load(
        dict(seg_map_path=str(path), seg_fields=[], label_map=None, reduce_zero_label=True)
    )
    assert reduce_zero(ids).tolist() == results['gt_seg_map'].tolist()


def test_scan_presence(tmp_path):
    paths = [save(tmp_path / f'{i}.png', np.full((2, 2), i, np.uint8)) for i in range(3)]
    assert (scan_presence(paths, 3) == np.eye(3, dtype=bool)).all()
    with pytest.raises(ValueError, match='2.png'):
        scan_presence(paths, 2)
    assert scan_presence([], 3).shape == (0, 3)
