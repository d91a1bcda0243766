# Copyright (c) mmseg_ctt contributors.
"""Data sets made of others: ``ConcatDataset`` and ``RepeatDataset`` of mmengine.

A leaf is a data set that lists files. A wrapper has leaves, each with its own root, list, pipeline
and label shift. ``ClassBalancedDataset`` works where its leaf has ``get_cat_ids``.
"""

from bisect import bisect_right
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple, Union

import torch.utils.data
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmseg.registry import DATASETS

Wrapper = Union[ConcatDataset, RepeatDataset, ClassBalancedDataset]
AnySet = Union[BaseDataset, Wrapper]
WRAPPERS = (ConcatDataset, RepeatDataset, ClassBalancedDataset)
# Of a leaf alone: each sample is loaded with the settings of its own leaf.
OF_A_LEAF = ['classes', 'palette', 'label_map', 'reduce_zero_label']


class Joined(ConcatDataset):
    """Data sets one behind the other, wrappers among them, which ``ConcatDataset`` refuses.

    Args:
        datasets (list[AnySet]): Built, their files listed; the first gives classes and palette.
    """

    def __init__(self, datasets: List[AnySet]) -> None:
        self._metainfo = datasets[0].metainfo
        torch.utils.data.ConcatDataset.__init__(self, datasets)
        self._fully_initialized = True


def is_wrapper(cfg: Mapping[str, Any]) -> bool:
    """Whether the config of a data set holds the configs of others."""
    return isinstance(cfg.get('datasets'), (list, tuple)) or isinstance(cfg.get('dataset'), Mapping)


def leaf_configs(cfg: Mapping[str, Any], name: str = '') -> Dict[str, Mapping[str, Any]]:
    """Configs of the leaves of a data set, by the names on the way to them.

    Args:
        cfg (Mapping): Config of a data set; a plain one is its only leaf.
        name (str): Its name, such as ``labeled``; leaves are ``labeled.datasets.0`` and so on.
            Defaults to ''.
    """
    return {key: leaf for key, leaf in _walk(cfg, name)}


def _walk(cfg: Mapping[str, Any], name: str) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    if not is_wrapper(cfg):
        yield name, cfg
    elif 'dataset' in cfg:
        yield from _walk(cfg['dataset'], f'{name}.dataset')
    else:
        for i, inner in enumerate(cfg['datasets']):
            yield from _walk(inner, f'{name}.datasets.{i}')


def with_leaves(
    cfg: Mapping[str, Any], change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Dict[str, Any]:
    """Copy of the config of a data set with each of its leaves changed.

    Args:
        cfg (Mapping): Config of a data set; a plain one is its only leaf.
        change (Callable): Gives the new config of a leaf.
    """
    if not is_wrapper(cfg):
        return dict(change(cfg))
    if 'dataset' in cfg:
        return {**cfg, 'dataset': with_leaves(cfg['dataset'], change)}
    return {**cfg, 'datasets': [with_leaves(inner, change) for inner in cfg['datasets']]}


def with_pipeline(cfg: Mapping[str, Any], pipeline: List[Any]) -> Dict[str, Any]:
    """Copy of the config of a data set with one pipeline for all leaves."""
    return with_leaves(cfg, lambda leaf: {**leaf, 'pipeline': list(pipeline)})


def same_images(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the configs of two data sets name the same images, through whatever pipelines."""
    return with_pipeline(one, []) == with_pipeline(other, [])


def build_lazily(cfg: Mapping[str, Any]) -> AnySet:
    """Build a data set whose files are listed by ``full_init``, leaf by leaf.

    Args:
        cfg (Mapping): Config of a data set, plain or a wrapper.
    """
    return DATASETS.build(_lazy(cfg))


def _lazy(cfg: Mapping[str, Any]) -> Dict[str, Any]:
    made = {**cfg, 'lazy_init': True}
    if not is_wrapper(cfg):
        return made
    kind = DATASETS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    if not issubclass(kind or object, WRAPPERS):
        return dict(cfg)  # of another kind, which no source is
    if 'dataset' in cfg:
        return {**made, 'dataset': _lazy(cfg['dataset'])}
    ignored = cfg.get('ignore_keys') or []
    given = [ignored] if isinstance(ignored, str) else list(ignored)
    return {
        **made,
        'ignore_keys': given + [key for key in OF_A_LEAF if key not in given],
        'datasets': [_lazy(inner) for inner in cfg['datasets']],
    }


def leaves(dataset: Any) -> List[BaseDataset]:
    """Leaves of a built data set, in the order of :func:`leaf_configs`."""
    if isinstance(dataset, ConcatDataset):
        return [leaf for inner in dataset.datasets for leaf in leaves(inner)]
    if isinstance(dataset, (RepeatDataset, ClassBalancedDataset)):
        return leaves(dataset.dataset)
    return [dataset]


def origin(dataset: Any, index: int) -> Tuple[Any, int]:
    """Leaf of an image, and the index of the image in it.

    Args:
        dataset (AnySet): Data set whose files are listed.
        index (int): Of the image, from 0.
    """
    while True:
        if isinstance(dataset, ConcatDataset):
            part = bisect_right(dataset.cumulative_sizes, index)
            index -= dataset.cumulative_sizes[part - 1] if part else 0
            dataset = dataset.datasets[part]
        elif isinstance(dataset, RepeatDataset):
            dataset, index = dataset.dataset, index % len(dataset.dataset)
        elif isinstance(dataset, ClassBalancedDataset):
            dataset, index = dataset.dataset, dataset.repeat_indices[index]
        else:
            return dataset, index


def distinct_infos(dataset: Any) -> List[dict]:
    """What mmseg knows of each image of a data set, leaf by leaf.

    An image that a wrapper repeats is listed once, one that two leaves list is listed twice.

    Args:
        dataset (AnySet): Data set whose files are listed.

    Returns:
        list[dict]: ``img_path``, ``seg_map_path`` and so on.
    """
    return [leaf.get_data_info(i) for leaf in leaves(dataset) for i in range(len(leaf))]
