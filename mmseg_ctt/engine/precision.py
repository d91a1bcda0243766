# Copyright (c) mmseg_ctt contributors.
"""Mixed precision of a training: bfloat16 on any device, float16 on a GPU."""

from contextlib import contextmanager
from typing import Any, ContextManager, Dict, Iterator, Mapping, Union

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.runner import autocast
from mmseg.registry import OPTIM_WRAPPERS

WRAPPERS = dict(bf16='BFloat16OptimWrapper', fp16='AmpOptimWrapper')  # of --amp
OF_FLOAT16 = ('loss_scale', 'dtype', 'use_fsdp')  # settings of AmpOptimWrapper alone


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Optimiser wrapper whose forward passes run in bfloat16 autocast, on a CPU or a GPU.

    bfloat16 has the range of float32, so that gradients need no scale and no step is skipped:
    nothing waits for the device, and the state is that of an ``OptimWrapper``. A run may be resumed
    with another wrapper. Weights, gradients, losses, banks and EMA stay in float32. mmengine's
    ``AmpOptimWrapper`` needs a GPU.

    Args: as :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a forward pass: bfloat16, and no synchronisation while gradients add up."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Load the state of any wrapper; the scale of a run in float16 is left out."""
        state_dict.pop('loss_scaler', None)
        super().load_state_dict(state_dict)


def set_amp(cfg: Config, precision: Union[bool, str] = True) -> None:
    """Switch on automatic mixed precision.

    Args:
        cfg (Config): Of a training; changed in place.
        precision (bool | str): ``'bf16'`` or ``'fp16'``. Defaults to True: bfloat16 where the
            optimiser wrapper of the config names it, else float16.

    Raises:
        ValueError: If it is unknown, the device has not got it, or the optimiser wrapper of the
            config is another one.
    """
    wrapper = cfg.optim_wrapper
    if precision is True:
        named = wrapper.type == WRAPPERS['bf16'] or wrapper.get('dtype') == 'bfloat16'
        precision = 'bf16' if named else 'fp16'
    if precision not in WRAPPERS:
        raise ValueError(f'amp={precision!r} is not known: use "bf16" or "fp16"')
    if wrapper.type not in ('OptimWrapper', *WRAPPERS.values()):
        raise ValueError(
            f'mixed precision (amp) cannot be combined with optim_wrapper.type="{wrapper.type}": '
            'use "OptimWrapper"'
        )
    if precision == 'fp16' and get_device() == 'cpu':
        raise ValueError(
            'mixed precision (amp) in float16 needs a GPU, and none is found: on a CPU use '
            'bfloat16, --amp bf16'
        )
    wrapper.type = WRAPPERS[precision]
    if precision == 'fp16':
        wrapper.setdefault('loss_scale', 'dynamic')
        if wrapper.get('dtype') is not None:
            wrapper.dtype = 'float16'
    else:
        for name in OF_FLOAT16:
            wrapper.pop(name, None)
    check_precision(cfg)


def check_precision(cfg: Mapping[str, Any]) -> None:
    """Check that the device has the precision of a training.

    Args:
        cfg (Mapping): Complete config.

    Raises:
        ValueError: Says which one it has.
    """
    device, kind = get_device(), wrapper_name(cfg)
    if kind == WRAPPERS['fp16'] and device == 'cpu':
        raise ValueError(
            f'optim_wrapper.type="{kind}" needs a GPU, and none is found: set '
            f'optim_wrapper.type="{WRAPPERS["bf16"]}" (bfloat16, --amp bf16), or "OptimWrapper" '
            '(float32)'
        )
    if kind == WRAPPERS['bf16'] and device == 'cuda' and not torch.cuda.is_bf16_supported():
        raise ValueError(
            f'optim_wrapper.type="{kind}" needs a GPU that has bfloat16, and '
            f'{torch.cuda.get_device_name()} has not: use float16, --amp fp16'
        )


def training_precision(cfg: Mapping[str, Any]) -> ContextManager:
    """Context of a forward pass in the precision of a training; float16 is that of a GPU alone.

    Args:
        cfg (Mapping): Complete config.
    """
    bf16 = wrapper_name(cfg) == WRAPPERS['bf16']
    return autocast(enabled=bf16, dtype=torch.bfloat16)


def wrapper_name(cfg: Mapping[str, Any]) -> str:
    """Name of the class of the optimiser wrapper, without its scope; '' where there is none."""
    kind = (cfg.get('optim_wrapper') or {}).get('type') or ''
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]
