# Copyright (c) mmseg_ctt contributors.
"""Data loaders of a config as loaders of stock mmseg."""

import inspect
import os.path as osp
from collections import Counter
from typing import Any, Dict, List, Mapping, Tuple

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ...datasets import FolderSegDataset, MultiRaterDataset, VolumeSliceDataset
from ...datasets.image_files import find_images, find_masks
from ...datasets.lists import read_list, stem_in
from ...datasets.multi_rater import of_first_rater
from ...datasets.sampler import ratio_by_source
from ...datasets.sources import LABELED, source_config, source_names
from ...datasets.wrappers import is_wrapper, with_leaves
from ...engine.image_steps import lost_in_stock
from ...engine.pipeline_steps import stock_steps
from .stock_types import is_own, type_name

_ARGUMENTS = set(inspect.signature(BaseSegDataset.__init__).parameters) - {'self'}


class OtherIds(ValueError):
    """The masks of a data set have other ids than the model, which stock mmseg cannot map."""


def stock_eval_loader(loader: Mapping, key: str, meta: Mapping, notes: List[str]) -> dict:
    """Validation or test loader with a data set that stock mmseg has.

    Args:
        loader (Mapping): ``val_dataloader`` or ``test_dataloader``.
        key (str): Its name, for messages.
        meta (Mapping): ``classes`` and ``palette``; empty if not known.
        notes (list[str]): Notes for the user are appended.

    Raises:
        OtherIds: If its classes are chosen or ordered by the config.
        ValueError: If stock mmseg cannot read this data set.
    """
    return dict(loader, dataset=stock_dataset(loader['dataset'], f'{key}.dataset', meta, notes))


def stock_train_loader(loader: Mapping, meta: Mapping, notes: List[str]) -> dict:
    """Training loader of the labelled images alone, in an endless random order.

    Raises:
        OtherIds: If its classes are chosen or ordered by the config.
        ValueError: If there are none, or stock mmseg cannot read this data set.
    """
    dataset, key = loader['dataset'], 'train_dataloader.dataset'
    batch = loader['batch_size']
    if type_name(dataset) == 'LabeledUnlabeledDataset':
        if LABELED not in source_names(dataset):
            raise ValueError(f'{key}.{LABELED} is missing, and stock mmseg learns from masks alone')
        ratio = ratio_by_source(loader.get('sampler', {}).get('ratio'), source_names(dataset))
        dataset, key = source_config(dataset, LABELED), f'{key}.{LABELED}'
        batch = batch * ratio[LABELED] // sum(ratio.values())
    return dict(
        loader,
        batch_size=batch,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        dataset=stock_dataset(dataset, key, meta, notes),
    )


