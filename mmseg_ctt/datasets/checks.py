# Copyright (c) mmseg_ctt contributors.
"""Checks of a training set before the first iteration; each error names the config key."""

import os.path as osp
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..volumes.address import file_of, real_address
from .converted_masks import remedy
from .lists import has_text

SHOWN = 3  # examples named in a message
KEY = 'train_dataloader.dataset'


def check_list(name: str, cfg: Mapping[str, Any]) -> None:
    """The list of a source exists and is not empty.

    Args:
        name (str): Of the source.
        cfg (Mapping): Its config.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If no line of it names an image.
    """
    ann_file = cfg.get('ann_file')
    if not ann_file:
        return
    path = ann_file if osp.isabs(ann_file) else osp.join(cfg.get('data_root') or '', ann_file)
    if not osp.exists(path):
        raise FileNotFoundError(missing_list(path, cfg.get('data_root'), f'{KEY}.{name}'))
    if osp.isfile(path) and not has_text(path):
        raise ValueError(
            f'list {path} of {KEY}.{name} is empty: write one image a line, or leave the source '
            f'out ({KEY}.{name}=None)'
        )


def missing_list(path: str, root: Optional[str], owner: str) -> str:
    """Message for a list that does not exist: the folder of the data is missing, or the list alone.

    Args:
        path (str): The list.
        root (str, optional): ``data_root`` of the data set.
        owner (str): Key or type of the data set.
    """
    if root and not osp.isdir(root):
        return (
            f'the folder {root} of {owner} does not exist, where the list {path} is read: correct '
            'data_root, or the environment variable that the config takes it from (..._ROOT)'
        )
    return (
        f'list {path} of {owner} does not exist: make it with '
        'tools/dataset_converters/make_split.py, or patient_lists.py beside it for volumes, or '
        "correct data_root, split or ann_file (ann_file='' takes all images of the folder)"
    )


def check_files(name: str, infos: Sequence[dict], masks: bool, key: Optional[str] = None) -> None:
    """Every image of a source exists, and with ``masks`` its mask.

    Args:
        name (str): Of the source.
        infos (Sequence[dict]): What mmseg knows of each image: ``img_path``, ``seg_map_path``.
        masks (bool): Whether every image must have a mask.
        key (str, optional): Config key. Defaults to None: that of a source of the name.

    Raises:
        FileNotFoundError: Names the first missing files and how many are missing.
        ValueError: If masks are needed and the data set has no path to them.
    """
    key = key or f'{KEY}.{name}'
    _check_exist('image', [info['img_path'] for info in infos], key)
    if not masks:
        return
    if any('seg_map_path' not in info for info in infos):
        raise ValueError(
            f'{key} has no masks: set {key}.data_prefix.seg_map_path, or {key}.raters of a '
            'MultiRaterDataset'
        )
    _check_exist('mask', [info['seg_map_path'] for info in infos], key)


def check_no_masks(name: str, infos: Sequence[dict]) -> None:
    """A source has no path to any mask.

    Args:
        name (str): Of the source.
        infos (Sequence[dict]): As for :func:`check_files`.

    Raises:
        ValueError: If its class of data set finds masks by itself.
    """
    paths = [info['seg_map_path'] for info in infos if info.get('seg_map_path') is not None]
    if paths:
        raise ValueError(
            f'{KEY}.{name} has paths to masks, such as {paths[0]}, although its data_prefix names '
            'none: use another type of data set'
        )


def check_classes(
    classes: Mapping[str, Optional[Sequence[str]]], reference: str, required: bool = False
) -> None:
    """All sources have the classes of one; a source that names no classes passes.

    Args:
        classes (Mapping[str, Sequence[str] | None]): Class names by source.
        reference (str): Source whose classes are those of the data set.
        required (bool): Whether the reference must name classes.

    Raises:
        ValueError: If the classes of two sources differ, or those of the reference are missing or
            have a name twice.
    """
    expected = list(classes[reference] or ())
    if required and not expected:
        raise ValueError(f'{KEY}.{reference} names no classes: set its metainfo.classes')
    twice = sorted({name for name in expected if expected.count(name) > 1})
    if twice:
        raise ValueError(
            f'{KEY}.{reference} names the class {twice[0]!r} twice: scores are by name, give each '
            'class its own'
        )
    for name, given in classes.items():
        check_same_classes(given, f'{KEY}.{name}', expected, f'{KEY}.{reference}')


