# Copyright (c) mmseg_ctt contributors.
import torch.nn as nn
from mmengine.model import BaseTTAModel, is_model_wrapper


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside wrappers for several devices."""
    while is_model_wrapper(model):
        model = model.module
    return model


def segmentor_of(model: nn.Module) -> nn.Module:
    """The segmentor inside these and inside a wrapper for test-time augmentation."""
    model = unwrapped(model)
    return segmentor_of(model.module) if isinstance(model, BaseTTAModel) else model
