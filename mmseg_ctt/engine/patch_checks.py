# Copyright (c) mmseg_ctt contributors.
"""Image sizes that a vision transformer can cut into patches."""

from typing import Any, Iterator, Mapping, Tuple

import torch.nn as nn

from ..nn.foundation.backbone import FoundationBackbone, check_size
from ..nn.head_checks import config_key
from .config_checks import preprocessor_of
from .pipeline_checks import crop_sizes, last_sizes

PREPROCESSOR = 'data_preprocessor'


def check_patches(cfg: Mapping[str, Any], model: nn.Module) -> None:
    """Check that patches divide crops, windows, and images of any size once they are padded.

    Args:
        cfg (Mapping): Complete config of a training run.
        model (nn.Module): Its model.

    Raises:
        ValueError: Names the key and the nearest sizes.
    """
    backbones = {
        config_key(model, path): module
        for path, module in model.named_modules()
        if isinstance(module, FoundationBackbone)
    }
    for key, backbone in backbones.items():
        for where, size, remedy in _sizes(cfg):
            check_size(backbone, size, f'{size[0]}x{size[1]} pixels, the {where},', remedy, key)
        if cfg.get('val_dataloader') or cfg.get('test_dataloader'):
            _check_padding(cfg, key, backbone)
            _check_fixed(cfg, key, backbone)


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


def _check_fixed(cfg: Mapping[str, Any], key: str, backbone: FoundationBackbone) -> None:
    """Check that images of validation and test have the only size that a network takes."""
    fixed = backbone.fixed_size
    padded = (preprocessor_of(cfg).get('test_cfg') or {}).get('size')
    if fixed is None or _inference(cfg).get('mode', 'whole') != 'whole':
        return  # windows are checked as crops are
    if padded is not None and tuple(padded) == fixed:
        return
    for where, sizes in last_sizes(cfg, ('val', 'test')).items():
        if fixed not in sizes:
            resizing = f'{key}.dynamic_img_size=True, or ' if backbone.can_resize else ''
            raise ValueError(
                f'{key} takes images of {fixed[0]}x{fixed[1]} alone, and those of {where} may have '
                f"any size: set {resizing}test_cfg=dict(mode='slide', crop_size={fixed}, "
                f'stride={fixed}) of the network; or give the pipeline '
                f"dict(type='Resize', scale={fixed[::-1]}); or, where no image is larger, set "
                f'{PREPROCESSOR}.test_cfg=dict(size={fixed})'
            )
