# Copyright (c) mmseg_ctt contributors.
"""Pseudo-labels in place of masks: as a data set, and added to a labelled one."""

import json
import shutil

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image
from toy_data import CLASSES, LABELED, UNLABELED, toy_semi, toy_set, write_mask

from mmseg_ctt.engine.guards import duplicate_images

NAMES = tuple(f'x{k}' for k in range(6))  # of the masks beside the images


@pytest.fixture
def labels(root, tmp_path):
    """Pseudo-labels of all images; meta.json of the images has other ids."""
    (root / 'meta.json').write_text(json.dumps(dict(classes=[*NAMES, *reversed(CLASSES)])))
    folder, stems = tmp_path / 'labels', LABELED + UNLABELED
    for seed, stem in enumerate(stems):
        write_mask(folder / f'masks/{stem}.png', seed)
    (folder / 'meta.json').write_text(json.dumps(dict(classes=CLASSES)))
    selected = [dict(image=str(root / f'img/{s}.jpg'), mask=f'masks/{s}.png') for s in stems]
    (folder / 'manifest.json').write_text(json.dumps(dict(class_names=CLASSES, selected=selected)))
    return folder


def pseudo_set(root, labels, **changes):
    given = toy_set(root, True, random=False, type='PseudoLabelDataset', pseudo_labels=str(labels))
    given['data_prefix'] = dict(img_path='img', seg_map_path=None)
    return {**given, **changes}


def test_masks_have_the_ids_of_the_classes(root, labels, monkeypatch):
    monkeypatch.chdir(labels.parent)  # the folder is relative to the working directory
    dataset = DATASETS.build(pseudo_set(root, 'labels'))
    assert len(dataset) == 6
    for index, stem in enumerate(LABELED + UNLABELED):
        want = np.array(Image.open(labels / f'masks/{stem}.png'))
        got = dataset[index]['data_samples'].gt_sem_seg.data[0].numpy()
        np.testing.assert_array_equal(got, want)
    listed = DATASETS.build(pseudo_set(root, labels, ann_file='splits/toy/labeled.txt'))
    assert len(listed) == len(LABELED)


def test_as_the_labelled_source(root, labels):
    cfg = toy_semi(root)
    cfg['labeled'] = pseudo_set(root, labels, ann_file='splits/toy/labeled.txt')
    dataset = DATASETS.build(cfg)
    assert dataset.masked == ('labeled',) and dataset.num_images == dict(labeled=3, unlabeled=3)
    (labels / f'masks/{LABELED[1]}.png').unlink()
    with pytest.raises(FileNotFoundError, match=f'{LABELED[1]}'):
        DATASETS.build(cfg)


def test_mistakes(root, labels):
    with pytest.raises(FileNotFoundError, match=r'pseudo_labels: .*none/meta\.json does not exist'):
        DATASETS.build(pseudo_set(root, labels.parent / 'none'))
    wrong = pseudo_set(root, labels, data_prefix=dict(img_path='img', seg_map_path='ann'))
    with pytest.raises(ValueError, match='seg_map_path would be unused'):
        DATASETS.build(wrong)
    (labels / 'meta.json').write_text(json.dumps(dict(classes=CLASSES[::-1])))
    with pytest.raises(ValueError, match='are of class3, .* must have the same classes'):
        DATASETS.build(pseudo_set(root, labels))


def test_images_with_a_mask_keep_it(root, labels):
    """Pseudo-labels of all images are added to the masks of some."""
    (root / 'meta.json').unlink()
    cfg = dict(toy_semi(root), type='SelfTrainingDataset', pseudo=str(labels))
    dataset = DATASETS.build(cfg)
    assert dataset.num_images == dict(labeled=6, unlabeled=3)
    infos = [dataset.labeled[i]['data_samples'] for i in range(6)]
    masks = [info.seg_map_path for info in infos]
    assert masks[:3] == [str(root / f'ann/{stem}.png') for stem in LABELED]
    assert masks[3:] == [str(labels / f'masks/{stem}.png') for stem in UNLABELED]
    manifest = json.loads((labels / 'manifest.json').read_text())
    (labels / 'manifest.json').write_text(json.dumps(dict(manifest, class_names=CLASSES[::-1])))
    with pytest.raises(ValueError, match='are of class3, .* must have the same classes'):
        DATASETS.build(cfg)


def test_images_with_a_pseudo_label_may_stay_unlabelled(root, labels, monkeypatch):
    """They are no duplicates, however their paths are written; copies of labelled images are."""
    (root / 'meta.json').unlink()
    monkeypatch.chdir(root.parent)  # one path relative, one absolute
    cfg = dict(toy_semi(root.name), type='SelfTrainingDataset', pseudo=str(labels))
    assert duplicate_images(DATASETS.build(cfg)) is None
    shutil.copy(root / f'img/{LABELED[0]}.jpg', root / f'img/{UNLABELED[0]}.jpg')
    assert duplicate_images(DATASETS.build(cfg)).startswith('1 unlabeled images have the content')
