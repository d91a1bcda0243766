# Copyright (c) mmseg_ctt contributors.
import gzip
import struct
import sys

import h5py
import nibabel as nib
import numpy as np
import pytest
from toy_volumes import AFFINE, SHAPE, toy_image, toy_label, write_nifti

from mmseg_ctt.volumes import (
    check_geometry,
    check_pair,
    open_volume,
    read_label,
    read_volume,
    write_volume,
)


@pytest.fixture
def image():
    return toy_image()


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz', '.npy', '.npz', '.h5'])
def test_reads_every_format(tmp_path, image, suffix):
    path = tmp_path / f'a{suffix}'
    if '.nii' in suffix:
        write_nifti(path, image)
    elif suffix == '.npy':
        np.save(path, image)
    elif suffix == '.npz':
        np.savez_compressed(path, image=image)
    else:
        with h5py.File(path, 'w') as opened:
            opened.create_dataset('image', data=image, compression='gzip')
    volume = read_volume(path)
    assert volume.array.dtype == np.uint8
    np.testing.assert_array_equal(volume.array, image)
    if '.nii' in suffix:
        assert volume.spacing == (0.6, 0.7, 1.2)
        np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)
    else:
        assert volume.spacing is None and volume.affine is None


@pytest.mark.parametrize(
    'code, size', [(0, 1), (1, 1e-3), (2, 1), (3, 1e3), (5, 1)], ids=str
)  # unknown, metre, mm, micron, none of NIfTI
def test_lengths_are_mm_whatever_the_unit_of_the_file(tmp_path, image, code, size):
    affine = np.diag([size, size, size, 1]) @ AFFINE
    volume = read_volume(write_nifti(tmp_path / 'a.nii.gz', image, affine, xyzt_units=code))
    assert volume.spacing == (0.6, 0.7, 1.2)
    np.testing.assert_allclose(volume.affine_mm, AFFINE, rtol=1e-5)
    check_geometry(volume, read_label(write_nifti(tmp_path / 'l.nii.gz', toy_label())))
    write_volume(tmp_path / 'b.nii.gz', toy_label(), volume)
    written = nib.load(tmp_path / 'b.nii.gz')
    np.testing.assert_allclose(written.affine, affine, rtol=1e-5)
    assert written.header['xyzt_units'] == code
    assert open_volume(tmp_path / 'b.nii.gz').spacing == (0.6, 0.7, 1.2)


@pytest.mark.parametrize('suffix', ['.nii', '.npy'])
def test_maps_uncompressed_files(tmp_path, image, suffix):
    path = tmp_path / f'a{suffix}'
    write_nifti(path, image) if suffix == '.nii' else np.save(path, image)
    volume = open_volume(path)
    assert volume.mapped and isinstance(volume.array, np.memmap)


@pytest.mark.parametrize('kind', ['int16', '>i2', 'uint16', 'float32', 'float64', 'int32'])
def test_keeps_the_type_of_the_file(tmp_path, kind):
    array = toy_image().astype(kind) * 3
    found = read_volume(write_nifti(tmp_path / 'a.nii.gz', array)).array
    assert found.dtype == np.dtype(kind).newbyteorder('=')
    np.testing.assert_array_equal(found, array)


def test_applies_slope_and_intercept(tmp_path, image):
    path = write_nifti(tmp_path / 'a.nii', image)
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack('<ff', 0.5, -1024)  # scl_slope, scl_inter
    path.write_bytes(content)
    volume = read_volume(path)
    assert volume.array.dtype == np.float32 and not volume.mapped
    np.testing.assert_allclose(volume.array, image * 0.5 - 1024)


def test_takes_a_fourth_axis_of_length_one(tmp_path, image):
    volume = read_volume(write_nifti(tmp_path / 'a.nii.gz', image[..., None]))
    assert volume.shape == SHAPE
    np.testing.assert_array_equal(volume.array, image)


def test_reads_a_named_array(tmp_path, image):
    for suffix in ('.h5', '.npz'):
        path = tmp_path / f'a{suffix}'
        if suffix == '.h5':
            with h5py.File(path, 'w') as opened:
                opened['image'], opened['label'] = image, toy_label()
        else:
            np.savez(path, image=image, label=toy_label())
        np.testing.assert_array_equal(read_volume(f'{path}:image').array, image)
        np.testing.assert_array_equal(read_label(f'{path}:label').array, toy_label())
        with pytest.raises(ValueError, match='name the array, as in'):
            open_volume(path)
        with pytest.raises(ValueError, match="has no array 'mask': it holds image"):
            open_volume(f'{path}:mask')


def test_labels_of_float_files_are_whole_numbers(tmp_path):
    label = toy_label().astype(np.float64)
    found = read_label(write_nifti(tmp_path / 'a.nii.gz', label)).array
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, label)
    label[0, 0, 0] = 0.5
    with pytest.raises(ValueError, match='holds 0.5, which is no class'):
        read_label(write_nifti(tmp_path / 'b.nii.gz', label))


# ---- bad input, each one line

