# Copyright (c) mmseg_ctt contributors.
import logging
from contextlib import contextmanager
from inspect import signature
from typing import Any, Dict, Iterator, List, Mapping, Optional, Union

import torch
import torch.nn as nn
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.utils import digit_version
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch.optim import Optimizer

from ..nn.settings import as_dict, check_keys
from ..nn.unwrap import unwrapped
from .part_optimizer import KEY, MEMBERS, PartOptimizer


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StudentOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Constructor of mmengine for the weights of all members that train.

    mmengine without ``paramwise_cfg`` passes frozen parameters to the optimiser; with it, every
    parameter is a group of its own and logs a warning. Here parameters of equal settings are one
    group, which the optimiser updates in one call, on a CPU the fused one. Works for any model,
    with or without teachers.

    Args:
        optim_wrapper_cfg (dict): As mmengine's, and ``part_optimizers`` (dict, optional): an
            optimiser for each named part of the model, of the same form as ``optimizer``, such as
            ``dict(discriminator=dict(type='Adam', lr=1e-4))``; see :class:`PartOptimizer`. A part
            that the model was built without is left out.
        paramwise_cfg (dict, optional): As mmengine's; not for parts with an optimiser of their
            own. Defaults to None.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Optional[dict] = None) -> None:
        wrapper_cfg = dict(optim_wrapper_cfg)
        self.part_cfgs = as_dict(KEY, wrapper_cfg.pop('part_optimizers', None))
        super().__init__(wrapper_cfg, paramwise_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser wrapper of ``model``.

        Raises:
            TypeError: If ``part_optimizers`` or one of them is no dict.
            ValueError: If an optimiser or a part is unknown.
        """
        model = unwrapped(model)
        _check_optimizer('optim_wrapper.optimizer', self.optimizer_cfg)
        # with any key the parent calls `add_params`; this key has its default value
        self.paramwise_cfg: Dict[str, Any] = {
            'bypass_duplicate': False,
            **(self.paramwise_cfg or {}),
        }
        device = next(model.parameters()).device
        if 'foreach' not in self.optimizer_cfg and _fuses(self.optimizer_cfg['type'], device):
            self.optimizer_cfg.setdefault('fused', True)
        self.left_out = (*getattr(model, 'untrained_modules', ()), *self.part_cfgs)
        with _one_line_per_group() as logger:
            wrapper = super().__call__(model)
        for group in wrapper.optimizer.param_groups:
            logger.info(
                'optimiser: %d parameters with lr=%g, weight_decay=%g',
                len(group['params']),
                group['lr'],
                group.get('weight_decay', 0),
            )
        parts = self._part_optimizers(model)
        if not parts:
            return wrapper
        optimizer = PartOptimizer({MEMBERS: wrapper.optimizer, **parts})
        cfg = {'type': 'OptimWrapper', **self.optim_wrapper_cfg}
        return OPTIM_WRAPPERS.build(cfg, default_args=dict(optimizer=optimizer))

    def add_params(
        self, params: List[dict], module: nn.Module, prefix: str = '', **kwargs: Any
    ) -> None:
        """Add the parameters of ``module``.

        Members that do not train and parts with an optimiser of their own are left out.
        """
        if prefix in self.left_out:
            return
        super().add_params(params, module, prefix=prefix, **kwargs)
        if prefix == '':
            params[:] = _merged(params)

    def _part_optimizers(self, model: nn.Module) -> Dict[str, Optimizer]:
        """The optimiser of each part; settings of other parameters do not apply to it."""
        check_keys(KEY, self.part_cfgs, getattr(model, 'parts', ()), 'parts of the model')
        optimizers = {}
        for name, cfg in self.part_cfgs.items():
            _check_optimizer(f'{KEY}.{name}', cfg)
            part = getattr(model, name)
            if isinstance(part, nn.Module) and any(p.requires_grad for p in part.parameters()):
                build = StudentOptimWrapperConstructor(dict(type='OptimWrapper', optimizer=cfg))
                optimizers[name] = build(part).optimizer
            else:
                MMLogger.get_current_instance().warning(
                    '%s.%s is unused: the model has no such weights', KEY, name
                )
        return optimizers


def _check_optimizer(key: str, cfg: Mapping[str, Any]) -> None:
    kind = as_dict(key, cfg).get('type')
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        raise ValueError(f'{key}.type="{kind}" is not known: name one of torch.optim')


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
