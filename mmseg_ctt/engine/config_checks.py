# Copyright (c) mmseg_ctt contributors.
"""Checks of the config of a training run; each error names the key.

They are about settings that mmseg takes without a word, or refuses without their keys.
``Runner.train`` and ``tools/misc/check_setup.py`` call them.
"""

import re
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from ..nn.settings import as_dict, check_choice
from .pipeline_checks import check_pipelines, crop_sizes, has_step
from .setting_checks import check_values

PREPROCESSOR = 'data_preprocessor'
NUMERIC = ('train_cfg', 'optim_wrapper', 'param_scheduler')  # sections without texts of digits
NUMBER = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?')
LARGEST_UNIT = 2.0  # means above it are of images from 0 to 255


def check_config(cfg: Mapping[str, Any]) -> List[str]:
    """Check settings that mmseg takes without a word, or refuses without their keys.

    Args:
        cfg (Mapping): Complete config of a training run.

    Returns:
        list[str]: Warnings, one line each.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: Names the key and what to set.
    """
    preprocessor = preprocessor_of(cfg)
    _check_crops(preprocessor, cfg)
    check_pipelines(cfg, preprocessor)
    _check_optimizer(cfg)
    _check_interval(cfg)
    _check_steps_of_schedules(cfg)
    return _normalisation(preprocessor, has_step(cfg, 'Normalize'))


def preprocessor_of(cfg: Mapping[str, Any]) -> Dict[str, Any]:
    """Settings of the data preprocessor, wherever a config has them.

    Args:
        cfg (Mapping): Complete config.
    """
    model = cfg.get('model') or {}
    segmentor = model.get('segmentor')
    top = as_dict(PREPROCESSOR, cfg.get(PREPROCESSOR))
    outer = as_dict(f'model.{PREPROCESSOR}', model.get(PREPROCESSOR)) or top
    inner = segmentor.get(PREPROCESSOR) if isinstance(segmentor, Mapping) else None
    inner = as_dict(f'model.segmentor.{PREPROCESSOR}', inner)
    for name, value in inner.items():
        if name != 'type' and outer.get(name, value) != value and outer.get(name) != top.get(name):
            raise ValueError(
                f'model.{PREPROCESSOR}.{name}={outer[name]!r} is unused, since model.segmentor.'
                f'{PREPROCESSOR}.{name}={value!r}: set it there'
            )
    return {**outer, **inner}


def _check_preprocessor(values: Mapping[str, Any]) -> None:
    size, mean, std = values.get('size'), values.get('mean') or (), values.get('std') or ()
    if size is not None and values.get('size_divisor') is not None:
        raise ValueError(
            f'{PREPROCESSOR} has size={size} and size_divisor={values["size_divisor"]}: images '
            'are padded to one of them, set the other to None'
        )
    pair = isinstance(size, (list, tuple)) and len(size) == 2
    if size is not None and not (pair and all(isinstance(n, int) and n > 0 for n in size)):
        raise ValueError(
            f'{PREPROCESSOR}.size must be (height, width), two positive integers, got {size!r}'
        )
    if len(mean) != len(std):
        raise ValueError(
            f'{PREPROCESSOR}: mean={mean} and std={std} must have one number for each channel, both'
        )
    if values.get('bgr_to_rgb') and values.get('rgb_to_bgr'):
        raise ValueError(f'{PREPROCESSOR} has bgr_to_rgb and rgb_to_bgr: set one of them')


def _check_crops(values: Mapping[str, Any], cfg: Mapping[str, Any]) -> None:
    size = values.get('size')
    for key, crop in crop_sizes(cfg).items():
        if size is not None and (crop[0] > size[0] or crop[1] > size[1]):
            raise ValueError(
                f'{PREPROCESSOR}.size={tuple(size)} is smaller than {crop}, the {key}: make them '
                'equal (sizes.crop_size sets both)'
            )


def _normalisation(values: Mapping[str, Any], normalised: bool) -> List[str]:
    """Warnings of mean and std."""
    mean, std = (values.get(name) for name in ('mean', 'std'))
    if not mean or not std:
        return (
            []
            if normalised
            else [
                f'{PREPROCESSOR} has no mean and std, so that networks get values from 0 to 255: '
                'set both, as the starting weights were trained with'
            ]
        )
    if max(map(abs, mean)) < LARGEST_UNIT and max(std) < LARGEST_UNIT:
        return [
            f'{PREPROCESSOR}.mean={mean} is that of images from 0 to 1, and images here go from 0 '
            'to 255: multiply mean and std by 255'
        ]
    return []


