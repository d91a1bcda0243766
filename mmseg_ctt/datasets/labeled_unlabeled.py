# Copyright (c) mmseg_ctt contributors.
import logging
import multiprocessing
from typing import Any, Dict, List, Optional, Union

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from ..volumes.address import file_of
from .built import mask_entries
from .checks import (
    KEY,
    check_classes,
    check_files,
    check_no_masks,
    check_overlap,
    check_sample,
    pipeline_errors,
)
from .image_reading import damage_of
from .isolation import isolated_randomness
from .mask_scan import LIMIT, log_masks, scan_masks, scanned
from .patients import check_patients
from .sample_tags import with_tags
from .sampler import DrawnImage
from .sources import (
    LABELED,
    TAGGED,
    UNLABELED,
    build_source,
    first_indices,
    given_sources,
    has_tags,
    ignored_id,
    locate,
    needs_masks,
    source_config,
)
from .tag_checks import background_of, log_tags, tags_beside_masks
from .tagged import source_tag_matrix, tag_matrix
from .training_copy.use import TrainingCopy
from .wrappers import AnySet, distinct_infos, leaves, origin


@DATASETS.register_module()
class LabeledUnlabeledDataset(Dataset):
    """Training images of several named sources as one data set.

    A source is a data set of any mmseg class, or ``ConcatDataset`` or ``RepeatDataset`` of such:
    ``labeled`` (images with masks), ``unlabeled`` (images alone), and any other that a method uses,
    such as ``tagged=dict(...)`` for images with image-level tags. Images are numbered source by
    source: labelled, unlabelled, then the other sources by name. The unlabelled source is built
    without any path to masks.

    Each sample has the name of its source as ``source`` and its seed and draw number as ``draw``
    in its meta information. The random numbers of its pipeline depend on ``draw`` alone.

    Attributes:
        sources (dict[str, AnySet]): Data sets by name, in order.
        masked (tuple[str, ...]): Names of the sources whose images have masks.
        with_tags (tuple[str, ...]): Names of the sources whose images have tags.
        copy (TrainingCopy | None): Files that are decoded instead of the originals.
        unreadable (multiprocessing.Value): Images skipped so far, by all workers together.

    Args:
        labeled (dict, optional): Config of an mmseg data set with images and masks. May be left
            out where another source is given. Defaults to None.
        unlabeled (dict, optional): Config of an mmseg data set; ``seg_map_path`` is removed.
            Defaults to None.
        split (str, optional): Folder of lists, relative to each ``data_root``, that sets
            ``ann_file`` of a source to ``{split}/{source}.txt``, for example
            ``{split}/labeled.txt``. A source with an ``ann_file`` keeps it; ``ann_file=''`` takes
            all images of the folder. Defaults to None.
        skip_unreadable (bool): Where an image cannot be decoded, use the next one of its source
            and count it, instead of stopping. Defaults to False.
        scan_masks (int): Masks of each source that are read and checked before training, spread
            evenly; all others are checked when loaded. Defaults to 256.
        ignore_index (int, optional): Mask id that is no class. Defaults to None: that of the
            sources, mostly 255.
        training_copy (str, optional): Folder that ``make_training_copy.py`` has written: images
            and masks are decoded from it, and everything else, such as lists, names and tags, is
            that of the originals. Defaults to None: the originals.
        **sources (dict, optional): Config of an mmseg data set, by the name of the source. Its
            images must have masks if its pipeline loads labels. None leaves a source out.

    Raises:
        FileNotFoundError: If a list, an image or a mask is missing.
        TypeError: If a source is no config of a data set.
        ValueError: If there is no source, a source is empty, two have an image or a
            patient in common or different classes, a mask does not fit, no mask has a label, or the
            unlabelled pipeline loads labels.
    """

    def __init__(
        self,
        labeled: Optional[dict] = None,
        unlabeled: Optional[dict] = None,
        split: Optional[str] = None,
        skip_unreadable: bool = False,
        scan_masks: int = LIMIT,
        ignore_index: Optional[int] = None,
        training_copy: Optional[str] = None,
        **sources: Optional[dict],
    ) -> None:
        self.skip_unreadable, self.scan_masks = skip_unreadable, scan_masks
        self.unreadable = multiprocessing.Value('q', 0)  # shared with the loader's workers
        given = given_sources({LABELED: labeled, UNLABELED: unlabeled, **sources})
        settings = {**given, 'split': split, 'ignore_index': ignore_index}
        configs = {name: source_config(settings, name) for name in given}
        self.sources = {name: build_source(name, cfg) for name, cfg in configs.items()}
        self.masked = tuple(name for name, cfg in configs.items() if needs_masks(name, cfg))
        masked = {name: self.sources[name] for name in self.masked}
        self.ignore_index = ignored_id(masked, ignore_index)
        self.with_tags = tuple(name for name, cfg in configs.items() if has_tags(cfg))
        self._check()
        self.copy = None if training_copy is None else TrainingCopy(training_copy, self.sources)

    def _check(self) -> None:
        infos = {name: distinct_infos(source) for name, source in self.sources.items()}
        classes = {name: source.metainfo.get('classes') for name, source in self.sources.items()}
        check_classes(classes, self._reference, required=bool(self.masked))
        for name in self.sources:
            check_files(name, infos[name], masks=name in self.masked)
        for name in (UNLABELED, *self.with_tags):
            check_no_masks(name, infos.get(name, []))
        check_overlap(infos)
        check_patients({f'{KEY}.{name}': entries for name, entries in infos.items()})
        self._scan({name: self._mask_entries(name, infos[name]) for name in self.masked})
        for name in self.with_tags:
            source = self.sources[name]
            matrix = tag_matrix(infos[name], source.metainfo)
            log_tags(f'{KEY}.{name}', matrix, source.metainfo['classes'], background_of(source))

    def _mask_entries(self, name: str, infos: List[dict]) -> List[dict]:
        """Entries of a source with one mask each, from those with one image each."""
        entries, start = [], 0
        for leaf in leaves(self.sources[name]):
            entries += mask_entries(leaf, infos[start : start + len(leaf)])
            start += len(leaf)
        return entries

    def _scan(self, infos: Dict[str, List[dict]]) -> None:
        """Read masks of each source that has them; several raters have one entry each."""
        if self.scan_masks <= 0 or not infos:
            return
        classes = self.metainfo['classes']
        scans = {
            f'{KEY}.{name}': scan_masks(
                entries, len(classes), self.scan_masks, self.ignore_index, self.skip_unreadable
            )
            for name, entries in infos.items()
        }
        log_masks(scans, classes, self.ignore_index, required=True)
        for tagged in self.with_tags:
            for name, entries in infos.items():
                chosen = scanned(entries, self.scan_masks)
                pixels = scans[f'{KEY}.{name}'].pixels
                line = tags_beside_masks(self.sources[tagged], chosen, pixels)
                if line:
                    print_log(f'{KEY}.{tagged}: {line}', 'current', logging.WARNING)

    @property
    def _reference(self) -> str:
        """Name of the source whose classes are those of the data set."""
        if self.masked:
            return self.masked[0]
        named = [name for name, source in self.sources.items() if source.metainfo.get('classes')]
        return [*named, *self.sources][0]

    @property
    def metainfo(self) -> dict:
        """Classes and palette: of the first source with masks, else of the first with classes."""
        return self.sources[self._reference].metainfo

    def tag_matrix(self, name: str = TAGGED) -> np.ndarray:
        """Tags of the images of a source, in its order.

        Args:
            name (str): Of the source. Defaults to ``'tagged'``.

        Returns:
            np.ndarray: uint8 ``(N, C)``, 1 where image n shows class c of the source.

        Raises:
            ValueError: If there is no such source, or its images have no tags.
        """
        if name not in self.with_tags:
            raise ValueError(
                f'{KEY}.{name} has no tags: set its type to TaggedImageDataset, which reads them '
                'from a file, folders or masks'
            )
        return source_tag_matrix(self.sources[name])

    @property
    def num_images(self) -> Dict[str, int]:
        """Number of images of each source, in order."""
        return {name: len(source) for name, source in self.sources.items()}

    @property
    def first_index(self) -> Dict[str, int]:
        """Index of the first image of each source, in order."""
        return first_indices(self.num_images)

    @property
    def labeled(self) -> Optional[AnySet]:
        """The labelled source, None without one."""
        return self.sources.get(LABELED)

    @property
    def unlabeled(self) -> Optional[AnySet]:
        """The unlabelled source, None without one."""
        return self.sources.get(UNLABELED)

    @property
    def num_labeled(self) -> int:
        """Number of labelled images."""
        return self.num_images.get(LABELED, 0)

    @property
    def num_unlabeled(self) -> int:
        """Number of unlabelled images."""
        return self.num_images.get(UNLABELED, 0)

    def __len__(self) -> int:
        return sum(self.num_images.values())

    def __getitem__(self, idx: Union[DrawnImage, int]) -> dict:
        """Load and transform one image.

        Args:
            idx (DrawnImage | int): From :class:`LabeledUnlabeledSampler`; a plain index is draw
                number ``idx`` of seed 0.

        Returns:
            dict: ``inputs`` uint8 ``(3, H, W)`` and ``data_samples``.

        Raises:
            IndexError: If there are fewer images.
            ValueError: If the image cannot be decoded; names it.
        """
        draw = idx if isinstance(idx, tuple) else DrawnImage(idx, idx, 0)
        name, position = locate(draw.idx, self.num_images)
        key = f'{KEY}.{name}'
        with pipeline_errors(key), isolated_randomness(draw.seed, draw.number):
            sample = self._load(self.sources[name], position)
        check_sample(key, sample, labels=name in self.masked)
        sample['data_samples'].set_metainfo(dict(source=name, draw=(draw.seed, draw.number)))
        return sample

    def entry(self, leaf: Any, index: int) -> Dict[str, Any]:
        """What the pipeline of an image begins with.

        Args:
            leaf (BaseDataset): Data set of the image, of one of the sources.
            index (int): Of the image in it.
        """
        info = leaf.get_data_info(index)
        # for the check of masks
        info['num_classes'] = len(self.metainfo.get('classes') or ())
        info['ignore_index'] = self.ignore_index
        return info if self.copy is None else self.copy.redirected(info)

    def _load(self, source: AnySet, position: int) -> dict:
        """Sample of one image of a source, or of the next that can be decoded."""
        for step in range(len(source)):
            leaf, index = origin(source, (position + step) % len(source))
            info = self.entry(leaf, index)
            path, tags = info['img_path'], info.get('tags')
            try:
                sample = leaf.pipeline(info)
                background = background_of(leaf) is not None
                return with_tags(sample, tags, info['num_classes'], background)
            except Exception as error:
                damage = damage_of(path)
                if damage is None:
                    raise  # the image is fine: something else is wrong
                if not self.skip_unreadable:
                    cause = '' if file_of(path) == path else f' ({damage})'
                    raise ValueError(
                        f'cannot decode image {path}{cause}: replace it, take it off its list, '
                        f'or set {KEY}.skip_unreadable=True'
                    ) from error
            with self.unreadable.get_lock():
                self.unreadable.value += 1
                count = self.unreadable.value
            print_log(f'skipped unreadable image {path} ({count} skips so far)', 'current')
        raise ValueError(f'none of the {len(source)} images can be decoded, {path} for one')
