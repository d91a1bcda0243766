# Copyright (c) mmseg_ctt contributors.
"""Top-level variables ``method`` and ``segmentor_from`` of a config, for any method and network.

Importing this module extends :meth:`mmengine.Config.fromfile`, which then applies them when a
config is read: only there it is known which settings stand beside a variable and which it
inherits. A config that was read before (by mmseg's own tools, which import the package from the
config) is read again when a runner is built. Variables that are applied become None.
"""

from typing import Any, Mapping, Optional, TypeVar

from mmengine.config import Config, ConfigDict

from ..methods.registry import registered_methods
from .config_layers import DELETE, NO_LAYERS, Layers, Merges, plain, recorded_merges
from .map_steps import drop_map_steps
from .method_preset import apply_method, inner_model, is_plain, preset_of, read_file, read_preset
from .network_preset import apply_network
from .option_checks import check_names
from .program_changes import NETWORK_PARTS, changed, of_network, put, split
from .size_checks import check_files, check_options

PACKAGE = 'mmseg_ctt'
VARIABLES = ('method', 'segmentor_from')
READ = '_presets_applied'  # attribute of a Config that was read with this module
AnyConfig = TypeVar('AnyConfig', bound=Any)  # mmengine.Config or a dict


def read_config_file(filename: Any, *args: Any, **kwargs: Any) -> Config:
    """``Config.fromfile`` of mmengine, and then ``method`` and ``segmentor_from``.

    Configs that do not import this package are left as they are.

    Raises:
        ValueError: If one of them cannot be applied, or a file changes ``model.type`` from one
            method to another.
    """
    with recorded_merges() as merges:
        cfg = read_file(filename, *args, **kwargs)
    return _finished(cfg, merges) if _imports_package(cfg) else cfg


def _imports_package(cfg: Config) -> bool:
    names = (cfg.get('custom_imports') or {}).get('imports') or []
    names = [names] if isinstance(names, str) else names
    return any(name.partition('.')[0] == PACKAGE for name in names)


