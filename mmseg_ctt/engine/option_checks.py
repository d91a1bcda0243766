# Copyright (c) mmseg_ctt contributors.
"""Checks of the names of settings that a command changes, by dotted keys."""

import inspect
from difflib import get_close_matches
from typing import Any, Dict, Mapping

from mmengine.runner import Runner

READ = (  # top-level keys that are read, besides arguments of Runner
    *('method', 'segmentor_from', 'sizes', 'image_loading', 'volume_slices'),  # here
    *('compile', 'self_training', 'tta_model', 'tta_pipeline', 'test_pipeline'),
    *('custom_imports', 'runner_type', 'strategy', 'model_wrapper_cfg', 'sync_bn'),  # by mmengine
    *('find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval'),
    *('train_pipeline', 'vis_backends', 'fp16', 'opencv_num_threads', 'mp_start_method'),
)
STAGES = dict(
    train=('train_dataloader', 'train_cfg', 'optim_wrapper'),
    val=('val_dataloader', 'val_cfg', 'val_evaluator'),
    test=('test_dataloader', 'test_cfg', 'test_evaluator'),
)


def as_options(given: Any) -> Dict[str, Any]:
    """A copy of settings by dotted keys; empty for None.

    Raises:
        TypeError: If they are no dict.
    """
    if not isinstance(given, (Mapping, type(None))):
        raise TypeError(
            'cfg_options must be a dict of values by dotted keys, such as '
            f'{{"sizes.max_iters": 20000}}, got {given!r}'
        )
    return dict(given or {})


def check_names(options: Any, cfg: Mapping[str, Any]) -> None:
    """Check that something reads the settings, by the first word of their keys.

    Args:
        options (Mapping[str, Any]): By dotted keys.
        cfg (Mapping): Config that they change, as read.

    Raises:
        TypeError: If they are no dict.
        ValueError: Names the key and the one that is nearest to it.
    """
    known = {*cfg, *READ, *inspect.signature(Runner).parameters} - {'cfg'}
    for key in as_options(options):
        first, dot, rest = str(key).partition('.')
        if first in known:
            continue
        near = get_close_matches(first, sorted(known), 1)
        remedy = f'did you mean {near[0]}{dot}{rest}?' if near else 'correct or remove it'
        raise ValueError(
            f'nothing reads {key}, since the config has no {first}: {remedy} '
            '(what code of your own reads is set in the config file)'
        )


def check_whole_stages(cfg: Mapping[str, Any]) -> None:
    """Check that training, validation and test are each there as a whole, or not at all.

    Args:
        cfg (Mapping): Complete config of a runner.

    Raises:
        ValueError: Names the keys that are missing and those that are there.
    """
    for stage, keys in STAGES.items():
        missing = [key for key in keys if cfg.get(key) is None]
        if 0 < len(missing) < len(keys):
            there = [key for key in keys if key not in missing]
            raise ValueError(
                f'the config has {" and ".join(there)}, and {" and ".join(missing)} is None or '
                f'missing: set all of them, or, to leave out {stage}, '
                f'{", ".join(f"{key}=None" for key in keys)}'
            )


def check_evaluated(cfg: Mapping[str, Any], stage: str = 'test') -> None:
    """Check that there are images to score.

    Args:
        cfg (Mapping): Complete config.
        stage (str): ``'test'`` or ``'val'``. Defaults to 'test'.

    Raises:
        ValueError: If there are none; says what to set.
    """
    if cfg.get(f'{stage}_dataloader') is None:
        raise ValueError(
            f'the config has no {stage}_dataloader, so that there are no images to score: set '
            f'{", ".join(STAGES[stage])} (new_run writes them where enough images have masks and '
            '--val is not 0), or predict images with tools/predict.py'
        )
