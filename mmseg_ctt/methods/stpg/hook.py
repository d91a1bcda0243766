# Copyright (c) mmseg_ctt contributors.
from typing import Iterator, Optional, Tuple

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ...nn.unwrap import unwrapped

KEY = 'default_hooks.anchor_assignment'


@HOOKS.register_module()
class AnchorAssignmentHook(Hook):
    """Matches the anchors of a contrast to its class centroids, at an interval (STPG).

    The matching is the only part of the method on the host. It depends on the number of the
    iteration alone, so that a resumed run equals the uninterrupted run.

    Args:
        interval (int): Iterations between two matchings; the released code matches in each.
            Defaults to 10.
        stop_iter (int, optional): Last iteration with a matching; the released code stops after
            20 epochs of Pascal VOC. Defaults to None: never.

    Raises:
        ValueError: If ``interval`` is not positive, or the model has no anchors to match.
    """

    config_key = KEY
    sections = dict(after_train_iter='contrast')  # for benchmarks

    def __init__(self, interval: int = 10, stop_iter: Optional[int] = None) -> None:
        if interval < 1:
            raise ValueError(f'{KEY}.interval must be positive, got {interval}')
        self.interval, self.stop_iter = interval, stop_iter

    def before_train(self, runner: Runner) -> None:
        """Find the anchors; a model whose contrast has the weight 0 has none."""
        model = unwrapped(runner.model)
        self.contrast = getattr(model, 'contrast', None)
        if self.contrast is not None and not hasattr(self.contrast, 'assign'):
            raise ValueError(
                f'{KEY} needs model.type="STPG", got {type(model).__name__}: set {KEY}=None'
            )

    def stage_starts(self, model: nn.Module, max_iters: int) -> Iterator[Tuple[str, int, str, str]]:
        """The first matching, for :func:`check_stages`."""
        if getattr(unwrapped(model), 'contrast', None) is not None:
            key = f'{KEY}.interval={self.interval}'
            yield key, self.interval - 1, 'no anchor is ever matched', 'lower it'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Match at the interval."""
        done = runner.iter + 1
        stopped = self.stop_iter is not None and done > self.stop_iter
        if self.contrast is not None and done % self.interval == 0 and not stopped:
            self.contrast.assign()
