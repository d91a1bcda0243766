# Copyright (c) mmseg_ctt contributors.
"""Counting predictions, choosing images and pixels, and the files that come of it."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from toy import NUM_CLASSES
from toy_data import CLASSES, LABELED, UNLABELED, toy_config, write_toy_data

from mmseg_ctt.datasets.frequency import label_frequency, source
from mmseg_ctt.self_training.labelling import BINS, collect
from mmseg_ctt.self_training.selection import never_predicted, select, write_selection
from mmseg_ctt.self_training.settings import Settings

TOP = BINS - 1


@pytest.fixture
def raw(tmp_path):
    """Three predictions of 4x5 pixels; class 3 is never predicted."""
    g = np.random.RandomState(0)
    folder = tmp_path / 'raw'
    folder.mkdir()
    for i in range(3):
        label = g.randint(0, 2 if i else 3, (4, 5)).astype(np.uint8)
        np.savez(
            folder / f'{i}.npz',
            label=label,
            level=g.randint(TOP // 2, BINS, (4, 5)).astype(np.uint16),
        )
    return folder


def read(raw, i):
    with np.load(raw / f'{i}.npz') as file:
        return file['label'], file['level']


def test_statistics_equal_loops(raw):
    made = collect(raw, 3, NUM_CLASSES)
    pixels = [[] for _ in range(NUM_CLASSES)]
    for i in range(3):
        label, level = read(raw, i)
        for c in range(NUM_CLASSES):
            mine = level[label == c].tolist()
            pixels[c] += mine
            assert made.area[i, c].item() == pytest.approx(len(mine) / 20)
            mean = sum(mine) / len(mine) / TOP if mine else 0
            assert made.confidence[i, c].item() == pytest.approx(mean)
    for c in range(NUM_CLASSES):
        found = made.histogram[c].nonzero().flatten().tolist()
        assert found == sorted(set(pixels[c]))
        assert made.histogram[c].sum() == len(pixels[c])


@pytest.mark.parametrize('mode', ['whole', 'restricted'])
def test_files_hold_what_is_selected(raw, tmp_path, mode):
    settings = Settings(alpha=1.0, mode=mode, confidence_threshold=0.9, min_area=0.05)
    statistics = collect(raw, 3, NUM_CLASSES)
    selection = select(statistics, torch.tensor([10, 5, 5, 4]), settings)
    assert selection.chosen.any() and not selection.chosen.all()
    assert never_predicted(selection) == [3]
    images = [f'/data/{name}.jpg' for name in 'xyz']
    made = write_selection(tmp_path / 'p', raw, images, selection, statistics, settings, CLASSES)
    assert json.loads((tmp_path / 'p' / 'manifest.json').read_text()) == made
    taken = {one['image']: one for one in made['selected']}
    assert set(taken) <= {images[i] for i in range(3) if selection.chosen[i].any()} and taken
    for image, one in taken.items():
        i = images.index(image)
        label, level = read(raw, i)
        mask = np.asarray(Image.open(tmp_path / 'p' / one['mask']))
        for y, x in np.ndindex(4, 5):
            c = label[y, x]
            kept = (
                level[y, x] >= selection.threshold[c]
                if mode == 'whole'
                else selection.chosen[i, c] or level[y, x] >= round(0.9 * TOP)
            )
            assert mask[y, x] == (c if kept else 255)
        assert one['kept'] == pytest.approx((mask != 255).mean())
    for c, name in enumerate(CLASSES):
        entry = made['classes'][name]
        chosen = [images[i] for i in range(3) if selection.chosen[i, c]]
        assert list(entry['images']) == chosen
        assert entry['rate'] == pytest.approx(float(selection.rate[c]))


def test_alpha_zero_keeps_everything(raw, tmp_path):
    settings = Settings(alpha=0)
    statistics = collect(raw, 3, NUM_CLASSES)
    selection = select(statistics, torch.tensor([10, 5, 5, 1]), settings)
    made = write_selection(
        tmp_path / 'p', raw, ['a', 'b', 'c'], selection, statistics, settings, CLASSES
    )
    assert [one['kept'] for one in made['selected']] == [1, 1, 1]


def test_images_of_a_trace_of_a_class_do_not_show_it(raw):
    statistics = collect(raw, 3, NUM_CLASSES)
    some = select(statistics, torch.ones(4), Settings(min_area=0.4)).present
    assert torch.equal(some, statistics.area >= 0.4) and not some.all() and some.any()


def test_frequency_counts_the_labelled_masks(tmp_path):
    root = write_toy_data(tmp_path)
    cfg = Config(toy_config(root, tmp_path / 'work')._cfg_dict.to_dict())
    masks = [np.asarray(Image.open(root / 'ann' / f'{stem}.png')) for stem in LABELED]
    made = label_frequency(cfg, 0.2)
    for c in range(NUM_CLASSES):
        assert made.pixel[c] == sum(int((mask == c).sum()) for mask in masks)
        assert made.image[c] == sum((mask == c).mean() >= 0.2 for mask in masks)
    assert made.pixel.sum() < sum(mask.size for mask in masks)  # some are ignored
    assert made.image.sum() < (label_frequency(cfg, 0).image).sum()
    unlabeled = source(cfg, 'unlabeled')
    assert len(unlabeled) == len(UNLABELED)
    assert all('seg_map_path' not in unlabeled.get_data_info(i) for i in range(len(unlabeled)))
    cfg.train_dataloader.dataset.pop('unlabeled')
    with pytest.raises(ValueError, match='train_dataloader.dataset.unlabeled'):
        source(cfg, 'unlabeled')


@pytest.mark.parametrize(
    'given, word',
    [
        (dict(mode='half'), 'self_training.mode'),
        (dict(count='box'), 'self_training.count'),
        (dict(confidence_threshold=2), 'self_training.confidence_threshold'),
        (dict(generations=0), 'self_training.generations'),
        (
            dict(confidence_threshold=0.8),
            "confidence_threshold=0.8 would be unused with self_training.mode='whole': remove it",
        ),
        (dict(low_temperature=0.6), 'low_temperature=0.6 would be unused with .*align=False'),
        (dict(generations=1, alpha=0), 'alpha=0 would be unused with .*generations=1'),
        (dict(generations=1, member='student0'), "member='student0' would be unused with"),
        (dict(alfa=1), r"self_training has unknown settings \['alfa'\]"),
    ],
)
def test_bad_settings(given, word):
    with pytest.raises(ValueError, match=word):
        Settings.of(given)


def test_the_key_of_the_threshold_in_0_1():
    given = dict(sure=0.5, mode='restricted')
    assert Settings.of(given) == Settings(mode='restricted', confidence_threshold=0.5)


def test_defaults():
    assert Settings.of(None) == Settings()
    assert Settings().alpha == pytest.approx(1 / 3) and Settings().low_temperature == 0.5
