# Copyright (c) mmseg_ctt contributors.
"""Starting weights: what fits of them; weight_files.py has where they come from.

mmengine loads what fits of a checkpoint and lists the rest in one long message, also where nothing
fits and all weights stay random.
"""

import socket
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional
from urllib.error import URLError

import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from .head_checks import config_key
from .lora import is_adapter
from .tuning import TunedBackbone
from .weight_files import damage, may_be_random, pretrained_path, random_start, remedy, web_address

ENOUGH = 0.1  # ratio of the weights that must fit; fewer fit by accident
TRIED = 40  # weights by which a prefix is found
NO_DOWNLOAD = (URLError, ConnectionError, TimeoutError, socket.timeout)


class Fit(NamedTuple):
    """Weights of a module that a checkpoint has.

    Attributes:
        fitting (int): Number of them in it, by name and shape.
        total (int): Number of weights of the module.
        example (str): First one that is not in it, in words; '' if all are.
    """

    fitting: int
    total: int
    example: str

    @property
    def enough(self) -> bool:
        """Whether so many fit that the checkpoint is one of this architecture."""
        return self.fitting >= max(1, ENOUGH * self.total)

    def __str__(self) -> str:
        return f'{self.fitting} of {self.total} weights'


def fit_of(weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> Fit:
    """Count the weights of a module that a checkpoint has.

    Args:
        weights (Mapping[str, Tensor]): Of the module, by name.
        state (Mapping[str, Tensor]): Of the checkpoint.
    """
    misfits = [name for name in weights if _shape(state.get(name)) != _shape(weights[name])]
    example = ''
    if misfits:
        there = _shape(state.get(misfits[0])) or 'absent'
        example = f'{misfits[0]} is {there} there and {_shape(weights[misfits[0]])} here'
    return Fit(len(weights) - len(misfits), len(weights), example)


def prefix_of(weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> Optional[str]:
    """Prefix by which the names of a checkpoint differ from those of a module, None if by more.

    Args:
        weights (Mapping[str, Tensor]): Of the module, by name.
        state (Mapping[str, Tensor]): Of the checkpoint.

    Example:
        >>> prefix_of({'stem.weight': torch.zeros(2)}, {'model.stem.weight': torch.zeros(2)})
        'model.'
    """
    names = list(weights)[:TRIED]
    prefixes = {key[: -len(name)] for key in state for name in names if key.endswith(f'.{name}')}
    for prefix in sorted(prefixes):
        own = {f'{prefix}{name}': value for name, value in weights.items()}
        if fit_of(own, state).fitting > len(own) / 2:
            return prefix
    return None


def pretrained_source(init_cfg: Any) -> Optional[Mapping[str, Any]]:
    """The entry of an ``init_cfg`` that names a file of weights; None without one.

    Args:
        init_cfg (Mapping | Sequence[Mapping], optional): Of a module.
    """
    for node in init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]:
        if isinstance(node, Mapping) and 'checkpoint' in node:
            return node
    return None


@contextmanager
def counted_starting_weights(
    model: nn.Module,
    warn: Callable[[str], None],
    inform: Optional[Callable[[str], None]] = None,
    resumes: Callable[[], bool] = bool,
) -> Iterator[Dict[str, Fit]]:
    """Count what ``init_cfg=dict(type='Pretrained')`` loads in the ``with`` block.

    Args:
        model (nn.Module): Whose ``init_weights`` is called in the block.
        warn (Callable): Called with a line where some of the weights do not fit.
        inform (Callable, optional): Called with a line where all do. Defaults to None.
        resumes (Callable): Whether a checkpoint will replace all weights, asked where some do not
            fit. Defaults to ``bool``: no.

    Yields:
        dict[str, Fit]: Filled in the block, by config key of the module.

    Raises:
        ValueError: If a file is damaged; in the block, where hardly any weight fits, a weight that
            never trains does not at a new start, or a file cannot be downloaded.
    """
    fits: Dict[str, Fit] = {}
    handles: List[Any] = []
    files: Dict[str, str] = {}  # first key of each
    for path, module in model.named_modules():
        source = pretrained_source(getattr(module, 'init_cfg', None))
        if source is not None:
            key = f'{config_key(model, path)}.init_cfg'
            file = str(source.get('checkpoint'))
            if file not in files:
                files[file] = key
                _refuse_damaged(key, file)
            count = _counter(key, module, file, fits, warn, inform or _silent, resumes)
            handles.append(module._register_load_state_dict_pre_hook(count))
    try:
        yield fits
    except AssertionError as error:
        if 'is not in the pretrained model' not in str(error):
            raise
        raise ValueError(f'init_cfg.prefix: {error}: no name of the checkpoint has it') from None
    except NO_DOWNLOAD as error:
        failed = [file for file, key in files.items() if key not in fits and _is_remote(file)]
        if not failed:
            raise
        raise ValueError(_not_downloaded(failed[0], files[failed[0]], error)) from error
    finally:
        for handle in handles:
            handle.remove()


def _is_remote(file: str) -> bool:
    return web_address(pretrained_path(file)) is not None


def _not_downloaded(file: str, key: str, error: OSError) -> str:
    reason = getattr(error, 'reason', None) or str(error) or type(error).__name__
    return f'{key}: {pretrained_path(file)} cannot be downloaded ({reason}): {remedy(file, key)}'


def _refuse_damaged(key: str, file: str) -> None:
    """Check a local file, for an error of one line in place of torch's many."""
    path = pretrained_path(file)
    wrong = damage(path)
    if wrong is not None:
        raise ValueError(f'{key}: {path} {wrong}: copy or download it again')


def _counter(
    key: str,
    module: nn.Module,
    file: str,
    fits: Dict[str, Fit],
    warn: Callable[[str], None],
    inform: Callable[[str], None],
    resumes: Callable[[], bool],
) -> Callable:
    def count(state: Dict[str, Tensor], prefix: str, *_: Any) -> None:
        if prefix:  # a whole model is loaded
            return
        own = module.named_parameters()
        weights = {name: weight for name, weight in own if not is_adapter(name)}
        fit, known = fit_of(weights, state), fits.get(key)
        fits[key] = fit
        if not state and may_be_random(file):
            state.update(module.state_dict())  # mmengine would list each of them as missing
            if fit != known:
                still = ', and frozen or lora keeps them random' if _is_frozen(module) else ''
                warn(f'{key}: {random_start(file)}{still}')
            return
        if not fit.enough:
            raise ValueError(f'{key}: {_misfit(module, file, fit, prefix_of(weights, state))}')
        if fit == known:  # students of one config say it once
            return
        if not fit.example:
            inform(f'{key}: {file} has {fit}')
        elif resumes():
            warn(f'{key}: {file} has {fit} ({fit.example}), all come from the resumed checkpoint')
        else:
            _refuse_untrained(f'{key}: {file}', module, state)
            warn(f'{key}: {file} has {fit}, the others stay random ({fit.example})')

    return count


def _is_frozen(module: nn.Module) -> bool:
    """Whether nothing but adapters trains."""
    weights = module.named_parameters()
    return not any(weight.requires_grad for name, weight in weights if not is_adapter(name))


def _refuse_untrained(where: str, module: nn.Module, state: Mapping[str, Any]) -> None:
    """Check that no weight would stay random for ever, apart from members that follow others."""
    tuned = isinstance(module, TunedBackbone) and (module.frozen or module.lora is not None)
    if _is_frozen(module) and not tuned:
        return
    weights = module.named_parameters()
    kept = {n: w for n, w in weights if not (w.requires_grad or is_adapter(n))}
    fit = fit_of(kept, state)
    if fit.example:
        raise ValueError(
            f'{where} has {fit} that do not train, and the others would stay random for ever '
            f'({fit.example}): take a file that has them, or train them (without frozen, lora or '
            'frozen_stages)'
        )


def _misfit(module: nn.Module, file: str, fit: Fit, prefix: Optional[str]) -> str:
    """Error where hardly any weight fits, with the remedy where a prefix is all that differs."""
    line = f'{file} has {fit}, so that the network would stay random ({fit.example})'
    if prefix is None:
        return f'{line}: take the file of this architecture, or set init_cfg=None to start random'
    own = getattr(type(module), 'init_weights', None)
    known = own is BaseModule.init_weights  # others read the file themselves
    remedy = f'set init_cfg.prefix={prefix!r}' if known else 'save the file without'
    return f'{line}: its names begin with {prefix!r}, {remedy}'


def _silent(line: str) -> None:
    """Where nobody wants to know that all weights fit."""


def _shape(value: Any) -> Optional[tuple]:
    shape = getattr(value, 'shape', None)
    return None if shape is None else tuple(shape)
