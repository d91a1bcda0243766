# Copyright (c) mmseg_ctt contributors.
"""``DMHead`` of mmseg in any memory format; importing this module extends it.

Its layers reshape the output of two convolutions by ``view``, which needs the usual format. Maps of
another one (``channels_last``, the neck of AllSpark) would end in an error.
"""

from functools import wraps
from typing import Any

import torch.nn as nn
from mmseg.models.decode_heads.dm_head import DCM
from torch import Tensor

_init = DCM.__init__


@wraps(_init)
def _init_for_any_format(self: DCM, *args: Any, **kwargs: Any) -> None:
    """``DCM.__init__`` of mmseg, with hooks that change the format."""
    _init(self, *args, **kwargs)
    for layer in (self.filter_gen_conv, self.input_redu_conv):
        layer.register_forward_hook(_in_usual_format)


def _in_usual_format(layer: nn.Module, args: tuple, output: Tensor) -> Tensor:
    return output.contiguous()


DCM.__init__ = _init_for_any_format
