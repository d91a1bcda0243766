# Copyright (c) mmseg_ctt contributors.
import h5py
import numpy as np
import pytest
from mmengine.structures import PixelData
from torch.utils.data import DataLoader
from toy_volumes import SHAPE, toy_image, toy_label, write_nifti, write_toy_volumes

from mmseg_ctt.datasets import LabeledUnlabeledDataset, VolumeSliceDataset
from mmseg_ctt.datasets.checks import check_overlap
from mmseg_ctt.datasets.image_reading import decodes, image_size, read_image
from mmseg_ctt.datasets.image_values import read_picture
from mmseg_ctt.datasets.label_check import read_mask
from mmseg_ctt.datasets.mask_scan import scan_masks
from mmseg_ctt.datasets.output_names import OutputNames
from mmseg_ctt.engine.guards import same_content
from mmseg_ctt.volumes.cache import VARIABLE

LABELED = dict(img_path='images', seg_map_path='labels')
STEPS = [dict(type='CheckedLoadImageFromFile'), dict(type='PackSegInputs')]
LABEL_STEPS = [STEPS[0], dict(type='CheckedLoadAnnotations'), STEPS[1]]


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / 'cache'))


@pytest.fixture
def root(tmp_path):
    return write_toy_volumes(tmp_path / 'data')


def make(root, part='labeled', prefix=LABELED, pipeline=LABEL_STEPS, **settings):
    return VolumeSliceDataset(
        data_root=str(root),
        data_prefix=prefix,
        ann_file=f'splits/{part}.txt' if part else '',
        pipeline=pipeline,
        **settings,
    )


def test_lists_slices_of_the_listed_volumes(root):
    dataset = make(root)
    assert len(dataset) == 2 * SHAPE[2]
    assert dataset.metainfo['classes'] == ['background', 'box']
    info = dataset.get_data_info(SHAPE[2] + 3)
    assert info['img_path'] == f'{root}/images/b.nii.gz#z=003'
    assert info['seg_map_path'] == f'{root}/labels/b.nii.gz#z=003'
    assert info['patient'] == 'b'


@pytest.mark.parametrize('plane, size', [('x', (10, 8)), ('y', (12, 8)), ('z', (12, 10))])
def test_a_sample_is_a_slice_and_its_label(root, plane, size):
    dataset = make(root, plane=plane)
    axis = 'xyz'.index(plane)
    assert len(dataset) == 2 * SHAPE[axis]
    sample = dataset[4]
    assert tuple(sample['inputs'].shape) == (3, *size)
    np.testing.assert_array_equal(sample['inputs'][0], np.take(toy_image(0), 4, axis))
    label = sample['data_samples'].gt_sem_seg
    assert isinstance(label, PixelData)
    np.testing.assert_array_equal(label.data[0], np.take(toy_label(), 4, axis))


def test_context_gives_neighbours_as_channels(root):
    sample = make(root, context=3)[4]
    np.testing.assert_array_equal(sample['inputs'], np.moveaxis(toy_image(0)[:, :, 3:6], 2, 0))


def test_a_list_may_name_suffixes(root):
    (root / 'splits/labeled.txt').write_text('a.nii.gz\nb\n')
    assert len(make(root)) == 2 * SHAPE[2]


def test_without_labels_there_is_no_path_to_any(root):
    dataset = make(root, 'unlabeled', dict(img_path='images'), STEPS)
    assert 'seg_map_path' not in dataset.get_data_info(0)
    assert 'gt_sem_seg' not in dataset[0]['data_samples']


def test_slices_by_stride_and_foreground(root):
    dataset = make(root, stride=3)
    assert [dataset.get_data_info(k)['img_path'][-3:] for k in range(3)] == ['000', '003', '006']
    assert len(make(root, foreground_only=True)) == 2 * 4
    assert len(make(root, foreground_only=True, stride=3)) == 2
    with pytest.raises(ValueError, match='foreground_only needs labels'):
        make(root, 'unlabeled', dict(img_path='images'), foreground_only=True)


def test_window_becomes_0_to_255(root):
    write_nifti(root / 'images/a.nii.gz', toy_image(0).astype(np.int16) * 10 - 500)
    sample = make(root, window=(-500, 1500))[4]
    expected = toy_image(0)[:, :, 4] * (10 * 255 / 2000)
    np.testing.assert_allclose(sample['inputs'][0], np.minimum(expected, 255), rtol=1e-5)


