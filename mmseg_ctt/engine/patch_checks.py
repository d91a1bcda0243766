# Copyright (c) mmseg_ctt contributors.
"""Image sizes that a vision transformer can cut into patches."""

from typing import Any, Iterator, Mapping, Tuple

import torch.nn as nn

from ..nn.foundation.backbone import FoundationBackbone, check_size
from ..nn.head_checks import config_key
from .config_checks import preprocessor_of
from .pipeline_checks import crop_sizes

PREPROCESSOR = 'data_preprocessor'


def check_patches(cfg: Mapping[str, Any], model: nn.Module) -> None:
    """Check that patches divide crops, windows, and images of any size once they are padded.

    Args:
        cfg (Mapping): Complete config of a training run.
        model (nn.Module): Its model.

    Raises:
        ValueError: Names the key and the nearest sizes.
    """
    for key, backbone in _backbones(model):
        for where, size, remedy in _sizes(cfg):
            check_size(backbone, size, f'{size[0]}x{size[1]} pixels, the {where},', remedy, key)
        if cfg.get('val_dataloader') or cfg.get('test_dataloader'):
            _check_padding(cfg, key, backbone)


def check_first_image(cfg: Mapping[str, Any], model: nn.Module, sample: Mapping[str, Any]) -> None:
    """Check that the first image of validation has the only size that a network takes.

    Args:
        cfg (Mapping): Complete config of a training run.
        model (nn.Module): Its model.
        sample (Mapping): Of the first image, as the pipeline packs it.

    Raises:
        ValueError: Names the key and what to set.
    """
    if _inference(cfg).get('mode', 'whole') != 'whole':
        return  # windows are checked as crops are
    size = _padded(tuple(sample['inputs'].shape[-2:]), preprocessor_of(cfg).get('test_cfg') or {})
    for key, backbone in _backbones(model):
        fixed = backbone.fixed_size
        if fixed is not None and fixed != size:
            resizing = f'{key}.dynamic_img_size=True, or ' if backbone.can_resize else ''
            raise ValueError(
                f'{key} takes images of {fixed[0]}x{fixed[1]} alone, and the first one of '
                f'val_dataloader.dataset has {size[0]}x{size[1]} pixels: set {resizing}'
                f"test_cfg=dict(mode='slide', crop_size={fixed}, stride={fixed}) of the network; "
                f"or give the pipeline dict(type='Resize', scale={fixed[::-1]}); or, where no "
                f'image is larger, set {PREPROCESSOR}.test_cfg=dict(size={fixed})'
            )


def _backbones(model: nn.Module) -> Iterator[Tuple[str, FoundationBackbone]]:
    """Backbones that cut images into patches, each config key once."""
    found = {
        config_key(model, path): module
        for path, module in model.named_modules()
        if isinstance(module, FoundationBackbone)
    }
    yield from found.items()


def _sizes(cfg: Mapping[str, Any]) -> Iterator[Tuple[str, Tuple[int, int], str]]:
    """What an image is cut to, its size, and what to set."""
    remedy = 'set sizes.crop_size to one of them'
    for where, size in crop_sizes(cfg).items():
        yield where, size, remedy
    padded = preprocessor_of(cfg).get('size')
    if padded is not None:
        yield f'{PREPROCESSOR}.size', tuple(padded), remedy
    window = _inference(cfg).get('crop_size')
    if window is not None:
        yield 'test_cfg.crop_size', tuple(window), 'set it to one of them'


def _inference(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """``test_cfg`` of the network."""
    segmentor = (cfg.get('model') or {}).get('segmentor', cfg.get('model')) or {}
    return segmentor.get('test_cfg') or {}


def _check_padding(cfg: Mapping[str, Any], key: str, backbone: FoundationBackbone) -> None:
    test_cfg = preprocessor_of(cfg).get('test_cfg') or {}
    given, divisor = test_cfg.get('size_divisor') or 1, max(backbone.size_divisor)
    if any(given % side for side in backbone.size_divisor) and not test_cfg.get('size'):
        raise ValueError(
            f'{PREPROCESSOR}.test_cfg must be dict(size_divisor={divisor}), or a multiple: images '
            f'of validation and test are padded to the patches of {key}, and the padding is cut '
            'off the prediction'
        )


def _padded(size: Tuple[int, ...], test_cfg: Mapping[str, Any]) -> Tuple[int, ...]:
    """Size of an image once the data preprocessor has padded it."""
    if test_cfg.get('size'):
        return tuple(map(max, size, test_cfg['size']))
    divisor = test_cfg.get('size_divisor') or 1
    return tuple(-(-side // divisor) * divisor for side in size)
