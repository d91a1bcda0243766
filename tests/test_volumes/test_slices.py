# Copyright (c) mmseg_ctt contributors.
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from toy_volumes import SHAPE, toy_image, toy_label, write_nifti

from mmseg_ctt.volumes import (
    PLANES,
    SliceAddress,
    cache,
    is_address,
    num_slices,
    parse_address,
    read_label_slice,
    read_slice,
    slice_image,
    slice_spacing,
    slices,
    stack_slices,
    take_slice,
    value_limits,
)
from mmseg_ctt.volumes.address import file_of, image_stem, real_address


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / 'cache'))
    return tmp_path / 'cache'


# ---- planes and addresses


@pytest.mark.parametrize('plane', PLANES)
def test_stack_is_the_inverse_of_take(plane):
    image = toy_image()
    number = num_slices(image.shape, plane)
    parts = [take_slice(image, plane, k) for k in range(number)]
    np.testing.assert_array_equal(stack_slices(parts, plane), image)
    with pytest.raises(IndexError, match=f'slice {number} of {number} along {plane}'):
        take_slice(image, plane, number)


def test_a_slice_has_the_other_axes_in_order():
    image = toy_image()
    np.testing.assert_array_equal(take_slice(image, 'x', 5), image[5])
    np.testing.assert_array_equal(take_slice(image, 'y', 5), image[:, 5])
    np.testing.assert_array_equal(take_slice(image, 'z', 5), image[:, :, 5])
    assert slice_spacing((1, 2, 3), 'y') == (1, 3) and slice_spacing(None, 'y') is None
    with pytest.raises(ValueError, match="plane must be 'x', 'y' or 'z', got 'axial'"):
        take_slice(image, 'axial', 0)


@pytest.mark.parametrize(
    'address',
    [
        SliceAddress('a/b.nii.gz', 'z', 41),
        SliceAddress('a/b c#1.nii', 'x', 1234, 3),
        SliceAddress('a/b.h5:image', 'y', 0, 1, (-100.5, 400.0)),
        SliceAddress('b.npy', 'y', 7, 3, None, (0.5, 99.5)),
    ],
)
def test_address_is_read_as_it_was_written(address):
    assert parse_address(str(address)) == address and is_address(str(address))


def test_address_of_an_issue():
    assert str(SliceAddress('v/06SR5RBR.nii.gz', 'z', 41)) == 'v/06SR5RBR.nii.gz#z=041'
    assert image_stem('v/06SR5RBR.nii.gz#z=041;context=3') == 'v/06SR5RBR_z041'
    assert image_stem('v/a.b.png') == 'v/a.b'
    assert file_of('v/a.h5:image#z=041') == 'v/a.h5' and file_of('v/a.png') == 'v/a.png'


@pytest.mark.parametrize('path', ['a/b.png', 'a#z=1.png', 'a#w=1', 'a.nii.gz', 'a.h5:image'])
def test_paths_of_files_are_no_addresses(path):
    assert parse_address(path) is None


@pytest.mark.parametrize('rest', ['context=x', 'size=3', 'window=3', 'window=a:b'])
def test_unknown_field_of_an_address(rest):
    with pytest.raises(ValueError, match='is no address of a slice'):
        parse_address(f'a.nii#z=1;{rest}')


def test_links_lead_to_one_address(tmp_path):
    path = write_nifti(tmp_path / 'a.nii.gz', toy_image())
    (tmp_path / 'b.nii.gz').symlink_to(path)
    first, second = f'{path}#z=1', f'{tmp_path}/b.nii.gz#z=1;context=3'
    assert real_address(first) == real_address(second)
    assert real_address(first) != real_address(f'{path}#z=2')


# ---- pixels


def test_window_and_percentiles():
    image = toy_image().astype(np.int16) * 10
    assert value_limits(image, (0, 100)) == (0, 100)
    low, high = value_limits(image, None, (1, 99))
    assert (low, high) == tuple(np.percentile(image, (1, 99)))
    pixels = slice_image(image, 'z', 3, 1, (500.0, 1000.0))
    expected = ((image[:, :, 3] - 500) / 500 * 255).clip(0, 255)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, expected, rtol=1e-6)


def test_8_bit_stays_and_others_take_percentiles():
    image = toy_image()
    assert value_limits(image) is None
    assert value_limits(image.astype(np.int16)) == value_limits(image, None, (0.5, 99.5))
    np.testing.assert_array_equal(slice_image(image, 'z', 3), image[:, :, 3])


def test_percentiles_of_one_value_are_an_error():
    image = np.zeros(SHAPE, np.int16)
    image[0, 0, 0] = 1
    with pytest.raises(ValueError, match='the volume a: percentiles .* are both 0, set window'):
        value_limits(image, name='a')