def check_same_classes(
    given: Optional[Sequence[str]], key: str, expected: Optional[Sequence[str]], expected_key: str
) -> None:
    """Two data sets have the same classes in the same order; one that names none passes.

    Args:
        given (Sequence[str], optional): Classes of a data set.
        key (str): Its key in the config.
        expected (Sequence[str], optional): Classes of another.
        expected_key (str): Its key, or what else it is.

    Raises:
        ValueError: Naming both keys and the first difference.
    """
    if given and expected is not None and list(given) != list(expected):
        raise ValueError(
            f'{key} has other classes than {expected_key} '
            f'({_first_difference(given, expected)}): give both the same metainfo.classes in the '
            'same order, or the same type'
        )


def _first_difference(given: Sequence[str], expected: Sequence[str]) -> str:
    pairs = enumerate(zip_longest(given, expected))
    k, (name, other) = next((k, pair) for k, pair in pairs if pair[0] != pair[1])
    return f'class {k} is {name!r} instead of {other!r}'


def check_overlap(infos: Mapping[str, Sequence[dict]]) -> None:
    """No image is in two sources.

    Args:
        infos (Mapping[str, Sequence[dict]]): ``img_path`` of each image, by source.

    Raises:
        ValueError: Names two sources, the first images they have in common and how many.
    """
    owner: Dict[str, str] = {}
    common: Dict[Tuple[str, str], List[str]] = {}
    for name, entries in infos.items():
        for info in entries:
            first = owner.setdefault(real_address(info['img_path']), name)
            if first != name:
                common.setdefault((first, name), []).append(info['img_path'])
    for (first, second), paths in common.items():
        raise ValueError(
            f'{len(paths)} images are in both {KEY}.{first} and {KEY}.{second}, e.g. '
            f'{_examples(paths)}: take them off the list of {second}'
        )


@contextmanager
def pipeline_errors(key: str) -> Iterator[None]:
    """Name the pipeline of which a step lacks a result, such as the image or the path of a mask.

    Args:
        key (str): Config key of the data set.

    Raises:
        ValueError: For a KeyError in the ``with`` block.
    """
    try:
        yield
    except KeyError as error:
        raise ValueError(
            f'{key}.pipeline: a step needs {error}, which nothing before it gives: begin with '
            'LoadImageFromFile, and for labels LoadAnnotations and data_prefix.seg_map_path'
        ) from error


def check_sample(key: str, sample: Any, labels: bool, same_size: bool = True) -> None:
    """A sample of a pipeline has what a step of the network reads.

    Args:
        key (str): Config key of the data set.
        sample (Any): Result of its pipeline.
        labels (bool): Whether it must have labels.
        same_size (bool): Whether labels must be as large as the image, as in training.
            Defaults to True.

    Raises:
        ValueError: If images, samples or labels are missing, or labels are of another size.
    """
    if not isinstance(sample, Mapping) or not {'inputs', 'data_samples'} <= set(sample):
        raise ValueError(
            f'{key}.pipeline packs no inputs and data_samples: end it with PackSegInputs'
        )
    if not labels:
        return
    label = sample['data_samples'].get('gt_sem_seg')
    if label is None:
        raise ValueError(
            f'{key}.pipeline packs no labels (gt_sem_seg): add LoadAnnotations before PackSegInputs'
        )
    sizes = [tuple(data.shape[-2:]) for data in (sample['inputs'], label.data)]
    if same_size and sizes[0] != sizes[1]:
        raise ValueError(
            f'{key}.pipeline gives an image of {sizes[0]} and labels of {sizes[1]}: put '
            'LoadAnnotations before the steps that resize or crop'
        )


def _check_exist(kind: str, paths: List[str], key: str) -> None:
    missing = [path for path in paths if '://' not in path and not osp.isfile(file_of(path))]
    if missing:
        raise FileNotFoundError(
            f'{kind} {_examples(missing)} of {key} does not exist '
            f'({len(missing)} of {len(paths)} {kind}s are missing)'
            + (remedy(missing[0]) if kind == 'mask' else '')
        )


def _examples(paths: Sequence[str]) -> str:
    return ', '.join(paths[:SHOWN])
