# Copyright (c) mmseg_ctt contributors.
from typing import Any

import torch.nn as nn
from mmengine.model import BaseTTAModel, is_model_wrapper


def unwrapped(model: nn.Module) -> Any:
    """The model inside wrappers for several devices."""
    inner: Any = model
    while is_model_wrapper(inner):
        inner = inner.module
    return inner


def segmentor_of(model: nn.Module) -> Any:
    """The segmentor inside these and inside a wrapper for test-time augmentation."""
    inner = unwrapped(model)
    return segmentor_of(inner.module) if isinstance(inner, BaseTTAModel) else inner
