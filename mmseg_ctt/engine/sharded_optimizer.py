# Copyright (c) mmseg_ctt contributors.
"""Optimiser state divided among ranks by mmengine's ``ZeroRedundancyOptimizer``."""

from contextlib import ExitStack, contextmanager
from typing import Any, Dict, Iterator, List, Mapping

import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapperDict
from mmseg.registry import OPTIMIZERS

from .part_optimizer import PartOptimizer

SHARDED = 'ZeroRedundancyOptimizer'
INNER = 'optimizer_type'
SETTINGS = ('process_group', 'parameters_as_bucket_view', 'overlap_with_ddp')  # of the division


def is_sharded(optimizer_cfg: Mapping[str, Any]) -> bool:
    """Whether a config of an optimiser divides its state among the ranks."""
    kind = optimizer_cfg.get('type')
    return getattr(kind, '__name__', kind) == SHARDED


def check_sharded(key: str, optimizer_cfg: Mapping[str, Any]) -> None:
    """Check the settings of a sharded optimiser.

    Args:
        key (str): Place of the optimiser in the config.
        optimizer_cfg (Mapping): Its config.

    Raises:
        ValueError: If it does not name an optimiser of ``torch.optim``, or asks for an update
            during the backward pass, which accumulation, clipping and AMP would miss.
    """
    kind = optimizer_cfg.get(INNER)
    if not isinstance(kind, str) or not isinstance(getattr(torch.optim, kind, None), type):
        raise ValueError(
            f'{key}.{INNER}={kind!r} is no optimiser of torch.optim: {SHARDED} divides the state '
            "of one among the ranks, such as optimizer_type='AdamW'"
        )
    if optimizer_cfg.get('overlap_with_ddp'):
        raise ValueError(
            f'{key}.overlap_with_ddp=True makes no step of its own, which the teachers wait for: '
            'remove it'
        )


def without_ranks(optimizer_cfg: Mapping[str, Any]) -> Dict[str, Any]:
    """Config of the optimiser that a run with a single process needs: the inner one alone."""
    settings = dict(optimizer_cfg)
    settings['type'] = settings.pop(INNER)
    for name in SETTINGS:
        settings.pop(name, None)
    MMLogger.get_current_instance().info(
        f'optimiser: {settings["type"]}, whose state is not divided: the run has one process'
    )
    return settings


@contextmanager
def gathered_state(optim_wrapper: Any) -> Iterator[None]:
    """Gather divided states on the first rank, so that it alone can save them in the block.

    Every rank must enter. mmengine gathers when the state is read, and reads it on the first rank
    alone, which then waits for the others for ever.

    Args:
        optim_wrapper (OptimWrapper | OptimWrapperDict, optional): Of the run; None: no state is
            saved.
    """
    with ExitStack() as stack:
        for optimizer in _sharded_optimizers(optim_wrapper):
            optimizer.consolidate_state_dict()
            optimizer.consolidate_state_dict = lambda to=0: None  # which its `state_dict` calls
            stack.callback(_release, optimizer)
        yield


def _release(optimizer: Any) -> None:
    del optimizer.consolidate_state_dict
    optimizer._all_state_dicts = []  # the gathered copies


def _sharded_optimizers(optim_wrapper: Any) -> List[Any]:
    several = isinstance(optim_wrapper, OptimWrapperDict)
    wrappers = optim_wrapper.values() if several else [optim_wrapper] if optim_wrapper else []
    found: List[Any] = []
    for optimizer in (wrapper.optimizer for wrapper in wrappers):
        parts = optimizer.optimizers if isinstance(optimizer, PartOptimizer) else {'': optimizer}
        found += [part for part in parts.values() if isinstance(part, OPTIMIZERS.get(SHARDED))]
    return found
