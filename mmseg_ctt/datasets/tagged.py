# Copyright (c) mmseg_ctt contributors.
"""Images with image-level labels (tags) as a data set."""

import logging
import os.path as osp
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Tuple

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from ..volumes.address import real_address
from .folder import FolderSegDataset
from .image_files import find_masks
from .sources import label_transforms, reads_tags
from .tag_checks import usual_background
from .tag_files import SHOWN, ClassNames, read_tags, tags_by_stem
from .tag_folders import tags_of_folders, tags_of_masks
from .wrappers import AnySet, origin

MASKS, FOLDERS = 'masks', 'folders'
TAG_FILES = ('.json', '.csv', '.tsv')
ByStem = Dict[str, Tuple[int, ...]]


@DATASETS.register_module()
class TaggedImageDataset(FolderSegDataset):
    """A folder of images with the classes that each of them shows, and without masks.

    Images, lists and classes are as of :class:`FolderSegDataset`. Entries have ``tags``, a tuple of
    class ids, and never ``seg_map_path``. Class 0 is no tag where it is called ``background``, in
    upper or lower case, or named by ``background``. Tags of known classes that
    ``metainfo.classes`` leaves out are dropped; an image without any tag shows the background
    alone.

    Attributes:
        other_tags (dict): Tags of further images of the folder, which a list leaves out, by their
            path; for :func:`mmseg_ctt.datasets.tag_checks.tags_beside_masks`.

    Args:
        tags (str): ``'masks'``: classes that the masks in ``data_prefix.seg_map_path`` show; they
            are read when the images are listed, and no path to them is kept. ``'folders'``: images
            lie in a folder of their class, see :func:`tags_of_folders`. Else the path of a JSON
            or CSV file, relative to ``data_root``, see :mod:`mmseg_ctt.datasets.tag_files`.
        min_pixels (int, optional): With ``'masks'``, pixels from which a class is a tag. Defaults
            to None: 1.
        skip_untagged (bool): Leave out images without an entry in the file of tags, without a
            mask, or without any class where there is no background, instead of stopping. Defaults
            to False.
        **kwargs: See :class:`FolderSegDataset`.

    Raises:
        FileNotFoundError: If a folder, file or mask does not exist.
        ValueError: If ``tags`` is of another form, a tag is no class, an image has no entry, or
            the pipeline loads masks.
    """

    reads_tags: ClassVar[bool] = True  # its entries have tags, and no masks

    needs_classes = True

    def __init__(
        self,
        data_root: Optional[str] = None,
        tags: str = '',
        min_pixels: Optional[int] = None,
        skip_untagged: bool = False,
        data_prefix: Optional[Dict[str, Optional[str]]] = None,
        pipeline: Any = (),
        **kwargs: Any,
    ) -> None:
        self.other_tags: Dict[str, Tuple[int, ...]] = {}
        self._check_settings(tags, min_pixels, data_prefix or {}, pipeline)
        self.tags, self.min_pixels, self.skip_untagged = str(tags), min_pixels or 1, skip_untagged
        super().__init__(
            data_root=data_root, data_prefix=data_prefix, pipeline=list(pipeline), **kwargs
        )

    def _check_settings(
        self, tags: str, min_pixels: Optional[int], prefix: Dict[str, Any], pipeline: Any
    ) -> None:
        name = type(self).__name__
        if tags not in (MASKS, FOLDERS) and not str(tags).lower().endswith(TAG_FILES):
            raise ValueError(
                f"{name}.tags={tags!r} must be '{MASKS}', '{FOLDERS}', or a file that ends in "
                f'{", ".join(TAG_FILES)}'
            )
        masks = prefix.get('seg_map_path')
        if tags == MASKS and not masks:
            raise ValueError(f"{name}.tags='{MASKS}' needs data_prefix.seg_map_path")
        for key, given in (('data_prefix.seg_map_path', masks), ('min_pixels', min_pixels)):
            if tags != MASKS and given is not None:
                raise ValueError(f'{name}.{key} is of tags={MASKS!r} alone: remove it')
        if min_pixels is not None and min_pixels < 1:
            raise ValueError(f'{name}.min_pixels={min_pixels} must be positive')
        steps = label_transforms(pipeline)
        if steps:
            raise ValueError(
                f'{name}.pipeline has {steps[0]}, but images with tags have no masks: remove it '
                '(pseudo-labels are loaded by LoadMaps)'
            )

    @property
    def background_name(self) -> Optional[str]:
        """Name of class 0 where that is the background, which is no tag; else None."""
        return usual_background(self._metainfo['classes']) or self.background

    def load_data_list(self) -> List[Dict[str, Any]]:
        """List the images and their tags.

        Returns:
            list[dict]: One entry a sample, see the class.
        """
        # where there are no masks, nothing below knows of any
        ann_dir = self.data_prefix.pop('seg_map_path', None)
        images, stems = self._images()
        classes = list(self._metainfo['classes'])
        names = ClassNames(classes, self.background_name, self.file_meta.get('classes'))
        if self.tags == MASKS:
            tags = self._of_masks(stems, str(ann_dir))
        elif self.tags == FOLDERS:
            found = tags_of_folders(images, stems, self.data_prefix['img_path'], names)
            tags = {stem: names.indices(given) for stem, given in found.items()}
            stems = list(tags)  # without copies
        else:
            path = osp.join(self.data_root or '', self.tags)
            given, line = tags_by_stem(read_tags(path, names), images, path)
            if line:
                print_log(f'{type(self).__name__}: {line}', 'current', logging.WARNING)
            tags = {stem: names.indices(found) for stem, found in given.items()}
            self._refuse_untagged([stem for stem in stems if stem not in tags], len(stems), path)
        chosen = self._with_tags([stem for stem in stems if stem in tags], tags)
        folder, listed = self.data_prefix['img_path'], set(chosen)
        self.other_tags = {
            real_address(str(Path(folder, images[stem]))): found
            for stem, found in tags.items()
            if stem not in listed
        }
        return [dict(self._sample(stem, images[stem], None), tags=tags[stem]) for stem in chosen]

    def _with_tags(self, stems: List[str], tags: ByStem) -> List[str]:
        """The images, all of which show a class where the data set has no background."""
        empty = [stem for stem in stems if not tags[stem]]
        if not empty or self.background_name is not None:
            return stems
        if self.skip_untagged and len(empty) < len(stems):
            return [stem for stem in stems if tags[stem]]
        raise ValueError(
            f'{len(empty)} of {len(stems)} images of {type(self).__name__} show none of the '
            f'classes, such as {", ".join(empty[:SHOWN])}, and there is no background: add a class '
            "'background' as the first, or set skip_untagged=True to leave them out"
        )

    def _of_masks(self, stems: List[str], folder: str) -> ByStem:
        """Ids of the classes that the mask of each image shows."""
        masks = find_masks(folder, self.seg_map_suffix)
        self._refuse_untagged([stem for stem in stems if stem not in masks], len(stems), folder)
        chosen = [stem for stem in stems if stem in masks]
        shared = dict(label_map=self.label_map, reduce_zero_label=self.reduce_zero_label)
        infos = [dict(seg_map_path=str(Path(folder, masks[stem])), **shared) for stem in chosen]
        shown = tags_of_masks(
            infos,
            list(self._metainfo['classes']),
            self.background_name,
            self.min_pixels,
            self.ignore_index,
        )
        return dict(zip(chosen, shown))

    def _refuse_untagged(self, stems: List[str], number: int, where: str) -> None:
        if not stems or (self.skip_untagged and len(stems) < number):
            return
        kind = 'mask' if self.tags == MASKS else 'entry'
        empty = '' if self.tags == MASKS else ', an empty one for images that show no class'
        raise ValueError(
            f'{len(stems)} of {number} images have no {kind} in {where}, such as '
            f'{", ".join(stems[:SHOWN])}: add {"it" if len(stems) == 1 else "them"}{empty}, take '
            'them off the list, or set skip_untagged=True to leave them out'
        )

    def get_cat_ids(self, idx: int) -> List[int]:
        """Tags of an image, for ``ClassBalancedDataset``."""
        return list(self.get_data_info(idx)['tags'])

    def tag_matrix(self) -> np.ndarray:
        """Tags of all images.

        Returns:
            np.ndarray: uint8 ``(N, C)``, 1 where image n shows class c.
        """
        return tag_matrix([self.get_data_info(i) for i in range(len(self))], self.metainfo)