def _finished(cfg: Config, merges: Merges) -> Config:
    _check_types(merges)
    check_files(merges)
    _apply(cfg, {name: merges.of(name) for name in VARIABLES})
    object.__setattr__(cfg, READ, True)
    return cfg


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Merge settings of the command line: ``method`` and ``segmentor_from`` first, then the others.

    Args:
        cfg (mmengine.Config): As read; changed in place.
        options (Mapping[str, Any]): By dotted keys.

    Raises:
        TypeError: If the options are no dict.
        ValueError: If nothing reads an option, ``model.type`` would turn a method into another, or
            ``sizes`` would replace an option.
    """
    check_names(options, cfg)
    _merge(cfg, options)


def _merge(cfg: Config, options: Mapping[str, Any]) -> None:
    """:func:`merge_options` without the checks of names: what code sets, other code may read."""
    options = dict(options)
    _check_option(cfg, options)
    check_options(options, cfg)
    chosen = {name: options.pop(name) for name in VARIABLES if options.get(name) is not None}
    if chosen:
        former = plain(cfg._cfg_dict)
        cfg.merge_from_dict(chosen)
        later = Config()
        later.merge_from_dict(options)
        _apply(cfg, {name: Layers({}, former, {}, plain(later._cfg_dict)) for name in chosen})
        options = {_network_key(cfg._cfg_dict, key): value for key, value in options.items()}
    cfg.merge_from_dict(options)


def _network_key(cfg: dict, key: str) -> str:
    """Key of a setting of the network, which a method has in ``model.segmentor``.

    A command that changes the method may name it in either way, as a file may.
    """
    first, *rest = key.split('.')
    if first != 'model' or not rest or 'module' in cfg['model']:
        return key
    if is_plain(cfg['model']):
        return '.'.join([first, *rest[1:]]) if rest[0] == 'segmentor' and rest[1:] else key
    return '.'.join([first, 'segmentor', *rest]) if rest[0] in NETWORK_PARTS else key


def apply_presets(cfg: AnyConfig) -> AnyConfig:
    """Apply variables that are still set: those of a config that mmengine alone has read.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.

    Returns:
        mmengine.Config | dict: The same.
    """
    if not any(cfg.get(name) for name in VARIABLES):
        return cfg
    filename = getattr(cfg, 'filename', None) if isinstance(cfg, Config) else None
    if filename is None or READ in vars(cfg):
        node = cfg._cfg_dict if isinstance(cfg, Config) else cfg
        complete = (node.get('model') or {}).get('type') is not None
        layers = Layers({}, plain(node), {}) if complete else NO_LAYERS
        _apply(cfg, {name: layers for name in VARIABLES})
        return cfg
    with recorded_merges() as merges:
        fresh = read_file(filename)
    before, after = plain(fresh._cfg_dict), plain(cfg._cfg_dict)
    wrapper = _unwrap(before, after)
    _finished(fresh, merges)
    _merge_changes(fresh, before, after)
    if wrapper is not None:
        fresh.model = dict(wrapper, module=fresh.model)
    cfg._cfg_dict.clear()
    cfg._cfg_dict.update(fresh._cfg_dict)
    object.__setattr__(cfg, READ, True)
    return cfg


def _unwrap(before: dict, after: dict) -> Optional[dict]:
    """Take a model out of the wrapper that a program has put around it, for augmented tests."""
    former, model = (config.get('model') or {} for config in (before, after))
    if 'module' in former or not isinstance(model.get('module'), dict):
        return None
    after['model'] = model['module']
    return {key: value for key, value in model.items() if key != 'module'}


def _merge_changes(fresh: Config, before: dict, after: dict) -> None:
    """Change in a config what a program changed in it before ``method`` was applied."""
    model = fresh._cfg_dict.get('model') or {}
    wrapped = is_plain(before.get('model') or {}) and not is_plain(model)
    found = {of_network(path, wrapped): value for path, value in changed(before, after)}
    options, others = split(found)
    _merge(fresh, options)
    for path, value in others.items():
        put(fresh._cfg_dict, path, ConfigDict(value) if isinstance(value, dict) else value)


def _apply(cfg: AnyConfig, layers: Mapping[str, Layers]) -> None:
    node = cfg._cfg_dict if isinstance(cfg, Config) else cfg
    filename = (cfg.filename or '') if isinstance(cfg, Config) else ''
    if node.get('method') is not None and not _replaced(layers.get('method', NO_LAYERS)):
        drop_map_steps(node)
        apply_method(node, node['method'], layers.get('method', NO_LAYERS))
    if node.get('segmentor_from') is not None:
        own = layers.get('segmentor_from', NO_LAYERS)
        apply_network(node, node['segmentor_from'], own, filename)
    for name in VARIABLES:
        if node.get(name) is not None:
            node[name] = None


def _replaced(layers: Layers) -> bool:
    """Whether a file that inherits the variable sets a whole new model."""
    model = layers.above.get('model')
    return isinstance(model, Mapping) and bool(model.get(DELETE))


# ---- model.type


def _check_types(merges: Merges) -> None:
    """No file turns the method of a config that it inherits into another by ``model.type``."""
    for own, inherited in merges.pairs:
        model, former = own.get('model'), inherited.get('model')
        if not isinstance(model, Mapping) or not isinstance(former, Mapping):
            continue
        kind = former.get('type')
        if kind is None and inherited.get('method') is not None:
            kind = read_preset(inherited['method']).get('model', {}).get('type')
        if not model.get(DELETE) and own.get('method') is None:
            _check_change(kind, model.get('type'))


def _check_option(cfg: Config, options: Mapping[str, Any]) -> None:
    kind = options.get('model.type')
    if kind is not None and options.get('method') is None:
        _check_change(inner_model(cfg._cfg_dict).get('type'), kind)


def _check_change(former: Any, kind: Any) -> None:
    """A change from one registered method to another that is no kind of it.

    Raises:
        ValueError: Names the setting to use.
    """
    methods = registered_methods()
    if kind not in methods or former is None or former == kind:
        return
    if former in methods and issubclass(methods[kind], methods[former]):
        return
    preset = preset_of(kind)
    remedy = (
        f'set method={preset!r} in its place, which brings the settings and hooks of the method'
        if preset
        else 'give the whole model, with _delete_=True'
    )
    raise ValueError(
        f'model.type={kind!r} cannot take the place of {former}, whose settings and hooks the '
        f'config has: {remedy}'
    )


Config.fromfile = staticmethod(read_config_file)
