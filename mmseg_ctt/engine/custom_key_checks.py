# Copyright (c) mmseg_ctt contributors.
"""Keys of ``optim_wrapper.paramwise_cfg.custom_keys`` that are in no name of a weight."""

from typing import Any, List, Mapping

import torch.nn as nn
from mmseg.registry import OPTIMIZERS

from ..nn.settings import check_keys
from ..nn.signatures import settings_of

FACTORS = ('lr_mult', 'decay_mult')  # of mmengine, besides settings of the optimiser


def check_custom_keys(cfg: Mapping[str, Any], model: nn.Module) -> List[str]:
    """Check factors of the learning rate and the weight decay, whether they apply to some weights.

    A learning rate that applies to none is an error. A weight decay is a warning: mmseg's configs
    have such keys for weights that some networks lack, such as ``pos_block``.

    Args:
        cfg (Mapping): Complete config.
        model (nn.Module): Its model.

    Returns:
        list[str]: Warnings, one line each.

    Raises:
        ValueError: For a learning rate of no weight, or a setting that the optimiser lacks.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    optimizer = (wrapper.get('optimizer') or {}).get('type')
    optimizer = OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer
    if not keys or optimizer is None:  # which is refused by name where it is built
        return []
    known = [*FACTORS, *(setting.name for setting in settings_of(optimizer))]
    warnings = []
    for key, values in keys.items():
        place = f'optim_wrapper.paramwise_cfg.custom_keys.{key}'
        if isinstance(values, Mapping):
            check_keys(place, values, known)
        if any(key in name for name in names):
            continue
        line = (
            f'{place} does nothing, since it is in no name of a weight, such as {names[0]}: '
            'correct or remove it'
        )
        if isinstance(values, Mapping) and values.get('lr_mult', 1) != 1:
            raise ValueError(line)
        warnings.append(line)
    return warnings
