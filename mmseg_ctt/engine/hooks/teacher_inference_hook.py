# Copyright (c) mmseg_ctt contributors.
from contextlib import contextmanager
from functools import wraps
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import torch
from mmengine.hooks import Hook
from mmengine.model.efficient_conv_bn_eval import efficient_conv_bn_eval_forward
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ...methods.base import SemiSegmentor
from ...methods.checks import input_channels
from ...nn import settings
from ...nn.member import eval_mode, forward_member
from ...nn.unwrap import unwrapped

KEY = 'default_hooks.teacher_inference'
DTYPES = ('bfloat16', 'float16')


@HOOKS.register_module()
class TeacherInferenceHook(Hook):
    """Cheaper passes of teachers in eval mode: batch norm folded into convolutions, low precision.

    Folding multiplies the weights of a convolution by the scale of the batch norm behind it, in
    every pass anew, so that it follows each EMA update and a resumed run needs no state (mmengine's
    ``efficient_conv_bn_eval_forward``). Outputs change by rounding, which is checked at the start;
    it holds in the validation during the training, too. The low precision is that of the training
    steps alone.

    Args:
        fold_batch_norm (bool): Defaults to True.
        dtype (str, optional): ``'bfloat16'`` or ``'float16'`` (on a GPU). Defaults to None: that of
            the run.

    Raises:
        ValueError: If the teachers are in training mode, nothing would change, the dtype is
            unknown, or folding changes the outputs.
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
        averaged = any(model.members[name].follows for name in self.names)
        if model.teacher_mode == 'train' and averaged:
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
        self._unfold()
        if self.dtype is not None:
            delattr(self.model, 'forward_members')

    def _unfold(self) -> None:
        for layer in self.folded:
            del layer.forward
        self.folded = []

    def _fold(self, name: str, member: nn.Module) -> None:
        """Fold each batch norm into the convolution before it, and see that this is right."""
        pairs = list(_pairs(member))
        if not pairs:
            raise ValueError(
                f'{KEY}.fold_batch_norm: {name} has no batch norm behind a convolution: set it to '
                "False and dtype='bfloat16', or remove the hook"
            )
        shape = 1, input_channels(member) or 3, 64, 64
        image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        image = image.to(next(member.parameters()).device)
        norms = [norm for _, norm in pairs]
        # in validation, where compiled networks run as they were built
        with eval_mode(self.model), torch.no_grad(), _trained(norms):
            before = forward_member(member, image, embedding=False).logits
            for conv, norm in pairs:
                _fold_pair(conv, norm)
                self.folded += [conv, norm]
            after = forward_member(member, image, embedding=False).logits
        if not torch.allclose(after, before, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
            self._unfold()
            raise ValueError(
                f'{KEY}.fold_batch_norm: layers of {name} are not called in the order in which '
                'they are built: set it to False'
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

        setattr(self.model, 'forward_members', call)  # noqa: B010, types know methods alone


@contextmanager
def _trained(norms: Sequence[Any]) -> Iterator[None]:
    """Batch norms that change their input; those of a new network do not, before or after a fold.

    They have their statistics back after the ``with`` block.
    """
    kept = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    random = torch.Generator().manual_seed(0)
    for norm, (_, var) in zip(norms, kept):
        shift, scale = torch.rand(2, len(var), generator=random).to(var)
        norm.running_mean += (shift - 0.5) * var.sqrt()
        norm.running_var *= scale + 0.5
    try:
        yield
    finally:
        for norm, (mean, var) in zip(norms, kept):
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(var)


def _pairs(network: nn.Module) -> Iterator[Tuple[nn.Module, nn.Module]]:
    """Convolutions with the batch norm that was built right after them."""
    for part in network.modules():
        children = list(part.children())
        for conv, norm in zip(children, children[1:]):
            if isinstance(conv, _ConvNd) and isinstance(norm, _BatchNorm):
                # not by track_running_stats, which TeacherEMAHook switches off while training
                if conv.out_channels == norm.num_features and norm.running_mean is not None:
                    yield conv, norm


def _fold_pair(conv: Any, norm: Any) -> None:
    """In eval mode the convolution does the work of the batch norm, which hands on its input."""

    def convolve(x: Tensor) -> Tensor:
        if norm.training:
            return type(conv).forward(conv, x)
        return efficient_conv_bn_eval_forward(norm, conv, x)

    def normalise(x: Tensor) -> Tensor:
        return type(norm).forward(norm, x) if norm.training else x

    conv.forward, norm.forward = convolve, normalise
