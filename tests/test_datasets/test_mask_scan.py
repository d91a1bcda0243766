# Copyright (c) mmseg_ctt contributors.
"""Masks that are read before a run."""

import logging

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import LABELED, NUM_CLASSES, toy_semi, write_image, write_mask

from mmseg_ctt.datasets.mask_scan import (
    MaskScan,
    joined,
    log_masks,
    scan_masks,
    suspicious_masks,
    unlabeled_masks,
)

CLASSES = ('road', 'car', 'sky')


def infos(root, *stems):
    """Entries of a data set, their files written."""
    made = []
    for seed, stem in enumerate(stems):
        write_image(root / f'{stem}.jpg', seed)
        write_mask(root / f'{stem}.png', seed)
        made.append(
            dict(img_path=str(root / f'{stem}.jpg'), seg_map_path=str(root / f'{stem}.png'))
        )
    return made


def spoil(info, value=7):
    Image.fromarray(np.full((32, 48), value, np.uint8)).save(info['seg_map_path'])


def scan_of(*masks, ids=3):
    """Scan of masks given as lists of ids."""
    flat = [np.array(mask) for mask in masks]
    pixels = np.array([np.bincount(mask[mask != 255], minlength=ids) for mask in flat])
    return MaskScan(pixels, np.array([(mask == 255).sum() for mask in flat]), len(masks))


def test_counts(tmp_path):
    made = infos(tmp_path, *'abc')
    scan = scan_masks(made, NUM_CLASSES)
    for row, ignored, info in zip(scan.pixels, scan.ignored, made):
        ids = np.array(Image.open(info['seg_map_path']))
        assert row.tolist() == [(ids == k).sum() for k in range(NUM_CLASSES)]
        assert ignored == 9 and row.sum() + ignored == ids.size
    assert scan.read == 'all 3 masks' and scan.total == 3
    both = joined([scan, scan_masks(made, NUM_CLASSES, limit=1)])
    assert both.pixels.shape == (4, NUM_CLASSES) and both.read == '4 of 6 masks'


def test_ids(tmp_path):
    made = infos(tmp_path, *'abcdef')
    scan_masks(made, 4)
    spoil(made[3])
    with pytest.raises(ValueError, match=r'd.png .*0..3.*: 7 \(1536 pixels\)'):
        scan_masks(made, 4)
    scan_masks(made, 8)
    assert scan_masks(made, 4, limit=0).read == '0 of 6 masks'  # switched off
    scan_masks(made[3:4], 4, ignore_index=7)


def test_ids_that_8_bits_would_wrap(tmp_path):
    made = infos(tmp_path, *'ab')
    Image.fromarray(np.full((32, 48), 256, np.uint16)).save(made[1]['seg_map_path'])
    with pytest.raises(ValueError, match=r'b.png .*256 \(1536 pixels\)'):
        scan_masks(made, 4)


def test_scan_is_spread_over_the_whole_list(tmp_path):
    for spoiled, found in ((0, True), (1, False), (2, True), (4, True), (5, False)):
        made = infos(tmp_path, *'abcdef')
        spoil(made[spoiled])
        if found:
            with pytest.raises(ValueError):
                scan_masks(made, 4, limit=3)
        else:
            scan_masks(made, 4, limit=3)


def test_ids_of_the_file_where_the_config_chooses_classes(tmp_path):
    made = infos(tmp_path, 'a')
    made[0]['label_map'] = {k: 7 - k if k > 5 else 255 for k in range(8)}  # two of eight
    spoil(made[0], 7)
    assert scan_masks(made, 2).pixels.tolist() == [[1536, 0]]
    spoil(made[0], 3)
    scan = scan_masks(made, 2)
    assert scan.pixels.tolist() == [[0, 0]] and scan.ignored.tolist() == [1536]
    spoil(made[0], 8)
    with pytest.raises(ValueError, match=r'0..7.* 8 \('):
        scan_masks(made, 2)


def test_reduce_zero_label(tmp_path):
    made = infos(tmp_path, 'a')
    spoil(made[0], 4)
    with pytest.raises(ValueError):
        scan_masks(made, 4)
    made[0]['reduce_zero_label'] = True
    assert scan_masks(made, 4).pixels.tolist() == [[0, 0, 0, 1536]]


def test_size(tmp_path):
    made = infos(tmp_path, 'a')
    write_mask(tmp_path / 'a.png', 0, size=(48, 32))
    with pytest.raises(ValueError, match='a.png is 48 high and 32 wide, its image 32 high'):
        scan_masks(made, 4)


def test_remote_files_are_left_out(tmp_path):
    made = infos(tmp_path, 'a')
    remote = dict(img_path='s3://bucket/a.jpg', seg_map_path='s3://bucket/a.png')
    assert scan_masks([*made, remote], 4).read == '1 of 2 masks'