def test_context_repeats_the_ends():
    image = toy_image()
    middle, first, last = (slice_image(image, 'z', k, 3) for k in (3, 0, 7))
    np.testing.assert_array_equal(middle, image[:, :, 2:5])
    np.testing.assert_array_equal(first, image[:, :, [0, 0, 1]])
    np.testing.assert_array_equal(last, image[:, :, [6, 7, 7]])
    with pytest.raises(IndexError):
        slice_image(image, 'z', 8, 3)
    with pytest.raises(ValueError, match='context must be 1 or 3'):
        slice_image(image, 'z', 0, 2)


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz', '.npy'])
@pytest.mark.parametrize('plane', PLANES)
@pytest.mark.parametrize('context', [1, 3])
def test_slice_from_disk_is_that_of_the_array(tmp_path, suffix, plane, context):
    image = toy_image().astype(np.int16) * 7
    path = tmp_path / f'a{suffix}'
    np.save(path, image) if suffix == '.npy' else write_nifti(path, image)
    limits = value_limits(image)
    for index in (0, 4, num_slices(SHAPE, plane) - 1):
        found = read_slice(str(SliceAddress(str(path), plane, index, context)))
        expected = slice_image(image, plane, index, context, limits)
        np.testing.assert_array_equal(found, expected)
        assert found.flags.c_contiguous and found.flags.writeable


def test_slice_of_a_label(tmp_path):
    path = write_nifti(tmp_path / 'a.nii.gz', toy_label().astype(np.float32))
    found = read_label_slice(f'{path}#y=004')
    np.testing.assert_array_equal(found, toy_label()[:, 4])
    assert found.dtype == np.uint8
    assert slices.foreground_slices(str(path), 'z') == [2, 3, 4, 5]


# ---- cache


def test_volume_is_decompressed_once(tmp_path, cache_dir, monkeypatch):
    path = write_nifti(tmp_path / 'a.nii.gz', toy_image())
    first = read_slice(f'{path}#z=002')
    slices._image_slices.cache_clear()
    monkeypatch.setattr(slices, 'check_values', lambda *_: pytest.fail('read again'))
    np.testing.assert_array_equal(read_slice(f'{path}#z=002'), first)
    (entry,) = cache_dir.iterdir()
    assert [file.name for file in entry.iterdir()] == ['image_z.npy']


@pytest.mark.parametrize('suffix, plane, copied', [('.nii', 'z', 0), ('.nii', 'x', 1)])
def test_uncompressed_slices_that_lie_together_are_not_copied(
    tmp_path, cache_dir, suffix, plane, copied
):
    path = write_nifti(tmp_path / f'a{suffix}', toy_image())
    read_slice(f'{path}#{plane}=002')
    assert len(list(cache_dir.rglob('*.npy'))) == copied


def test_a_changed_file_is_read_anew(tmp_path):
    path = write_nifti(tmp_path / 'a.nii.gz', toy_image())
    read_slice(f'{path}#z=002')
    write_nifti(path, 200 - toy_image())
    os.utime(path, (1, 1))
    np.testing.assert_array_equal(read_slice(f'{path}#z=002'), (200 - toy_image())[:, :, 2])


def test_bad_values_are_found_in_mapped_files_too(tmp_path):
    path = write_nifti(tmp_path / 'a.nii', np.full(SHAPE, 3, np.int16))
    with pytest.raises(ValueError, match='is constant'):
        read_slice(f'{path}#z=002')


def test_many_readers_make_one_entry(tmp_path, cache_dir):
    path = write_nifti(tmp_path / 'a.nii.gz', toy_image())
    made = []

    def read(_):
        made.append(cache.cached_array(str(path), 'x', toy_image))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(16)))
    assert all((array == toy_image()).all() for array in made) and len(made) == 16
    (entry,) = cache_dir.iterdir()
    assert [file.name for file in entry.iterdir()] == ['x.npy']


def test_an_interrupted_write_leaves_nothing(tmp_path, cache_dir, monkeypatch):
    path = write_nifti(tmp_path / 'a.nii.gz', toy_image())

    def fail(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(cache.np, 'save', fail)
    with pytest.raises(
        ValueError, match=f'No space left.*set the environment variable {cache.VARIABLE}'
    ):
        read_slice(f'{path}#z=002')
    assert not [file for file in cache_dir.rglob('*') if file.is_file()]


def test_cache_that_cannot_be_written_names_the_variable(tmp_path, monkeypatch):
    path = write_nifti(tmp_path / 'a.nii.gz', toy_image())
    monkeypatch.setenv(cache.VARIABLE, str(path))  # a file
    with pytest.raises(ValueError, match=f'set the environment variable {cache.VARIABLE}'):
        read_slice(f'{path}#z=002')
