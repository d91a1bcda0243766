# Copyright (c) mmseg_ctt contributors.
"""Folders of class maps to folders of masks, and their quality."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from toy_data import CLASSES, HEIGHT, WIDTH, write_image, write_mask
from toy_weak import write_toy_maps

from mmseg_ctt.functional import pamr
from mmseg_ctt.weak_labels import confidence_of, fuse
from mmseg_ctt.weak_labels.class_map_files import (
    ClassMaps,
    open_class_maps,
    read_class_maps,
    write_class_maps,
)
from mmseg_ctt.weak_labels.label_quality import confusion, label_quality, open_truth, quality_table
from mmseg_ctt.weak_labels.label_sweep import sweep
from mmseg_ctt.weak_labels.map_files import write_map
from mmseg_ctt.weak_labels.pseudo_labels import PseudoLabelJob, make_pseudo_labels

STEMS = ('a', 'b/c')


def silent(line):
    pass


@pytest.fixture
def job(tmp_path):
    maps = open_class_maps(write_toy_maps(tmp_path))
    images = {stem: str(tmp_path / f'img/{stem}.jpg') for stem in STEMS}
    return PseudoLabelJob(maps, images, 'threshold', dict(background=0.5))


@pytest.fixture
def with_saliency(job, tmp_path):
    for seed, stem in enumerate(STEMS):
        saliency = np.random.default_rng(seed).random((HEIGHT, WIDTH), np.float32)
        write_map(tmp_path / 'sal', stem, saliency)
    return job._replace(rule='auxsegnet', settings={}, saliency=str(tmp_path / 'sal'))


def with_truth(job, tmp_path):
    for seed, stem in enumerate(STEMS):
        write_mask(tmp_path / f'ann/{stem}.png', seed)
    return job._replace(truth=open_truth(tmp_path / 'ann', STEMS, CLASSES, True))


def read(path):
    return np.array(Image.open(path))


def test_masks_are_those_of_the_rule(job, tmp_path):
    out = tmp_path / 'out'
    assert make_pseudo_labels(job, out, 1, silent) is None
    for stem in STEMS:
        found = read_class_maps(job.maps.path, stem)
        want = fuse('threshold', found.maps, found.classes, background=0.5)
        assert set(np.unique(want)) == {0, 1, 3}
        np.testing.assert_array_equal(read(out / f'masks/{stem}.png'), want)
        confidence = confidence_of(want, found.maps, found.classes)
        got = read(out / f'confidence/{stem}.png')
        np.testing.assert_allclose(got / 255, confidence, atol=0.5 / 255 + 1e-6)
    counts = json.loads((out / 'counts.json').read_text())
    assert sum(counts['pixels'].values()) == 2 * HEIGHT * WIDTH
    assert counts['images_of_class'] == dict(class0=2, class1=2, class2=0, class3=2)
    assert json.loads((out / 'meta.json').read_text()) == dict(classes=list(CLASSES))
    settings = json.loads((out / 'pseudo_labels.json').read_text())
    assert settings['rule'] == 'threshold' and settings['settings'] == dict(background=0.5)


def test_saliency_enters_the_rule(with_saliency, tmp_path):
    make_pseudo_labels(with_saliency, tmp_path / 'out', 1, silent)
    found = read_class_maps(with_saliency.maps.path, 'a')
    saliency = read(tmp_path / 'sal/a.png').astype(np.float32) / 255
    want = fuse('auxsegnet', found.maps, found.classes, saliency)
    np.testing.assert_array_equal(read(tmp_path / 'out/masks/a.png'), want)


def test_maps_are_refined_by_the_image(job, tmp_path):
    make_pseudo_labels(job._replace(refine='pamr'), tmp_path / 'out', 1, silent)
    found = read_class_maps(job.maps.path, 'a')
    image = torch.from_numpy(read(job.images['a'])).permute(2, 0, 1)[None].float() / 255
    maps = pamr(image, torch.from_numpy(found.maps)[None])[0].numpy()
    want = fuse('threshold', maps, found.classes, background=0.5)
    assert (want != fuse('threshold', found.maps, found.classes, background=0.5)).any()
    np.testing.assert_array_equal(read(tmp_path / 'out/masks/a.png'), want)


def test_a_folder_is_continued_and_never_changed(job, tmp_path):
    out = tmp_path / 'out'
    make_pseudo_labels(job, out, 1, silent)
    kept = (out / 'masks/b/c.png').read_bytes()
    (out / 'masks/b/c.png').unlink()
    write_map(out / 'masks', 'a', np.zeros((HEIGHT, WIDTH), np.uint8))
    make_pseudo_labels(job, out, 1, silent)
    assert (out / 'masks/b/c.png').read_bytes() == kept
    assert not read(out / 'masks/a.png').any()
    with pytest.raises(FileExistsError, match="other settings .settings: {'background': 0.5}"):
        make_pseudo_labels(job._replace(settings=dict(background=0.4)), out, 1, silent)


@pytest.mark.parametrize('of', ['class maps', 'saliency'])
def test_masks_of_other_maps_are_not_kept(with_saliency, tmp_path, of):
    """The folder of the maps was made again, by another classifier or stand-in."""
    job = with_saliency
    made = dict(json.loads((job.maps.path / 'class_maps.json').read_text()), weights='a')
    path = job.maps.path / 'class_maps.json'
    if of == 'saliency':
        made, path = dict(method='colour'), tmp_path / 'sal/saliency.json'
    path.write_text(json.dumps(dict(made, version='1')))
    make_pseudo_labels(job, tmp_path / 'out', 1, silent)
    path.write_text(json.dumps(dict(made, version='2')))
    make_pseudo_labels(job, tmp_path / 'out', 1, silent)
    path.write_text(json.dumps(dict(made, weights='b')))
    with pytest.raises(FileExistsError, match=r'other settings \(made_of: .*choose another folder'):
        make_pseudo_labels(job, tmp_path / 'out', 1, silent)


OTHERS = [  # what is made again under the same name, and what the error calls it
    ('class map', lambda root: write_toy_map(root, 'a', (1, 2))),
    ('image', lambda root: write_image(root / 'img/a.jpg', 8)),
    ('saliency map', lambda root: write_map(root / 'sal', 'a', np.ones((HEIGHT, WIDTH)))),
]


def write_toy_map(root, stem, tags):
    maps = np.random.default_rng(5).random((len(tags), HEIGHT, WIDTH)).astype(np.float16)
    write_class_maps(root / 'maps', stem, ClassMaps(maps, np.array(tags), np.full(3, 0.5)))


@pytest.mark.parametrize('what, change', OTHERS, ids=[what for what, _ in OTHERS])
def test_a_mask_of_another_input_is_not_kept(with_saliency, tmp_path, what, change):
    out = tmp_path / 'out'
    make_pseudo_labels(with_saliency, out, 1, silent)
    change(tmp_path)
    (out / 'masks/b/c.png').unlink()
    before = {path: path.read_bytes() for path in out.rglob('*.*')}
    with pytest.raises(FileExistsError, match=rf'a\.png was made of another {what} than .*remove'):
        make_pseudo_labels(with_saliency, out, 1, silent)
    assert {path: path.read_bytes() for path in out.rglob('*.*')} == before
    (out / 'masks/a.png').unlink()
    make_pseudo_labels(with_saliency, out, 1, silent)
    make_pseudo_labels(with_saliency, out, 1, silent)


def test_masks_of_a_folder_without_a_record(job, tmp_path):
    """An earlier version wrote none: masks of the classes of their maps are taken for theirs."""
    out = tmp_path / 'out'
    make_pseudo_labels(job, out, 1, silent)
    (out / 'inputs.json').unlink()
    make_pseudo_labels(job, out, 1, silent)
    (out / 'inputs.json').unlink()
    write_toy_map(tmp_path, 'a', (1, 2))
    words = r'a\.png has the class id 3, .* no class map now'
    for _ in range(2):  # a refusal records nothing
        with pytest.raises(FileExistsError, match=words):
            make_pseudo_labels(job, out, 1, silent)


def test_inputs_that_were_moved_are_the_same(job, tmp_path):
    make_pseudo_labels(job, tmp_path / 'out', 1, silent)
    shutil.copytree(tmp_path / 'img', tmp_path / 'moved')  # with times of now
    for path in (tmp_path / 'moved').rglob('*.jpg'):
        path.touch()
    images = {stem: str(tmp_path / f'moved/{stem}.jpg') for stem in STEMS}
    make_pseudo_labels(job._replace(images=images), tmp_path / 'out', 1, silent)


def test_processes_write_the_same(job, tmp_path):
    job = with_truth(job, tmp_path)
    found = [make_pseudo_labels(job, tmp_path / f'out{n}', n, silent) for n in (1, 2)]
    np.testing.assert_array_equal(*found)
    first, second = (sorted((tmp_path / f'out{n}').rglob('*.png')) for n in (1, 2))
    assert len(first) == len(second) == 4
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second))


def test_sweep_gives_the_counts_of_each_level(job, tmp_path):
    job = with_truth(job, tmp_path)
    found = sweep(job, 'background', [0.2, 0.7], 1, silent)
    for level, counts in zip((0.2, 0.7), found):
        single = job._replace(settings=dict(background=level))
        want = make_pseudo_labels(single, tmp_path / f'{level}', 1, silent)
        np.testing.assert_array_equal(counts, want)
    assert (found[0] != found[1]).any()
    with pytest.raises(ValueError, match='background=1.2'):
        sweep(job, 'background', [0.2, 1.2], 1, silent)


# ---- quality


def test_quality_by_hand(tmp_path):
    mask = np.array([[0, 0, 1, 1, 255]], np.uint8)
    Image.fromarray(mask).save(tmp_path / 'a.png')
    truth = open_truth(tmp_path, ['a'], ('bg', 'x', 'y'), True)
    counts = confusion(truth, 'a', np.array([[0, 255, 1, 0, 2]], np.uint8), 3)
    assert counts.tolist() == [[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    found = label_quality(counts)
    np.testing.assert_allclose(found.iou, [1 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(found.labeled_iou, [1 / 2, 1 / 2, np.nan])
    np.testing.assert_allclose(found.labeled, [1 / 2, 1, np.nan])
    assert found.means == pytest.approx((5 / 12, 1 / 2))
    assert quality_table(('bg', 'x', 'y'), counts)[-1] == '| **mean** | 41.7 | 50.0 | 75.0 |'


def test_classes_of_the_truth_are_matched_by_name(tmp_path):
    Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8)).save(tmp_path / 'a.png')
    names = ('grass', 'cow', 'sky', 'cat')
    truth = open_truth(tmp_path, ['a'], ('background', 'cat', 'cow'), True, names)
    label = np.array([[0, 2, 0, 1]], np.uint8)
    assert confusion(truth, 'a', label, 3).diagonal().tolist() == [2, 1, 1]
    truth = open_truth(tmp_path, ['a'], ('cat', 'cow'), False, names)
    counts = confusion(truth, 'a', np.array([[0, 1, 0, 0]], np.uint8), 2)
    assert counts.tolist() == [[1, 0, 0], [0, 1, 0]]  # grass and sky do not count
    with pytest.raises(ValueError, match="no class 'dog'"):
        open_truth(tmp_path, ['a'], ('background', 'dog'), True, names)


@pytest.mark.parametrize('mode', ['P', '1'])
def test_truth_of_palettes_and_of_1_bit(tmp_path, mode):
    ids = np.array([[0, 1, 1]], np.uint8)
    image = Image.fromarray(ids == 1) if mode == '1' else Image.fromarray(ids)
    if mode == 'P':
        image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(tmp_path / 'a.png')
    assert Image.open(tmp_path / 'a.png').mode == mode
    truth = open_truth(tmp_path, ['a'], ('background', 'cat'), True)
    assert confusion(truth, 'a', np.array([[0, 1, 0]], np.uint8), 2).tolist() == [
        [1, 0, 0],
        [1, 1, 0],
    ]


def test_truth_is_checked_before_the_first_file(job, tmp_path):
    job = with_truth(job, tmp_path)
    for pixels, words in (
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), 'c.png is not one channel of 8 bit'),
        (np.zeros((HEIGHT, WIDTH + 1), np.uint8), 'c.png is 32 high and 49 wide'),
    ):
        Image.fromarray(pixels).save(tmp_path / 'ann/b/c.png')
        with pytest.raises(ValueError, match=words):
            make_pseudo_labels(job, tmp_path / 'out', 1, silent)
        with pytest.raises(ValueError, match=words):
            sweep(job, 'background', [0.5], 1, silent)
    (tmp_path / 'ann/b/c.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match='c.png cannot be read'):
        make_pseudo_labels(job, tmp_path / 'out', 1, silent)
    assert not (tmp_path / 'out').exists()


def test_truth_that_does_not_fit(tmp_path):
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / 'a.png')
    with pytest.raises(FileNotFoundError, match='none of the 1 images has a mask in .* such as b'):
        open_truth(tmp_path, ['b'], CLASSES, True)
    some = open_truth(tmp_path, ['a', 'b'], CLASSES, True)
    assert list(some.files) == ['a']
    assert not confusion(some, 'b', np.zeros((3, 3), np.uint8), 4).any()
    truth = open_truth(tmp_path, ['a'], CLASSES, True)
    with pytest.raises(ValueError, match=r'a\.png is of \(2, 3\)'):
        confusion(truth, 'a', np.zeros((3, 3), np.uint8), 4)


# ---- mistakes


def test_rules_and_saliency_that_do_not_fit(job, with_saliency, tmp_path):
    for wrong, words in (
        (with_saliency._replace(saliency=None), 'the rule auxsegnet needs saliency maps'),
        (job._replace(saliency=with_saliency.saliency), 'uses no saliency'),
        (job._replace(refine='blur'), "refine='blur' must be one of none, pamr, crf"),
        (job._replace(rule='none', settings={}), 'the rule none makes no background'),
    ):
        with pytest.raises(ValueError, match=words):
            make_pseudo_labels(wrong, tmp_path / 'out', 1, silent)
    assert not (tmp_path / 'out').exists()


def test_a_saliency_map_of_another_size(with_saliency, tmp_path):
    write_map(tmp_path / 'sal', 'b/c', np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(ValueError, match=r'c\.png is of \(32, 49\) and its image of \(32, 48\)'):
        make_pseudo_labels(with_saliency, tmp_path / 'out', 1, silent)
    (tmp_path / 'sal/b/c.png').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 2 images have no saliency map'):
        make_pseudo_labels(with_saliency, tmp_path / 'out', 1, silent)
    assert not (tmp_path / 'out').exists()


def test_maps_without_an_image_or_of_another(job, tmp_path):
    alone = job._replace(images={'a': job.images['a']})
    with pytest.raises(FileNotFoundError, match='1 of 2 class maps have no image, such as b/c'):
        make_pseudo_labels(alone, tmp_path / 'out', 1, silent)
    write_image(tmp_path / 'img/a.jpg', 0, (HEIGHT, WIDTH + 8))
    with pytest.raises(ValueError, match=r'class maps of a are of \(32, 48\) and its image'):
        make_pseudo_labels(job, tmp_path / 'out', 1, silent)


def test_maps_of_other_classes(job, tmp_path):
    other = ClassMaps(np.ones((1, HEIGHT, WIDTH)), np.array([9]), np.ones(3))
    write_class_maps(job.maps.path, 'a', other)
    with pytest.raises(ValueError, match=r'of a are of the class ids \[9\], .* are 1 to 3'):
        make_pseudo_labels(job, tmp_path / 'out', 1, silent)


def test_maps_that_are_refined_already(job, tmp_path):
    path = job.maps.path / 'class_maps.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), refine='pamr')))
    with pytest.raises(ValueError, match='are refined by pamr'):
        make_pseudo_labels(job._replace(refine='pamr'), tmp_path / 'out', 1, silent)


def test_folders_that_are_none_of_class_maps(tmp_path):
    with pytest.raises(FileNotFoundError, match='of class maps does not exist'):
        open_class_maps(tmp_path / 'none')
    (tmp_path / 'maps').mkdir()
    with pytest.raises(ValueError, match=r'has no class_maps\.json'):
        open_class_maps(tmp_path / 'maps')
    (tmp_path / 'maps/class_maps.json').write_text('{}')
    with pytest.raises(ValueError, match='is damaged'):
        open_class_maps(tmp_path / 'maps')
    settings = dict(classes=list(CLASSES), background=True)
    (tmp_path / 'maps/class_maps.json').write_text(json.dumps(settings))
    with pytest.raises(FileNotFoundError, match='has no class maps'):
        open_class_maps(tmp_path / 'maps')


def test_damaged_class_maps(job, tmp_path):
    (job.maps.path / 'a.npz').write_bytes(b'PK\x03\x04 half')
    with pytest.raises(ValueError, match=r'a\.npz are damaged'):
        make_pseudo_labels(job, tmp_path / 'out', 1, silent)
