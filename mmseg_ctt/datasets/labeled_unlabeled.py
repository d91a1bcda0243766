# Copyright (c) mmseg_ctt contributors.
import copy
import multiprocessing
import os.path as osp
from typing import Optional, Union

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from .checks import check_files, check_list, check_masks, check_overlap, decodes
from .isolation import isolated_randomness
from .sampler import Draw

LABEL_TRANSFORMS = ('LoadAnnotations', 'CheckSegMap')


@DATASETS.register_module()
class LabeledUnlabeledDataset(Dataset):
    """A labelled and an unlabelled set of any mmseg data set class, as one.

    Labelled images come first. The unlabelled set is built without any path to masks. Each
    sample carries ``source`` and ``draw`` in its meta information, and its pipeline's random
    numbers depend on (seed, draw number) alone.

    Args:
        labeled (dict): Config of an mmseg data set with images and masks.
        unlabeled (dict, optional): Config of an mmseg data set; ``seg_map_path`` is removed.
            Defaults to None: labelled images only.
        split (str, optional): Folder of lists, relative to each ``data_root``, that sets
            ``ann_file`` to ``{split}/labeled.txt`` and ``{split}/unlabeled.txt``. Defaults to
            None: the two configs name their own lists or folders.
        skip_unreadable (bool): Draw another image, and count it, where one cannot be decoded,
            instead of stopping. Defaults to False.
        scan_masks (int): Masks whose ids and sizes are checked before training, spread evenly;
            all others are checked when loaded (``CheckSegMap``). Defaults to 64.
        ignore_index (int): Mask id that is no class. Defaults to 255.

    Raises:
        FileNotFoundError: If a list, an image or a labelled image's mask is missing.
        ValueError: If a set is empty, the sets overlap, a mask does not fit, or the unlabelled
            pipeline loads labels.
    """

    def __init__(
        self,
        labeled: dict,
        unlabeled: Optional[dict] = None,
        split: Optional[str] = None,
        skip_unreadable: bool = False,
        scan_masks: int = 64,
        ignore_index: int = 255,
    ) -> None:
        self.skip_unreadable, self.scan_masks = skip_unreadable, scan_masks
        self.ignore_index = ignore_index
        self.unreadable = multiprocessing.Value('q', 0)  # shared with the loader's workers
        self.labeled = _build('labeled', labeled, split)
        self.unlabeled = None
        if unlabeled is not None:
            self.unlabeled = _build('unlabeled', without_masks(unlabeled), split)
        self._check()

    def _check(self) -> None:
        infos = [self.labeled.get_data_info(i) for i in range(len(self.labeled))]
        check_files('labeled', infos, masks=True)
        check_masks(
            infos,
            len(self.metainfo['classes']),
            self.scan_masks,
            self.ignore_index,
            self.skip_unreadable,
        )
        if self.unlabeled is not None:
            others = [self.unlabeled.get_data_info(i) for i in range(len(self.unlabeled))]
            check_files('unlabeled', others, masks=False)
            check_overlap(infos, others)

    @property
    def metainfo(self) -> dict:
        """Classes and palette, those of the labelled set."""
        return self.labeled.metainfo

    @property
    def num_labeled(self) -> int:
        """Number of labelled images."""
        return len(self.labeled)

    @property
    def num_unlabeled(self) -> int:
        """Number of unlabelled images, 0 without such a set."""
        return 0 if self.unlabeled is None else len(self.unlabeled)

    def __len__(self) -> int:
        return self.num_labeled + self.num_unlabeled

    def __getitem__(self, draw: Union[Draw, int]) -> dict:
        """Load and transform one image.

        Args:
            draw (Draw | int): From :class:`LabeledUnlabeledSampler`; a plain index is draw
                number ``index`` of seed 0.

        Returns:
            dict: ``inputs`` uint8 ``(3, H, W)`` and ``data_samples``.

        Raises:
            ValueError: If the image cannot be decoded; names it.
        """
        draw = draw if isinstance(draw, tuple) else Draw(draw, draw, 0)
        labeled = draw.index < self.num_labeled
        dataset = self.labeled if labeled else self.unlabeled
        index = draw.index if labeled else draw.index - self.num_labeled
        with isolated_randomness(draw.seed, draw.number):
            sample = self._load(dataset, index)
        sample['data_samples'].set_metainfo(
            dict(source='labeled' if labeled else 'unlabeled', draw=(draw.seed, draw.number))
        )
        return sample

    def _load(self, dataset: BaseDataset, index: int) -> dict:
        for step in range(len(dataset)):
            info = dataset.get_data_info((index + step) % len(dataset))
            info['num_classes'] = len(self.metainfo['classes'])  # for CheckSegMap
            path = info['img_path']
            try:
                return dataset.pipeline(info)
            except Exception as error:
                if decodes(path):
                    raise  # the image is fine: something else is wrong
                if not self.skip_unreadable:
                    raise ValueError(
                        f'cannot decode image {path}: replace it, take it off its list, or set '
                        'train_dataloader.dataset.skip_unreadable=True'
                    ) from error
            with self.unreadable.get_lock():
                self.unreadable.value += 1
                count = self.unreadable.value
            print_log(f'skipped unreadable image {path} ({count} skips so far)', 'current')
        raise ValueError(f'none of the {len(dataset)} images can be decoded, {path} for one')


def without_masks(cfg: dict) -> dict:
    """The config of a data set with every way to its masks removed.

    Raises:
        ValueError: If its pipeline loads labels.
    """
    cfg = copy.deepcopy(cfg)
    prefix = dict(cfg.get('data_prefix') or dict(img_path=''))
    prefix.pop('seg_map_path', None)
    cfg['data_prefix'] = prefix
    loads = [step['type'] for step in cfg.get('pipeline', []) if step['type'] in LABEL_TRANSFORMS]
    if loads:
        raise ValueError(
            f'train_dataloader.dataset.unlabeled.pipeline has {loads[0]}, but '
            'unlabelled images have no masks: remove it'
        )
    return cfg


def _build(name: str, cfg: dict, split: Optional[str]) -> BaseDataset:
    cfg = copy.deepcopy(cfg)
    if split is not None:
        cfg['ann_file'] = osp.join(split, f'{name}.txt')
    check_list(name, cfg)
    dataset = DATASETS.build(cfg)
    dataset.full_init()
    if len(dataset) == 0:
        where = cfg.get('ann_file') or dataset.data_prefix.get('img_path')
        raise ValueError(f'train_dataloader.dataset.{name} is empty: {where} gave no image')
    return dataset
