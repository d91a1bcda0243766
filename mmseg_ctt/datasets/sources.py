# Copyright (c) mmseg_ctt contributors.
"""Sources of a training set: data sets of images by name, each with or without masks."""

import copy
import os.path as osp
from typing import Any, Dict, List, Mapping, Optional, Tuple

from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS

from .built import ignore_index
from .checks import KEY, check_classes, check_list
from .transforms import IGNORED
from .wrappers import AnySet, build_lazily, leaf_configs, leaves, with_leaves

LABELED, UNLABELED, TAGGED = 'labeled', 'unlabeled', 'tagged'
LABEL_TRANSFORMS = (
    *('LoadAnnotations', 'CheckedLoadAnnotations', 'LoadMultiRaterAnnotations'),
    'CheckSegMap',
)
MASK_FOLDERS = ('raters', 'fused')  # of MultiRaterDataset


def ordered_names(names: Mapping[str, Any]) -> List[str]:
    """Names of sources in the order in which their images are numbered.

    That is ``labeled``, ``unlabeled``, then the others by name. The order in a config does not
    count: mmengine appends the keys of a child config to those of its base, and sorts them when
    it writes a config to a file.

    Args:
        names (Mapping[str, Any]): Any mapping by source name.
    """
    first = [name for name in (LABELED, UNLABELED) if name in names]
    return first + sorted(set(names) - set(first))


def given_sources(sources: Mapping[str, Any]) -> Dict[str, dict]:
    """Configs of the sources that are given, in order.

    Args:
        sources (Mapping[str, Any]): Configs of data sets by name; None for a source that is none.

    Raises:
        TypeError: If one is no config of a data set.
        ValueError: If all are None.
    """
    given = {name: cfg for name, cfg in sources.items() if cfg is not None}
    for name, cfg in given.items():
        if not isinstance(cfg, Mapping) or 'type' not in cfg:
            raise TypeError(
                f'{KEY}.{name}={cfg!r} is neither a setting of the data set nor a source: a source '
                'is the config of a data set, a dict with a type'
            )
    if not given:
        raise ValueError(f'{KEY} has no source of images: set {KEY}.{LABELED}')
    return {name: given[name] for name in ordered_names(given)}


def first_indices(num_images: Mapping[str, int]) -> Dict[str, int]:
    """Index of the first image of each source, where images are numbered source by source.

    Args:
        num_images (Mapping[str, int]): Number of images by source, in order.
    """
    first, total = {}, 0
    for name, size in num_images.items():
        first[name] = total
        total += size
    return first


def locate(idx: int, num_images: Mapping[str, int]) -> Tuple[str, int]:
    """Source of an image, and the image's index in it.

    Args:
        idx (int): Index of the image among those of all sources.
        num_images (Mapping[str, int]): Number of images by source, in order.

    Raises:
        IndexError: If there are fewer images.
    """
    position = idx
    for name, size in num_images.items():
        if position < size:
            return name, position
        position -= size
    raise IndexError(f'image {idx} of {sum(num_images.values())}')


def source_names(dataset: Mapping[str, Any]) -> List[str]:
    """Names of the sources in the config of a training set, in their order.

    Args:
        dataset (Mapping): Config of a :class:`LabeledUnlabeledDataset`; its sources are the dicts
            with a ``type``.

    Returns:
        list[str]: Empty for the config of a plain data set.
    """
    configs = {
        key: value
        for key, value in dataset.items()
        if isinstance(value, Mapping) and 'type' in value
    }
    return ordered_names(configs)


def source_config(dataset: Mapping[str, Any], name: str) -> Dict[str, Any]:
    """Complete config of one source: with its list, and unlabelled images without masks.

    Args:
        dataset (Mapping): Config of a :class:`LabeledUnlabeledDataset`.
        name (str): Of the source.

    Returns:
        dict: A copy. ``ann_file`` is ``{split}/{name}.txt`` where ``dataset`` has a ``split`` and
        the source, or a data set inside it, has no ``ann_file``; the empty string keeps all images
        of the folder. ``ignore_index`` is that of ``dataset``, where it has one and the source
        none.

    Raises:
        ValueError: If there is no such source, or the unlabelled pipeline loads labels.
    """
    if name not in source_names(dataset):
        raise ValueError(
            f'{KEY}.{name} is missing: set {KEY}.type="LabeledUnlabeledDataset" and '
            f'{KEY}.{name} to the config of a data set'
        )
    split = dataset.get('split')

    def listed(leaf: Mapping[str, Any]) -> Mapping[str, Any]:
        if split is None or leaf.get('ann_file') is not None:
            return leaf
        return {**leaf, 'ann_file': osp.join(split, f'{name}.txt')}

    cfg = with_leaves(copy.deepcopy(dataset[name]), listed)
    ignored = dataset.get('ignore_index')
    if ignored is not None:
        cfg = with_leaves(cfg, lambda leaf: {'ignore_index': ignored, **leaf})
    return without_masks(cfg) if name == UNLABELED else cfg


