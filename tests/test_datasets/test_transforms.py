# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmseg_ctt.datasets.label_check import read_checked, read_mask, reduce_zero, scan_presence
from mmseg_ctt.datasets.split_patients import PatientFolder, presence_by_patient
from mmseg_ctt.datasets.transforms import CheckedLoadAnnotations, CheckSegMap, check_mask


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


# ---- CheckedLoadAnnotations


def load(step, path, **results):
    """Label map that a step loads."""
    results = {**dict(label_map=None, reduce_zero_label=False), **results}
    return step(dict(seg_map_path=str(path), seg_fields=[], **results))['gt_seg_map']


MAPPING = {0: 2, 1: 255, 2: 0, 3: 1}
SAME = {  # array, settings of the data set
    'ids': (np.array([[0, 1], [3, 255]], np.uint8), {}),
    'one column': (np.array([[0], [1], [255]], np.uint8), {}),
    '16 bit': (np.array([[0, 1], [3, 255]], np.uint16), {}),
    '32 bit': (np.array([[0, 1], [3, 255]], np.int32), {}),
    '1 bit': (np.array([[True, False]] * 2), {}),
    'zero is no class': (np.array([[0, 1], [4, 255]], np.uint8), dict(reduce_zero_label=True)),
    'some classes': (np.array([[0, 1], [3, 255]], np.uint8), dict(label_map=MAPPING)),
    'both': (np.array([[0, 1], [4, 2]], np.uint8), dict(label_map=MAPPING, reduce_zero_label=True)),
}


@pytest.mark.parametrize('name', SAME)
def test_a_good_mask_is_loaded_as_by_mmseg(tmp_path, name):
    ids, settings = SAME[name]
    path = save(tmp_path / ('m.tif' if ids.dtype == np.int32 else 'm.png'), ids)
    made = load(CheckedLoadAnnotations(num_classes=4), path, **settings)
    expected = load(TRANSFORMS.build(dict(type='LoadAnnotations')), path, **settings)
    assert made.dtype == expected.dtype == np.uint8 and made.shape == ids.shape
    assert made.ravel().tolist() == expected.ravel().tolist()


def test_palette_image_gives_its_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8))
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.save(tmp_path / 'm.png')
    made = load(CheckedLoadAnnotations(num_classes=3), tmp_path / 'm.png')
    assert made.tolist() == [[0, 1], [1, 2]]


