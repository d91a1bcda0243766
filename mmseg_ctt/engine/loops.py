# Copyright (c) mmseg_ctt contributors.
import time
from typing import Any, Dict, Sequence, Union

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import IterBasedTrainLoop, Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator
from mmseg.registry import LOOPS
from torch.utils.data import DataLoader

from ..datasets.permutation import mixed
from ..datasets.sampler import LabeledUnlabeledSampler
from ..nn.unwrap import unwrapped
from .checkpoint import VALIDATED
from .tag_checks import check_masks, check_tags

DRAWS = 'draws'  # keys of the message hub, which is part of every checkpoint
SEED = 'sampler_seed'
IMAGES = 'num_images'


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """Iteration loop with exact resume: the sampler starts at the draw where the run stopped.

    To resume, mmengine loads and transforms every past batch again. Here the number of draws is in
    the checkpoint, and the sampler starts there, with the seed it had. Random numbers on the
    device (of dropout, for example) are seeded from (seed, iteration, rank).

    Args: as :class:`mmengine.runner.IterBasedTrainLoop`.

    Raises:
        ValueError: If the sampler is not a :class:`LabeledUnlabeledSampler`, ``batch_size`` is
            no multiple of its period, there is no iteration, model and data differ in the
            number of classes or in their tags, or model and sampler in the size of groups.
    """

    def __init__(
        self, runner: Runner, dataloader: Union[DataLoader, dict], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(runner, dataloader, *args, **kwargs)
        self.sampler = self.dataloader.sampler
        if not isinstance(self.sampler, LabeledUnlabeledSampler):
            raise ValueError(
                'train_cfg.type="ResumableTrainLoop" needs train_dataloader.sampler.'
                f'type="LabeledUnlabeledSampler", got {type(self.sampler).__name__}'
            )
        if self._max_iters < 1:
            raise ValueError(f'train_cfg.max_iters must be positive, got {self._max_iters}')
        self._check_classes()
        check_group_size(unwrapped(runner.model), self.sampler)
        self._check_sources()
        batch, period = self.dataloader.batch_size, self.sampler.period
        if batch % period:
            raise ValueError(
                f'train_dataloader.batch_size={batch} cannot be divided by sampler.ratio='
                f'{self.sampler.ratio}: use a multiple of {period}'
            )
        self.draws_per_iter = batch * get_world_size()

    def _check_classes(self) -> None:
        model = unwrapped(self.runner.model)
        if not getattr(model, 'trains_heads', True):  # its number of classes is of no use
            return
        outputs = getattr(model, 'num_classes', None)
        classes = len(self.dataloader.dataset.metainfo.get('classes') or ())
        if outputs is not None and classes and outputs != classes:
            raise ValueError(
                f'decode_head.num_classes={outputs}, but the data set has {classes} classes: set '
                f'sizes.num_classes={classes}, or another data set'
            )

    def _check_sources(self) -> None:
        model, dataset = unwrapped(self.runner.model), self.dataloader.dataset
        drawn = [name for name, count in self.sampler.ratio.items() if count]
        check_masks(model, drawn, getattr(dataset, 'masked', drawn))
        for warning in check_tags(model, dataset):
            self.runner.logger.warning(warning)

    def run(self) -> torch.nn.Module:
        """Train from the current iteration to the last."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self._set_start()
        if self._iter and self.runner.message_hub.runtime_info.get(VALIDATED) != self._iter:
            self._validate_if_due()  # the run was stopped after the checkpoint, before validation
        self.runner.model.train()
        while self._iter < self._max_iters and not self.stop_training:
            if not self.runner.model.training:  # after a validation; it visits every module
                self.runner.model.train()
            self.waits_since = time.time()
            self.run_iter(next(self.dataloader_iterator))
            self._validate_if_due()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch: Sequence[dict]) -> None:
        """One iteration, its random numbers seeded and its draws counted."""
        torch.manual_seed(mixed(self._iter, mixed(get_rank(), self.sampler.seed)) >> 1)
        self.draws += self.draws_per_iter
        self.runner.message_hub.update_info(DRAWS, self.draws)
        super().run_iter(data_batch)

    def _set_start(self) -> None:
        """Start after the draws of the resumed run, in its order."""
        stored: Dict[str, Any] = self.runner.message_hub.runtime_info if self._iter else {}
        self.draws = stored.get(DRAWS, self._iter * self.draws_per_iter)
        self.sampler.seed = stored.get(SEED, self.sampler.seed)
        self.runner.message_hub.update_info(SEED, self.sampler.seed)
        images = ', '.join(f'{size} {name}' for name, size in self.sampler.sizes.items())
        before = stored.get(IMAGES, images)
        self.runner.message_hub.update_info(IMAGES, images)
        if before != images:
            self.runner.logger.warning(
                f'the data have {images} images, and the run so far had {before}: it goes on with '
                'the new ones, in another order'
            )
        if self.draws:
            self.sampler.advance_to(self.draws)
            self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
        if self.runner.val_loop is not None and self._iter >= self.val_begin and due:
            self.runner.message_hub.update_info(VALIDATED, self._iter)
            self.runner.val_loop.run()


def check_group_size(model: torch.nn.Module, sampler: LabeledUnlabeledSampler) -> None:
    """Check that the sampler makes the groups of images that a method reads.

    Raises:
        ValueError: If it makes none, or groups of another size.
    """
    size, drawn = (getattr(part, 'group_size', None) for part in (model, sampler))
    if size is not None and size != drawn:
        raise ValueError(
            f'model.group_size={size} needs train_dataloader.sampler=dict(type="GroupSampler", '
            f'ratio=dict(tagged={size})), got {type(sampler).__name__} with the ratio '
            f'{sampler.ratio}'
        )
