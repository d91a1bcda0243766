# Copyright (c) mmseg_ctt contributors.
"""The variable ``segmentor_from`` of a config: the network of another config, with its optimiser.

A config of mmseg is a network, data, a schedule and a runtime at once, and cannot be inherited
beside another. ``segmentor_from = 'mmseg::segformer/...'`` takes the network alone.
"""

import difflib
import importlib
import logging
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ..nn.heads import check_head_types
from .config_layers import Layers, forget, over, plain
from .method_preset import inner_model, is_plain, read_file

KEY = 'segmentor_from'
HEADS = ('decode_head', 'auxiliary_head')
OPTIMISER = ('optimizer', 'paramwise_cfg', 'clip_grad')
STARTS = ('init_cfg', 'pretrained')  # of a backbone: where its weights come from


def apply_network(cfg: dict, source: str, layers: Layers, filename: str = '') -> None:
    """Take the segmentor of another config in place of the config's own.

    The number of classes and the crop size stay. Weights of the backbone, data preprocessor, heads
    and ``test_cfg`` come along, and so does the optimiser with its learning rate, said in the log.

    Args:
        cfg (dict): Complete config; changed in place.
        source (str): Path, relative to the config or the working directory, or a name such as
            ``mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py``.
        layers (Layers): As seen from ``segmentor_from``: settings of the network that are inherited
            there are left out, those beside it stay.
        filename (str): Of the config. Defaults to ''.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it has no segmentor, or one whose head gives no map of logits.
    """
    donor = _read(source, filename)
    network = _segmentor_of(donor, source)
    model = inner_model(cfg)
    nested = bool(model) and not is_plain(model)
    present = model['segmentor'] if nested else model
    former, given = (_network_in(part.get('model') or {}) for part in (layers.former, layers.given))
    replaced = plain(present.get('backbone') or {})
    _keep_sizes(network, present, cfg)
    forget(present, {key: value for key, value in former.items()}, given)
    new = over(network, present)
    present.clear()
    present.update(ConfigDict(new))
    if nested:  # what the config inherits was chosen for another network
        old = layers.former.get('model') or {}
        others = {key: old[key] for key in ('channels_last', 'student_overrides') if key in old}
        forget(model, others, layers.given.get('model') or {})
    other = _kind(replaced) != _kind(present['backbone'])
    _take_optimiser(cfg, donor, source, layers, other)
    _take_imports(cfg, donor)


def _network_in(model: Mapping) -> Mapping:
    return model['segmentor'] if 'segmentor' in model else model


# ---- the other config


def _read(source: Any, filename: str) -> Config:
    if not isinstance(source, str):
        raise TypeError(f'{KEY} must be the name of a config, got {source!r}')
    path = source if '::' not in source and os.path.isfile(source) else None
    try:
        path = path or Config._get_cfg_path(source, filename)[0]
        found = os.path.isfile(path)
    except FileNotFoundError:  # of mmengine, for a name with ::
        found = False
    except (ModuleNotFoundError, ValueError) as error:  # no such package, or no name of a config
        raise ValueError(f'{KEY}={source!r}: {error}') from None
    if not found:
        raise FileNotFoundError(f'{KEY}={source!r} does not exist{_near(source)}')
    return read_file(path, import_custom_modules=False)  # first its head is checked


def _near(source: str) -> str:
    """Configs of nearly the same name in the same package, for the error."""
    if not source.startswith('mmseg::'):
        return ''
    import mmseg

    root = Path(mmseg.__file__).parent / '.mim' / 'configs'
    names = {path.name: path.relative_to(root).as_posix() for path in root.glob('*/*.py')}
    close = difflib.get_close_matches(Path(source).name, names, n=3, cutoff=0.4)
    return f'; near are {", ".join(f"mmseg::{names[name]}" for name in close)}' if close else ''


def _segmentor_of(donor: Config, source: str) -> Dict[str, Any]:
    model = plain(donor._cfg_dict.to_dict()).get('model')
    if not isinstance(model, dict) or not _network_in(model).get('type'):
        raise ValueError(f'{KEY}={source!r} has no `model` to take the segmentor from')
    network = dict(_network_in(model))
    common = donor.get('data_preprocessor')
    if common and 'data_preprocessor' not in network:
        network['data_preprocessor'] = plain(common.to_dict())
    check_head_types(network.get('decode_head'))
    return network


def _heads(network: Mapping) -> List[dict]:
    found: List[dict] = []
    for name in HEADS:
        heads = network.get(name) or []
        found += heads if isinstance(heads, (list, tuple)) else [heads]
    return [head for head in found if isinstance(head, dict)]


# ---- what stays, and what comes along


