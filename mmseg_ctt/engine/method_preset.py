# Copyright (c) mmseg_ctt contributors.
"""The variable ``method`` of a config: what a method brings, around any network and any data.

``configs/_base_/methods/<name>.py`` has the model without its ``segmentor``, the hooks that the
method needs, and what else is its own. The settings of the config lie over it. Network, data,
schedule and sizes stay those of the config.
"""

import functools
from typing import Any, Dict, List, Mapping, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ..compat import config_folder
from ..datasets.sampler import ratio_by_source
from ..datasets.sources import source_names
from ..methods.registry import registered_methods
from .config_layers import Layers, forget, over, plain, united

read_file = Config.fromfile  # of mmengine, before `presets` extends it

WATCH = 'PseudoLabelHook'  # a preset has settings for it, without a type: not every config has it
# settings of a plain segmentor, for a model that is one
SEGMENTOR_KEYS = (
    'type',
    'data_preprocessor',
    'backbone',
    'neck',
    'decode_head',
    'auxiliary_head',
    'pretrained',
    'init_cfg',
    'train_cfg',
)
NOT_OF_METHOD = ('segmentor', 'data_preprocessor', 'channels_last')  # of a method's `model`
OWN_PARTS = ('model', 'default_hooks', 'train_dataloader')  # of a preset; others are merged as are


def preset_names() -> List[str]:
    """Values that ``method`` may have."""
    return sorted(path.stem for path in (config_folder() / '_base_' / 'methods').glob('*.py'))


def preset_name(name: Any) -> str:
    """Name of a preset; ``ctt-plus`` and ``ctt_plus`` are the same.

    Raises:
        ValueError: If there is no such preset.
    """
    found = str(name).lower().replace('-', '_')
    if not isinstance(name, str) or found not in preset_names():
        raise ValueError(f'method={name!r} is not known; known are {preset_names()}')
    return found


@functools.lru_cache(maxsize=None)
def _stored_preset(name: str) -> Dict[str, Any]:
    path = config_folder() / '_base_' / 'methods' / f'{name}.py'
    return plain(read_file(path)._cfg_dict.to_dict())


def read_preset(name: str) -> Dict[str, Any]:
    """Content of a preset file; a copy.

    Raises:
        ValueError: If there is no such preset.
    """
    return plain(_stored_preset(preset_name(name)))


@functools.lru_cache(maxsize=None)
def method_hooks() -> Tuple[str, ...]:
    """Hooks that a preset brings; others, such as ``pseudo_labels``, belong to the data."""
    hooks = [_stored_preset(name).get('default_hooks', {}) for name in preset_names()]
    return tuple(sorted({key for found in hooks for key in found if 'type' in found[key]}))


def preset_of(kind: str) -> str:
    """Name of the preset of a registered method; '' if there is none."""
    for name in preset_names():
        if _stored_preset(name).get('model', {}).get('type') == kind:
            return name
    return ''


def apply_method(cfg: dict, name: str, layers: Layers) -> None:
    """Lay the settings of a config over the preset of a method.

    Args:
        cfg (dict): Complete config; changed in place.
        name (str): Of the method; ``supervised`` leaves the segmentor alone.
        layers (Layers): As seen from ``method``: what is inherited there belongs to the former
            method and is left out, with a line in the log.

    Raises:
        ValueError: If the preset is unknown, the config has no network or no unlabelled images,
            or a given setting would be unused.
    """
    preset = read_preset(name)
    gone = _set_model(cfg, name, preset, layers)
    gone += _set_hooks(cfg, preset, layers)
    gone += _first_names(forget(cfg, _own_parts(layers.former), layers.given))
    gone += _set_ratio(cfg, name, preset, layers)
    for key in set(preset) - set(OWN_PARTS):
        cfg[key] = over(preset, {key: cfg[key]} if key in cfg else {})[key]
    if gone:
        print_log(
            f'method={name} takes the place of the method of the config it inherits: '
            f'{", ".join(sorted(gone))} of that method are left out',
            logger='current',
        )


def _own_parts(former: Mapping) -> Dict[str, Any]:
    """Settings of a method outside ``model`` and ``default_hooks``."""
    own = {key: former[key] for key in ('self_training',) if key in former}
    parts = (former.get('optim_wrapper') or {}).get('part_optimizers')
    if parts:
        own['optim_wrapper'] = dict(part_optimizers=parts)
    return own


# ---- model


def inner_model(cfg: dict) -> dict:
    """``model`` of a config; that inside the wrapper for test-time augmentation."""
    model = cfg.setdefault('model', ConfigDict())
    while isinstance(model.get('module'), dict):
        model = model['module']
    return model


def is_plain(model: Mapping) -> bool:
    """Whether a model is a segmentor itself, not a method around one."""
    return 'segmentor' not in model or 'backbone' in model or 'decode_head' in model


def _set_model(cfg: dict, name: str, preset: dict, layers: Layers) -> List[str]:
    model = inner_model(cfg)
    former, given = (part.get('model') or {} for part in (layers.former, layers.given))
    gone: List[str] = []
    if is_plain(model):
        segmentor, settings = _split(model, given)
    else:
        segmentor, settings = model.pop('segmentor'), model
        former = {key: value for key, value in former.items() if key not in NOT_OF_METHOD}
        gone = [f'model.{key}' for key in _first_names(forget(settings, former, given))]
    if not segmentor and not cfg.get('segmentor_from'):
        raise ValueError(
            f'method={name!r}: the config has no network; inherit one of configs/_base_/models, or '
            'set segmentor_from to a config of mmseg'
        )
    if 'model' in preset:
        new = over(preset['model'], settings)
        _check_type(name, preset['model']['type'], new['type'])
        new['segmentor'] = segmentor
    else:
        new = _alone(name, segmentor, settings)
    model.clear()
    model.update(ConfigDict(new))
    return [key for key in gone if key != 'model.type']


