# Copyright (c) mmseg_ctt contributors.
"""Layers that save memory: the backward pass computes their activations again."""

import sys
from types import SimpleNamespace
from typing import Any

import torch.nn as nn
import torch.utils.checkpoint

NAME = 'cp'  # of torch.utils.checkpoint in the files of mmseg


def checkpoint(function: Any, *args: Any, **kwargs: Any) -> Any:
    """:func:`torch.utils.checkpoint.checkpoint`, by default without a backward pass of its own."""
    kwargs.setdefault('use_reentrant', False)
    return torch.utils.checkpoint.checkpoint(function, *args, **kwargs)


WITHIN_BACKWARD = SimpleNamespace(**{**vars(torch.utils.checkpoint), 'checkpoint': checkpoint})


def recompute_within_backward(network: nn.Module) -> None:
    """Let the ``with_cp`` of the layers work with several passes of a network in a step.

    By default PyTorch computes each layer again in a backward pass of its own, which marks weights
    as ready: DDP refuses a weight that is ready twice, as it is where a network makes two passes
    before the backward pass. What the layers compute is the same.

    Args:
        network (nn.Module): With all its layers. The files of their classes get another
            ``checkpoint``.
    """
    for kind in {kind for layer in network.modules() for kind in type(layer).__mro__}:
        file = sys.modules.get(kind.__module__)
        if getattr(file, NAME, None) is torch.utils.checkpoint:
            setattr(file, NAME, WITHIN_BACKWARD)
