# Copyright (c) mmseg_ctt contributors.
import time
from typing import Any

from mmengine.hooks import IterTimerHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class DataTimerHook(IterTimerHook):
    """mmengine's timer whose ``data_time`` in training is the wait for the batch and nothing else.

    mmengine counts as ``data_time`` all that passes since its hook was called after the iteration
    before: checkpoints, validations and the log, too. :class:`ResumableTrainLoop` notes when it
    begins to wait; with other loops the two are the same. ``time`` has all of it, as in mmengine.
    """

    def _before_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, mode: str = 'train'
    ) -> None:
        since = getattr(runner.train_loop, 'waits_since', None) if mode == 'train' else None
        if since is None:
            super()._before_iter(runner, batch_idx, data_batch, mode)
        else:
            runner.message_hub.update_scalar('train/data_time', time.time() - since)