def test_unreadable_image_can_be_passed_over_but_not_its_mask(tmp_path):
    made = infos(tmp_path, 'a')
    (tmp_path / 'a.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='a.jpg cannot be read'):
        scan_masks(made, 4)
    scan_masks(made, 4, skip_unreadable=True)
    spoil(made[0])
    with pytest.raises(ValueError, match='a.png'):
        scan_masks(made, 4, skip_unreadable=True)


def test_good_masks_have_no_line():
    good = scan_of([0, 1, 255], [2])
    assert unlabeled_masks(good, 'set') is None and suspicious_masks(good, CLASSES, 'set') is None
    nothing_read = MaskScan(np.zeros((0, 3), int), np.zeros(0, int), 5)
    assert unlabeled_masks(nothing_read, 'set') is None
    assert suspicious_masks(nothing_read, CLASSES, 'set') is None


@pytest.mark.parametrize(
    'masks, words',
    [
        ([[0, 255], [255, 255]], ['of class 1 (car), 2 (sky)', '0 (road) and ignored', '255']),
        ([[0, 0], [0]], ['of class 1 (car), 2 (sky)', 'masks empty', 'seg_map_path']),
        ([[0, 1], [1]], ['set: no pixel of all 2 masks is of class 2 (sky)', 'label images']),
        ([[1, 2]], ['of class 0 (road)', 'reduce_zero_label=True where they count from 1']),
    ],
)
def test_likely_reasons(masks, words):
    line = suspicious_masks(scan_of(*masks), CLASSES, 'set')
    assert all(word in line for word in words), line
    assert unlabeled_masks(scan_of(*masks), 'set') is None


def test_line_on_a_rare_class_is_short():
    """Where other classes are found too, ids that count from 1 are no likely reason."""
    line = suspicious_masks(scan_of([0, 2]), CLASSES, 'set')
    assert 'of class 1 (car)' in line and 'reduce_zero_label' not in line and len(line) < 140
    assert 'reduce_zero_label' not in suspicious_masks(scan_of([2, 3], ids=4), 'abcd', 'set')


def test_line_names_ten_classes_and_the_number_of_masks():
    scan = scan_of([0, 1], ids=20)._replace(total=5)
    line = suspicious_masks(scan, [f'c{k}' for k in range(20)], 'set')
    assert '1 of 5 masks' in line and '11 (c11) and 8 more' in line and '12 (c12)' not in line


def test_nothing_labelled():
    nothing = scan_of([255, 255], [255])
    with pytest.raises(ValueError, match='set: nothing is labelled: every pixel of all 2 masks'):
        log_masks(dict(set=nothing), CLASSES, 255, required=True)
    with pytest.raises(ValueError, match='b: nothing is labelled'):
        log_masks(dict(a=scan_of([0]), b=nothing), CLASSES, 255, required=True)


@pytest.fixture
def logged(monkeypatch):
    """Lines that are logged as warnings."""
    lines = []

    def note(line, logger, level):
        assert logger == 'current' and level == logging.WARNING
        lines.append(line)

    monkeypatch.setattr('mmseg_ctt.datasets.mask_scan.print_log', note)
    return lines


def test_classes_may_be_spread_over_sources(logged):
    log_masks(dict(a=scan_of([0, 1]), b=scan_of([2, 255])), CLASSES, 255, required=True)
    assert logged == []
    log_masks(dict(a=scan_of([0, 1]), b=scan_of([0])), CLASSES, 255, required=True)
    assert len(logged) == 1 and logged[0].startswith('a and b: no pixel of all 2 masks')
    log_masks(dict(val=scan_of([255])), CLASSES, 255, required=False)
    assert len(logged) == 2 and logged[1].startswith('val: nothing is labelled')


def build(root, **changes):
    return DATASETS.build({**toy_semi(root), **changes})


def test_training_set_of_binary_masks(root, logged):
    build(root)
    assert logged == []
    for stem in LABELED:
        path = root / 'ann' / f'{stem}.png'
        Image.fromarray((np.array(Image.open(path)) > 1).astype(np.uint8) * 255).save(path)
    build(root)
    (line,) = logged
    assert line.startswith('train_dataloader.dataset.labeled: no pixel of all 3 masks is of class')
    assert 'the object is often 255' in line
    build(root, scan_masks=0)
    assert len(logged) == 1


def test_training_set_without_any_label(root):
    for stem in LABELED:
        Image.fromarray(np.full((32, 48), 255, np.uint8)).save(root / 'ann' / f'{stem}.png')
    with pytest.raises(ValueError, match='labeled: nothing is labelled'):
        build(root)


def test_random_numbers_are_not_touched(root):
    np.random.seed(3)
    before = np.random.get_state()[1].tolist()
    build(root)
    assert np.random.get_state()[1].tolist() == before
