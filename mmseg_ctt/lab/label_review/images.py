# Copyright (c) mmseg_ctt contributors.
"""Training images of a config: those without masks, and those with masks as they are loaded."""

import os.path as osp
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ...datasets.built import ignore_index, inner_sets, label_loaders, mask_entries, set_num_classes
from ...datasets.checks import check_files
from ...datasets.image_files import find_images
from ...datasets.mask_scan import MaskScan, scan_masks
from ...datasets.sources import (
    LABELED,
    UNLABELED,
    build_source,
    needs_masks,
    source_config,
    source_names,
)
from ...datasets.wrappers import AnySet, is_wrapper, leaves
from ...deploy.api.predict import Pipeline
from ...volumes.address import image_stem, real_address


class NoSuchImages(ValueError):
    """A training set without images of a kind."""


class ListedImage(NamedTuple):
    """Image of a training set.

    Attributes:
        path (str): File, or address of a slice.
        name (str): Its entry in a list: path below the folder of images, without suffix.
    """

    path: str
    name: str


class MaskedImage(NamedTuple):
    """Image with its mask, both as the data set loads them.

    Attributes:
        image (ListedImage): The image.
        data (dict): ``inputs`` and ``data_samples``, from the test pipeline.
        mask (np.ndarray): ``(H, W)`` integer ids at the size of the file; others than those
            of the classes are ignored.
    """

    image: ListedImage
    data: Dict[str, Any]
    mask: np.ndarray


def unlabeled_images(cfg: Config, folder: Optional[str] = None) -> List[ListedImage]:
    """Images without masks: those of a folder, else of the training set of a config.

    Args:
        cfg (Config): Of a run.
        folder (str, optional): Searched with its sub-folders. Defaults to None: the source
            ``unlabeled``, and others without masks, such as images with tags.

    Raises:
        FileNotFoundError: If a list, a folder or an image is missing.
        ValueError: If there is no such image.
    """
    if folder is not None:
        found = find_images(folder)
        if not found:
            raise FileNotFoundError(f'no image was found in {folder}')
        return [ListedImage(osp.join(folder, name), stem) for stem, name in found.items()]
    dataset = _training_set(cfg)
    names = [
        name for name in _names(dataset) if not needs_masks(name, source_config(dataset, name))
    ]
    images = _each_once([image for name in names for image in _listed(_source(dataset, name))])
    if not images:
        raise NoSuchImages(
            f'train_dataloader.dataset has no images without masks: set its {UNLABELED}, or give '
            'a folder of images'
        )
    return images


def split_lists(cfg: Config) -> Optional[Tuple[List[str], List[str]]]:
    """Names of the labelled and the unlabelled images, of which the lists of a training are made.

    None where a name in the other list would be no image of the source: there are more sources,
    one of them is of several data sets, or their images are in two folders.
    """
    dataset = _training_set(cfg)
    if set(_names(dataset)) != {LABELED, UNLABELED}:
        return None
    sources = [_source(dataset, name) for name in (LABELED, UNLABELED)]
    parts = [leaf for source in sources for leaf in leaves(source)]
    if len(parts) > 2 or len({osp.realpath(_root(leaf)) for leaf in parts}) > 1:
        return None
    labeled, unlabeled = (
        [image.name for image in _each_once(_listed(source))] for source in sources
    )
    return labeled, unlabeled