def test_arrays_of_one_file(tmp_path):
    (tmp_path / 'h5').mkdir()
    for seed, name in enumerate('ab'):
        with h5py.File(tmp_path / f'h5/{name}.h5', 'w') as opened:
            opened['image'], opened['label'] = toy_image(seed).astype(float), toy_label()
    settings = dict(metainfo=dict(classes=('background', 'box')), percentiles=(0, 100))
    both = dict(img_path='h5', seg_map_path='h5')
    dataset = make(tmp_path, '', both, **settings)
    assert dataset.get_data_info(0)['img_path'].startswith(f'{tmp_path}/h5/a.h5:image#z=000')
    np.testing.assert_array_equal(
        dataset[4]['data_samples'].gt_sem_seg.data[0], toy_label()[:, :, 4]
    )
    with pytest.raises(ValueError, match="has no array 'mask'"):
        make(tmp_path, '', both, label_key='mask', **settings)


def test_labels_with_an_ending_of_their_own(tmp_path):
    write_nifti(tmp_path / 'p1_f01.nii.gz', toy_image())
    write_nifti(tmp_path / 'p1_f01_gt.nii.gz', toy_label())
    dataset = make(
        tmp_path,
        '',
        dict(img_path='', seg_map_path=''),
        metainfo=dict(classes=('background', 'box')),
        seg_map_suffix='_gt.nii.gz',
        patient='(.+)_f[0-9]+',
    )
    assert len(dataset) == SHAPE[2]
    info = dataset.get_data_info(0)
    assert info['patient'] == 'p1' and info['seg_map_path'].endswith('p1_f01_gt.nii.gz#z=000')


