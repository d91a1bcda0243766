# Copyright (c) mmseg_ctt contributors.
import logging
from pathlib import Path
from typing import Optional, Set

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...nn.memory_contrast import MemoryContrast
from ...nn.unwrap import unwrapped
from ..checkpoint import POINTER
from ..guards import (
    confident_ratio,
    duplicate_images,
    empty_queues,
    not_finite,
    teacher_below_student,
)


@HOOKS.register_module()
class GuardHook(Hook):
    """Warns in one line of the log that a run goes wrong, with the remedy.

    A loss or a weight that is not finite ends the run before anything is saved; the rest are
    warnings, given once, and again if they return. Nothing is read from the device but the numbers
    that mmengine reads for its log, and the queues every ``queues`` iterations.

    Args:
        finite (bool): End at a loss that is not finite. Defaults to True.
        validations (int): Warn of a teacher worse than its student in so many validations
            running; 0 never. Defaults to 3.
        metric (str): Score they are compared by. Defaults to 'mIoU'.
        margin (float): Points of ``metric`` by which a teacher may be lower: in sound runs the
            members differ by up to half a point. Defaults to 1.
        confident (int): Warn where the ratio of confident pixels was 0 or 1 over so many
            iterations; 0 never, at most ``SafeCheckpointHook.history``. Defaults to 500.
        queues (int): Warn of queues empty after so many iterations; 0 never. Defaults to 1000.
        duplicates (bool): Warn at the start of unlabelled images that have the content of
            labelled ones. Defaults to True.

    Raises:
        ValueError: If a number is negative; in training, if a loss or weight is not finite.
    """

    EDGE = 1e-3  # distance of a ratio from 0 or 1 that counts as 0 or 1

    def __init__(
        self,
        finite: bool = True,
        validations: int = 3,
        metric: str = 'mIoU',
        margin: float = 1.0,
        confident: int = 500,
        queues: int = 1000,
        duplicates: bool = True,
    ) -> None:
        for name, value in dict(
            validations=validations, margin=margin, confident=confident, queues=queues
        ).items():
            if value < 0:
                raise ValueError(f'GuardHook.{name} must not be negative, got {value}')
        self.finite, self.duplicates, self.metric = finite, duplicates, metric
        self.validations, self.margin = validations, margin
        self.confident, self.queues = confident, queues
        self.given: Set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Compare the contents of the images of all sources."""
        self.model = unwrapped(runner.model)
        if self.duplicates and is_main_process():
            dataset = runner.train_loop.dataloader.dataset
            self._warn(runner, 'duplicates', duplicate_images(dataset))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Check the numbers of the iteration, which mmengine has read already."""
        hub, done = runner.message_hub, runner.iter + 1
        if self.finite:
            self._stop_if_not_finite(runner, done, outputs or {})
        if self.confident and done % self.confident == 0 and self._has_threshold():
            ratios = {
                name[len('train/') :]: float(buffer.mean(self.confident))
                for name, buffer in hub.log_scalars.items()
                if name.endswith('.confident_ratio')
            }
            self._warn(runner, 'confident', confident_ratio(ratios, self.confident, self.EDGE))
        if self.queues and done % self.queues == 0:
            self._check_queues(runner, done)

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Compare teachers with their students."""
        ending = f'/{self.metric}'
        scores = {
            name[len('val/') : -len(ending)]: buffer.data[0].tolist()
            for name, buffer in runner.message_hub.log_scalars.items()
            if name.startswith('val/') and name.endswith(ending)
        }
        if self.validations:
            self._warn(
                runner, 'teacher', teacher_below_student(scores, self.validations, self.margin)
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save weights that are not finite."""
        if not self.finite:
            return
        for name, value in checkpoint['state_dict'].items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise ValueError(
                    f'{name} is not finite and is not saved; '
                    + _last_good(runner)
                    + '. Lower optim_wrapper.optimizer.lr, or set optim_wrapper.'
                    'clip_grad=dict(max_norm=10)'
                )

    def _stop_if_not_finite(self, runner: Runner, done: int, outputs: dict) -> None:
        hub = runner.message_hub
        values = {
            name: float(hub.get_scalar(f'train/{name}').current())
            for name in outputs
            if f'train/{name}' in hub.log_scalars and 'loss' in name
        }
        line = not_finite(values)
        if line is not None:
            raise ValueError(
                f'the loss of iteration {done} is not finite, training ends; '
                f'{_last_good(runner)}. {line}'
            )

    def _has_threshold(self) -> bool:
        """Whether pixels below a threshold teach nothing."""
        consistency = getattr(self.model, 'consistency', None)
        return getattr(consistency, 'confidence_threshold', 0) > 0

    def _check_queues(self, runner: Runner, done: int) -> None:
        contrast = getattr(self.model, 'contrast', None)
        if not isinstance(contrast, MemoryContrast):
            return
        fill = contrast.fill_ratio().min(dim=0).values.tolist()
        dataset = runner.train_loop.dataloader.dataset
        classes = dataset.metainfo.get('classes') or range(len(fill))
        self._warn(runner, 'queues', empty_queues(fill, classes, done))

    def _warn(self, runner: Runner, kind: str, line: Optional[str]) -> None:
        """Log a line once, and once more after it had ceased to be true."""
        if line is None:
            self.given.discard(kind)
        elif kind not in self.given:
            self.given.add(kind)
            runner.logger.log(logging.WARNING, line)


def _last_good(runner: Runner) -> str:
    """The checkpoint to resume from, in words."""
    pointer = Path(runner.work_dir, POINTER)
    if not pointer.is_file():
        return 'nothing was saved before'
    return f'the last good checkpoint is {pointer.read_text()}'
