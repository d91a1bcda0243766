# Copyright (c) mmseg_ctt contributors.
import logging
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any, Dict, Iterator, List, Mapping, Optional, Union

import torch
import torch.nn as nn
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.utils import digit_version
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch.optim import Optimizer

from ..nn.settings import as_dict, check_keys
from ..nn.tuning import WeightCount
from ..nn.unwrap import unwrapped
from .held_log import show
from .layer_decay import KEY as LAYER_DECAY
from .layer_decay import LayerDecay, is_decayed, layer_rates, rate_table
from .part_optimizer import KEY, MEMBERS, PartOptimizer
from .sharded_optimizer import INNER, check_sharded, is_sharded, without_ranks

PARAMWISE = 'optim_wrapper.paramwise_cfg'
_KNOWN = (
    *('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'dwconv_decay_mult'),
    *('flat_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate', 'layer_decay'),
)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StudentOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Constructor of mmengine for the weights of all members that train.

    mmengine without ``paramwise_cfg`` passes frozen parameters to the optimiser; with it, every
    parameter is a group of its own and logs a warning. Here parameters of equal settings are one
    group, which the optimiser updates in one call, on a CPU the fused one. Works for any model,
    with or without teachers. ``ZeroRedundancyOptimizer`` in a run of one process is its inner
    optimiser.

    Args:
        optim_wrapper_cfg (dict): As mmengine's, and ``part_optimizers`` (dict, optional): an
            optimiser for each named part of the model, of the same form as ``optimizer``, such as
            ``dict(discriminator=dict(type='Adam', lr=1e-4))``; see :class:`PartOptimizer`. A part
            that the model was built without is left out.
        paramwise_cfg (dict, optional): As mmengine's, and ``layer_decay`` (float | dict), see
            :class:`LayerDecay`: norms, biases, position embeddings and tokens then have no weight
            decay, unless their key of ``custom_keys`` sets ``decay_mult``. Not for parts with an
            optimiser of their own. Defaults to None.
    """

    optimizer_cfg: Dict[str, Any]

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Optional[dict] = None) -> None:
        wrapper_cfg = dict(optim_wrapper_cfg)
        self.part_cfgs = as_dict(KEY, wrapper_cfg.pop('part_optimizers', None))
        settings = as_dict(PARAMWISE, paramwise_cfg)
        check_keys(PARAMWISE, settings, _KNOWN)
        decay = settings.pop('layer_decay', None)
        self.layer_decay = None if decay is None else LayerDecay.of(decay)
        super().__init__(wrapper_cfg, settings)
        if self.layer_decay is not None and self.base_lr is None:
            raise ValueError(f'{LAYER_DECAY} needs optim_wrapper.optimizer.lr: set it')

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser wrapper of ``model``.

        Raises:
            TypeError: If ``part_optimizers`` or one of them is no dict.
            ValueError: If an optimiser or a part is unknown, or the layer of a weight is not known.
        """
        model = unwrapped(model)
        _check_optimizer('optim_wrapper.optimizer', self.optimizer_cfg)
        if is_sharded(self.optimizer_cfg) and not is_distributed():
            self.optimizer_cfg = without_ranks(self.optimizer_cfg)
        # with any key the parent calls `add_params`; this key has its default value
        self.paramwise_cfg: Dict[str, Any] = {'bypass_duplicate': False, **self.paramwise_cfg}
        device = next(model.parameters()).device
        if 'foreach' not in self.optimizer_cfg and _fuses(_kind(self.optimizer_cfg), device):
            self.optimizer_cfg.setdefault('fused', True)
        self.left_out = (*getattr(model, 'untrained_modules', ()), *self.part_cfgs)
        self.rate_table: Optional[str] = None
        with _one_line_per_group() as logger:
            wrapper = super().__call__(model)
        self._log(model, wrapper.optimizer, logger)
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
            if self.layer_decay is not None:
                self._decay_by_layer(params, module, self.layer_decay)
            params[:] = _merged(params)

    def _decay_by_layer(self, groups: List[dict], model: nn.Module, decay: LayerDecay) -> None:
        """Multiply the learning rates by the factors of the layers; groups of one weight each."""
        names = {id(weight): name for name, weight in model.named_parameters()}
        by_name = {names[id(group['params'][0])]: group for group in groups}
        factors, base_lr = layer_rates(by_name, decay), float(self.base_lr or 0)
        # without a decay a group of its own would change the optimiser's state and nothing else
        decays = self.base_wd is not None or _default_decay(self.optimizer_cfg) != 0
        for name, group in by_name.items():
            if name in factors:
                group['lr'] = group.get('lr', base_lr) * factors[name].factor
            if decays and not is_decayed(name, group['params'][0]):
                if 'decay_mult' not in self._custom_settings(name):
                    group['weight_decay'] = 0.0
        layers = {n: factors[n].layer if n in factors else 'other parts' for n in by_name}
        rates = {name: group.get('lr', base_lr) for name, group in by_name.items()}
        self.rate_table = f'learning rates with {LAYER_DECAY}={decay.rate}:\n' + rate_table(
            layers, rates
        )

    def _custom_settings(self, name: str) -> Mapping[str, Any]:
        """Settings of the key of ``custom_keys`` that mmengine applies to a weight."""
        keys = self.paramwise_cfg.get('custom_keys') or {}
        for key in sorted(sorted(keys), key=len, reverse=True):
            if key in name:
                return keys[key]
        return {}

    def _log(self, model: Any, optimizer: Optimizer, logger: MMLogger) -> None:
        """Learning rates, and the number of trained weights of members that are frozen in part."""
        if self.rate_table is not None:
            logger.info(self.rate_table)
        for group in optimizer.param_groups if self.rate_table is None else ():
            logger.info(
                'optimiser: %d parameters with lr=%g, weight_decay=%g',
                len(group['params']),
                group['lr'],
                group.get('weight_decay', 0),
            )
        members = getattr(model, 'members', None)
        trained = [] if members is None else [name for name in members if members[name].trains]
        counts = {name: WeightCount.of(model.member(name)) for name in trained}
        if members is None:
            counts = {'the network': WeightCount.of(model)}
        for name, count in counts.items():
            if count.trained < count.total:
                show(f'{name} trains {count}')

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
    if is_sharded(cfg):
        check_sharded(key, cfg)


@contextmanager
def _one_line_per_group() -> Iterator[MMLogger]:
    """Suppress the lines that mmengine logs for every parameter, trained or frozen."""
    logger = MMLogger.get_current_instance()

    def is_other(record: logging.LogRecord) -> bool:
        line = record.getMessage()
        frozen = 'is skipped since its requires_grad=False' in line
        return not (frozen or line.startswith('paramwise_options'))

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


def _kind(cfg: Mapping[str, Any]) -> Union[str, type]:
    """The class that makes the steps, or its name."""
    return cfg[INNER] if is_sharded(cfg) else cfg['type']


def _default_decay(cfg: Mapping[str, Any]) -> float:
    """Weight decay of an optimiser whose config gives none: 0.01 of AdamW, 0 of SGD and Adam.

    Args:
        cfg (Mapping): Config of the optimiser.
    """
    kind = _kind(cfg)
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    setting = signature(kind).parameters.get('weight_decay')
    return 0.0 if setting is None or setting.default is Parameter.empty else setting.default


def _fuses(kind: Union[str, type], device: torch.device) -> bool:
    """Whether an optimiser has a fused form on the CPU.

    On a GPU PyTorch groups tensors by itself, unless told to fuse.
    """
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    recent = digit_version(torch.__version__) >= digit_version('2.4')
    return device.type == 'cpu' and recent and 'fused' in signature(kind).parameters
