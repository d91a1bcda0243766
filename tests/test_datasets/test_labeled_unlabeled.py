# Copyright (c) mmseg_ctt contributors.
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS, MODELS
from PIL import Image
from torch.utils.data import DataLoader
from toy import whole_segmentor
from toy_data import (
    LABELED,
    SPLIT,
    UNLABELED,
    toy_pipeline,
    toy_semi,
    toy_set,
    write_image,
    write_lists,
    write_mask,
)

from mmseg_ctt.datasets import DrawnImage, LabeledUnlabeledSampler
from mmseg_ctt.datasets.built import ignore_index
from mmseg_ctt.engine.ignored_checks import check_ignored


def build(root, **changes):
    return DATASETS.build({**toy_semi(root), **changes})


def stem(sample):
    return Path(sample['data_samples'].img_path).stem


def content(sample):
    """Everything a sample says, for comparison by byte."""
    made = sample['data_samples']
    label = made.gt_sem_seg.data.numpy().tobytes() if 'gt_sem_seg' in made else None
    return sample['inputs'].numpy().tobytes(), label, made.source, made.draw, made.img_path


def test_two_lists(root):
    dataset = build(root)
    assert (dataset.num_labeled, dataset.num_unlabeled, len(dataset)) == (3, 3, 6)
    assert [stem(dataset[i]) for i in range(6)] == [*LABELED, *UNLABELED]
    assert dataset.metainfo['classes'] == ('class0', 'class1', 'class2', 'class3')
    for i in range(6):
        sample = dataset[DrawnImage(i, 10 + i, 7)]
        assert sample['inputs'].dtype == torch.uint8 and sample['inputs'].shape == (3, 32, 32)
        made = sample['data_samples']
        assert made.draw == (7, 10 + i)
        assert made.source == ('labeled' if i < 3 else 'unlabeled')
        assert ('gt_sem_seg' in made) == (i < 3)


def test_two_folders(tmp_path):
    write_image(tmp_path / 'img' / 'a.jpg', 0)
    write_mask(tmp_path / 'ann' / 'a.png', 0)
    write_image(tmp_path / 'more' / 'b.jpg', 1)  # and no masks anywhere
    unlabeled = toy_set(tmp_path, False)
    unlabeled['data_prefix'] = dict(img_path='more')
    dataset = build(tmp_path, unlabeled=unlabeled, split=None)
    assert [stem(dataset[i]) for i in range(2)] == ['a', 'b']


def test_labeled_only(root):
    dataset = build(root, unlabeled=None)
    assert (len(dataset), dataset.num_unlabeled) == (3, 0)
    assert list(dataset.sources) == ['labeled'] and dataset.unlabeled is None


def ignore_254(root):
    """Masks whose ignored pixels are 254, of one leaf that leaves a class out."""
    for stem in LABELED:
        mask = np.array(Image.open(root / 'ann' / f'{stem}.png'))
        Image.fromarray(np.where(mask == 255, 254, mask).astype(np.uint8)).save(
            root / 'ann' / f'{stem}.png'
        )
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    classes = ('class0', 'class1', 'class2', 'class3')
    return toy_set(
        root,
        True,
        pipeline=[*pipeline, dict(type='PackSegInputs')],
        known_classes=classes,
        metainfo=dict(classes=classes[:3]),
    )


@pytest.mark.parametrize('where', ['outside', 'inside', 'both'])
def test_one_id_of_ignored_pixels(root, where):
    """The data set gives it to its sources, or takes theirs; heads are compared with it."""
    leaf = ignore_254(root)
    if where != 'outside':
        leaf['ignore_index'] = 254
    changes = dict(ignore_index=254) if where != 'inside' else {}
    dataset = build(root, labeled=leaf, unlabeled=None, **changes)
    assert dataset.ignore_index == 254 == ignore_index(dataset.labeled)
    found = torch.stack([dataset[i]['data_samples'].gt_sem_seg.data for i in range(3)])
    assert set(found.unique().tolist()) == {0, 1, 2, 254}
    model = nn.ModuleDict(dict(decode_head=MODELS.build(whole_segmentor()['decode_head'])))
    with pytest.raises(ValueError, match=r'train_dataloader.dataset.ignore_index.* is 254'):
        check_ignored(model, dataset)
    model['decode_head'].ignore_index = 254
    check_ignored(model, dataset)


