# Copyright (c) mmseg_ctt contributors.
"""Saliency without a network, and folders of saliency maps."""

import cv2
import numpy as np
import pytest
from toy_data import write_image

from mmseg_ctt.weak_labels.map_files import check_maps, read_map, write_map
from mmseg_ctt.weak_labels.saliency import grabcut_saliency
from mmseg_ctt.weak_labels.saliency_folder import make_saliency

WHAT = 'saliency map'


def disc(height=60, width=80, radius=14):
    """A red disc in the middle of green noise, and its mask."""
    rows, columns = np.ogrid[:height, :width]
    inside = (rows - height // 2) ** 2 + (columns - width // 2) ** 2 <= radius**2
    image = np.random.default_rng(0).integers(0, 40, (height, width, 3)).astype(np.uint8)
    image[..., 1] += 150
    image[inside] = (20, 20, 220)
    return image, inside


def test_grabcut_finds_an_object_in_the_centre():
    image, inside = disc()
    saliency = grabcut_saliency(image)
    assert saliency.dtype == np.float32 and saliency.shape == inside.shape
    assert ((saliency > 0.5) == inside).mean() > 0.98


def test_grabcut_gives_equal_maps_in_any_order():
    first, second = disc()[0], np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    want = [grabcut_saliency(image.copy()) for image in (first, second)]
    got = [grabcut_saliency(image.copy()) for image in (second, first)][::-1]
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])


def test_grabcut_of_a_large_image_is_that_of_a_small_one():
    image, inside = disc(120, 160, 28)
    saliency = grabcut_saliency(image, max_side=80)
    assert saliency.shape == inside.shape and 0 <= saliency.min() <= saliency.max() <= 1
    assert ((saliency > 0.5) == inside).mean() > 0.97


@pytest.mark.parametrize('shape', [(1, 1), (2, 3), (30, 1), (20, 20)])
def test_grabcut_of_an_image_without_contrast_is_empty(shape):
    assert not grabcut_saliency(np.full((*shape, 3), 90, np.uint8)).any()


def test_grabcut_of_tiny_images_does_not_fail():
    for shape in ((1, 1), (3, 2), (4, 4), (1, 30)):
        image = np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8)
        assert grabcut_saliency(image).shape == shape


# ---- folders


@pytest.fixture
def images(tmp_path):
    for seed, stem in enumerate(('a', 'b/c', 'd')):
        write_image(tmp_path / 'img' / f'{stem}.jpg', seed)
    return tmp_path / 'img'


def test_a_folder_is_continued_and_never_changed(images, tmp_path):
    out, lines = tmp_path / 'out', []
    assert make_saliency(images, out, 'grabcut', 1, lines.append) == 3
    assert any('[3/3]' in line for line in lines)
    kept = {path: path.read_bytes() for path in out.rglob('*.png')}
    assert len(kept) == 3
    (out / 'b/c.png').unlink()
    (out / 'd.png').write_bytes(b'mine')
    assert make_saliency(images, out, 'grabcut', 1, lines.append) == 1
    assert (out / 'b/c.png').read_bytes() == kept[out / 'b/c.png']
    assert (out / 'd.png').read_bytes() == b'mine'
    assert {path.suffix for path in out.rglob('*') if path.is_file()} == {'.png', '.json'}


def test_maps_of_other_images_of_the_same_names_are_not_kept(images, tmp_path):
    out = tmp_path / 'out'
    make_saliency(images, out, 'grabcut', 1, str)
    for seed, stem in enumerate(('a', 'b/c', 'd'), 20):
        write_image(tmp_path / 'other' / f'{stem}.jpg', seed)
    with pytest.raises(FileExistsError, match=r'a\.png was made of another image than .*other/a'):
        make_saliency(tmp_path / 'other', out, 'grabcut', 1, str)
    write_image(images / 'e.jpg', 30)
    assert make_saliency(images, out, 'grabcut', 1, str) == 1  # more images go on
    (out / 'inputs.json').unlink()  # as in a folder of an earlier version
    lines = []
    assert make_saliency(images, out, 'grabcut', 1, lines.append) == 0
    assert any('are of an earlier version' in line for line in lines)
    assert (out / 'inputs.json').is_file()


def test_processes_write_the_same_maps(images, tmp_path):
    for jobs in (1, 2):
        make_saliency(images, tmp_path / str(jobs), 'grabcut', jobs, lambda line: None)
    for stem in ('a', 'b/c', 'd'):
        first, second = (tmp_path / name / f'{stem}.png' for name in '12')
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    'method, jobs, words', [('dss', 1, 'must be one of grabcut'), ('grabcut', 0, 'jobs=0')]
)
def test_wrong_settings_of_a_folder(images, tmp_path, method, jobs, words):
    with pytest.raises(ValueError, match=words):
        make_saliency(images, tmp_path / 'out', method, jobs, print)


def test_folders_without_images_or_with_other_files(images, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image was found in'):
        make_saliency(tmp_path / 'empty', tmp_path / 'out', 'grabcut', 1, print)
    assert not (tmp_path / 'out').exists()
    with pytest.raises(FileExistsError, match='is not empty and has no saliency.json'):
        make_saliency(images, images, 'grabcut', 1, print)


def test_maps_are_read_as_they_were_written(tmp_path):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    write_map(tmp_path, 'a/b', values)
    check_maps(tmp_path, {'a/b': (3, 4)}, WHAT)
    read = read_map(tmp_path, 'a/b', (3, 4), WHAT)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, values, atol=0.5 / 255 + 1e-6)
    ids = np.array([[0, 7, 255]], np.uint8)
    write_map(tmp_path, 'ids', ids)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'ids.png'), -1), ids)


def colour_map(path):
    cv2.imwrite(str(path), np.zeros((3, 4, 3), np.uint8))


def deep_map(path):
    cv2.imwrite(str(path), np.zeros((3, 4), np.uint16))


def small_map(path):
    cv2.imwrite(str(path), np.zeros((3, 5), np.uint8))


def damaged_map(path):
    path.write_bytes(b'no image')


@pytest.mark.parametrize(
    'write, words',
    [
        (colour_map, r'b\.png is not one channel of 8 bit'),
        (deep_map, r'b\.png is not one channel of 8 bit'),
        (small_map, r'b\.png is of \(3, 5\) and its image of \(3, 4\) pixels'),
        (damaged_map, r'b\.png cannot be read'),
    ],
)
def test_wrong_maps(tmp_path, write, words):
    write_map(tmp_path, 'a', np.zeros((3, 4), np.uint8))
    write(tmp_path / 'b.png')
    with pytest.raises(ValueError, match=words) as by_header:
        check_maps(tmp_path, {'a': (3, 4), 'b': (3, 4)}, WHAT)
    with pytest.raises(ValueError, match=words) as by_pixels:
        read_map(tmp_path, 'b', (3, 4), WHAT)
    assert str(by_header.value) == str(by_pixels.value)


def test_missing_maps(tmp_path):
    write_map(tmp_path, 'a', np.zeros((3, 4), np.uint8))
    with pytest.raises(FileNotFoundError, match=r'1 of 2 images have no saliency map .* b\.png'):
        check_maps(tmp_path, {'a': (3, 4), 'b': (3, 4)}, WHAT)
    with pytest.raises(FileNotFoundError, match='of saliency maps does not exist'):
        check_maps(tmp_path / 'none', {'a': (3, 4)}, WHAT)