def _first_names(names: List[str]) -> List[str]:
    return sorted({name.partition('.')[0] for name in names})


def _split(model: dict, given: Mapping) -> Tuple[dict, dict]:
    """A plain segmentor, and settings of a method that were given beside it."""
    nested = model.pop('segmentor', {})
    settings: Dict[str, Any] = {}
    for key in list(model):
        if key == 'type' and model[key] in registered_methods():
            settings[key] = model.pop(key)
        elif key == 'test_cfg' and 'predict_on' in (model[key] or {}):
            settings[key] = dict(predict_on=model[key].pop('predict_on'))
        elif key in given and key not in (*SEGMENTOR_KEYS, 'test_cfg'):
            settings[key] = model.pop(key)
    return over(dict(model), nested), settings


def _alone(name: str, segmentor: dict, settings: Mapping) -> dict:
    """The segmentor as the model, for training without unlabelled images."""
    unused = sorted(set(settings) - {'type', 'channels_last', 'data_preprocessor'})
    if unused:
        raise ValueError(
            f'method={name!r} trains the segmentor alone, so that '
            f'{", ".join(f"model.{key}" for key in unused)} would be unused: remove them'
        )
    preprocessor = settings.get('data_preprocessor')
    return over(segmentor, {'data_preprocessor': preprocessor} if preprocessor else {})


def _check_type(name: str, kind: str, given: str) -> None:
    methods = registered_methods()
    if given != kind and given in methods and not issubclass(methods[given], methods[kind]):
        other = preset_of(given)
        remedy = f'method={other!r}' if other else 'another method'
        raise ValueError(
            f'method={name!r} is {kind}, but model.type={given!r}: remove model.type, or set '
            f'{remedy}'
        )


# ---- hooks


def _set_hooks(cfg: dict, preset: dict, layers: Layers) -> List[str]:
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    former, given = (part.get('default_hooks') or {} for part in (layers.former, layers.given))
    own = {key: former[key] for key in method_hooks() if key in former}
    gone = forget(hooks, own, given)
    watch = hooks.get('pseudo_labels')
    if 'model' not in preset:
        if watch is not None and 'pseudo_labels' not in given:  # no pseudo-labels to watch
            gone.append('pseudo_labels')
            hooks.pop('pseudo_labels')
    elif watch is not None:  # pixels that the former method would have used
        threshold = (former.get('pseudo_labels') or {}).get('confidence_threshold')
        forget(watch, dict(confidence_threshold=threshold), given.get('pseudo_labels') or {})
    for key, hook in preset.get('default_hooks', {}).items():
        present = hooks.get(key)
        if isinstance(present, dict) and present.get('type') in (None, hook.get('type', WATCH)):
            hooks[key] = ConfigDict(over(hook, present))
        elif key not in hooks and 'type' in hook:
            hooks[key] = ConfigDict(hook)
    return [f'default_hooks.{key}' for key in _first_names(gone) if former.get(key) is not None]


# ---- sampler


def _set_ratio(cfg: dict, name: str, preset: dict, layers: Layers) -> List[str]:
    """Draw unlabelled images, or none; a batch keeps its number of labelled ones.

    Where the former method pasted one half of the unlabelled images onto the other, and the new one
    does not, one half is enough: as many are seen in a step.
    """
    loader = cfg.get('train_dataloader') or {}
    sampler, dataset = loader.get('sampler') or {}, loader.get('dataset') or {}
    if sampler.get('type') != 'LabeledUnlabeledSampler' or 'ratio' not in sampler:
        return []
    if 'model' in preset and 'unlabeled' in dataset and dataset['unlabeled'] is None:
        raise ValueError(
            f'method={name!r} needs images without labels, but '
            'train_dataloader.dataset.unlabeled=None'
        )
    given = united(layers.given, layers.later)
    beside = given.get('train_dataloader') or {}
    if 'ratio' in (beside.get('sampler') or {}):
        return []
    old = sampler['ratio']
    if not isinstance(old, Mapping):
        old = ratio_by_source(old, source_names(dataset))
    old = {source: count for source, count in old.items() if count is not None}
    models = inner_model(cfg), given.get('model')
    partners = _pastes_half(layers.former.get('model')) and not any(map(_pastes_half, models))
    seen = {'unlabeled': old.get('unlabeled', 0) // 2} if partners else {}
    new = {
        **old,
        **seen,
        **((preset.get('train_dataloader') or {}).get('sampler') or {}).get('ratio', {}),
    }
    if 'model' in preset and new.get('unlabeled') == 0:
        new['unlabeled'] = new['labeled']
    if new == old:
        return []
    sampler['ratio'] = ConfigDict(new)
    batch, period = loader.get('batch_size'), sum(old.values())
    if isinstance(batch, int) and batch % period == 0 and 'batch_size' not in beside:
        loader['batch_size'] = batch // period * sum(new.values())
    return ['train_dataloader.sampler.ratio'] if partners else []


def _pastes_half(model: Optional[Mapping]) -> bool:
    """Whether half of the unlabelled images are partners alone, which no student sees whole."""
    steps = (model or {}).get('strong_augmentation')
    steps = steps if isinstance(steps, (list, tuple)) else ()
    return any(isinstance(s, Mapping) and s.get('partner') == 'second_half' for s in steps)
