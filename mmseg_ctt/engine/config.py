# Copyright (c) mmseg_ctt contributors.
"""Last changes of a config, between reading and building: method, sizes, hooks switched off.

mmengine merges dicts and replaces lists, so that a config which inherits can change a number in a
pipeline only by its position. ``sizes`` are top-level variables for these numbers. They are applied
after all merging, by ``read_config`` of the tools and by mmengine's ``Runner.from_cfg``, which
importing this module extends: they work with mmseg's own scripts, too. ``Runner.train`` checks the
run, whatever its loop.
"""

import copy
from functools import wraps
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple, TypeVar

import torch.nn as nn
from mmengine.config import Config
from mmengine.runner import Runner

from ..nn.settings import as_dict, check_keys
from ..nn.unwrap import unwrapped
from .config_checks import check_always
from .guards import check_hooks, check_parts, check_stages
from .image_steps import use_image_loading
from .map_steps import use_map_steps
from .option_checks import check_evaluated, check_whole_stages
from .pipeline_steps import use_checked_steps
from .presets import apply_presets
from .run_checks import checked_run
from .run_length import check_length, ends_with_run, log_once
from .volume_settings import use_volume_slices

# Hooks that mmengine itself adds, and whose entry None in default_hooks it understands.
MMENGINE_HOOKS = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)
HEADS = ('decode_head', 'auxiliary_head')
AnyConfig = TypeVar('AnyConfig', bound=Any)  # mmengine.Config or a dict


def prepare_config(cfg: AnyConfig) -> AnyConfig:
    """Apply top-level variables, use loading steps that check and steps that make the maps of the
    method, and remove hooks that are None.

    The variables are ``method``, ``segmentor_from``, ``sizes``, ``image_loading`` and
    ``volume_slices``. A second call changes nothing,
    until one of them is set again.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.

    Returns:
        mmengine.Config | dict: The same.

    Raises:
        TypeError: If ``sizes`` is no dict.
        ValueError: For settings that :func:`check_always` refuses; for an unknown or malformed
            entry of ``sizes``, or one that nothing follows; for settings of a hook that the config
            does not have; see :func:`check_length` and :func:`use_map_steps`.
    """
    apply_presets(cfg)
    check_always(cfg)
    apply_sizes(cfg)
    use_checked_steps(cfg)
    use_map_steps(cfg)
    use_image_loading(cfg)
    use_volume_slices(cfg)
    check_length(cfg)
    log_once(cfg)
    hooks = cfg.get('default_hooks') or {}
    for name, hook in list(hooks.items()):
        if hook is None and name not in MMENGINE_HOOKS:
            hooks.pop(name)  # mmengine would stop at it with a bare assertion
        elif isinstance(hook, dict) and 'type' not in hook:
            raise ValueError(
                f'default_hooks.{name} has settings, {dict(hook)}, but this config has no such '
                'hook: remove them, or give the type of the hook too'
            )
    return cfg


def apply_sizes(cfg: AnyConfig) -> None:
    """Set scale and its range, crop size, number of classes and length wherever a config has them.

    Entries that are applied become None, so that the config is one of plain numbers afterwards and
    takes other sizes again.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.

    Raises:
        TypeError: If ``sizes`` is no dict.
        ValueError: For an unknown or malformed entry, or one that nothing follows.
    """
    sizes = cfg.get('sizes')
    if sizes is None:
        return
    check_keys('sizes', as_dict('sizes', sizes), SETTERS)
    given = {name: value for name, value in sizes.items() if value is not None}
    nodes = list(_dicts(cfg._cfg_dict if isinstance(cfg, Config) else cfg)) if given else []
    for name, value in given.items():
        setter, follower = SETTERS[name]
        value = _checked(name, value)
        if not setter(nodes, value):
            raise ValueError(
                f'sizes.{name}={value} would change nothing: the config has no {follower}; '
                'remove it, or change the config'
            )
        sizes[name] = None


def _checked(name: str, value: Any) -> Any:
    pair = name in PAIRS
    numbers = value if pair and isinstance(value, (list, tuple)) else [value]
    kinds = (int, float) if name in RATIOS else (int,)
    if len(numbers) != 1 + pair or not all(
        type(number) in kinds and number > 0 for number in numbers
    ):
        form = f'a pair of positive numbers such as {PAIRS[name]}' if pair else 'a positive number'
        raise ValueError(f'sizes.{name} must be {form}, got {value!r}')
    if name in RATIOS and value[0] > value[1]:
        raise ValueError(f'sizes.{name}={tuple(value)}: give the smaller ratio first')
    return tuple(value) if pair else value