def ignored_id(sources: Mapping[str, AnySet], given: Optional[int] = None) -> int:
    """Id of ignored pixels in the masks of some sources.

    Args:
        sources (Mapping[str, AnySet]): Data sets by name, with masks.
        given (int, optional): ``ignore_index`` of the training set. Defaults to None: it names
            none.

    Returns:
        int: 255 where nothing names one.

    Raises:
        ValueError: If two of them are different.
    """
    found = {} if given is None else {given: f'{KEY}.ignore_index'}
    for name, source in sources.items():
        for leaf in leaves(source):
            found.setdefault(ignore_index(leaf), f'{KEY}.{name}.ignore_index')
    if len(found) > 1:
        (one, key), (other, other_key) = list(found.items())[:2]
        raise ValueError(
            f'{key} is {one}, but {other_key} is {other}: set {KEY}.ignore_index alone, which is '
            'that of all sources'
        )
    return next(iter(found), IGNORED)


def without_masks(cfg: Mapping[str, Any]) -> Dict[str, Any]:
    """The config of the unlabelled source without any path to masks.

    Args:
        cfg (Mapping): Config of a data set.

    Returns:
        dict: A copy.

    Raises:
        ValueError: If its pipeline loads labels.
    """
    return with_leaves(copy.deepcopy(cfg), _leaf_without_masks)


def _leaf_without_masks(cfg: Mapping[str, Any]) -> Dict[str, Any]:
    made = dict(cfg)
    if not reads_tags(cfg):  # such a data set keeps no path to masks
        prefix = dict(made.get('data_prefix') or dict(img_path=''))
        prefix.pop('seg_map_path', None)
        made['data_prefix'] = prefix
    for name in MASK_FOLDERS:
        made.pop(name, None)
    steps = label_transforms(made.get('pipeline'))
    if steps:
        raise ValueError(
            f'{KEY}.{UNLABELED}.pipeline has {steps[0]}, but unlabelled images have no masks: '
            'remove it'
        )
    return made


def reads_tags(cfg: Mapping[str, Any]) -> bool:
    """Whether a plain data set has tags of images, such as :class:`TaggedImageDataset`.

    Args:
        cfg (Mapping): Its config.
    """
    kind = cfg.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return bool(getattr(kind, 'reads_tags', False))


def has_tags(cfg: Mapping[str, Any]) -> bool:
    """Whether all images of a source have tags.

    Args:
        cfg (Mapping): Config of its data set, plain or a wrapper of others.
    """
    return all(reads_tags(leaf) for leaf in leaf_configs(cfg).values())


def needs_masks(name: str, cfg: Mapping[str, Any]) -> bool:
    """Whether every image of a source must have a mask.

    Args:
        name (str): Of the source: ``labeled`` needs masks, ``unlabeled`` has none.
        cfg (Mapping): Its config: any other source needs masks if its pipeline loads labels.
    """
    if name in (LABELED, UNLABELED):
        return name == LABELED
    return any(label_transforms(leaf.get('pipeline')) for leaf in leaf_configs(cfg).values())


def label_transforms(steps: Any) -> List[str]:
    """Names of the transforms that load or check labels, also of those inside other transforms.

    Args:
        steps (Any): Pipeline, or a part of one.
    """
    if isinstance(steps, (list, tuple)):
        return [name for step in steps for name in label_transforms(step)]
    if not isinstance(steps, Mapping):
        return []
    kind = steps.get('type', '')
    name = (kind if isinstance(kind, str) else kind.__name__).split('.')[-1]
    own = [name] if name in LABEL_TRANSFORMS else []
    return own + label_transforms(list(steps.values()))


def build_source(name: str, cfg: Mapping[str, Any]) -> AnySet:
    """Build the data set of a source and list its images.

    Args:
        name (str): Of the source, for messages.
        cfg (Mapping): As from :func:`source_config`.

    Raises:
        FileNotFoundError: If a list does not exist.
        TypeError: If it is no data set of files, nor one that joins or repeats such.
        ValueError: If it, or a data set inside it, has no image; if those inside it have different
            classes.
    """
    configs = leaf_configs(cfg, name)
    for key, leaf in configs.items():
        check_list(key, leaf)
    dataset = build_lazily(cfg)
    found = dict(zip(configs, leaves(dataset)))
    for key, leaf in found.items():
        if not isinstance(leaf, BaseDataset):
            raise TypeError(
                f'{KEY}.{name}: {type(leaf).__name__} is no source of images; use a data set of '
                'mmseg, or ConcatDataset or RepeatDataset of such'
            )
        _list_images(key, leaf, configs[key])
    classes = {key: leaf.metainfo.get('classes') for key, leaf in found.items()}
    check_classes(classes, next((key for key in classes if classes[key]), [*classes][0]))
    try:
        dataset.full_init()
    except NotImplementedError as error:  # mmengine's, where a data set does not say its classes
        raise TypeError(
            f'{KEY}.{name}.type={type(dataset).__name__} needs get_cat_ids, which its data set '
            'does not have: use RepeatDataset'
        ) from error
    return dataset


def _list_images(name: str, dataset: BaseDataset, cfg: Mapping[str, Any]) -> None:
    dataset.data_list = [{}]  # stays where the images cannot be listed
    try:
        dataset.full_init()
        empty = len(dataset) == 0
    except ValueError:
        if dataset.data_list or dataset._fully_initialized:
            raise
        empty = True  # mmengine cannot serialise an empty list
    if empty:
        where = cfg.get('ann_file') or dataset.data_prefix.get('img_path')
        raise ValueError(f'{KEY}.{name} is empty: {where} gave no image')
