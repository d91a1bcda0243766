# Copyright (c) mmseg_ctt contributors.
"""Checksum of the settings of a config that a result depends on."""

import hashlib
import json
import os.path as osp
import re
from pathlib import PurePath
from typing import Any, Callable, Dict, Mapping

from ..nn.weight_files import PREFIX, pretrained_path

# Keys of mmengine's runner that a result depends on. Logging, pictures and the intervals of
# checkpoints are left out: a change of them does not make a run out of date.
HASHED = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'val_evaluator',
    'test_evaluator',
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'optim_wrapper',
    'param_scheduler',
    'default_hooks',
    'custom_hooks',
    'auto_scale_lr',
    'randomness',
    'load_from',
    'self_training',
)
# Keys that depend on the machine. Random numbers of a sample do not depend on the workers.
MACHINE = ('data_root', 'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor')
# Hooks that do not change the training.
WATCHING_HOOKS = (
    'CheckpointHook',
    'DistSamplerSeedHook',
    'GuardHook',
    'IterTimerHook',
    'LiveLineHook',
    'LogValuesHook',
    'LoggerHook',
    'PreemptionHook',
    'PseudoLabelHook',
    'RuntimeInfoHook',
    'SafeCheckpointHook',
    'SegVisualizationHook',
)
DIGITS = 12
# Checkpoints of a run, whose names are those of any other run: the folder of the run tells them
# apart. Those of the trainings of a self-training (`mmseg_ctt.self_training`) are inside of it.
OF_A_RUN = re.compile(r'(iter_\d+|epoch_\d+|best.*|last|latest)\.pth')
INSIDE = re.compile(r'generations|(gen|round|step)\d+|[xyz]|classifier|joint|distilled')


def config_hash(cfg: Mapping[str, Any]) -> str:
    """Checksum of the settings that a result depends on, equal on all machines.

    A file counts by its name, since folders differ between machines; a checkpoint of a run, such as
    ``iter_1000.pth``, by its path from the folder of the run on, which is one name, or more in a
    self-training: ``run/gen1/iter_1000.pth``. The content does not count: the checkpoint of a
    baseline that is still to be trained has none.

    Args:
        cfg (Mapping): Complete config.

    Returns:
        str: Twelve hexadecimal digits of a sha256.
    """
    return _hash({key: _portable(cfg[key], key) for key in HASHED if cfg.get(key) is not None})


def former_hash(cfg: Mapping[str, Any]) -> str:
    """:func:`config_hash` of versions up to 0.10, for runs that they began.

    Checkpoints of runs counted by their names alone, and a relative ``load_from`` as written.

    Args:
        cfg (Mapping): Complete config.
    """
    name = osp.basename
    return _hash({k: _portable(cfg[k], '', name) for k in HASHED if cfg.get(k) is not None})


def _hash(plain: Dict[str, Any]) -> str:
    plain['default_hooks'] = {
        name: hook
        for name, hook in plain.get('default_hooks', {}).items()
        if (hook.get('type') not in WATCHING_HOOKS if hook else name == 'param_scheduler')
    }
    plain['custom_hooks'] = [
        hook for hook in plain.get('custom_hooks', []) if hook.get('type') not in WATCHING_HOOKS
    ]
    text = json.dumps(plain, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _of_run(path: str) -> str:
    """Name of a file, of a checkpoint of a run with the folder of the run; wherever it lies."""
    parts = PurePath(osp.abspath(path)).parts
    if not OF_A_RUN.fullmatch(parts[-1]):
        return osp.basename(path)
    first = len(parts) - 2
    while first > 1 and INSIDE.fullmatch(parts[first]):
        first -= 1
    return '/'.join(parts[first:])


def _portable(value: Any, key: str = '', name_of: Callable[[str], str] = _of_run) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): _portable(item, name, name_of)
            for name, item in value.items()
            if name not in MACHINE
        }
    if isinstance(value, (list, tuple)):
        return [_portable(item, key, name_of) for item in value]
    if key == 'checkpoint' and isinstance(value, str):
        by_name = value.startswith(PREFIX)
        value = pretrained_path(value)  # other weights are another config
        if by_name and '://' not in value:
            return osp.basename(value)
    if (
        isinstance(value, str)
        and '://' not in value
        and (key in ('checkpoint', 'load_from') or osp.isabs(value))
    ):
        return name_of(value)
    return value
