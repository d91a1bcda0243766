# Copyright (c) mmseg_ctt contributors.
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, List, Mapping, Optional, Sized

from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, Runner

from ...datasets.wrappers import same_images
from ...nn.unwrap import segmentor_of
from ..commands import report_of, short_path
from ..start import Start

PACE = 5  # iterations after which the end of the run is estimated


class StartHook(Hook):
    """First lines of a run on the console, and the last; every runner has this hook.

    When the set-up has passed: method, images, length, device and the folder of the log, which has
    config and environment. Then the loss and the time of the first iteration of this process, and
    after a few more the estimated end, without the validations. At the end the last checkpoint, and
    the command that compares the run of a folder with its baseline.

    Args:
        start (Start): Of the runner.
    """

    priority = 'LOWEST'

    def __init__(self, start: Start) -> None:
        self.start, self.begin = start, 0.0
        self.seconds: List[float] = []

    def before_train(self, runner: Runner) -> None:
        """Write what was held back, and the summary."""
        self._open(runner, 'train')
        self.begin, self.seconds = time.monotonic(), []

    def before_val(self, runner: Runner) -> None:
        """The same for a validation without training."""
        self._open(runner, 'val')

    def before_test(self, runner: Runner) -> None:
        """The same for a test."""
        self._open(runner, 'test')

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Log the first iteration, and the estimated end after the first few."""
        self.start.iterated = True
        if len(self.seconds) >= PACE:
            return
        now = time.monotonic()
        self.seconds.append(now - self.begin)
        self.begin = now
        done, whole = runner.iter + 1, runner.max_iters
        if len(self.seconds) == 1:
            hub = runner.message_hub.log_scalars
            loss = f'loss {hub["train/loss"].current():.4f}, ' if 'train/loss' in hub else ''
            runner.logger.info(
                f'iteration {done} of {whole}: {loss}{self.seconds[0]:.1f} s with the first batch'
            )
        elif len(self.seconds) == PACE:
            pace = median(self.seconds[1:])
            left = timedelta(seconds=round(pace * (whole - done)))
            runner.logger.info(
                f'{pace:.2f} s an iteration: {left} without validations, until about '
                f'{datetime.now() + left:%Y-%m-%d %H:%M}'
            )

    def after_train(self, runner: Runner) -> None:
        """Log what was saved."""
        hooks = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
        saved = next((hook.last_ckpt for hook in hooks if hook.last_ckpt), None)
        if saved is None:
            return
        path = saved if '://' in saved else short_path(Path(saved))
        report = report_of(runner.cfg, runner.work_dir)
        runner.logger.info(f'saved {path}' + (f'; next: {report}' if report else ''))

    def _open(self, runner: Runner, stage: str) -> None:
        if self.start.passed:
            return
        self.start.write(runner, training=stage == 'train')
        for line in [*summary(runner, stage), *self.start.notes.get(stage, ())]:
            runner.logger.info(line)


def summary(runner: Runner, stage: str) -> List[str]:
    """Short lines on a run: method, images, length and device, weights, log.

    Args:
        runner (Runner): When all is built.
        stage (str): ``'train'``, ``'val'`` or ``'test'``.
    """
    model = segmentor_of(runner.model)
    members = list(getattr(model, 'members', {}))
    networks = f', {len(members)} networks ({", ".join(members)})' if members else ''
    number = getattr(model, 'num_classes', None)
    classes = '' if number is None else f', {number} classes'
    ranks, verb = get_world_size(), dict(train='trains', val='validates', test='tests')[stage]
    lines = [f'{type(model).__name__}{networks}{classes}: {verb} on {_device(ranks)}']
    lines.append(f'images: {_images(runner, stage)}')
    if stage == 'train':
        validations = f', validation every {runner.val_interval}' if runner.val_loop else ''
        lines.append(f'iterations: {runner.iter} to {runner.max_iters}{validations}')
    if runner._load_from:
        lines.append(f'{"resumed from" if runner._resume else "weights of"} {runner._load_from}')
    lines.append(f'log, config and environment: {Path(runner.log_dir)}')
    return lines


def _device(ranks: int) -> str:
    device = get_device()
    return device if ranks == 1 else f'{device}, {ranks} ranks'


def _images(runner: Runner, stage: str) -> str:
    parts = []
    if stage == 'train':
        loader = runner.train_dataloader
        sizes: Any = getattr(loader.dataset, 'num_images', None)
        sizes = sizes if isinstance(sizes, dict) else dict(train=_size(loader.dataset))
        drawn = getattr(loader.sampler, 'ratio', sizes)
        used, unused = (
            [f'{name} {size}' for name, size in sizes.items() if bool(drawn[name]) == state]
            for state in (True, False)
        )
        line = f'{", ".join(used)} ({loader.batch_size} a step on each rank)'
        parts.append(', '.join([line, *(f'{name} not used' for name in unused)]))
    name = 'test' if stage == 'test' else 'val'
    loop = getattr(runner, f'_{name}_loop')
    if isinstance(loop, BaseLoop):
        validation = (
            ', the validation images' if name == 'test' and tests_validation(runner.cfg) else ''
        )
        parts.append(f'{name} {_size(loop.dataloader.dataset)}{validation}')
    return '; '.join(parts)


def _size(dataset: Sized) -> int:
    return len(dataset)


def tests_validation(cfg: Mapping[str, Any]) -> bool:
    """Whether the test of a config is on its validation images."""
    val, test = ((cfg.get(f'{name}_dataloader') or {}).get('dataset') for name in ('val', 'test'))
    return isinstance(val, Mapping) and isinstance(test, Mapping) and same_images(val, test)
