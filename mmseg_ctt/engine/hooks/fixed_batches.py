# Copyright (c) mmseg_ctt contributors.
"""A fixed set of unlabelled images, in batches composed as in training."""

import copy
import os.path as osp
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Dict, Iterator, List, Optional, Tuple, cast

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from ...datasets.built import set_num_classes
from ...datasets.isolation import isolated_randomness
from ...datasets.labeled_unlabeled import LabeledUnlabeledDataset
from ...datasets.sample_tags import with_tags
from ...datasets.sampler import DrawnImage, LabeledUnlabeledSampler
from ...datasets.sources import UNLABELED, source_config
from ...datasets.tag_checks import background_of
from ...datasets.tagged import with_masks
from ...datasets.wrappers import distinct_infos, is_wrapper
from ...methods.base import SemiSegmentor
from ...volumes.address import file_of
from ..image_steps import LOADERS
from ..pipeline_steps import checked_steps, step_name

KEY = 'default_hooks.pseudo_labels'


class FixedBatches:
    """Chosen unlabelled images, with masks where they are known.

    The training data have no path to the masks of unlabelled images. The images are therefore
    read a second time, with masks, instead of taking the batches of training.

    Args:
        data (LabeledUnlabeledDataset): Training data.
        train (dict): ``train_dataloader.dataset`` of the config.
        truth (dict, optional): Merged into the config of the unlabelled source to give it masks.
        num_images (int): Number of images.
        seed (int): Chooses the images and their augmentation.

    Raises:
        ValueError: If the truth names no masks.
        FileNotFoundError: If a mask does not exist.
    """

    def __init__(
        self,
        data: LabeledUnlabeledDataset,
        train: dict,
        truth: Optional[dict],
        num_images: int,
        seed: int,
    ) -> None:
        self.data, self.seed = data, seed
        self.truth = None if truth is None else _build_truth(train, truth)
        source = data.unlabeled if self.truth is None else self.truth
        self.tags = _tags_by_path(data) if self.truth is not None else {}
        known = range(len(source or ()))
        if self.tags:  # images without tags are left out of the training
            paths = [self.truth.get_data_info(i)['img_path'] for i in known]  # type: ignore
            known = [i for i, path in enumerate(paths) if path in self.tags]  # type: ignore
        self.chosen = [known[i] for i in _sample(len(known), num_images, seed)]
        if self.truth is not None:
            _check_masks(self.truth, self.chosen)

    def batches(self, loader: DataLoader) -> Iterator[Tuple[dict, int]]:
        """Batches, and how many unlabelled images of each are new.

        The first images fill the last batch up: a smaller batch would have other batch
        statistics, and a single image may have none.

        Args:
            loader (DataLoader): Of the training; a batch has the same composition.
        """
        sampler = cast(LabeledUnlabeledSampler, loader.sampler)
        periods = cast(int, loader.batch_size) // sampler.period
        counts = {name: periods * count for name, count in sampler.ratio.items()}
        unlabeled = counts.pop(UNLABELED)
        companions = [index for name, count in counts.items() for index in self._some(name, count)]
        known = [
            self.data[DrawnImage(index, number, self.seed)]
            for number, index in enumerate(companions)
        ]
        count = len(self.chosen)
        for start in range(0, count, unlabeled):
            numbers = (number % count for number in range(start, start + unlabeled))
            samples = [*known, *map(self._weak_view, numbers)]
            yield pseudo_collate(samples), min(unlabeled, count - start)

    def _some(self, name: str, count: int) -> List[int]:
        """``count`` images of a source, again and again where it has fewer."""
        chosen = _sample(self.data.num_images[name], count, self.seed)
        first = self.data.first_index[name]
        return [first + index for index in islice(cycle(chosen), count)]

    def _weak_view(self, number: int) -> dict:
        index = self.chosen[number]
        if self.truth is None:
            first = self.data.first_index[UNLABELED]
            return self.data[DrawnImage(first + index, number, self.seed)]
        with isolated_randomness(self.seed, number):
            sample = self.truth[index]
        if self.tags:
            tags = self.tags[self.truth.get_data_info(index)['img_path']]
            background = background_of(self.data.unlabeled) is not None
            with_tags(sample, tags, len(self.data.metainfo['classes']), background)
        sample['data_samples'].set_metainfo(dict(source=UNLABELED, draw=(self.seed, number)))
        return sample


@contextmanager
def undisturbed(model: SemiSegmentor, seed: int) -> Iterator[None]:
    """Restore what passes in training mode change: random numbers, and buffers of every part.

    Args:
        model (SemiSegmentor): The model.
        seed (int): Of the random numbers inside (dropout).
    """
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, old in kept:
                    buffer.copy_(old)


def _build_truth(train: dict, truth: dict) -> BaseDataset:
    """The unlabelled source with masks; its pipeline loads them after the image."""
    if is_wrapper(train[UNLABELED]):
        raise ValueError(
            f'{KEY}.truth needs a plain data set in train_dataloader.dataset.{UNLABELED}, not a '
            'ConcatDataset or RepeatDataset: remove truth'
        )
    plain = with_masks(copy.deepcopy(train[UNLABELED]))
    plain.update(ann_file=source_config(train, UNLABELED).get('ann_file', ''))
    cfg = Config._merge_a_into_b(ConfigDict(truth), ConfigDict(plain))
    if 'pipeline' not in truth:
        loaders = [i for i, step in enumerate(cfg['pipeline']) if step_name(step) in LOADERS]
        cfg['pipeline'].insert(loaders[0] + 1 if loaders else 1, dict(type='LoadAnnotations'))
    cfg['pipeline'] = checked_steps(cfg['pipeline'])
    dataset = DATASETS.build(cfg)
    set_num_classes(dataset)
    return dataset


def _tags_by_path(data: LabeledUnlabeledDataset) -> Dict[str, Tuple[int, ...]]:
    """Tags of the unlabelled images; empty where they have none."""
    if UNLABELED not in data.with_tags:
        return {}
    return {info['img_path']: info['tags'] for info in distinct_infos(data.unlabeled)}


def _check_masks(dataset: BaseDataset, indices: List[int]) -> None:
    for index in indices:
        path = dataset.get_data_info(index).get('seg_map_path')
        if path is None:
            raise ValueError(f'{KEY}.truth names no masks: set truth.data_prefix.seg_map_path')
        if not osp.isfile(file_of(path)):
            raise FileNotFoundError(
                f'{KEY}.truth: the mask {path} does not exist; correct '
                'truth.data_prefix.seg_map_path or remove truth'
            )


def _sample(size: int, count: int, seed: int) -> List[int]:
    """``count`` of ``size`` indices, or all, drawn from a seed."""
    return np.random.default_rng(seed).permutation(size)[:count].tolist()
