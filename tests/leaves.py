# Copyright (c) mmseg_ctt contributors.
"""The configs of the package: where they are, what they inherit, and small copies of them."""

import functools
import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from toy_data import HEIGHT, WIDTH, write_image, write_lists, write_mask
from toy_volumes import toy_image, toy_label, write_nifti

from mmseg_ctt.datasets.sources import source_names

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
LEAVES = {
    path.relative_to(CONFIGS).as_posix(): path
    for path in sorted(CONFIGS.rglob('*.py'))
    if '_base_' not in path.parts
}
FOLDERS = sorted({name.split('/')[0] for name in LEAVES})


@functools.lru_cache(maxsize=None)
def parsed(path: Path) -> Config:
    """Config of a file; not to be changed."""
    return Config.fromfile(path)


def leaf(name: str) -> Config:
    """Config of a leaf, such as ``ctt/ctt_deeplabv3plus_streets_1-8.py``; not to be changed."""
    return parsed(LEAVES[name])


def bases_of(path: Path) -> List[Path]:
    """Files that a config file inherits itself."""
    text = path.read_text()
    found = re.search(r"^_base_ = (\[[^\]]*\]|'[^']*')", text, re.MULTILINE)
    names = re.findall(r"'([^']+)'", found[1]) if found else []
    return [(path.parent / name).resolve() for name in names]


def levels(path: Path) -> int:
    """Levels of inheritance above a config file."""
    return max((1 + levels(base) for base in bases_of(path)), default=0)


def is_thin(name: str) -> bool:
    """Whether a leaf inherits another leaf."""
    return any('_base_' not in base.parts for base in bases_of(LEAVES[name]))


