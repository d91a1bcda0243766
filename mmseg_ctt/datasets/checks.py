# Copyright (c) mmseg_ctt contributors.
"""What can be said about a data set before the first iteration, each as one clear error."""

import os.path as osp
from typing import List, Sequence

import numpy as np

from .label_check import check_mask

SHOWN = 3  # examples named in a message


def check_list(name: str, cfg: dict) -> None:
    """The list of a data set config exists.

    Raises:
        FileNotFoundError: Names the list and the config key.
    """
    ann_file = cfg.get('ann_file')
    if not ann_file:
        return
    path = ann_file if osp.isabs(ann_file) else osp.join(cfg.get('data_root') or '', ann_file)
    if not osp.exists(path):
        raise FileNotFoundError(
            f'list {path} of train_dataloader.dataset.{name} does not exist: make it with '
            'tools/dataset_converters/make_split.py, or correct data_root, split or ann_file'
        )


def check_files(name: str, infos: Sequence[dict], masks: bool) -> None:
    """Every image, and with ``masks`` every mask, exists.

    Raises:
        FileNotFoundError: Names the first missing files and how many there are.
        ValueError: If masks are needed and the data set names none.
    """
    key = f'train_dataloader.dataset.{name}'
    _check_exist('image', [info['img_path'] for info in infos], key)
    if not masks:
        assert not any('seg_map_path' in info for info in infos)
        return
    if any('seg_map_path' not in info for info in infos):
        raise ValueError(f'{key} has no masks: set {key}.data_prefix.seg_map_path')
    _check_exist('mask', [info['seg_map_path'] for info in infos], key)


def check_overlap(labeled: Sequence[dict], unlabeled: Sequence[dict]) -> None:
    """No image is in both sets.

    Raises:
        ValueError: Names the first common images and how many there are.
    """
    paths = {osp.realpath(info['img_path']) for info in labeled}
    common = [info['img_path'] for info in unlabeled if osp.realpath(info['img_path']) in paths]
    if common:
        raise ValueError(
            f'{len(common)} images are both labelled and unlabelled, e.g. '
            f'{_examples(common)}: take them off the unlabelled list'
        )


def check_masks(
    infos: Sequence[dict],
    num_classes: int,
    limit: int,
    ignore_index: int,
    skip_unreadable: bool = False,
) -> None:
    """Ids and sizes of up to ``limit`` masks, evenly spread.

    With ``skip_unreadable`` the size is not compared with an image that cannot be decoded.

    Raises:
        ValueError: Names the mask and what is wrong with it.
    """
    if limit <= 0:
        return
    step = max(1, -(-len(infos) // limit))
    for info in infos[::step]:
        ids = len(info.get('label_map') or ()) or num_classes  # files hold ids before mapping
        image = info['img_path']
        image = None if skip_unreadable and not decodes(image) else image
        check_mask(
            info['seg_map_path'], image, ids, ignore_index, bool(info.get('reduce_zero_label'))
        )


def decodes(path: str) -> bool:
    """Whether a file can be read as an image."""
    import cv2

    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return False
    return data.size > 0 and cv2.imdecode(data, cv2.IMREAD_UNCHANGED) is not None


def _check_exist(kind: str, paths: List[str], key: str) -> None:
    missing = [path for path in paths if '://' not in path and not osp.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f'{kind} {_examples(missing)} of {key} does not exist '
            f'({len(missing)} of {len(paths)} {kind}s are missing)'
        )


def _examples(paths: Sequence[str]) -> str:
    return ', '.join(paths[:SHOWN])
