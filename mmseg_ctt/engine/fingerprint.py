# Copyright (c) mmseg_ctt contributors.
"""Checksum of the settings of a config that a result depends on."""

import hashlib
import json
import os.path as osp
import re
from pathlib import PurePath
from typing import Any, Mapping

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
# Checkpoints of a run, whose names are those of any other run. So many folders above tell them
# apart: that of the run in a matrix, and those of its generations.
OF_A_RUN = re.compile(r'(iter_\d+|epoch_\d+|best.*|last|latest)\.pth')
FOLDERS = 3


def config_hash(cfg: Mapping[str, Any]) -> str:
    """Checksum of the settings that a result depends on, equal on all machines.

    A file counts by its name, since folders differ between machines; a checkpoint of a run, such as
    ``iter_1000.pth``, by its path from the third folder above it on. The content does not count:
    the checkpoint of a baseline that is still to be trained has none.

    Args:
        cfg (Mapping): Complete config.

    Returns:
        str: Twelve hexadecimal digits of a sha256.
    """
    plain = {key: _portable(cfg[key], key) for key in HASHED if cfg.get(key) is not None}
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


def _portable(value: Any, key: str = '') -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): _portable(item, name) for name, item in value.items() if name not in MACHINE
        }
    if isinstance(value, (list, tuple)):
        return [_portable(item, key) for item in value]
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
        return _name_of_file(value)
    return value


def _name_of_file(path: str) -> str:
    name = osp.basename(path)
    if OF_A_RUN.fullmatch(name):
        return '/'.join(PurePath(path).parts[-1 - FOLDERS :])
    return name
