# Copyright (c) mmseg_ctt contributors.
"""Checks of a config about the length of the run: iterations, epochs and schedules."""

import math
import os
from typing import Any, List, Mapping

from mmengine.registry import DefaultScope

from ..datasets.sampler import STREAMS, ratio_by_source
from ..datasets.sources import build_source, source_config, source_names
from ..datasets.wrappers import distinct_infos, with_pipeline

ENDLESS = (*STREAMS, 'InfiniteSampler')
BY_EPOCH = dict(CheckpointHook=True, SafeCheckpointHook=False)  # defaults of `by_epoch`


def check_length(cfg: Mapping[str, Any]) -> None:
    """Check that a run of the config has an end, and that its schedules have an effect.

    Args:
        cfg (Mapping): Complete config.

    Raises:
        ValueError: For epochs of a sampler without an end; for a schedule, or checkpoints, by
            epochs in a run by iterations; for a run that ends before one of its schedules begins.
    """
    loop = cfg.get('train_cfg') or {}
    if not isinstance(loop, Mapping):
        return
    _refuse_epochs(cfg, loop)
    if loop.get('max_iters') is not None:
        _refuse_epoch_settings(cfg)
        _check_schedules(cfg, loop['max_iters'])


def ends_with_run(schedule: Mapping[str, Any], number: int) -> bool:
    """Whether a schedule says an end that is that of the run.

    Args:
        schedule (Mapping): Of ``param_scheduler``.
        number (int): Iterations of the run; a schedule may end one later.
    """
    return (schedule.get('end') or 0) - number in (0, 1)


def check_other_length(cfg: Mapping[str, Any], changes: Mapping[str, Any], key: str) -> None:
    """Check that changes of a config do not leave a schedule at the length of the run before.

    Args:
        cfg (Mapping): Complete config without the changes.
        changes (Mapping): That will be merged into it.
        key (str): Of the changes, for the message.

    Raises:
        ValueError: If they set ``train_cfg.max_iters`` alone, and a schedule ends with the run.
    """
    before = (cfg.get('train_cfg') or {}).get('max_iters')
    after = (changes.get('train_cfg') or {}).get('max_iters')
    if before is None or after in (None, before) or 'param_scheduler' in changes:
        return
    for i, node in _schedules(cfg):
        if ends_with_run(node, before):
            raise ValueError(
                f'{key}.train_cfg.max_iters={after} leaves param_scheduler.{i}.end={node["end"]}, '
                f'the end of a run of {before} iterations: set {key}.sizes.max_iters={after} in '
                'its place, which moves both'
            )


def log_once(cfg: Mapping[str, Any]) -> None:
    """A run that is shorter than the interval of its log has one entry, at its end.

    Args:
        cfg (Mapping): Complete config; changed in place.
    """
    number = (cfg.get('train_cfg') or {}).get('max_iters')
    logger = (cfg.get('default_hooks') or {}).get('logger')
    if number and isinstance(logger, dict) and _kind(logger) == 'LoggerHook':
        if logger.get('interval', 0) > number:
            logger['interval'] = number


def _refuse_epochs(cfg: Mapping[str, Any], loop: Mapping[str, Any]) -> None:
    sampler = (cfg.get('train_dataloader') or {}).get('sampler') or {}
    epochs = loop.get('max_epochs')
    by_epoch = 'EpochBased' in _kind(loop) or loop.get('by_epoch') or epochs is not None
    if not by_epoch or _kind(sampler) not in ENDLESS:
        return
    raise ValueError(
        f'train_cfg.max_epochs={epochs}: the sampler {_kind(sampler)} draws without end, so that '
        'an epoch would never end. Count in iterations: train_cfg=dict(_delete_=True, '
        'type="ResumableTrainLoop", max_iters=N, val_interval=N // 10), and by_epoch=False in '
        f'param_scheduler{_passes(cfg, epochs)}'
    )


def _passes(cfg: Mapping[str, Any], epochs: Any) -> str:
    """Iterations of ``epochs`` passes over each source as the end of a sentence; '' if unknown."""
    try:
        loader = cfg['train_dataloader']
        data = loader['dataset']
        ratio = ratio_by_source(loader['sampler'].get('ratio'), source_names(data))
        batch = loader['batch_size'] * int(os.environ.get('WORLD_SIZE', 1))
        iterations: List[str] = []
        with DefaultScope.overwrite_default_scope('mmseg'):
            for name, count in ratio.items():
                if count:
                    source = build_source(name, with_pipeline(source_config(data, name), []))
                    drawn = batch * count / sum(ratio.values())  # images of it in an iteration
                    number = math.ceil(epochs * len(distinct_infos(source)) / drawn)
                    iterations.append(f'{number} for the {name} images')
    except Exception:  # the data have a fault of their own, or there is no number of epochs
        return ''
    return f'; {epochs} passes are N={" and N=".join(iterations)}'


def _refuse_epoch_settings(cfg: Mapping[str, Any]) -> None:
    """In a run by iterations no epoch ends before the run does."""
    for i, node in _schedules(cfg):
        if node.get('by_epoch', True) and not node.get('convert_to_iter_based'):
            raise ValueError(
                f'param_scheduler.{i} counts epochs, and train_cfg.max_iters counts iterations: it '
                f'would never change the learning rate. Set param_scheduler.{i}.by_epoch=False, '
                'and its begin and end in iterations'
            )
    for name, hook in (cfg.get('default_hooks') or {}).items():
        by_epoch = BY_EPOCH.get(_kind(hook or {}))
        interval = (hook or {}).get('interval', -1)
        if by_epoch is None or not hook.get('by_epoch', by_epoch) or interval == -1:
            continue
        raise ValueError(
            f'default_hooks.{name}.by_epoch=True, and train_cfg.max_iters counts iterations: no '
            f'checkpoint would be saved before the end. Set default_hooks.{name}.by_epoch=False'
        )


def _check_schedules(cfg: Mapping[str, Any], number: int) -> None:
    """Check that each schedule begins before it ends; without an end it ends with the run."""
    for i, node in _schedules(cfg):
        begin, end = node.get('begin') or 0, node.get('end')
        if end is None and not node.get('by_epoch', True):
            end = number
        if end is not None and begin >= end:
            raise ValueError(
                f'a run of {number} iterations (sizes.max_iters, train_cfg.max_iters) is no '
                f'longer than the warm-up, after which param_scheduler.{i}.begin={begin}: train '
                'longer, or for a short run set param_scheduler=[], a constant learning rate'
            )


def _schedules(cfg: Mapping[str, Any]) -> List[tuple]:
    given = cfg.get('param_scheduler')
    nodes = given if isinstance(given, (list, tuple)) else [given]
    return [(i, node) for i, node in enumerate(nodes) if isinstance(node, Mapping)]


def _kind(node: Mapping[str, Any]) -> str:
    """Name of a type without its scope; '' without one."""
    kind = node.get('type', '')
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
