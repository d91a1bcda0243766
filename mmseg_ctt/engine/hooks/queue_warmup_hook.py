# Copyright (c) mmseg_ctt contributors.
from typing import List, Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

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
        start_iter (int, optional): Latest start of the contrast. Defaults to None: never before
            all queues are full (paper).
        interval (int): Iterations between two readings of the queues. Defaults to 10.
        when_full (bool): Whether full queues start it before ``start_iter``; False: it starts at
            that iteration (STPG released code). Defaults to True.

    Raises:
        ValueError: If ``interval`` is not positive, or nothing would start the contrast.
    """

    config_key = KEY

    def __init__(
        self, start_iter: Optional[int] = None, interval: int = 10, when_full: bool = True
    ) -> None:
        if interval < 1:
            raise ValueError(f'{KEY}.interval must be positive, got {interval}')
        if not when_full and start_iter is None:
            raise ValueError(
                f'{KEY}.when_full=False needs {KEY}.start_iter: nothing else would start the '
                'contrast'
            )
        self.start_iter, self.interval, self.when_full = start_iter, interval, when_full
        self.contrast: Optional[MemoryContrast] = None

    def before_train(self, runner: Runner) -> None:
        """Restore the state of a resumed run; warn of a run that is too short for the contrast.

        A model without such a contrast has no state.
        """
        contrast = getattr(unwrapped(runner.model), 'contrast', None)
        self.contrast = None
        if isinstance(contrast, MemoryContrast) and contrast.waits:
            self.contrast = contrast
            contrast.switch(bool(contrast.on))
            if not contrast.active:
                self._warn_if_late(runner)

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

    def _warn_if_late(self, runner: Runner) -> None:
        if self.start_iter is None or self.start_iter < runner.max_iters:
            return
        unless = ', unless all queues are full before' if self.when_full else ''
        runner.logger.warning(
            f'{KEY}.start_iter={self.start_iter}, but the run has {runner.max_iters} iterations: '
            f'it has no contrast{unless}; lower {KEY}.start_iter'
        )

    def _reason(self, fill: torch.Tensor, full: bool, runner: Runner) -> str:
        if full:
            return 'all queues are full'
        missing: List[int] = (fill.min(dim=0).values < 1).nonzero().flatten().tolist()
        classes = (runner.train_dataloader.dataset.metainfo or {}).get('classes') or missing
        names = ', '.join(
            f'{classes[k] if len(classes) > k else k} {fill[:, k].min():.0%}' for k in missing
        )
        return f'start_iter={self.start_iter} reached; not yet full: {names}'