def stock_dataset(cfg: Mapping, key: str, meta: Mapping, notes: List[str]) -> dict:
    """Config of one data set; arguments as :func:`stock_eval_loader`."""
    if is_wrapper(cfg):
        return with_leaves(cfg, lambda leaf: stock_dataset(leaf, key, meta, notes))
    notes += lost_in_stock(cfg.get('pipeline', []), f'{key}.pipeline')
    cfg = dict(cfg, pipeline=stock_pipeline(cfg.get('pipeline', [])))
    if not is_own(cfg):
        return cfg
    if type_name(cfg) == MultiRaterDataset.__name__:
        cfg = of_first_rater(cfg)
        notes.append(
            f'{key}: stock mmseg reads one mask an image, here those of the first rater, '
            f'{cfg["data_prefix"].get("seg_map_path")}'
        )
    kind = DATASETS.get(cfg['type'])
    if not issubclass(kind, BaseSegDataset):
        raise ValueError(f'{key}.type={type_name(cfg)!r} has no counterpart in stock mmseg')
    metainfo = cfg.get('metainfo') or {}
    if not metainfo.get('classes') and not kind.METAINFO:
        # the meta.json of the folder may be absent on this machine
        metainfo = {name: meta[name] for name in ('classes', 'palette') if meta.get(name)}
    probe = DATASETS.build({**cfg, 'metainfo': metainfo, 'pipeline': [], 'lazy_init': True})
    # what the masks hold is not known where their meta.json is on another machine
    if probe.label_map is not None or getattr(probe, 'background', None) is not None:
        raise OtherIds(
            f'{key}.metainfo.classes chooses or orders the classes of {type_name(cfg)}, which '
            'BaseSegDataset of stock mmseg cannot: write masks with the ids of these '
            'classes and use FolderSegDataset with a meta.json of them'
        )
    suffixes = (probe.img_suffix, probe.seg_map_suffix)
    if isinstance(probe, VolumeSliceDataset):
        cfg, suffixes = _slices_as_images(cfg, key, notes), ('.png', '.png')
    elif isinstance(probe, FolderSegDataset):
        suffixes = _common_suffixes(probe, key, notes)
    plain = {name: value for name, value in cfg.items() if name in _ARGUMENTS}
    plain['data_prefix'] = {
        name: value for name, value in plain['data_prefix'].items() if value is not None
    }
    metainfo = dict(
        classes=tuple(probe.metainfo['classes']),
        palette=[list(colour) for colour in probe.metainfo['palette']],
    )
    return dict(
        type='BaseSegDataset',
        **{
            **plain,
            'metainfo': metainfo,
            'img_suffix': suffixes[0],
            'seg_map_suffix': suffixes[1],
            'reduce_zero_label': probe.reduce_zero_label,
        },
    )


def _slices_as_images(cfg: Mapping, key: str, notes: List[str]) -> Dict[str, Any]:
    """Data set of slices that lie as PNG files where the volumes lie."""
    notes.append(
        f'{key}: stock mmseg reads no volumes; to test or train with the exported config, write '
        'slices as PNG files into the folders that its data_prefix names'
    )
    return {**cfg, 'ann_file': ''}


def stock_pipeline(pipeline: List[Any]) -> List[Any]:
    """Pipeline with the loading steps of mmseg, without checks, which do not change a sample."""
    return stock_steps(pipeline)


def _common_suffixes(dataset: FolderSegDataset, key: str, notes: List[str]) -> Tuple[str, str]:
    """Most frequent endings of images and masks: ``BaseSegDataset`` reads one of each."""
    folder, ending = dataset.data_prefix['img_path'], dataset.seg_map_suffix
    if not osp.isdir(folder):
        notes.append(f'{key}: {folder} does not exist here, so img_suffix=.jpg is a guess')
        return '.jpg', ending
    images = find_images(folder, ending)
    if dataset.ann_file:
        names = read_list(dataset.ann_file)
        stems = [stem_in(name, images) for name in names]
        if stems != names and None not in stems:
            notes.append(
                f'{key}: {dataset.ann_file} names files with their suffix, which stock mmseg '
                'appends once more: take it off'
            )
        images = {stem: images[stem] for stem in stems if stem is not None}
    ann_dir = dataset.data_prefix.get('seg_map_path')
    masks = find_masks(ann_dir, ending) if ann_dir is not None and osp.isdir(ann_dir) else {}
    masks = {stem: name for stem, name in masks.items() if stem in images}
    return (
        _most_frequent(images, 'images', '.jpg', key, notes),
        _most_frequent(masks, 'masks', ending, key, notes),
    )


def _most_frequent(
    files: Mapping[str, str], kind: str, default: str, key: str, notes: List[str]
) -> str:
    endings: Dict[str, int] = Counter(name[len(stem) :] for stem, name in files.items())
    if len(endings) > 1:
        counts = ', '.join(f'{count} {ending}' for ending, count in endings.items())
        notes.append(
            f'{key}: stock mmseg reads {kind} of one type, and these are {counts}: '
            f'convert them before testing with the exported config'
        )
    return max(endings, key=endings.__getitem__, default=default)
