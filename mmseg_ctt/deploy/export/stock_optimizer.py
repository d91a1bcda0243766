# Copyright (c) mmseg_ctt contributors.
"""Optimiser of a config as stock mmseg builds it."""

from typing import Any, Dict, List, Mapping

from ...engine.precision import WRAPPERS
from ...engine.sharded_optimizer import INNER, SETTINGS, is_sharded
from .stock_types import is_own, type_name


def stock_optim_wrapper(wrapper: Mapping[str, Any], notes: List[str]) -> Dict[str, Any]:
    """Optimiser wrapper without what the constructor of this package reads alone.

    Args:
        wrapper (Mapping): ``optim_wrapper`` of the config.
        notes (list[str]): Notes for the user are appended.
    """
    stock = dict(wrapper)
    if type_name(stock) == WRAPPERS['bf16']:
        stock['type'] = 'OptimWrapper'
        notes.append('trains in float32: bfloat16 of stock mmengine needs a GPU')
    if not is_own(dict(type=stock.get('constructor', ''))):
        return stock
    stock.pop('constructor')
    stock.pop('part_optimizers', None)  # of parts that a plain model has not
    paramwise = dict(stock.get('paramwise_cfg') or {})
    if paramwise.pop('layer_decay', None) is not None:
        stock['paramwise_cfg'] = paramwise or None
        notes.append(
            'without layer_decay of the learning rate, which stock mmseg has for no such backbone'
        )
    optimizer = dict(stock.get('optimizer') or {})
    if is_sharded(optimizer):  # with which stock mmengine hangs at a checkpoint
        inner = optimizer.pop(INNER)
        kept = {key: value for key, value in optimizer.items() if key not in SETTINGS}
        stock['optimizer'] = dict(kept, type=inner)
    return stock
