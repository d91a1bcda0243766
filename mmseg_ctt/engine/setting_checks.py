# Copyright (c) mmseg_ctt contributors.
"""Settings that nothing reads, and texts in the place of numbers, by the keys of the config.

mmengine and mmseg hand them to classes that take any argument, or name no key in the error.
Classes of other packages may read what they like.
"""

import inspect
import logging
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import mmseg.registry as registries
from mmengine.evaluator import BaseMetric
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from mmseg.evaluation.metrics import IoUMetric
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from ..nn.setting_texts import refuse_texts
from ..nn.settings import as_dict, check_choice, check_keys, check_settings
from ..nn.signatures import inherited_settings, takes_any
from .score_checks import SCORES

PACKAGES = ('mmengine', 'mmseg', 'mmseg_ctt')
MARKS = ('type', '_scope_')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
LOADER = (  # read by mmengine, besides arguments of DataLoader
    'dataset',
    'num_batch_per_epoch',
    'disable_subprocess_warning',
)
PREFIXES = ('img_path', 'seg_map_path', 'img_path2', 'depth_map_path')  # of all data sets
LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
ENVIRONMENT = ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit')
SECTIONS = dict(
    model=registries.MODELS,
    data_preprocessor=registries.MODELS,
    default_hooks=registries.HOOKS,
    custom_hooks=registries.HOOKS,
    optim_wrapper=registries.OPTIM_WRAPPERS,
    param_scheduler=registries.PARAM_SCHEDULERS,
    train_cfg=registries.LOOPS,
    val_cfg=registries.LOOPS,
    test_cfg=registries.LOOPS,
    val_evaluator=registries.METRICS,
    test_evaluator=registries.METRICS,
    **dict.fromkeys(LOADERS, registries.DATASETS),
)
INNER = dict(  # registries of parts of a section
    optimizer=registries.OPTIMIZERS,
    part_optimizers=registries.OPTIMIZERS,
    sampler=registries.DATA_SAMPLERS,
    batch_sampler=registries.DATA_SAMPLERS,
    pipeline=registries.TRANSFORMS,
)
Built = Tuple[str, Mapping[str, Any], type]


def check_values(cfg: Mapping[str, Any]) -> None:
    """Check names and texts of settings, wherever the class that gets them is known.

    Args:
        cfg (Mapping): Complete config.

    Raises:
        TypeError: For a text in the place of a number, or a section that is no dict.
        ValueError: For a setting that nothing reads. Names the key.
    """
    _check_run(cfg)
    for key in LOADERS:
        _check_loader(key, cfg.get(key))
    for section, registry in SECTIONS.items():
        for key, node, kind in built(section, cfg.get(section), registry):
            values = {name: value for name, value in node.items() if name not in MARKS}
            refuse_texts(key, values, inherited_settings(kind, '__init__'))
            if registry is registries.METRICS and issubclass(kind, BaseMetric):
                _check_metric(key, values, kind)
            elif registry is registries.HOOKS and 'runner_type' not in cfg:
                _check_hook(key, values, kind)
            elif section == key == 'optim_wrapper':
                _check_clipping(key, values, kind)
            elif isinstance(node.get('data_prefix'), Mapping) and _is_known(kind):
                check_keys(f'{key}.data_prefix', _own(node['data_prefix']), PREFIXES)


def built(key: str, node: Any, registry: Registry) -> Iterator[Built]:
    """Parts of a config that a class builds, with their keys and classes.

    Args:
        key (str): Of the node.
        node (Any): Part of a config.
        registry (Registry): Where its type is looked up.
    """
    if isinstance(node, Mapping):
        kind = _class(node, registry)
        if kind is not None:
            yield key, node, kind
        for name, value in node.items():
            yield from built(f'{key}.{name}', value, INNER.get(str(name), registry))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from built(f'{key}.{i}', value, registry)


