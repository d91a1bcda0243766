# Copyright (c) mmseg_ctt contributors.
"""Last changes of a config, between reading and building: sizes, and hooks that are switched off.

mmengine merges dicts and replaces lists, so that a config which inherits can change a number in a
pipeline only by its position. ``sizes`` are top-level variables for these numbers. They are applied
after all merging, by ``read_config`` of the tools and by mmengine's ``Runner.from_cfg``, which
importing this module extends: they work with mmseg's own scripts, too.
"""

import copy
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple, TypeVar

from mmengine.config import Config
from mmengine.runner import Runner

from ..nn.settings import as_dict, check_keys

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
    """Apply ``sizes`` and remove hooks that are None.

    A second call changes nothing, until ``sizes`` are set again.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.

    Returns:
        mmengine.Config | dict: The same.

    Raises:
        TypeError: If ``sizes`` is no dict.
        ValueError: For an unknown or malformed entry of ``sizes``, or one that nothing follows.
    """
    apply_sizes(cfg)
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in MMENGINE_HOOKS:  # mmengine stops at these with a bare assertion
            hooks.pop(name)
    return cfg


def apply_sizes(cfg: AnyConfig) -> None:
    """Set image scale, crop size and number of classes wherever a config has them.

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
    check_keys('sizes', as_dict('sizes', sizes), FOLLOWERS)
    given = {name: value for name, value in sizes.items() if value is not None}
    root = cfg._cfg_dict if isinstance(cfg, Config) else cfg
    nodes = list(_dicts(root)) if given else []
    for name, value in given.items():
        value = _checked(name, value)
        followers, where = FOLLOWERS[name]
        changed = [(node, key) for path, node in nodes for key in followers(path, node)]
        if not any(key == name for _, key in changed):
            raise ValueError(
                f'sizes.{name}={value} would change nothing: the config has no {where}; remove it, '
                'or change the pipelines'
            )
        for node, key in changed:
            node[key] = value
        sizes[name] = None


def _checked(name: str, value: Any) -> Any:
    pair = name != 'num_classes'
    numbers = value if pair else [value]
    if (
        not isinstance(numbers, (list, tuple))
        or len(numbers) != (2 if pair else 1)
        or not all(type(number) is int and number > 0 for number in numbers)
    ):
        form = 'a pair of positive numbers such as (192, 256)' if pair else 'a positive number'
        raise ValueError(f'sizes.{name} must be {form}, got {value!r}')
    return tuple(value) if pair else value


# ---- what follows: keys of a dict of the config, by the path to it

Path = Tuple[str, ...]
Followers = Callable[[Path, Mapping], Sequence[str]]


def _scaled(path: Path, node: Mapping) -> List[str]:
    return ['scale'] if _kind(node) in ('Resize', 'RandomResize') and node.get('scale') else []


def _cropped(path: Path, node: Mapping) -> List[str]:
    if _kind(node) == 'RandomCrop':
        return ['crop_size']
    # padding of crops of images that are smaller
    return ['size'] if path[-1:] == ('data_preprocessor',) and node.get('size') else []


def _classified(path: Path, node: Mapping) -> List[str]:
    return ['num_classes'] if path[-1:] and path[-1] in HEADS and 'num_classes' in node else []


FOLLOWERS: Dict[str, Tuple[Followers, str]] = dict(
    scale=(_scaled, 'Resize or RandomResize with a scale'),
    crop_size=(_cropped, 'RandomCrop'),
    num_classes=(_classified, 'head with num_classes'),
)


def _kind(node: Mapping) -> str:
    """Name of a type without its scope; '' where there is none, or a class."""
    kind = node.get('type')
    return kind.rpartition('.')[2] if isinstance(kind, str) else ''


def _dicts(node: Any, path: Path = ()) -> Iterator[Tuple[Path, dict]]:
    """Every dict of a config with the names on the way to it; entries of a list have the list's."""
    if isinstance(node, dict):
        yield path, node
        for name, value in node.items():
            yield from _dicts(value, (*path, str(name)))
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value, path)


# ---- mmengine's runner

_build_runner = Runner.from_cfg.__func__  # type: ignore[attr-defined]


def _from_cfg(cls: type, cfg: AnyConfig) -> Runner:
    """``Runner.from_cfg`` of mmengine, after :func:`prepare_config`."""
    return _build_runner(cls, prepare_config(copy.deepcopy(cfg)))


Runner.from_cfg = classmethod(_from_cfg)  # type: ignore[assignment, method-assign]