def test_two_ids_of_ignored_pixels(root):
    leaf = {**ignore_254(root), 'ignore_index': 254}
    words = r'dataset.ignore_index is 255, but .*labeled.ignore_index is 254: set .*alone'
    with pytest.raises(ValueError, match=words):
        build(root, labeled=leaf, ignore_index=255)
    other = toy_set(root, True, ann_file='')
    with pytest.raises(ValueError, match=r'labeled.ignore_index is 254, but .*more.ignore_index'):
        build(root, labeled=leaf, unlabeled=None, more=other)


def test_no_source(root):
    with pytest.raises(ValueError, match='dataset has no source of images: set .*dataset.labeled'):
        build(root, labeled=None, unlabeled=None)


@pytest.mark.parametrize('value', ['splits/toy', 3, dict(data_root='data')])
def test_setting_that_is_neither_known_nor_a_source(root, value):
    with pytest.raises(TypeError, match='train_dataloader.dataset.splits=.* a dict with a type'):
        build(root, splits=value)


@pytest.mark.parametrize('name', ['labeled', 'unlabeled'])
def test_empty_list(root, name):
    """Also of a stock data set, whose own error is one of numpy."""
    (root / SPLIT / f'{name}.txt').write_text('\n')
    for kind in ('FolderSegDataset', 'BaseSegDataset'):
        changed = {**toy_set(root, name == 'labeled'), 'type': kind}
        with pytest.raises(ValueError, match=f'list .*{name}.txt of .*dataset.{name} is empty'):
            build(root, **{name: changed})


def test_empty_folder_of_a_stock_data_set(root):
    (root / 'none').mkdir()
    empty = dict(
        type='StreetsDataset',
        data_root=str(root),
        data_prefix=dict(img_path='none'),
        pipeline=toy_pipeline(False),
    )
    with pytest.raises(ValueError, match='dataset.unlabeled is empty: .*none gave no image'):
        build(root, labeled=None, unlabeled=empty, split=None)


def test_errors_of_a_data_set_are_its_own(root):
    (root / SPLIT / 'labeled.txt').write_text('l0\nl0\n')
    with pytest.raises(ValueError, match='labeled.txt names l0 twice'):
        build(root)


def test_own_list_before_the_split(root):
    (root / 'mine.txt').write_text('u2\n')
    listed = toy_set(root, False, ann_file='mine.txt')
    dataset = build(root, unlabeled=listed)
    assert [stem(dataset[i]) for i in range(len(dataset))] == [*LABELED, 'u2']
    write_image(root / 'more' / 'm0.jpg', 8)
    folder = {**toy_set(root, False, ann_file=''), 'data_prefix': dict(img_path='more')}
    dataset = build(root, unlabeled=folder)
    assert [stem(dataset[i]) for i in range(len(dataset))] == [*LABELED, 'm0']


def test_other_classes(root):
    other = {**toy_set(root, False), 'metainfo': dict(classes=('a', 'b'))}
    with pytest.raises(ValueError, match='unlabeled has other classes than .*labeled .class 0 is'):
        build(root, unlabeled=other)


def test_labelled_set_without_masks(root):
    with pytest.raises(ValueError, match='dataset.labeled has no masks: set .*labeled.data_prefix'):
        build(root, labeled=toy_set(root, False))


def test_no_class_names(root):
    plain = {**toy_set(root, True), 'type': 'BaseSegDataset'}
    plain.pop('metainfo')
    with pytest.raises(ValueError, match='dataset.labeled names no classes: set its metainfo.cla'):
        build(root, labeled=plain, unlabeled=None)


