# Copyright (c) mmseg_ctt contributors.
"""Checks of the data loaders that mmengine's runner builds, before the first iteration.

Importing this module extends ``mmengine.runner.Runner``: the steps that check masks learn the
classes of their data set, masks of every set are read before the first iteration, training,
validation and test must agree in their classes, no patient of validation or test is trained on, and
a warning names images that are. Every rank does the same, with files that it only reads.
"""

from functools import wraps
from typing import Any, Callable, Optional, Sequence

from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import DataLoader

from ..datasets.built import classes_of, ignore_index, inner_sets, masked_infos, set_num_classes
from ..datasets.checks import KEY, check_same_classes
from ..datasets.labeled_unlabeled import LabeledUnlabeledDataset
from ..datasets.mask_scan import LIMIT, log_masks, scan_masks
from .leak_checks import check_leaks


def check_loader(dataset: Any, key: str, limit: int = LIMIT) -> None:
    """Read masks of a validation or test set, or of a plain training set, before it is used.

    Args:
        dataset (Dataset): Of any class. A :class:`LabeledUnlabeledDataset` has read its masks.
        key (str): Its key in the config.
        limit (int): Masks that are read. Defaults to 256.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: Naming a mask and what is wrong with it.
    """
    classes = classes_of(dataset)
    if classes is None or isinstance(dataset, LabeledUnlabeledDataset):
        return
    infos = masked_infos(dataset)
    if not infos:
        return
    if any('seg_map_path' not in info for info in infos):
        raise ValueError(f'{key} has no masks: set {key}.data_prefix.seg_map_path')
    ignored = ignore_index(next(inner_sets(dataset)))
    scan = scan_masks(infos, len(classes), limit, ignored)
    log_masks({key: scan}, classes, ignored, required=key == KEY)


def _key(stage: str) -> str:
    return f'{stage}_dataloader.dataset'


def _classes(loop: Any) -> Optional[Sequence[str]]:
    """Classes of the data set of a loop; None for a loop that is not built yet."""
    loader = getattr(loop, 'dataloader', None)
    return classes_of(loader.dataset) if isinstance(loader, DataLoader) else None


# ---- mmengine's runner

_build_dataloader, _load_checkpoint = Runner.build_dataloader, Runner.load_checkpoint


@wraps(_build_dataloader)
def _checked_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
    """``Runner.build_dataloader`` of mmengine, then :func:`set_num_classes`."""
    loader = _build_dataloader(*args, **kwargs)
    set_num_classes(loader.dataset)
    return loader


def _checked(build: Callable, stage: str) -> Callable:
    """``Runner.build_train_loop`` and its like, then :func:`check_loader`."""

    @wraps(build)
    def build_loop(self: Runner, loop: Any) -> BaseLoop:
        made = build(self, loop)
        classes = None if made is loop else _classes(made)
        if classes is not None:
            key = _key(stage)
            check_same_classes(classes, key, _classes(self._train_loop), KEY)
            check_leaks(self, made.dataloader.dataset, stage)
            check_loader(made.dataloader.dataset, key)
        return made

    return build_loop


@wraps(_load_checkpoint)
def _checked_checkpoint(self: Runner, filename: str, *args: Any, **kwargs: Any) -> dict:
    """``Runner.load_checkpoint``; what is tested has the classes that the model was trained on."""
    checkpoint = _load_checkpoint(self, filename, *args, **kwargs)
    trained = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    if _classes(self._train_loop) is None:
        for stage, loop in (('val', self._val_loop), ('test', self._test_loop)):
            words = f'those that {filename} was trained on'
            check_same_classes(_classes(loop), _key(stage), trained or None, words)
    return checkpoint


Runner.build_dataloader = staticmethod(_checked_dataloader)
Runner.load_checkpoint = _checked_checkpoint
for _stage in ('train', 'val', 'test'):
    _name = f'build_{_stage}_loop'
    setattr(Runner, _name, _checked(getattr(Runner, _name), _stage))
