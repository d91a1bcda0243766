# Copyright (c) mmseg_ctt contributors.
"""Data of multi-planar co-training: sets of slices along a plane, and the volumes behind them."""

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

from ..datasets.frequency import source
from ..datasets.volume_slices import VolumeSliceDataset
from ..datasets.wrappers import build_lazily, distinct_infos, leaf_configs, with_leaves
from ..engine.files import write_whole
from ..volumes import SliceAddress, open_volume, parse_address
from ..volumes.planes import slice_size
from ..volumes.slices import foreground_slices
from .round_checks import DATA
from .round_settings import KEY

EVALUATED = ('val', 'test')
SOURCES = ('labeled', 'unlabeled')
SMALLEST = 0.5  # of the side of a crop that a slice must fill


def set_plane(cfg: Config, plane: str) -> None:
    """Let all data sets of a config take the slices along a plane.

    Args:
        cfg (Config): Changed in place.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.
    """
    for owner, key, _ in _data_sets(cfg):
        owner[key] = with_leaves(owner[key], lambda leaf: {**leaf, 'plane': plane})


def _data_sets(cfg: Config) -> Iterator[Tuple[Any, str, str]]:
    """Dict and key of every data set, and its place in the config."""
    train = cfg.train_dataloader.dataset
    for name in (name for name, value in train.items() if _is_data_set(value)):
        yield train, name, f'{DATA}.{name}'
    for name in EVALUATED:
        loader = cfg.get(f'{name}_dataloader')
        if loader:
            yield loader, 'dataset', f'{name}_dataloader.dataset'


def _is_data_set(value: Any) -> bool:
    return isinstance(value, Mapping) and 'type' in value


def check_are_slices(cfg: Config) -> None:
    """All data sets are slices of volumes, and none but labelled and unlabelled are trained on.

    Args:
        cfg (Config): Complete config.

    Raises:
        ValueError: Names the key.
    """
    for owner, key, place in _data_sets(cfg):
        for name, leaf in leaf_configs(owner[key], place).items():
            kind = leaf['type']
            found = DATASETS.get(kind) if isinstance(kind, str) else kind
            if not issubclass(found or object, VolumeSliceDataset):
                raise ValueError(
                    f'{name}.type="{kind}": a network for each plane needs slices of volumes, use '
                    'VolumeSliceDataset'
                )
    for name in SOURCES:
        if not _is_data_set(cfg.train_dataloader.dataset.get(name)):
            raise ValueError(f'{DATA}.{name} is missing: multi-planar co-training needs it')


def volumes_of(dataset: Any) -> Dict[str, Optional[str]]:
    """Volumes of a data set of slices, and their label volumes.

    Args:
        dataset (AnySet): Data set whose files are listed.

    Returns:
        dict[str, str | None]: In the order of the data set; None without label.
    """
    found: Dict[str, Optional[str]] = {}
    for info in distinct_infos(dataset):
        label = info.get('seg_map_path')
        found[_address(info['img_path']).volume] = label and _address(label).volume
    return found


def evaluated_set(cfg: Config, name: str) -> Any:
    """Data set of validation or test without a pipeline; None where the config has none.

    Args:
        cfg (Config): Complete config.
        name (str): ``'val'`` or ``'test'``.
    """
    loader = cfg.get(f'{name}_dataloader')
    if not loader:
        return None
    whole = dict(pipeline=[], stride=1, foreground_only=False)
    settings = with_leaves(loader.dataset, lambda leaf: {**leaf, **whole})
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = build_lazily(settings)
        dataset.full_init()
    return dataset


def pseudo_entries(
    dataset: Any, masks: Mapping[str, str], folder: Path, foreground_only: bool
) -> List[Dict[str, str]]:
    """Slices of an unlabelled set with their pseudo-labels, entries of a manifest.

    Args:
        dataset (AnySet): Data set whose files are listed.
        masks (Mapping[str, str]): Pseudo-label volume, relative to the folder, by volume;
            other volumes are left out.
        folder (Path): Of the manifest.
        foreground_only (bool): Leave out slices whose pseudo-label is background alone, as the
            labelled set does with its slices.
    """
    entries = []
    for info in distinct_infos(dataset):
        image = _address(info['img_path'])
        if image.volume not in masks:
            continue
        mask = SliceAddress(masks[image.volume], image.plane, image.index)
        pseudo = str(folder / mask.volume)
        if foreground_only and image.index not in foreground_slices(pseudo, image.plane):
            continue
        whole = image._replace(volume=str(Path(image.volume).resolve()))
        entries.append(dict(image=str(whole), mask=str(mask)))
    return entries


def write_manifest(path: Path, cfg: Config, masks: Mapping[str, str]) -> None:
    """Write the manifest that a student is trained on.

    Args:
        path (Path): JSON file in the folder of the pseudo-label volumes.
        cfg (Config): Of the plane.
        masks (Mapping[str, str]): Pseudo-label volume, relative to the folder, by volume.
    """
    labeled = leaf_configs(cfg.train_dataloader.dataset.labeled).values()
    foreground_only = any(leaf.get('foreground_only') for leaf in labeled)
    selected = pseudo_entries(source(cfg, 'unlabeled'), masks, path.parent, foreground_only)
    write_whole(path, json.dumps(dict(selected=selected), indent=1) + '\n')


def _address(path: str) -> SliceAddress:
    found = parse_address(path)
    assert found is not None, 'the data set has been checked to be of slices'
    return found


def check_thickness(cfg: Config, volumes: List[str], plane: str) -> None:
    """Slices along a plane are not much smaller than the crop that they are padded to.

    Args:
        cfg (Config): Complete config.
        volumes (list[str]): Paths; their headers are read.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.

    Raises:
        ValueError: Names the volume and what to set.
    """
    crops = list(_crops(cfg.train_dataloader.dataset))
    for volume in volumes:
        size = slice_size(open_volume(volume).shape, plane)
        for crop in crops:
            if any(side < SMALLEST * wanted for side, wanted in zip(size, crop)):
                raise ValueError(
                    f'{volume} is too thin for plane {plane}: its slices are {size[0]}x{size[1]}, '
                    f'less than half of the crop {crop[0]}x{crop[1]}, which would be padding. Make '
                    f'crop_size smaller, leave the plane out of {KEY}.planes, or resample the '
                    'volumes'
                )


def _crops(node: Any) -> Iterator[Tuple[int, int]]:
    """Sizes of the random crops in a part of a config."""
    if isinstance(node, Mapping):
        size = node.get('crop_size')
        if size is not None:
            height, width = (size, size) if isinstance(size, int) else size
            yield height, width
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for inner in node:
            yield from _crops(inner)