@pytest.mark.parametrize('index', [6, 7, 100])
def test_index_behind_the_end(root, index):
    with pytest.raises(IndexError, match=f'image {index} of 6'):
        build(root)[index]


def test_no_path_to_unlabelled_masks(root):
    write_mask(root / 'ann' / 'u0.png', 9)  # even where one lies on disk
    dataset = build(root, unlabeled={**toy_set(root, True), 'pipeline': toy_pipeline(False)})
    assert all('seg_map_path' in dataset.labeled.get_data_info(i) for i in range(3))
    for i in range(3):
        assert 'seg_map_path' not in dataset.unlabeled.get_data_info(i)
        assert 'seg_map_path' not in dataset[3 + i]['data_samples']
    assert 'seg_map_path' not in dataset.unlabeled.data_prefix


@pytest.mark.parametrize('nested', [False, True])
@pytest.mark.parametrize('step', ['LoadAnnotations', 'CheckSegMap'])
def test_unlabelled_pipeline_must_not_load_labels(root, step, nested):
    pipeline, added = toy_pipeline(False), dict(type=f'mmseg.{step}')
    pipeline.insert(1, dict(type='RandomChoice', transforms=[[added]]) if nested else added)
    with pytest.raises(ValueError, match=f'unlabeled.pipeline has {step}'):
        build(root, unlabeled={**toy_set(root, False), 'pipeline': pipeline})


def test_labels_belong_to_their_image(root):
    labeled = {**toy_set(root, True, random=False)}
    dataset = build(root, labeled=labeled)
    for i, name in enumerate(LABELED):
        label = dataset[i]['data_samples'].gt_sem_seg.data[0].numpy()
        assert np.array_equal(label, np.array(Image.open(root / 'ann' / f'{name}.png')))


@pytest.mark.parametrize('index', [1, 4])
def test_sample_depends_on_the_draw_alone(root, index):
    dataset = build(root)
    first = content(dataset[DrawnImage(index, 20, 5)])
    for number in range(5):
        dataset[DrawnImage(number, number, 5)]
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert content(build(root)[DrawnImage(index, 20, 5)]) == first
    assert content(dataset[DrawnImage(index, 20, 5)]) == first
    for other in (DrawnImage(index, 21, 5), DrawnImage(index, 20, 6)):
        assert content(dataset[other])[0] != first[0]


def test_global_random_state_is_untouched(root):
    dataset = build(root)
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    for i in range(6):
        dataset[DrawnImage(i, i, 0)]
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_workers_give_the_same_bytes(root):
    seen = []
    for workers in (0, 2):
        torch.manual_seed(workers)
        dataset = build(root)
        loader = DataLoader(
            dataset,
            2,
            sampler=LabeledUnlabeledSampler(dataset, seed=4),
            num_workers=workers,
            collate_fn=pseudo_collate,
        )
        batches = iter(loader)
        seen.append(
            [
                content(dict(inputs=image, data_samples=sample))
                for batch in (next(batches) for _ in range(5))
                for image, sample in zip(batch['inputs'], batch['data_samples'])
            ]
        )
        del batches
    assert len(seen[0]) == 10
    assert seen[0] == seen[1]


@pytest.mark.parametrize('index, name', [(1, 'l1'), (4, 'u1')])
@pytest.mark.parametrize('damage', [b'', b'no image at all'])
def test_unreadable_image(root, index, name, damage):
    dataset = build(root)
    (root / 'img' / f'{name}.jpg').write_bytes(damage)
    with pytest.raises(ValueError, match=f'cannot decode image .*{name}.jpg.*skip_unreadable'):
        dataset[index]


