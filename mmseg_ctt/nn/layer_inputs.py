# Copyright (c) mmseg_ctt contributors.
"""What a layer reads while a network runs."""

from contextlib import contextmanager
from typing import Iterator, List

from torch import Tensor, nn


@contextmanager
def layer_inputs(layer: nn.Module) -> Iterator[List[Tensor]]:
    """First input of a layer in the ``with`` block, one tensor a call.

    Args:
        layer (nn.Module): The layer; its hook is taken off at the end.
    """
    inputs: List[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    try:
        yield inputs
    finally:
        handle.remove()