def dicts(node: Any) -> Iterator[dict]:
    """Every dict in a config."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from dicts(value)


def network(cfg: Config) -> Dict[str, Any]:
    """Config of the segmentor that a method wraps, or that is the model."""
    return cfg.model.get('segmentor', cfg.model)


PATCH = 8  # pixels of the patches of a small vision transformer


def shrink(cfg: Any) -> None:
    """Make networks narrow and images small, wherever they are described."""
    for node in list(dicts(cfg)):
        kind = node.get('type')
        node.pop('init_cfg', None)
        if kind == 'EncoderDecoder':
            _narrow(node['backbone'], node['decode_head'])
        elif kind == 'RandomCrop':
            node['crop_size'] = (HEIGHT, WIDTH)
        elif node.get('scale'):
            node['scale'] = (WIDTH, HEIGHT)
        elif 'bgr_to_rgb' in node:
            node['size'] = (HEIGHT, WIDTH)
            if 'test_cfg' in node:
                node['test_cfg'] = dict(size_divisor=PATCH)
        elif node.get('mode') == 'slide':
            node.update(crop_size=(HEIGHT, WIDTH), stride=(HEIGHT, WIDTH))
        elif 'budget' in node and node.get('size', 0) > 2000:  # queues of gigabytes
            node.update(size=20, budget=5)
        elif 'min_size' in node:  # patches
            node.update(min_size=WIDTH // 4, max_size=WIDTH // 4)
        elif 'num_workers' in node:
            node.update(num_workers=0, persistent_workers=False)
        elif 'text_file' in node:  # a frozen vision-language model
            small = dict(embed_dim=16, depth=2, num_heads=2, patch_size=PATCH, img_size=HEIGHT)
            node.update(dim=8, network=small)


def _narrow(backbone: dict, head: dict) -> None:
    if 'VGG' in backbone['type']:
        return  # has no width
    if backbone['type'] == 'FoundationBackbone':
        return _narrow_transformer(backbone, head)
    if backbone['type'] == 'MixVisionTransformer':
        backbone.update(embed_dims=8, num_layers=[1] * 4, num_heads=[1] * 4)
        head.update(in_channels=[8] * 4, channels=8)
        return
    if backbone['type'] == 'MobileNetV2':
        backbone['widen_factor'], widths = 0.25, (8, 80)
    elif backbone['type'] == 'DilatedVGG':
        backbone['depth'], widths = 11, (512, 512)
    else:
        backbone.update(depth=18, base_channels=8, stem_channels=8)
        widths = 8, 8 * 2 ** (backbone['num_stages'] - 1)
    head.update(in_channels=widths[1], channels=32)
    if 'c1_in_channels' in head:
        head.update(c1_in_channels=widths[0], c1_channels=8)


def _narrow_transformer(backbone: dict, head: dict) -> None:
    pytest.importorskip('timm', reason='timm is not installed')
    number = len(backbone['out_indices'])
    backbone.update(embed_dim=16, depth=number, num_heads=2, patch_size=PATCH, img_size=HEIGHT)
    backbone['out_indices'] = tuple(range(number))
    head.update(in_channels=[16] * number, channels=8, hidden_channels=[8] * number)


# ---- files of every data set

STEMS = ('a', 'b', 'c', 'd', 'e')  # two labelled, three unlabelled
LAYOUTS = dict(  # image, masks
    FolderSegDataset=('images/{stem}.jpg', ['masks/{stem}.png']),
    PascalVOCDataset=(
        'JPEGImages/{stem}.jpg',
        ['SegmentationClassAug/{stem}.png', 'SegmentationClass/{stem}.png'],
    ),
    CityscapesDataset=(
        'leftImg8bit/{part}/{stem}_leftImg8bit.png',
        ['gtFine/{part}/{stem}_gtFine_labelTrainIds.png'],
    ),
    ADE20KDataset=('images/{part}/{stem}.jpg', ['annotations/{part}/{stem}.png']),
    COCOObjectsDataset=('{part}2017/{stem}.jpg', ['masks/{stem}.png']),
    CamVidDataset=('img_dir/{part}/{stem}.jpg', ['ann_dir/{part}/{stem}.png']),
    StreetsDataset=('img_dir/{part}/{stem}.jpg', ['ann_dir/{part}/{stem}.png']),
    la2d=('img_dir/{part}/{stem}_z1.jpg', ['ann_dir/{part}/{stem}_z1.png']),
    msrc21=('img_dir/{part}/{stem}.jpg', ['ann_dir/{part}/{stem}.png']),
)
PARTS = dict(ADE20KDataset=dict(train='training', val='validation'))  # folders of the parts
VOLUMES = 'VolumeSliceDataset'


def write_maps(cfg: Any, root: Path) -> None:
    """Files of the maps that pipelines load, for every image below a folder.

    Args:
        cfg (Config): Its steps get the folders of the files.
        root (Path): Of the images; written before.
    """
    images = [path for path in root.rglob('*.jpg')]
    for step in dicts(cfg._cfg_dict):
        if step.get('type') == 'LoadMaps':
            for name in step['maps']:
                step['maps'][name] = str(root / 'maps' / name)
                for seed, image in enumerate(images):
                    write_mask(root / 'maps' / name / f'{image.stem}.png', seed, num_classes=3)


def layout_of(name: str) -> str:
    """Kind of the layout of a leaf: the type of its data set, or its data where the type is shared.

    Args:
        name (str): Leaf.
    """
    train = leaf(name).train_dataloader.dataset
    kind = next(train[source].type for source in source_names(train))
    shared = {'la2d': 'la2d', 'msrc21': 'msrc21', '_voc': 'PascalVOCDataset'}
    return next((layout for data, layout in shared.items() if data in name), kind)


def write_layout(kind: str, root: Path, split: str) -> None:
    """Files as the documentation of the data set lays them out.

    Args:
        kind (str): As from :func:`layout_of`.
        root (Path): Folder of the files.
        split (str): Folder of the lists, below it.
    """
    if kind == VOLUMES:
        return write_volumes(root, split)
    if kind == 'MultiRaterDataset':
        return write_rater_layout(root)
    image, masks = LAYOUTS[kind]
    classes = classes_of(kind)
    city = 'city/' if kind == 'CityscapesDataset' else ''
    names = {part: [f'{city}{part}_{stem}' for stem in STEMS] for part in ('train', 'val', 'test')}
    for part in names if '{part}' in image else ('train',):
        folder = PARTS.get(kind, {}).get(part, part)
        for seed, stem in enumerate(names[part] if part == 'train' else names[part][:1]):
            write_image(root / image.format(part=folder, stem=stem), seed)
            for mask in masks:
                write_mask(root / mask.format(part=folder, stem=stem), seed, len(classes))
    end = '_z1' if kind == 'la2d' else ''
    listed = [f'{name}{end}' for name in names['train']]
    write_lists(root / split, listed[:2], listed[2:])
    (root / split / 'test.txt').write_text(f'{names["val"][0]}{end}\n')
    if kind not in DATASETS or kind == 'FolderSegDataset':
        (root / 'meta.json').write_text(json.dumps(dict(classes=classes)))
    for place in ('splits/mine', 'ImageSets/Segmentation'):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / 'val.txt').write_text('train_a\n')
        (root / place / 'trainaug.txt').write_text('train_a\ntrain_b\n')


def classes_of(kind: str) -> List[str]:
    """Classes of the masks of a layout."""
    if kind == 'msrc21':
        base = parsed(CONFIGS / '_base_' / 'datasets' / 'msrc21.py')
        return list(base.val_dataloader.dataset.metainfo.classes)
    known = DATASETS.get(kind) if kind in DATASETS else None
    return list((known.METAINFO if known else {}).get('classes', 'xyz'))


def write_volumes(root: Path, split: str) -> None:
    """Five volumes for training, two of them labelled, and one for the test."""
    names = [f'train_{stem}' for stem in STEMS]
    for seed, name in enumerate((*names, 'test_a')):
        write_nifti(root / f'images/{name}.nii.gz', toy_image(seed))
        write_nifti(root / f'labels/{name}.nii.gz', toy_label())
    write_lists(root / split, names[:2], names[2:])
    for part in ('val', 'test'):
        (root / split / f'{part}.txt').write_text('test_a\n')
    (root / 'meta.json').write_text(json.dumps(dict(classes=['x', 'y'])))


def write_rater_layout(root: Path) -> None:
    """Images that the lists of DRIVE name with the masks of two raters, fused ones, and others."""
    for seed in range(1, 21):
        stem = f'{seed:02d}_test'
        write_image(root / f'img_dir/val/{stem}.png', seed)
        for folder in (
            'ann_dir/val',
            'ann_dir_rater2/val',
            'fused/masks',
            'fused/consensus_margin',
        ):
            write_mask(root / f'{folder}/{stem}.png', seed, num_classes=2)
    for seed in range(21, 24):
        write_image(root / f'img_dir/train/{seed}_training.png', seed)
