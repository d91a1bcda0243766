# Copyright (c) mmseg_ctt contributors.
from functools import wraps
from typing import Any, List, Optional, Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.hooks import Hook
from mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval_for_single_model
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...methods.base import SemiSegmentor
from ...nn import settings
from ...nn.unwrap import unwrapped

KEY = 'default_hooks.teacher_inference'
DTYPES = ('bfloat16', 'float16')


@HOOKS.register_module()
class TeacherInferenceHook(Hook):
    """Cheaper passes of teachers in eval mode: batch norm folded into convolutions, low precision.

    Folding multiplies the weights of a convolution by the scale of the batch norm behind it, in
    every pass anew, so that it follows each EMA update and a resumed run needs no state (mmcv's and
    mmengine's ``efficient_conv_bn_eval``). Outputs change by rounding; it holds in the validation
    during the training, too. The low precision is that of the training steps alone.

    Args:
        fold_batch_norm (bool): Defaults to True.
        dtype (str, optional): ``'bfloat16'`` or ``'float16'`` (on a GPU). Defaults to None: that of
            the run.

    Raises:
        ValueError: If the teachers are in training mode, nothing would change, the dtype is
            unknown, or a backbone cannot be folded.
    """

    config_key = KEY

    def __init__(self, fold_batch_norm: bool = True, dtype: Optional[str] = None) -> None:
        settings.check_choice(f'{KEY}.dtype', dtype, (*DTYPES, None))
        if not fold_batch_norm and dtype is None:
            raise ValueError(f'{KEY}: fold_batch_norm=False and dtype=None change nothing: set one')
        self.fold_batch_norm, self.dtype = fold_batch_norm, dtype

    def before_train(self, runner: Runner) -> None:
        """Fold the layers of the teachers and set the precision of their passes."""
        model = unwrapped(runner.model)
        if not isinstance(model, SemiSegmentor):
            raise ValueError(f'{KEY} needs a model of this package: set {KEY}=None')
        self.model: SemiSegmentor = model
        self.folded: List[nn.Module] = []
        self.names = [name for name in model.possible_teachers if not model.members[name].trains]
        if not self.names:
            raise ValueError(
                f'{KEY}: no member of {type(model).__name__} teaches without learning: '
                f'set {KEY}=None'
            )
        follow = any(model.members[name].follows for name in self.names)
        if model.teacher_mode == 'train' and follow:
            raise ValueError(
                f"{KEY} needs model.teacher_mode='eval': in training mode a teacher normalises by "
                'its batch'
            )
        if self.fold_batch_norm:
            for name in self.names:
                self._fold(name, model.member(name))
        if self.dtype is not None:
            self._lower_precision(getattr(torch, self.dtype))

    def after_train(self, runner: Runner) -> None:
        """Leave the networks as they were."""
        for layer in self.folded:
            if isinstance(layer, ConvModule):
                layer.turn_on_efficient_conv_bn_eval(False)
            else:
                del layer.forward
        if self.dtype is not None:
            del self.model.forward_members

    def _fold(self, name: str, member: nn.Module) -> None:
        """Fold the batch norm of mmcv's layers, and that of a backbone without them."""
        before, inside = len(self.folded), set()
        for layer in member.modules():
            if isinstance(layer, ConvModule) and isinstance(layer.norm, _BatchNorm):
                layer.turn_on_efficient_conv_bn_eval(True)
                self.folded.append(layer)
                inside.add(layer.norm)
        norms = [part for part in member.backbone.modules() if isinstance(part, _BatchNorm)]
        if set(norms) - inside:
            try:
                turn_on_efficient_conv_bn_eval_for_single_model(member.backbone)
            except Exception as error:  # of tracing, which has errors of many types
                kind = type(member.backbone).__name__
                raise ValueError(
                    f'{KEY}.fold_batch_norm: {kind} cannot be traced ({error}): set it to False'
                ) from error
            self.folded.append(member.backbone)
        if len(self.folded) == before:
            raise ValueError(
                f'{KEY}.fold_batch_norm: {name} has no batch norm behind a convolution: set it to '
                "False and dtype='bfloat16', or remove the hook"
            )

    def _lower_precision(self, dtype: torch.dtype) -> None:
        """Passes of teachers in a training step run under autocast."""
        forward, names = self.model.forward_members, set(self.names)
        device = self.model.num_updates.device.type

        @wraps(forward)
        def call(members: Sequence[str], *batches: Any, **settings: Any) -> Any:
            if not self.model.training or not names.issuperset(members):
                return forward(members, *batches, **settings)
            with torch.autocast(device, dtype):
                return forward(members, *batches, **settings)

        self.model.forward_members = call