def _keep_sizes(network: dict, present: Mapping, cfg: Mapping) -> None:
    """Number of classes and size of crops of the config, in the new network."""
    numbers = [head['num_classes'] for head in _heads(present) if 'num_classes' in head]
    for head in _heads(network):
        if numbers and 'num_classes' in head:
            _set_classes(head, numbers[0])
    preprocessor = network.get('data_preprocessor')
    size = (present.get('data_preprocessor') or {}).get('size') or _crop_size(cfg)
    if preprocessor and size:
        preprocessor['size'] = tuple(size)
        preprocessor.pop('size_divisor', None)


def _set_classes(head: dict, number: int) -> None:
    if head['num_classes'] != number:
        losses = head.get('loss_decode')
        for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
            if isinstance(loss, dict):  # one weight a class, of other classes
                loss.pop('class_weight', None)
    head['num_classes'] = number


def _crop_size(node: Any) -> Any:
    """``crop_size`` of the first RandomCrop of the training data."""
    if isinstance(node, Mapping):
        if node.get('type') == 'RandomCrop' and 'crop_size' in node:
            return node['crop_size']
        node = node['train_dataloader'] if 'train_dataloader' in node else list(node.values())
    if isinstance(node, Mapping):
        node = [node]
    found = map(_crop_size, node) if isinstance(node, (list, tuple)) else ()
    return next((size for size in found if size), None)


def _kind(backbone: Mapping) -> Dict[str, Any]:
    """What a backbone is, without its starting weights."""
    return {key: plain(value) for key, value in backbone.items() if key not in STARTS}


def _warn_of_rate(own: Mapping, source: str, layers: Layers) -> None:
    """Warn of a learning rate that was chosen for another network, unless it is set beside."""
    optimizer = own.get('optimizer') or {}
    for beside in (layers.given, layers.later):
        if 'lr' in ((beside.get('optim_wrapper') or {}).get('optimizer') or {}):
            return
    print_log(
        f'{KEY}={source}: that config has no optimiser, and {optimizer.get("type")} with '
        f'lr={optimizer.get("lr")} stays, chosen for another network: set '
        'optim_wrapper.optimizer.lr and optim_wrapper.paramwise_cfg beside it',
        logger='current',
        level=logging.WARNING,
    )


def _take_optimiser(
    cfg: dict, donor: Config, source: str, layers: Layers, other: bool = True
) -> None:
    """Take over an optimiser; without one warn if the network is another than before."""
    wrapper, own = donor.get('optim_wrapper'), cfg.get('optim_wrapper')
    if not own:
        return
    if not wrapper:
        if other:
            _warn_of_rate(own, source, layers)
        return
    taken = {key: plain(wrapper[key]) for key in OPTIMISER if wrapper.get(key)}
    constructor = wrapper.get('constructor')
    if constructor not in (None, 'DefaultOptimWrapperConstructor', own.get('constructor')):
        taken.pop('paramwise_cfg', None)  # settings of that constructor alone
    former, given = (part.get('optim_wrapper') or {} for part in (layers.former, layers.given))
    forget(own, {key: former[key] for key in OPTIMISER if key in former}, given)
    beside = {key: own.pop(key) for key in OPTIMISER if key in own}
    own.update(ConfigDict(over(taken, beside)))
    optimizer = {key: value for key, value in own['optimizer'].items() if key != 'type'}
    text = f'{own["optimizer"].get("type")} with {_named(optimizer)}'
    if 'paramwise_cfg' in own:
        text += f', paramwise_cfg={plain(own["paramwise_cfg"])}'
    if constructor and 'paramwise_cfg' in wrapper and 'paramwise_cfg' not in taken:
        text += f'; its paramwise_cfg needs {constructor} and is left out'
    print_log(
        f'{KEY}={source}: the optimiser is the one of that config, {text}{_batch(donor)}',
        logger='current',
    )


def _named(settings: Mapping) -> str:
    return ', '.join(f'{key}={value}' for key, value in settings.items())


def _batch(donor: Config) -> str:
    """Batch that the learning rate is for, in words; '' where the config does not say."""
    name = Path(donor.filename or '').name
    gpus, _, rest = name.partition('xb')
    number = gpus.rpartition('_')[2]
    own = (donor.get('train_dataloader') or {}).get('batch_size')
    size = rest.partition('-')[0]
    if number.isdigit() and size.isdigit():
        own = int(number) * int(size)
    return '' if own is None else f' (for {own} labelled images an iteration)'


def _take_imports(cfg: dict, donor: Config) -> None:
    """Modules of the other config, such as ``mmpretrain.models``; they are imported."""
    new = (donor.get('custom_imports') or {}).get('imports') or []
    names = [new] if isinstance(new, str) else list(new)
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            package = name.partition('.')[0]
            raise ImportError(
                f'{KEY}={cfg[KEY]!r} needs {package}, which cannot be imported: {error}'
            ) from None
    if names:
        own = cfg.setdefault('custom_imports', ConfigDict(imports=[]))
        present = own.get('imports') or []
        present = [present] if isinstance(present, str) else list(present)
        own['imports'] = [*present, *(name for name in names if name not in present)]