REFUSED = {  # array, settings of the data set, words of the message
    'id': (np.full((2, 3), 4, np.uint8), {}, r'm.png .*0..3.*: 4 \(6 pixels\)'),
    'ids that 8 bits wrap': (np.full((2, 3), 256, np.uint16), {}, r'256 \(6 pixels\)'),
    'ids that 8 bits wrap to 255': (np.full((2, 3), 511, np.uint16), {}, r'511 \(6 pixels\)'),
    'ids from 1': (
        np.array([[1, 2], [3, 4]], np.uint8),
        {},
        r'4 \(1 pixels\). .*count from 1.*reduce_zero_label',
    ),
    'grey levels': (np.array([[0, 85], [170, 255]], np.uint8), {}, r'170 .*grey levels'),
    'colours': (np.zeros((2, 3, 3), np.uint8), {}, 'm.png .*single-channel.*colour_masks.py'),
    'grey and alpha': (np.zeros((2, 3, 2), np.uint8), {}, 'single-channel'),
    'id outside the mapping': (
        np.full((2, 3), 4, np.uint8),
        dict(label_map=MAPPING),
        r'0..3.*: 4 \(6',
    ),
    'id above the last, from 1': (
        np.full((2, 3), 5, np.uint8),
        dict(reduce_zero_label=True),
        r'0..3.*: 4 \(6',
    ),
    'size': (
        np.zeros((2, 4), np.uint8),
        dict(img=np.zeros((2, 3, 3), np.uint8), ori_shape=(2, 3)),
        'm.png is 2 high and 4 wide, its image 2 high and 3',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_a_wrong_mask_is_refused_as_it_is_read(tmp_path, name):
    ids, settings, words = REFUSED[name]
    path = save(tmp_path / 'm.png', ids)
    with pytest.raises(ValueError, match=words):
        load(CheckedLoadAnnotations(num_classes=4), path, **settings)


def test_float_mask(tmp_path):
    Image.fromarray(np.ones((2, 3), np.float32)).save(tmp_path / 'm.tif')
    with pytest.raises(ValueError, match='m.tif holds float32'):
        load(CheckedLoadAnnotations(num_classes=4), tmp_path / 'm.tif')


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
def test_damaged_mask(tmp_path, backend):
    (tmp_path / 'm.png').write_bytes(b'no image at all')
    with pytest.raises(ValueError, match='the mask .*m.png cannot be read'):
        load(CheckedLoadAnnotations(num_classes=4, imdecode_backend=backend), tmp_path / 'm.png')


def test_number_of_classes_of_the_step_the_results_or_the_data_set(tmp_path):
    path = save(tmp_path / 'm.png', np.full((2, 3), 4, np.uint8))
    step = CheckedLoadAnnotations()
    assert (load(step, path) == 4).all()  # it knows nothing
    step.of_dataset = dict(num_classes=4)
    for made, results in ((step, {}), (CheckedLoadAnnotations(), dict(num_classes=4))):
        with pytest.raises(ValueError, match='0..3'):
            load(made, path, **results)
    assert (load(step, path, num_classes=5) == 4).all()
    assert (load(CheckedLoadAnnotations(5), path, num_classes=4) == 4).all()
    with pytest.raises(ValueError, match='256'):  # never beyond what the pipeline can hold
        load(CheckedLoadAnnotations(), save(tmp_path / 'n.png', np.full((2, 3), 256, np.uint16)))
    with pytest.raises(ValueError, match='num_classes=0 must be positive'):
        CheckedLoadAnnotations(0)


def test_ignored_ids(tmp_path):
    path = save(tmp_path / 'm.png', np.array([[0, 9, 1]] * 2, np.uint8))
    assert load(CheckedLoadAnnotations(2, 9), path).tolist() == [[0, 9, 1]] * 2
    assert load(CheckedLoadAnnotations(2), path, ignore_index=9).tolist() == [[0, 9, 1]] * 2
    with pytest.raises(ValueError, match='9'):
        load(CheckedLoadAnnotations(2), path)
    negative = save(tmp_path / 'n.tif', np.array([[0, -1, 1]] * 2, np.int32))
    assert load(CheckedLoadAnnotations(2, -1), negative).tolist() == [[0, -1, 1]] * 2
    many = save(tmp_path / 'k.png', np.array([[0, 300, 1]] * 2, np.uint16))
    assert load(CheckedLoadAnnotations(400), many).tolist() == [[0, 300, 1]] * 2


@pytest.mark.parametrize('ignored', [254, 9, -1, 300])
def test_ignored_ids_with_a_mapping_and_without_zero(tmp_path, ignored):
    """mmseg marks a class that is left out by 255, whatever is ignored."""
    ids = np.array([[0, 1, 2, ignored]] * 2, np.int32)
    path = save(tmp_path / 'm.tif', ids)
    made = load(CheckedLoadAnnotations(2, ignored), path, label_map={0: 0, 1: 255, 2: 1})
    assert made.tolist() == [[0, ignored, 1, ignored]] * 2
    made = load(CheckedLoadAnnotations(2, ignored), path, reduce_zero_label=True)
    assert made.tolist() == [[ignored, 0, 1, ignored]] * 2
    where = np.array([[True, False, False, False]] * 2)
    made = load(CheckedLoadAnnotations(3, ignored), path, nodata_of_file=where)
    assert made.tolist() == [[ignored, 1, 2, ignored]] * 2


def test_masks_of_1_bit(tmp_path):
    path = save(tmp_path / 'm.png', np.array([[False, True], [True, True]]))
    assert read_mask(path).dtype == np.uint8 and read_mask(path).tolist() == [[0, 1], [1, 1]]
    step, swap = CheckedLoadAnnotations(2), {0: 1, 1: 0}
    assert load(step, path, label_map=swap).tolist() == [[1, 0], [0, 0]]
    assert read_checked(path, None, 2, label_map=swap).tolist() == [[1, 0], [0, 0]]
    where = np.array([[True, False], [False, False]])
    assert load(step, path, nodata_of_file=where).tolist() == [[255, 1], [1, 1]]
    folder = PatientFolder({'p': ['m']}, {'m': str(path)})
    assert presence_by_patient(folder, 3)['p'].tolist() == [True, True, False]


def test_reduce_zero_label_of_step_and_data_set_must_agree(tmp_path):
    path = save(tmp_path / 'm.png', np.ones((2, 3), np.uint8))
    with pytest.warns(UserWarning, match='reduce_zero_label'):
        step = CheckedLoadAnnotations(4, reduce_zero_label=True)
    assert (load(step, path, reduce_zero_label=True) == 0).all()
    with pytest.raises(ValueError, match='LoadAnnotations.reduce_zero_label=True'):
        load(step, path)


def test_data_sets_with_and_without_zero_label_may_share_a_pipeline(tmp_path):
    """Pseudo-labels are ids of the model: mmseg's step fails at the second data set."""
    path, step = save(tmp_path / 'm.png', np.ones((2, 3), np.uint8)), CheckedLoadAnnotations(4)
    assert (load(step, path, reduce_zero_label=True) == 0).all()
    assert (load(step, path) == 1).all()


def test_image_resized_before_the_mask_was_loaded(tmp_path):
    path = save(tmp_path / 'm.png', np.zeros((4, 6), np.uint8))
    image = np.zeros((8, 12, 3), np.uint8)
    assert load(CheckedLoadAnnotations(2), path, img=image, ori_shape=(4, 6)).shape == (4, 6)
    with pytest.raises(ValueError, match='its image 8 high'):
        load(CheckedLoadAnnotations(2), path, img=image, ori_shape=(5, 6))