def _check_optimizer(cfg: Mapping[str, Any]) -> None:
    wrapper = cfg.get('optim_wrapper') or {}
    optimizer, paramwise = wrapper.get('optimizer') or {}, wrapper.get('paramwise_cfg')
    if optimizer.get('fused') and optimizer.get('foreach'):
        raise ValueError(
            'optim_wrapper.optimizer has fused=True and foreach=True, of which PyTorch takes one: '
            'remove the other'
        )
    for key, value in _leaves('optim_wrapper.paramwise_cfg', paramwise):
        if key.endswith('decay_mult') and optimizer.get('weight_decay') is None:
            raise ValueError(
                f'{key}={value}, but optim_wrapper.optimizer has no weight_decay to multiply: set '
                'it (0 for none)'
            )


def _check_interval(cfg: Mapping[str, Any]) -> None:
    interval = (cfg.get('train_cfg') or {}).get('val_interval', 1)
    if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
        raise ValueError(
            f'train_cfg.val_interval must be a positive number of iterations, got {interval!r}: to '
            'validate at the end alone set it to train_cfg.max_iters'
        )


def _check_steps_of_schedules(cfg: Mapping[str, Any]) -> None:
    """Schedules by epoch, mmengine's default, never step in a run that is counted in iterations."""
    loop, schedules = cfg.get('train_cfg') or {}, cfg.get('param_scheduler') or []
    if 'max_iters' not in loop or 'max_epochs' in loop:
        return
    for i, node in enumerate(schedules if isinstance(schedules, (list, tuple)) else [schedules]):
        if node.get('by_epoch', True) and not node.get('convert_to_iter_based'):
            raise ValueError(
                f'param_scheduler.{i} ({node.get("type")}) goes by epochs, and this run has '
                'iterations, so that it would do nothing: set by_epoch=False'
            )


def check_always(cfg: Mapping[str, Any]) -> None:
    """Check settings that matter to every tool, not to training alone.

    Args:
        cfg (Mapping): Complete config.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: Names the key.
    """
    check_numbers(cfg)
    check_values(cfg)
    _check_preprocessor(preprocessor_of(cfg))
    model = cfg.get('model') or {}
    if 'segmentor' in model and 'backbone' in model:
        part = next(iter(model['segmentor'] or ['backbone']))
        raise ValueError(
            f'model.segmentor: model.type={model.get("type")!r} is the segmentor itself, as with '
            f'method="supervised"; set model.{part} instead'
        )
    key = 'model.segmentor' if 'segmentor' in model else 'model'
    node = model.get('segmentor', model)
    if isinstance(node, Mapping):
        test_cfg = node.get('test_cfg')
        if isinstance(test_cfg, Mapping) and test_cfg.get('mode') is not None:
            _check_inference(f'{key}.test_cfg', test_cfg)


def _check_inference(key: str, test_cfg: Mapping[str, Any]) -> None:
    check_choice(f'{key}.mode', test_cfg['mode'], ('whole', 'slide', 'slide_flip'))
    if test_cfg['mode'] == 'whole':
        return
    sizes = {name: test_cfg.get(name) for name in ('crop_size', 'stride')}
    for name, size in sizes.items():
        if not isinstance(size, (list, tuple)) or len(size) != 2:
            raise ValueError(f'{key}.{name} must be (height, width) for mode="slide", got {size!r}')
    if any(step > side for step, side in zip(sizes['stride'], sizes['crop_size'])):  # type: ignore
        raise ValueError(
            f'{key}.stride={sizes["stride"]} is larger than crop_size={sizes["crop_size"]}: pixels '
            'between two windows would have no prediction'
        )


def check_numbers(cfg: Mapping[str, Any]) -> None:
    """Check that no number is given as text, which Python would compare with numbers.

    Args:
        cfg (Mapping): Complete config.

    Raises:
        ValueError: Names the key.
    """
    for section in NUMERIC:
        for key, value in _leaves(section, cfg.get(section)):
            if isinstance(value, str) and NUMBER.fullmatch(value):
                raise ValueError(f'{key}={value!r} is text: write the number without quotes')


def _leaves(key: str, node: Any) -> Iterator[Tuple[str, Any]]:
    """Values of a config that are no dict and no list, with their keys."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(f'{key}.{name}', value)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _leaves(f'{key}.{i}', value)
    else:
        yield key, node
