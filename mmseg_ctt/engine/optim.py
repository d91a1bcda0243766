# Copyright (c) mmseg_ctt contributors.
import logging
from contextlib import contextmanager
from inspect import signature
from typing import Any, Dict, Iterator, List, Union

import torch
import torch.nn as nn
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.utils import digit_version
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StudentOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Constructor of mmengine for the weights of all members that train.

    mmengine without ``paramwise_cfg`` passes frozen parameters to the optimiser; with it, every
    parameter is a group of its own and logs a warning. Here parameters of equal settings are one
    group, which the optimiser updates in one call, on a CPU the fused one. Works for any model,
    with or without teachers.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser wrapper of ``model``.

        Raises:
            ValueError: If the optimiser is unknown.
        """
        kind = self.optimizer_cfg['type']
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            raise ValueError(
                f'optim_wrapper.optimizer.type="{kind}" is not known: name one of torch.optim'
            )
        # with any key the parent calls `add_params`; this key has its default value
        self.paramwise_cfg: Dict[str, Any] = {
            'bypass_duplicate': False,
            **(self.paramwise_cfg or {}),
        }
        if _fuses(self.optimizer_cfg['type'], next(model.parameters()).device):
            self.optimizer_cfg.setdefault('fused', True)
        self.untrained_groups = getattr(model, 'untrained_groups', ())
        with _one_line_per_group() as logger:
            wrapper = super().__call__(model)
        for group in wrapper.optimizer.param_groups:
            logger.info(
                'optimiser: %d parameters with lr=%g, weight_decay=%g',
                len(group['params']),
                group['lr'],
                group.get('weight_decay', 0),
            )
        return wrapper

    def add_params(
        self, params: List[dict], module: nn.Module, prefix: str = '', **kwargs: Any
    ) -> None:
        """Add the parameters of ``module`` unless it is a group of members that do not train."""
        if prefix in self.untrained_groups:
            return
        super().add_params(params, module, prefix=prefix, **kwargs)
        if prefix == '':
            params[:] = _merged(params)


@contextmanager
def _one_line_per_group() -> Iterator[MMLogger]:
    """Suppress the three lines that mmengine logs for every parameter."""
    logger = MMLogger.get_current_instance()

    def is_other(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith('paramwise_options')

    logger.addFilter(is_other)
    try:
        yield logger
    finally:
        logger.removeFilter(is_other)


def _merged(groups: List[dict]) -> List[dict]:
    """Merge groups of equal settings, in the order of their first appearance."""
    merged: Dict[tuple, dict] = {}
    for group in groups:
        settings = {key: value for key, value in group.items() if key != 'params'}
        target = merged.setdefault(tuple(sorted(settings.items())), {**settings, 'params': []})
        target['params'] += group['params']
    return list(merged.values())


def _fuses(kind: Union[str, type], device: torch.device) -> bool:
    """Whether an optimiser has a fused form on the CPU.

    On a GPU PyTorch groups tensors by itself, unless told to fuse.
    """
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    recent = digit_version(torch.__version__) >= digit_version('2.4')
    return device.type == 'cpu' and recent and 'fused' in signature(kind).parameters
