# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict, Iterator, Optional, Tuple, Union

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ...nn import settings
from ...nn.schedule import StartPoint
from ...nn.unwrap import unwrapped

KEY = 'default_hooks.past_models'
STORE = ('interval', 'best')


@HOOKS.register_module()
class PastModelsHook(Hook):
    """Stores the student as a past model (PrevMatch).

    - ``store='interval'``: at a fixed interval of the run. It needs no validation, and a short run
      has past models from early on (ours).
    - ``store='best'``: after each validation with a new best score (released code).

    Args:
        store (str): See above. Defaults to 'interval'.
        interval (int | float, optional): Iterations between two models; as a float in (0, 1) a
            ratio of the run. Defaults to None: 0.05.
        metric (str, optional): Score of a validation, higher is better, such as ``'mIoU'`` or
            ``'student0/mIoU'``. Defaults to None: ``'mIoU'``.
        start (int | float): Iterations before which none is stored; as a float in [0, 1) a ratio
            of the run. Defaults to 0.

    Raises:
        TypeError: If ``interval`` or ``start`` is no number.
        ValueError: For another ``store``, an interval or a metric that ``store`` does not read,
            a number outside its bounds, a model without past models, or ``store='best'`` without
            validation.
    """

    config_key = KEY

    def __init__(
        self,
        store: str = 'interval',
        interval: Union[None, int, float] = None,
        metric: Optional[str] = None,
        start: Union[int, float] = 0,
    ) -> None:
        settings.check_choice(f'{KEY}.store', store, STORE)
        for name, value, reader in (('interval', interval, 'interval'), ('metric', metric, 'best')):
            if value is not None and store != reader:
                raise ValueError(
                    f'{KEY}.{name} is read with store={reader!r} alone: remove it, or set that'
                )
        if not isinstance(interval, bool) and interval in (0, 0.0):
            raise ValueError(f'{KEY}.interval must be positive, got {interval}')
        self.store, self.metric = store, metric or 'mIoU'
        self.interval = StartPoint(f'{KEY}.interval', 0.05 if interval is None else interval)
        self.start = StartPoint(f'{KEY}.start', start)
        self.model: Any = None

    def stage_starts(self, model: nn.Module, max_iters: int) -> Iterator[Tuple[str, int, str, str]]:
        """The first past model, for :func:`check_stages`."""
        if self.store == 'interval':
            key = f'{KEY}.interval={self.interval.given}, start={self.start.given}'
            first, every = self.start.iteration(max_iters), self._every(max_iters)
            first = max(every, -(-first // every) * every)
            yield key, first, 'no past model is ever stored', 'lower them'

    def before_train(self, runner: Runner) -> None:
        """Find the ring of past models."""
        model = unwrapped(runner.model)
        if not hasattr(model, 'store_past'):
            raise ValueError(
                f'{KEY} needs model.type="PrevMatch", got {type(model).__name__}: set {KEY}=None'
            )
        interval = getattr(runner.train_loop, 'val_interval', runner.max_iters)
        never = runner.val_loop is None or interval >= runner.max_iters
        if self.store == 'best' and never:
            raise ValueError(
                f'{KEY}.store="best" needs validations during the run: lower '
                f'train_cfg.val_interval, or set {KEY}.store="interval"'
            )
        self.model, self.max_iters = model, runner.max_iters

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Store the student at the interval."""
        done = runner.iter + 1
        due = self.store == 'interval' and done % self._every(self.max_iters) == 0
        if due and self._started(done):
            self.model.store_past()

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        """Store the student after a new best score; every rank knows the scores."""
        if self.store != 'best' or self.model is None:
            return
        if self.metric not in (metrics or {}):
            raise ValueError(
                f'{KEY}.metric={self.metric!r} is no score of the validation, which has '
                f'{sorted(metrics or {})}'
            )
        assert metrics is not None
        best = self.model.ring.best
        score = best.new_tensor(metrics[self.metric])
        if score > best:
            best.copy_(score)
            if self._started(runner.iter):
                self.model.store_past()

    def _every(self, max_iters: int) -> int:
        return max(1, self.interval.iteration(max_iters))

    def _started(self, done: int) -> bool:
        return done >= self.start.iteration(self.max_iters)
