# Copyright (c) mmseg_ctt contributors.
import os.path as osp
from collections import deque
from pathlib import Path
from typing import Any, Deque, Dict, Iterable, List, Optional, Tuple, Union

from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub
from mmengine.runner import BaseLoop, Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ...datasets.whole_files import PARTIAL, write_whole
from ...nn.batch_statistics import KEY as STATISTICS
from ...nn.batch_statistics import mean_statistics, statistics_of_ranks, take_own_statistics
from ...nn.ranks import on_main_process
from ...nn.unwrap import segmentor_of, unwrapped
from ..checkpoint import BACKEND, POINTER
from ..config_changes import Change, shown
from ..resume import find_whole_checkpoint, refuse_broken, refuse_misfit
from ..resumed_settings import compare, refuse_other_optimizer, refuse_other_scale, report
from ..sharded_optimizer import gathered_state

WITH_VALIDATION = 'validation'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Checkpoints of mmengine that survive a kill at any moment and a full disk.

    - A file is written atomically, then ``last_checkpoint``; outdated checkpoints are removed
      last. mmengine removes them first and writes in place.
    - On several ranks it has the mean of their running statistics of batch norm, as a validation
      has, and those of each rank, with which a run on as many ranks goes on.
    - With gradient accumulation a checkpoint is delayed to the next step of the optimiser, when
      no accumulated gradients are pending.
    - A checkpoint of another model or optimiser is refused. mmengine loads the entries that fit.
    - A resumed run lists the settings that have changed, those without effect as a warning.
    - ``resume=True`` without a file resumes from the newest intact checkpoint.
    - The history of logged values in a checkpoint is bounded; in mmengine it grows with every
      iteration.

    Args:
        interval (int | str): Iterations (epochs with ``by_epoch``) between checkpoints, or
            ``'validation'``: as often as the run validates. Defaults to -1: the last only.
        by_epoch (bool): Defaults to False.
        history (int): Number of values kept of each logged quantity. A longer log window, such as
            ``'global'`` in ``log_processor.custom_cfg``, averages these only. Defaults to 1000.
        **kwargs: See :class:`mmengine.hooks.CheckpointHook`. With ``backend_args`` of another file
            system, writing is as safe as that backend.

    Raises:
        ValueError: If ``history`` is not positive, or the checkpoint to load is damaged or of
            another model.
        OSError: If a checkpoint cannot be written; older ones are intact.
    """

    _default_greater_keys = [*CheckpointHook._default_greater_keys, 'retrieval']

    def __init__(
        self,
        interval: Union[int, str] = -1,
        by_epoch: bool = False,
        history: int = 1000,
        **kwargs: Any,
    ) -> None:
        if isinstance(interval, str) and interval != WITH_VALIDATION:
            raise ValueError(
                f'SafeCheckpointHook.interval must be a number or {WITH_VALIDATION!r}, got '
                f'{interval!r}'
            )
        self.with_validation = interval == WITH_VALIDATION
        super().__init__(-1 if isinstance(interval, str) else interval, by_epoch, **kwargs)
        if history < 1:
            raise ValueError(f'SafeCheckpointHook.history must be positive, got {history}')
        self.history = history
        self.due = False
        self.statistics: Dict[str, Tensor] = {}

    def _init_rule(self, rules: Any, key_indicators: Any) -> None:
        """Whether a higher score is the better one; mmengine knows it by the name of the score."""
        try:
            super()._init_rule(rules, key_indicators)
        except ValueError as error:
            if 'Cannot infer' not in str(error):
                raise
            names = ', '.join(map(repr, key_indicators))
            raise ValueError(
                f'default_hooks.checkpoint.save_best={names}: it is not known of each whether more '
                'is better; set the name of a score such as mIoU, or '
                'default_hooks.checkpoint.rule="greater"'
            ) from None

    def before_run(self, runner: Runner) -> None:
        """Find the checkpoint to resume from if none is named; check a named one."""
        # nodes may see a shared file system differently
        runner._resume, runner._load_from = on_main_process(lambda: _start_of(runner))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse a checkpoint of another model; list what its run had otherwise."""
        training = isinstance(runner._train_loop, BaseLoop)
        purpose = 'test' if not training else 'resume' if runner._resume else 'start'
        model = segmentor_of(runner.model)
        found = compare(runner, checkpoint) if purpose == 'resume' else []
        refuse_misfit(runner._load_from, checkpoint, model, purpose, _of_weights(found))
        if purpose != 'resume':
            refuse_other_scale(runner._load_from, checkpoint, runner.cfg.get('model'))
            return
        refuse_other_optimizer(runner, checkpoint, found)
        take_own_statistics(checkpoint)
        report(runner, checkpoint, found)
        planned = checkpoint['message_hub']['runtime_info'].get('max_iters')
        if planned not in (None, runner.max_iters):
            runner.logger.warning(
                f'this run has {runner.max_iters} iterations, and the one it resumes was planned '
                f'with {planned}: the schedule of the learning rate is still that of {planned}'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the running statistics of each rank."""
        if self.statistics:
            checkpoint[STATISTICS] = self.statistics

    def before_train(self, runner: Runner) -> None:
        """Set interval and folder, and remove partial files of a killed run."""
        if self.with_validation:
            self.interval = runner.train_loop.val_interval
        folder = self.out_dir or runner.work_dir
        if '://' not in str(folder) and not (self.backend_args or self.file_client_args):
            self.backend_args: Optional[dict] = dict(backend=BACKEND)
        super().before_train(runner)
        self._take_own_best(runner)
        if is_main_process() and osp.isdir(self.out_dir):
            for partial in Path(self.out_dir).glob(f'*.pth{PARTIAL}'):
                partial.unlink()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Save at the interval and at the end, after a step of the optimiser."""
        if self.by_epoch:
            return
        self.due |= self.every_n_train_iters(runner, self.interval, self.save_begin)
        self.due |= self.save_last and self.is_last_train_iter(runner)
        if self.due and runner.optim_wrapper.should_update():
            runner.logger.info(f'Saving checkpoint at {runner.iter + 1} iterations')
            self._save_checkpoint(runner)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self.due = not runner.optim_wrapper.should_update()
        if self.due:  # a new best score, between two steps of the optimiser
            return
        hub, name = runner.message_hub, self.filename_tmpl.format(step)
        outdated = self._add_to_kept(hub, step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        hub.update_info('last_ckpt', self.last_ckpt)
        bound_history(hub, self.history)
        model = unwrapped(runner.model)
        self.statistics = statistics_of_ranks(model)
        optimizer = runner.optim_wrapper if self.save_optimizer else None
        with gathered_state(optimizer), mean_statistics(model):
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
        self.statistics = {}  # of this file; one of a best score alone is not resumed
        if is_main_process():
            write_whole(osp.join(runner.work_dir, POINTER), self.last_ckpt.encode())
        self._remove(
            self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
            for old in outdated
        )
        if self.max_keep_ckpts > 0:
            hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _add_to_kept(self, hub: MessageHub, step: int) -> List[int]:
        """Add a checkpoint to the list of kept ones and return those to remove after writing it.

        These stay on the list that the checkpoint holds: if the run is killed before their
        removal, mmengine removes them when the run is resumed.
        """
        if self.max_keep_ckpts <= 0:
            return []
        steps = [*(old for old in self.keep_ckpt_ids if old != step), step]
        hub.update_info('keep_ckpt_ids', steps)
        self.keep_ckpt_ids: Deque[int] = deque(steps[-self.max_keep_ckpts :], self.max_keep_ckpts)
        return steps[: -self.max_keep_ckpts]

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save a new best checkpoint; unlike in mmengine, the old one is removed after it."""
        if not self.save_best:
            return
        before = self._best()
        self._set_best(dict.fromkeys(before))
        super()._save_best_checkpoint(runner, metrics)
        after = self._best()
        self._remove(
            path for key, path in before.items() if path and after.get(key) not in (None, path)
        )
        self._set_best({key: path or before.get(key) for key, path in after.items()})

    def _take_own_best(self, runner: Runner) -> None:
        """Leave the best checkpoint of a resumed run in another folder alone.

        Its file in this folder takes its place, if there is one: the folder was moved or copied.
        """
        if not self.save_best:
            return
        recorded = self._best()
        best = {key: path and self._own_file(path) for key, path in recorded.items()}
        self._set_best(best)
        for key in (key for key, path in recorded.items() if path != best[key]):
            name = 'best_ckpt' if key == 'only' else f'best_ckpt_{key}'
            runner.message_hub.update_info(name, best[key])
            if best[key] is None:
                runner.logger.info(
                    f'the best checkpoint so far, {recorded[key]}, is of another work dir and is '
                    f'not touched: a better one will be in {self.out_dir}'
                )

    def _own_file(self, path: str) -> Optional[str]:
        """A file of ``out_dir``, or that of its name there; None without one."""
        if _real(osp.dirname(path)) == _real(self.out_dir):
            return path
        own = self.file_backend.join_path(self.out_dir, osp.basename(path))
        return own if self.file_backend.isfile(own) else None

    def _best(self) -> dict:
        if len(self.key_indicators) == 1:
            return {'only': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths['only']
        else:
            self.best_ckpt_path_dict = paths

    def _publish_model(self, runner: Runner, ckpt_path: Optional[str]) -> None:
        if ckpt_path is not None:  # no best one is in this folder
            super()._publish_model(runner, ckpt_path)

    @master_only
    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            if self._own_file(path) == path and self.file_backend.isfile(path):
                self.file_backend.remove(path)


def _real(folder: str) -> str:
    return folder.rstrip('/') if '://' in folder else osp.realpath(folder)


def _start_of(runner: Runner) -> Tuple[bool, Optional[str]]:
    """Whether to resume, and the checkpoint to load, which is intact."""
    if runner._resume and runner._load_from is None:
        return True, find_whole_checkpoint(runner.work_dir)
    if runner._load_from is not None:
        refuse_broken(runner._load_from)
    return runner._resume, runner._load_from


def _of_weights(found: List[Change]) -> List[str]:
    """Settings that say which entries a model has and differ, for a message."""
    return [
        f'{change.key} is {shown(change.old)} there and {shown(change.new)} here'
        for change in found
        if change.path[0] == 'model' or change.path[:2] == ('default_hooks', 'alignment')
    ]


def bound_history(hub: MessageHub, length: int) -> None:
    """Bound the history of every logged quantity.

    mmengine keeps a million values, copies them at every update and writes all to checkpoints.

    Args:
        hub (MessageHub): Changed in place.
        length (int): Number of values to keep.
    """
    for buffer in hub.log_scalars.values():
        buffer.max_length = length  # takes effect at the next update
