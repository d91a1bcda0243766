# Copyright (c) mmseg_ctt contributors.
"""Toy volumes of 12 x 10 x 8 voxels: a bright box on noise, and its label."""

import json
from pathlib import Path
from typing import Any, Sequence

import nibabel as nib
import numpy as np
from mmengine.config import Config
from toy_data import CLASSES, PALETTE, toy_config, toy_pipeline

SHAPE = (12, 10, 8)
AFFINE = np.array(
    [[-0.6, 0.0, 0.0, 5.0], [0.0, -0.7, 0.0, 6.0], [0.0, 0.0, 1.2, -7.0], [0.0, 0.0, 0.0, 1.0]]
)


def toy_label(shape: Sequence[int] = SHAPE) -> np.ndarray:
    """Box of class 1 in the middle; the first and the last slices of each axis are empty."""
    label = np.zeros(shape, np.uint8)
    label[3:9, 2:7, 2:6] = 1
    return label


def toy_image(seed: int = 0, shape: Sequence[int] = SHAPE) -> np.ndarray:
    """uint8 noise up to 120, 100 brighter in the box."""
    noise = np.random.default_rng(seed).integers(0, 121, shape)
    return (noise + 100 * toy_label(shape)).astype(np.uint8)


def write_nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, **header: Any) -> Path:
    """NIfTI file; fields of the header by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units('mm')
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def write_toy_volumes(root: Path, names: Sequence[str] = 'abcdef', labels: int = 4) -> Path:
    """Folder of volumes, the first of them with labels.

    Lists: ``labeled`` a and b, ``val`` c and d, ``unlabeled`` the others.
    """
    for seed, name in enumerate(names):
        write_nifti(root / f'images/{name}.nii.gz', toy_image(seed))
        if seed < labels:
            write_nifti(root / f'labels/{name}.nii.gz', toy_label())
    (root / 'meta.json').write_text(json.dumps(dict(classes=['background', 'box'])))
    (root / 'splits').mkdir(exist_ok=True)
    parts = dict(labeled=names[:2], val=names[2:4], unlabeled=names[4:])
    for part, chosen in parts.items():
        (root / f'splits/{part}.txt').write_text(''.join(f'{name}\n' for name in chosen))
    return root


def volume_set(root: Path, labels: bool, part: str = '', random: bool = True) -> dict:
    """Config of the slices of one part, or of the list that the split names."""
    prefix = dict(img_path='images', seg_map_path='labels') if labels else dict(img_path='images')
    return dict(
        type='VolumeSliceDataset',
        data_root=str(root),
        data_prefix=prefix,
        metainfo=dict(classes=CLASSES, palette=PALETTE),
        pipeline=toy_pipeline(labels, random),
        **(dict(ann_file=f'splits/{part}.txt') if part else {}),
    )


def toy_volume_config(root: Path, work_dir: Path, **changes: Any) -> Config:
    """The toy config with slices of :func:`write_toy_volumes`; every fourth is validated."""
    cfg = toy_config(root, work_dir, **changes)
    cfg.train_dataloader.dataset = dict(
        type='LabeledUnlabeledDataset',
        labeled=volume_set(root, True),
        unlabeled=volume_set(root, False),
        split='splits',
    )
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset = dict(volume_set(root, True, 'val', random=False), stride=4)
    return cfg
