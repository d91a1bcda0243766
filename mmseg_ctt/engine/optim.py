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
    """mmengine's constructor, with the weights of all members that train.

    Without ``paramwise_cfg`` mmengine passes frozen parameters to the optimiser, with it a
    warning for each is logged, and every parameter becomes a group of its own. Here parameters of
    equal settings share a group, so that the optimiser treats them in one call, and on a CPU that
    call is the fused one. Works for any model; one without teachers loses nothing.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser wrapper of ``model``.

        Raises:
            ValueError: If there is no optimiser of the name.
        """
        kind = self.optimizer_cfg['type']
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            raise ValueError(
                f'optim_wrapper.optimizer.type="{kind}" is not known: name one of torch.optim'
            )
        # any key makes the parent go through `add_params`; this one changes nothing
        self.paramwise_cfg = {'bypass_duplicate': False, **(self.paramwise_cfg or {})}
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
        """Add the parameters of ``module``, unless it is a group of members that do not train."""
        if prefix in self.untrained_groups:
            return
        super().add_params(params, module, prefix=prefix, **kwargs)
        if prefix == '':
            params[:] = _merged(params)


@contextmanager
def _one_line_per_group() -> Iterator[MMLogger]:
    """Hold back mmengine's three lines for every single parameter."""
    logger = MMLogger.get_current_instance()

    def is_news(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith('paramwise_options')

    logger.addFilter(is_news)
    try:
        yield logger
    finally:
        logger.removeFilter(is_news)


def _merged(groups: List[dict]) -> List[dict]:
    """Groups of equal settings as one, in the order in which they first appear."""
    merged: Dict[tuple, dict] = {}
    for group in groups:
        settings = {key: value for key, value in group.items() if key != 'params'}
        same = merged.setdefault(tuple(sorted(settings.items())), {**settings, 'params': []})
        same['params'] += group['params']
    return list(merged.values())


def _fuses(kind: Union[str, type], device: torch.device) -> bool:
    """Whether an optimiser has a fused form on the CPU.

    On a GPU PyTorch groups tensors by itself, unless told to fuse.
    """
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    recent = digit_version(torch.__version__) >= digit_version('2.4')
    return device.type == 'cpu' and recent and 'fused' in signature(kind).parameters