class MaskedSet:
    """Labelled training images of a config, by index.

    Args:
        cfg (Config): Of a run.
        pipeline (Pipeline): Of :func:`mmseg_ctt.deploy.api.predict.input_pipeline`.

    Raises:
        FileNotFoundError: If a list, an image or a mask is missing.
        ValueError: If the training set has no labelled images.
    """

    def __init__(self, cfg: Config, pipeline: Pipeline) -> None:
        dataset = _training_set(cfg)
        if LABELED in _names(dataset):
            self.source = _source(dataset, LABELED)
        elif _names(dataset):
            raise NoSuchImages(f'train_dataloader.dataset has no {LABELED} images')
        else:
            with DefaultScope.overwrite_default_scope('mmseg'):
                self.source = build_source(LABELED, dataset)
        self.pipeline = pipeline
        set_num_classes(self.source)
        self.entries = list(self._distinct().values())
        check_files(LABELED, [leaf.get_data_info(i) for leaf, _, i in self.entries], masks=True)

    def _distinct(self) -> Dict[Tuple[str, Any], Tuple[Any, ListedImage, int]]:
        """Entries by image and mask: one that several data sets have counts once."""
        found: Dict[Tuple[str, Any], Tuple[Any, ListedImage, int]] = {}
        for leaf in leaves(self.source):
            for i, image in enumerate(_listed(leaf)):
                mask = leaf.get_data_info(i).get('seg_map_path')
                found.setdefault((real_address(image.path), mask), (leaf, image, i))
        return found

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """Classes and palette."""
        return self.source.metainfo

    @property
    def images(self) -> List[ListedImage]:
        """The images in order."""
        return [image for _, image, _ in self.entries]

    def scan(self) -> MaskScan:
        """Pixels of every class in up to 256 masks, evenly spread.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a mask is wrong.
        """
        entries = [
            entry
            for leaf in leaves(self.source)
            for entry in mask_entries(leaf, [leaf.get_data_info(i) for i in range(len(leaf))])
        ]
        ignored = ignore_index(next(inner_sets(self.source)))
        number = len(self.metainfo['classes'])
        return scan_masks(entries, number, ignore_index=ignored, skip_unreadable=True)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> MaskedImage:
        leaf, image, i = self.entries[index]
        loader, rest = self.pipeline
        results: Any = loader.transform(leaf.get_data_info(i))  # marks pixels without data
        masked = dict(results, seg_fields=[])
        for step in label_loaders(leaf):
            masked = step(masked)
        if 'gt_seg_map' not in masked:
            raise ValueError('the pipeline of the labelled images loads no masks')
        return MaskedImage(image, rest(results), masked['gt_seg_map'])


def load_image(image: ListedImage, pipeline: Pipeline) -> Dict[str, Any]:
    """``inputs`` and ``data_samples`` of an image, from the test pipeline of a model.

    Raises:
        ValueError: If it cannot be decoded, or is of another kind than the model takes.
    """
    loader, rest = pipeline
    return rest(loader.transform(dict(img_path=image.path)))


def _training_set(cfg: Config) -> Mapping[str, Any]:
    loader = cfg.get('train_dataloader')
    if not loader:
        raise NoSuchImages('the config has no train_dataloader, so no training images')
    return loader['dataset']


def _names(dataset: Mapping[str, Any]) -> List[str]:
    """Names of the sources; none of a data set of mmseg or a wrapper of such."""
    return [] if is_wrapper(dataset) else source_names(dataset)


def _source(dataset: Mapping[str, Any], name: str) -> AnySet:
    with DefaultScope.overwrite_default_scope('mmseg'):
        return build_source(name, source_config(dataset, name))


def _listed(source: AnySet) -> List[ListedImage]:
    """Images of all leaves of a data set, with their names below its folder of images."""
    return [
        ListedImage(info['img_path'], name)
        for leaf in leaves(source)
        for info, name in zip(*_infos(leaf))
    ]


def _each_once(images: Sequence[ListedImage]) -> List[ListedImage]:
    """Images in order, without those that an earlier data set has."""
    found: Dict[str, ListedImage] = {}
    for image in images:
        found.setdefault(real_address(image.path), image)
    return list(found.values())


def _root(leaf: Any) -> str:
    """Folder of images of a data set; empty where it names none."""
    return (getattr(leaf, 'data_prefix', None) or {}).get('img_path') or ''


def _infos(leaf: Any) -> Tuple[List[dict], Sequence[str]]:
    infos = [leaf.get_data_info(i) for i in range(len(leaf))]
    root = _root(leaf)
    return infos, [info.get('stem') or _below(info['img_path'], root) for info in infos]


def _below(path: str, root: str) -> str:
    below = osp.relpath(path, root) if root else path
    return image_stem(path if below.startswith('..') else below).replace(osp.sep, '/')