def test_workers_read_the_same_slices(root):
    """A cold cache, filled by two processes at the same time."""
    loader = DataLoader(make(root, plane='x'), num_workers=2, collate_fn=lambda batch: batch[0])
    for k, sample in enumerate(loader):
        expected = toy_image(k // SHAPE[0])[k % SHAPE[0]]
        np.testing.assert_array_equal(sample['inputs'][0], expected)


# ---- bad input


@pytest.mark.parametrize(
    'setting, message',
    [
        (dict(plane='axial'), 'plane must be'),
        (dict(context=2), 'context must be 1 or 3'),
        (dict(stride=0), 'stride must be a whole number'),
        (dict(window=(3, 1)), 'window must be a pair of rising numbers'),
        (dict(percentiles=(1, 101)), 'percentiles must be a pair'),
        (dict(window=(0, 1), percentiles=(1, 99)), 'exclude one another'),
        (dict(patient='x'), 'has no group'),
    ],
)
def test_wrong_setting(root, setting, message):
    with pytest.raises(ValueError, match=message):
        make(root, **setting)


def test_label_of_another_shape_or_affine(root):
    write_nifti(root / 'labels/a.nii.gz', toy_label()[1:])
    with pytest.raises(ValueError, match='a.nii.gz has the shape'):
        make(root)
    write_nifti(root / 'labels/a.nii.gz', toy_label(), np.eye(4))
    with pytest.raises(ValueError, match='a.nii.gz has another affine than its volume'):
        make(root)


def test_missing_label_volume_and_list(root):
    with pytest.raises(FileNotFoundError, match='the volume e has no label in'):
        make(root, 'unlabeled')
    (root / 'splits/labeled.txt').write_text('a\nz\n')
    with pytest.raises(FileNotFoundError, match='1 images listed in .* such as z'):
        make(root)
    (root / 'splits/labeled.txt').write_text('\n')
    with pytest.raises(ValueError, match='labeled.txt .*is empty'):
        make(root)
    (root / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no volume was found in'):
        make(root, '', dict(img_path='empty'))


def test_fewer_slices_than_context(root):
    write_nifti(root / 'images/a.nii.gz', toy_image()[:, :, :2])
    with pytest.raises(ValueError, match='a.nii.gz has 2 slices along z, fewer than context=3'):
        make(root, part='labeled', prefix=dict(img_path='images'), context=3)


def test_no_slice_with_foreground(root):
    for name in 'ab':
        write_nifti(root / f'labels/{name}.nii.gz', np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match='no slice of 2 volumes in .* has foreground'):
        make(root, foreground_only=True)


def test_a_label_that_is_no_class(root):
    label = toy_label()
    label[5, 5, 4] = 9
    write_nifti(root / 'labels/a.nii.gz', label)
    dataset = make(root)
    with pytest.raises(ValueError, match=r'a.nii.gz#z=004 holds ids outside 0..1 .*: 9 \(1 pixels'):
        scan_masks([dataset.get_data_info(k) for k in range(len(dataset))], 2)
    with pytest.raises(ValueError, match='a.nii.gz#z=004 holds ids outside'):
        dataset.get_data_info(4)
        step = dataset.pipeline.transforms[1]
        step.of_dataset = dict(num_classes=2)
        dataset[4]


def test_damaged_volume_is_named(root):
    path = root / 'images/a.nii.gz'
    path.write_bytes(path.read_bytes()[:-100])
    address = f'{path}#z=001'
    assert not decodes(address) and decodes(f'{root}/images/b.nii.gz#z=001')
    with pytest.raises(ValueError, match='a.nii.gz cannot be read'):
        read_image(address)


def joined(root, **parts):
    return LabeledUnlabeledDataset(
        labeled=dict(
            type='VolumeSliceDataset',
            data_root=str(root),
            data_prefix=LABELED,
            pipeline=LABEL_STEPS,
            **parts.pop('labeled', {}),
        ),
        unlabeled=dict(
            type='VolumeSliceDataset',
            data_root=str(root),
            data_prefix=dict(img_path='images'),
            pipeline=STEPS,
            **parts.pop('unlabeled', {}),
        ),
        split='splits',
    )


def test_sources_of_volumes(root):
    data = joined(root)
    assert data.num_images == dict(labeled=16, unlabeled=16)
    assert data[0]['data_samples'].source == 'labeled'
    assert 'gt_sem_seg' not in data[16]['data_samples']


def test_patient_on_both_sides_is_an_error(root):
    (root / 'splits/unlabeled.txt').write_text('e\nb\n')
    with pytest.raises(ValueError, match='images are in both'):
        joined(root)
    whole = dict(stride=2)
    other = dict(plane='x')
    with pytest.raises(
        ValueError, match='1 patients are in both .*labeled and .*unlabeled, e.g. b'
    ):
        joined(root, labeled=whole, unlabeled=other)
    joined(root, labeled=whole, unlabeled=dict(other, patient=None))


# ---- everything that takes the path of an image


def test_readers_take_addresses(root):
    address, label = f'{root}/images/a.nii.gz#z=004', f'{root}/labels/a.nii.gz#z=004'
    assert image_size(address) == (12, 10)
    np.testing.assert_array_equal(read_image(address), toy_image()[:, :, 4])
    np.testing.assert_array_equal(read_mask(label), toy_label()[:, :, 4])
    picture = read_picture(f'{address};window=0.0:510.0')
    np.testing.assert_array_equal(picture[..., 0], np.round(toy_image()[:, :, 4] / 2))


def test_value_range_is_not_for_slices(root):
    steps = [dict(type='CheckedLoadImageFromFile', value_range=(0, 100)), STEPS[1]]
    with pytest.raises(ValueError, match='value_range is for image files'):
        make(root, prefix=dict(img_path='images'), pipeline=steps)[0]


def test_names_of_outputs_are_valid_and_differ():
    paths = ['v/a.nii.gz#z=001', 'v/a.nii.gz#z=002;window=-1.5:2.0', 'v/a.npy#z=002', 'v/b.h5#x=9']
    names = OutputNames(paths)
    assert [names.of(path) for path in paths] == ['a_z001', 'a.nii.gz_z002', 'a.npy_z002', 'b_x009']
    assert names.of('elsewhere/c.nii#y=003;context=3') == 'c_y003'


def test_overlap_of_slices(root):
    first = [dict(img_path=f'{root}/images/a.nii.gz#z=001')]
    check_overlap(dict(x=first, y=[dict(img_path=f'{root}/images/a.nii.gz#z=002')]))
    with pytest.raises(ValueError, match='1 images are in both'):
        check_overlap(dict(x=first, y=[dict(img_path=f'{root}/images/a.nii.gz#z=001;context=3')]))


def test_copies_of_volumes_are_found(root):
    copy = root / 'images/copy.nii.gz'
    copy.write_bytes((root / 'images/a.nii.gz').read_bytes())
    first = [f'{root}/images/a.nii.gz#z={k:03d}' for k in range(3)]
    assert same_content(first, [f'{copy}#z=005']) == [(f'{root}/images/a.nii.gz', str(copy))]
    assert same_content(first, [f'{root}/images/a.nii.gz#z=005']) == []
    assert same_content(first, first[:1]) == [(first[0], first[0])]
