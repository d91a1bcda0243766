# Copyright (c) mmseg_ctt contributors.
"""Data of multi-planar co-training: sets of slices along a plane, and the volumes behind them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

from ..datasets.frequency import source
from ..datasets.volume_slices import VolumeSliceDataset
from ..datasets.wrappers import build_lazily, distinct_infos, leaf_configs, with_leaves
from ..engine.files import write_whole
from ..evaluation.volumes import VolumeMetric
from ..evaluation.volumes.folders import spacing_of
from ..volumes import SliceAddress, open_volume, parse_address
from ..volumes.planes import slice_size
from ..volumes.slices import foreground_slices
from .round_checks import DATA
from .round_settings import KEY

EVALUATED = ('test', 'val')  # validation volumes that are those of the test are scored once
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
    """Dict and key of every data set, and its full name in the config."""
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
    for owner, key, full_name in _data_sets(cfg):
        for name, leaf in leaf_configs(owner[key], full_name).items():
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


def suffixes_of(dataset: Any) -> Dict[str, str]:
    """Ends of the names of volumes, by volume, where ``img_suffix`` sets them.

    Args:
        dataset (AnySet): Data set whose files are listed.
    """
    return {
        _address(info['img_path']).volume: info['volume_suffix']
        for info in distinct_infos(dataset)
        if info.get('volume_suffix')
    }


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


def volume_metric(cfg: Config, name: str, labels: Mapping[str, Optional[str]]) -> VolumeMetric:
    """Settings of the scores of a set: those of its evaluator, where that is a ``VolumeMetric``.

    Args:
        cfg (Config): Complete config.
        name (str): ``'val'`` or ``'test'``.
        labels (Mapping[str, str | None]): Label volumes by volume; headers of the volumes are read.

    Raises:
        ValueError: If a volume does not say its spacing, and the evaluator does not either.
    """
    given = cfg.get(f'{name}_evaluator') or []
    given = [given] if isinstance(given, Mapping) else given
    own = [metric for metric in given if metric.get('type') == 'VolumeMetric']
    settings = dict(own[0]) if own else {}
    settings = {key: value for key, value in settings.items() if key not in ('type', 'output_dir')}
    metric = VolumeMetric(**settings)
    for volume in labels:
        spacing_of(
            [open_volume(volume)],
            metric.spacing,
            f'{name}_evaluator=dict(type="VolumeMetric", spacing=...)',
        )
    return metric


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
        whole = replace(image, volume=str(Path(image.volume).resolve()))
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


def check_thickness(cfg: Config, volumes: Iterable[str], plane: str) -> None:
    """Slices along a plane are not much smaller than the crop that they are padded to.

    Args:
        cfg (Config): Complete config.
        volumes (Iterable[str]): Paths; their headers are read.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.

    Raises:
        ValueError: Names the volume and what to set.
    """
    labeled = cfg.train_dataloader.dataset.labeled
    crops = [_pair(crop) for crop in _values(labeled, 'crop_size')]
    scales = [_pair(scale) for scale in _values(labeled, 'scale')]
    for volume in volumes:
        size = slice_size(open_volume(volume).shape, plane)
        height, width = _resized(size, scales[0]) if scales else size
        for crop in crops:
            if height < SMALLEST * crop[0] or width < SMALLEST * crop[1]:
                raise ValueError(
                    f'{volume} is too thin for plane {plane}: its slices of {size[0]}x{size[1]} '
                    f'are {height:.0f}x{width:.0f} pixels in training, less than half of the crop '
                    f'{crop[0]}x{crop[1]}, which would be padding. Make the crop smaller '
                    f'(sizes.crop_size), leave the plane out of {KEY}.planes, or resample the '
                    'volumes'
                )


def _resized(size: Tuple[int, int], scale: Tuple[int, int]) -> Tuple[float, float]:
    """Size of a slice within a scale, at its own ratio of sides."""
    factor = min(max(scale) / max(size), min(scale) / min(size))
    return size[0] * factor, size[1] * factor


def _pair(value: Any) -> Tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return first, second


def _values(node: Any, key: str) -> Iterator[Any]:
    """Values of a key in a part of a config."""
    if isinstance(node, Mapping):
        if node.get(key) is not None:
            yield node[key]
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for inner in node:
            yield from _values(inner, key)