@pytest.mark.parametrize('index, name, instead', [(1, 'l1', 'l2'), (5, 'u2', 'u0')])
def test_skip_and_count_unreadable(root, index, name, instead):
    (root / 'img' / f'{name}.jpg').write_bytes(b'no image at all')
    dataset = build(root, skip_unreadable=True)
    assert dataset.unreadable.value == 0
    assert stem(dataset[index]) == instead
    assert dataset[index]['data_samples'].source == ('labeled' if index < 3 else 'unlabeled')
    assert dataset.unreadable.value == 2


def test_skips_in_workers_are_counted(root):
    (root / 'img' / 'u1.jpg').write_bytes(b'no image at all')
    dataset = build(root, skip_unreadable=True)
    loader = DataLoader(dataset, 1, sampler=[4, 4, 4, 4], num_workers=2, collate_fn=pseudo_collate)
    assert [Path(batch['data_samples'][0].img_path).stem for batch in loader] == ['u2'] * 4
    assert dataset.unreadable.value == 4


def test_nothing_can_be_read(root):
    dataset = build(root, skip_unreadable=True)
    for name in UNLABELED:
        (root / 'img' / f'{name}.jpg').write_bytes(b'no image at all')
    with pytest.raises(ValueError, match='none of the 3 images'):
        dataset[4]


def test_errors_of_good_images_pass_through(root):
    dataset = build(root, skip_unreadable=True)
    (root / 'ann' / 'l1.png').unlink()
    with pytest.raises(FileNotFoundError, match='l1.png'):
        dataset[1]
    assert dataset.unreadable.value == 0


def test_masks_not_scanned_are_checked_when_loaded(root):
    Image.fromarray(np.full((32, 48), 9, np.uint8)).save(root / 'ann' / 'l2.png')
    dataset = build(root, scan_masks=1)
    with pytest.raises(ValueError, match=r'l2.png.* 9 \(1536 pixels\)'):
        dataset[2]


def layout(kind, root):
    """Files of two images in the layout of a stock data set; the second has no mask."""
    if kind == 'PascalVOCDataset':
        stems = ('2007_000032', '2007_000039')
        image, mask = 'JPEGImages/{}.jpg', 'SegmentationClassAug/{}.png'
    else:
        stems = ('aachen/aachen_000000_000019', 'bremen/bremen_000001_000019')
        image = 'leftImg8bit/train/{}_leftImg8bit.png'
        mask = 'gtFine/train/{}_gtFine_labelTrainIds.png'
    for seed, name in enumerate(stems):
        write_image(root / image.format(name), seed)
    write_mask(root / mask.format(stems[0]), 0)
    write_lists(root / SPLIT, stems[:1], stems[1:])
    return image.split('{')[0], mask.split('{')[0], stems


@pytest.mark.parametrize(
    'kind, classes, with_lists',
    [
        ('PascalVOCDataset', 21, True),  # which takes lists only
        ('CityscapesDataset', 19, True),
        ('CityscapesDataset', 19, False),
    ],
)
def test_stock_data_sets(tmp_path, kind, classes, with_lists):
    images, masks, stems = layout(kind, tmp_path)
    labeled = dict(
        type=kind,
        data_root=str(tmp_path),
        pipeline=toy_pipeline(True),
        data_prefix=dict(img_path=images, seg_map_path=masks),
    )
    unlabeled = {**labeled, 'pipeline': toy_pipeline(False)}
    if not with_lists:
        shutil.move(tmp_path / images / 'bremen', tmp_path / 'more' / 'bremen')
        unlabeled['data_prefix'] = dict(img_path='more')
    dataset = build(
        tmp_path, labeled=labeled, unlabeled=unlabeled, split=SPLIT if with_lists else None
    )
    assert len(dataset.metainfo['classes']) == classes
    assert [stem(dataset[i]).split('_left')[0] for i in range(2)] == [
        Path(name).name for name in stems
    ]
    assert dataset[0]['data_samples'].gt_sem_seg.data.shape == (1, 32, 32)
    assert 'seg_map_path' not in dataset.unlabeled.get_data_info(0)