# ---- what follows a size: dicts of the config, by the names on the way to them

Nodes = Sequence[Tuple[Tuple[str, ...], dict]]


def _set_scale(nodes: Nodes, scale: Tuple[int, int]) -> bool:
    steps = [node for _, node in nodes if _kind(node) in ('Resize', 'RandomResize')]
    return _set([node for node in steps if node.get('scale')], scale=scale)


def _set_ratio_range(nodes: Nodes, ratios: Tuple[float, float]) -> bool:
    return _set([node for _, node in nodes if _kind(node) == 'RandomResize'], ratio_range=ratios)


def _set_crop_size(nodes: Nodes, size: Tuple[int, int]) -> bool:
    paddings = [node for path, node in nodes if path[-1:] == ('data_preprocessor',)]
    _set([node for node in paddings if node.get('size')], size=size)
    return _set([node for _, node in nodes if _kind(node) == 'RandomCrop'], crop_size=size)


def _set_num_classes(nodes: Nodes, number: int) -> bool:
    """Heads and the heads in them (K-Net), without those that learn edges (STDC), two classes."""
    heads = [node for path, node in nodes if set(path) & set(HEADS) and 'num_classes' in node]
    return _set([head for head in heads if 'boundary_threshold' not in head], num_classes=number)


def _set_max_iters(nodes: Nodes, number: int) -> bool:
    """The length of the run; schedules of the learning rate that end with it still do."""
    loops = [node for path, node in nodes if path == ('train_cfg',) and 'max_iters' in node]
    schedules = [node for path, node in nodes if path == ('param_scheduler',)]
    for loop in loops:
        for node in schedules:
            if ends_with_run(node, loop['max_iters']):
                node['end'] += number - loop['max_iters']
    return _set(loops, max_iters=number)


def _set(nodes: Sequence[dict], **values: Any) -> bool:
    for node in nodes:
        node.update(values)
    return bool(nodes)


def _kind(node: dict) -> str:
    """Name of a type without its scope; '' where there is none, or a class."""
    kind = node.get('type')
    return kind.rpartition('.')[2] if isinstance(kind, str) else ''


def _dicts(node: Any, path: Tuple[str, ...] = ()) -> Iterator[Tuple[Tuple[str, ...], dict]]:
    """Every dict of a config with the names on the way to it; entries of a list have the list's."""
    if isinstance(node, dict):
        yield path, node
        for name, value in node.items():
            yield from _dicts(value, (*path, str(name)))
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value, path)


PAIRS = dict(scale=(320, 240), crop_size=(192, 256), ratio_range=(0.5, 2.0))  # and examples
RATIOS = ('ratio_range',)
SETTERS: Dict[str, Tuple[Callable[[Nodes, Any], bool], str]] = dict(
    scale=(_set_scale, 'Resize or RandomResize with a scale'),
    ratio_range=(_set_ratio_range, 'RandomResize'),
    crop_size=(_set_crop_size, 'RandomCrop'),
    num_classes=(_set_num_classes, 'head with num_classes'),
    max_iters=(_set_max_iters, 'train_cfg.max_iters'),
)


# ---- mmengine's runner

_build_runner, _train = Runner.from_cfg.__func__, Runner.train
_evaluate = dict(val=Runner.val, test=Runner.test)


def _from_cfg(cls: type, cfg: AnyConfig) -> Runner:
    """``Runner.from_cfg`` of mmengine, after :func:`prepare_config` and a check of its stages."""
    cfg = prepare_config(copy.deepcopy(cfg))
    check_whole_stages(cfg)
    return _build_runner(cls, cfg)


@wraps(_train)
def _checked_train(self: Runner) -> nn.Module:
    """``Runner.train`` of mmengine, in :func:`checked_run`, after checks of hooks and parts."""
    model = unwrapped(self.model)
    check_hooks(model, self.hooks)
    check_parts(self)
    check_stages(model, self.hooks, self.cfg.get('train_cfg') or {})
    with checked_run(self):
        return _train(self)


def _checked_evaluation(stage: str) -> Callable[[Runner], dict]:
    """``Runner.val`` or ``Runner.test`` of mmengine, after :func:`check_evaluated`."""

    @wraps(_evaluate[stage])
    def evaluate(self: Runner) -> dict:
        if getattr(self, f'_{stage}_loop') is None:
            check_evaluated(self.cfg, stage)
        return _evaluate[stage](self)

    return evaluate


Runner.from_cfg = classmethod(_from_cfg)
Runner.train = _checked_train
Runner.val, Runner.test = _checked_evaluation('val'), _checked_evaluation('test')