BAD = {
    'truncated': ('b.nii.gz', 'cannot be read'),
    'no gzip': ('b.nii.gz', 'Not a gzipped file'),
    'short': ('b.nii', 'cannot be read'),
    'no npy': ('b.npy', 'cannot be read'),
    'no npz': ('b.npz', 'cannot be read'),
    'no hdf5': ('b.h5', 'cannot be read'),
    'nan': ('b.nii.gz', 'holds 2 values that are not finite'),
    'constant': ('b.nii.gz', 'is constant: every voxel is 7'),
    '4D': ('b.nii.gz', r'has 4 axes \(12, 10, 8, 2\)'),
    '2D': ('b.npy', 'has 2 axes'),
    'empty': ('b.npy', 'is empty: its shape is'),
    'text': ('b.npy', 'not one number a voxel'),
    'spacing 0': ('b.nii', 'has no spacing'),
    'spacing nan': ('b.nii', 'has no spacing'),
    'unknown': ('b.mha', 'has no suffix of .nii.gz'),
}


def write_bad(kind, path):
    image = toy_image()
    if kind in ('no gzip', 'no npy', 'no npz', 'no hdf5', 'unknown'):
        path.write_bytes(b'this is no volume ' * 99)
    elif kind == 'truncated':
        whole = gzip.compress(write_nifti(path.with_name('a.nii'), image).read_bytes())
        path.write_bytes(whole[:-200])
    elif kind == 'short':
        path.write_bytes(write_nifti(path.with_name('a.nii'), image).read_bytes()[:500])
    elif kind == 'nan':
        values = image.astype(np.float32)
        values[0, 0, :2] = np.nan, np.inf
        write_nifti(path, values)
    elif kind == 'constant':
        write_nifti(path, np.full(SHAPE, 7, np.int16))
    elif kind == '4D':
        write_nifti(path, np.stack([image, image], -1))
    elif kind.startswith('spacing'):
        content = bytearray(write_nifti(path, image).read_bytes())
        content[84:88] = struct.pack('<f', float(kind.split()[1]))  # pixdim[2]
        path.write_bytes(content)
    else:
        np.save(path, dict(empty=image[:0], text=image.astype(str)).get(kind, image[0]))


@pytest.mark.parametrize('kind', BAD)
def test_bad_file_is_one_clear_line(tmp_path, kind):
    name, message = BAD[kind]
    write_bad(kind, tmp_path / name)
    with pytest.raises(ValueError, match=message) as caught:
        read_volume(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and '\n' not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='b.nii.gz does not exist'):
        read_volume(tmp_path / 'b.nii.gz')


@pytest.mark.parametrize('name, library', [('a.nii', 'nibabel'), ('a.h5', 'h5py')])
def test_missing_library_names_the_extra(tmp_path, monkeypatch, name, library):
    (tmp_path / name).write_bytes(b'x')
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=r"pip install 'mmseg_ctt\[volumes\]'"):
        open_volume(tmp_path / name)


def test_pair_of_other_shape_affine_or_label(tmp_path, image):
    volume = read_volume(write_nifti(tmp_path / 'a.nii.gz', image))
    label = read_label(write_nifti(tmp_path / 'l.nii.gz', toy_label()))
    check_pair(volume, label, 2)
    with pytest.raises(ValueError, match='holds 1 in 120 voxels, which is no class: ids are 0..0'):
        check_pair(volume, label, 1)
    cut = read_label(write_nifti(tmp_path / 'c.nii.gz', toy_label()[1:]))
    with pytest.raises(ValueError, match=r'has the shape \(11, 10, 8\), its volume'):
        check_geometry(volume, cut)
    moved = AFFINE + np.eye(4)[:, [3, 0, 1, 2]] * [0, 0, 0, 0.5]
    moved[0, 3] += 0.5
    shifted = read_label(write_nifti(tmp_path / 's.nii.gz', toy_label(), moved))
    with pytest.raises(ValueError, match='has another affine than its volume'):
        check_geometry(volume, shifted)


def test_written_volume_has_the_geometry_of_its_origin(tmp_path, image):
    source = write_nifti(tmp_path / 'a.nii.gz', image, qform_code=1, sform_code=2)
    volume = read_volume(source)
    write_volume(tmp_path / 'out/b.nii.gz', toy_label(), volume)
    found, expected = nib.load(tmp_path / 'out/b.nii.gz'), nib.load(source)
    np.testing.assert_array_equal(np.asanyarray(found.dataobj), toy_label())
    np.testing.assert_array_equal(found.affine, expected.affine)
    for name in ('pixdim', 'qform_code', 'sform_code', 'xyzt_units'):
        np.testing.assert_array_equal(found.header[name], expected.header[name])
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['b.nii.gz']


def test_writing_refuses_another_shape_and_format(tmp_path, image):
    volume = read_volume(write_nifti(tmp_path / 'a.nii.gz', image))
    with pytest.raises(ValueError, match='cannot be written with the geometry'):
        write_volume(tmp_path / 'b.nii.gz', image[1:], volume)
    with pytest.raises(ValueError, match='must end in .nii or .nii.gz'):
        write_volume(tmp_path / 'b.npy', image, volume)