def _class(node: Mapping[str, Any], registry: Registry) -> Any:
    """Class of a node; None where it is not known, or of another package that may be absent."""
    kind = node.get('type')
    if isinstance(kind, str) and node.get('_scope_') in (None, *PACKAGES):
        scope, _, name = kind.rpartition('.')
        kind = registry.get(name) if scope in ('', *PACKAGES) else None
    return kind if inspect.isclass(kind) else None


def _is_known(kind: type) -> bool:
    """Whether it is read here what a class does with its settings."""
    return kind.__module__.partition('.')[0] in PACKAGES


def _own(node: Any) -> Dict[str, Any]:
    """Settings without the marks of mmengine."""
    return {name: value for name, value in node.items() if name not in MARKS}


def _names(kind: type) -> List[str]:
    return [parameter.name for parameter in inherited_settings(kind, '__init__')]


def _check_loader(key: str, loader: Any) -> None:
    if loader is None:
        return
    values, given = as_dict(key, loader), inherited_settings(DataLoader, '__init__')
    known = [*LOADER, *(parameter.name for parameter in given)]
    check_keys(key, [name for name in values if name != '_scope_'], known)
    refuse_texts(key, values, given)


def _check_metric(key: str, values: Mapping[str, Any], kind: type) -> None:
    """Metrics of mmseg take any name, and IoUMetric looks at its own after the first interval."""
    if not _is_known(kind):
        return
    check_keys(key, values, [*_names(kind), *_names(BaseMetric)])
    names = values.get('iou_metrics') or []
    if issubclass(kind, IoUMetric):
        for name in [names] if isinstance(names, str) else names:
            check_choice(f'{key}.iou_metrics', name, tuple(SCORES))


def _check_hook(key: str, values: Mapping[str, Any], kind: type) -> None:
    """Checkpoint hooks hand names that they lack to ``Runner.save_checkpoint``, which fails."""
    if not _is_known(kind):
        return
    known = [*_names(kind), 'priority']
    if issubclass(kind, EMAHook):
        average = registries.MODELS.get(values.get('ema_type', 'ExponentialMovingAverage'))
        known += _names(average) if inspect.isclass(average) else values
    elif _takes_all(kind) and not issubclass(kind, CheckpointHook):
        return
    check_keys(key, values, known)


def _takes_all(kind: type) -> bool:
    """Whether names that a class lacks reach no class that would refuse them."""
    calls = (vars(base)['__init__'] for base in kind.__mro__[:-1] if '__init__' in vars(base))
    return all(map(takes_any, calls))


def _check_clipping(key: str, values: Mapping[str, Any], kind: type) -> None:
    """PyTorch would refuse the names in the first step."""
    key, given = f'{key}.clip_grad', as_dict(f'{key}.clip_grad', values.get('clip_grad'))
    if not given or not _is_known(kind):
        return
    calls = dict(norm=clip_grad_norm_, value=clip_grad_value_)
    name = given.pop('type', 'norm')
    check_choice(f'{key}.type', name, tuple(calls))
    check_settings(key, _own(given), calls[name], own=('parameters',))


def _check_run(cfg: Mapping[str, Any]) -> None:
    level = cfg.get('log_level', 'INFO')
    if isinstance(level, str):
        if not isinstance(logging.getLevelName(level), int):
            check_choice('log_level', level, LEVELS)
    randomness = _own(as_dict('randomness', cfg.get('randomness')))
    check_settings('randomness', {'seed': None, **randomness}, Runner.set_randomness)
    seed = randomness.get('seed')
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise TypeError(f'randomness.seed must be an integer or None, got {seed!r}')
    environment = _own(as_dict('env_cfg', cfg.get('env_cfg')))
    check_keys('env_cfg', environment, ENVIRONMENT)
    processes = _own(as_dict('env_cfg.mp_cfg', environment.get('mp_cfg')))
    check_settings('env_cfg.mp_cfg', processes, set_multi_processing, own=('distributed',))