def with_masks(cfg: Mapping[str, Any]) -> Dict[str, Any]:
    """Config of a :class:`FolderSegDataset` of the same images, without their tags.

    Args:
        cfg (Mapping): Config of a :class:`TaggedImageDataset`, or of a data set without tags, which
            stays as it is.
    """
    if not reads_tags(cfg):
        return dict(cfg)
    own = ('tags', 'min_pixels', 'skip_untagged')
    made = {key: value for key, value in cfg.items() if key not in own}
    return {**made, 'type': FolderSegDataset.__name__}


def tag_matrix(infos: List[Dict[str, Any]], metainfo: Dict[str, Any]) -> np.ndarray:
    """Tags of images as a matrix.

    Args:
        infos (list[dict]): Entries of N images with ``tags``.
        metainfo (dict): With ``classes``.

    Returns:
        np.ndarray: uint8 ``(N, C)``, 1 where image n shows class c.
    """
    matrix = np.zeros((len(infos), len(metainfo['classes'])), np.uint8)
    for row, info in zip(matrix, infos):
        row[list(info['tags'])] = 1
    return matrix


def source_tag_matrix(source: AnySet) -> np.ndarray:
    """Tags of the images of a source of any data sets, in its order; see :func:`tag_matrix`."""
    places = [origin(source, i) for i in range(len(source))]
    return tag_matrix([leaf.get_data_info(i) for leaf, i in places], source.metainfo)
