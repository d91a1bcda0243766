# Copyright (c) mmseg_ctt contributors.
from typing import Iterator, List, Optional, Tuple, Union

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ...nn.memory_contrast import MemoryContrast
from ...nn.unwrap import unwrapped

KEY = 'default_hooks.queue_warmup'


@HOOKS.register_module()
class QueueWarmupHook(Hook):
    """Warm-up of a memory bank: switches the contrast on once every queue is full.

    That is the rule of the CTT paper. A class that is never predicted correctly would keep the
    contrast off for the whole run, so ``start_iter`` sets an iteration from which it starts in any
    case: empty entries are masked, and classes without an entry are left out until they have one.
    The filled ratio is logged as ``queue_fill`` (mean over classes) and ``queue_fill_min``. The
    host reads the queues every ``interval`` iterations and only until they are full.

    Args:
        start_iter (int | float, optional): Latest start of the contrast: an iteration, or as a
            float in (0, 1) the ratio of the run that is over by then. Defaults to None: never
            before all queues are full (paper).
        interval (int): Iterations between two readings of the queues. Defaults to 10.
        when_full (bool): Whether full queues start it before ``start_iter``; False: it starts at
            that iteration (STPG released code). Defaults to True.

    Raises:
        TypeError: If ``start_iter`` is no number.
        ValueError: If ``interval`` is not positive, ``start_iter`` is negative or a float of 1 or
            more, or nothing would start the contrast.
    """

    config_key = KEY

    def __init__(
        self, start_iter: Union[None, int, float] = None, interval: int = 10, when_full: bool = True
    ) -> None:
        if interval < 1:
            raise ValueError(f'{KEY}.interval must be positive, got {interval}')
        if not when_full and start_iter is None:
            raise ValueError(
                f'{KEY}.when_full=False needs {KEY}.start_iter: nothing else would start the '
                'contrast'
            )
        self.given, self.interval, self.when_full = _checked_start(start_iter), interval, when_full
        self.start_iter: Optional[int] = None  # in iterations, known when the run starts
        self.contrast: Optional[MemoryContrast] = None

    def stage_starts(self, model: nn.Module, max_iters: int) -> Iterator[Tuple[str, int, str, str]]:
        """The latest start of the contrast, for :func:`check_stages`."""
        contrast, start = self._waiting(model), self._start(max_iters)
        if contrast is None or contrast.active or start is None:
            return
        remedy = 'lower it, or give a ratio of the run such as 0.3'
        if self.when_full:
            remedy += ', or None to wait for full queues alone'
        yield f'{KEY}.start_iter={self.given}', start, 'the contrast never starts', remedy

    def before_train(self, runner: Runner) -> None:
        """Restore the state of a resumed run; log when the contrast starts.

        A model without such a contrast has no state.
        """
        self.contrast = self._waiting(runner.model)
        start = self._start(runner.max_iters)
        self.start_iter = None if start is None else max(start, 1)  # after an iteration
        if self.contrast is None:
            return
        self.contrast.switch(bool(self.contrast.on))
        if self.contrast.active:
            runner.logger.info('contrast: on since an iteration of the resumed run')
            return
        full = 'all queues are full'
        latest = f'iteration {self.start_iter} of {runner.max_iters} ({KEY}.start_iter)'
        if self.start_iter is None:
            when = f'as soon as {full} ({KEY}.start_iter sets a latest iteration)'
        elif self.when_full:
            when = f'after {latest}, or before it when {full}'
        else:
            when = f'after {latest}'
        runner.logger.info(f'contrast: starts {when}')

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Read the queues at the interval."""
        done = runner.iter + 1  # iterations
        if self.contrast is None or (done % self.interval and done != self.start_iter):
            return
        fill = self.contrast.fill_ratio()
        mean, lowest = torch.stack([fill.mean(), fill.min()]).tolist()
        runner.message_hub.update_scalar('train/queue_fill', mean)
        runner.message_hub.update_scalar('train/queue_fill_min', lowest)
        full = lowest == 1
        late = self.start_iter is not None and done >= self.start_iter
        if not self.contrast.active and (late or (full and self.when_full)):
            self.contrast.switch(True)
            runner.logger.info(
                f'contrast starts after iteration {done}: ' + self._reason(fill, full, runner)
            )
        if full:
            self.contrast.mark_full()
        if full and self.contrast.active:  # nothing is left to read
            self.contrast = None

    def after_train(self, runner: Runner) -> None:
        """Warn of a whole run without contrast."""
        off = self.contrast is not None and not self.contrast.active
        if off and runner.iter >= runner.max_iters:
            runner.logger.warning(
                f'the contrast was off in all {runner.iter} iterations, because the queues were '
                f'not full: set {KEY}.start_iter to an earlier iteration'
            )

    @staticmethod
    def _waiting(model: nn.Module) -> Optional[MemoryContrast]:
        """The contrast of a model that waits for this hook, whether or not it is on."""
        contrast = getattr(unwrapped(model), 'contrast', None)
        return contrast if isinstance(contrast, MemoryContrast) and contrast.waits else None

    def _start(self, max_iters: int) -> Optional[int]:
        """Latest start in iterations."""
        return round(self.given * max_iters) if isinstance(self.given, float) else self.given

    def _reason(self, fill: torch.Tensor, full: bool, runner: Runner) -> str:
        if full:
            return 'all queues are full'
        missing: List[int] = (fill.min(dim=0).values < 1).nonzero().flatten().tolist()
        classes = (runner.train_dataloader.dataset.metainfo or {}).get('classes') or missing
        names = ', '.join(
            f'{classes[k] if len(classes) > k else k} {fill[:, k].min():.0%}' for k in missing
        )
        return f'start_iter={self.start_iter} reached; not yet full: {names}'


def _checked_start(given: Union[None, int, float]) -> Union[None, int, float]:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f'{KEY}.start_iter must be a number or None, got {given!r}')
    if given < 0 or (isinstance(given, float) and not 0 < given < 1):
        raise ValueError(
            f'{KEY}.start_iter must be an iteration, such as 500, or a ratio of the run in (0, 1), '
            f'such as 0.3; got {given}'
        )
    return given
