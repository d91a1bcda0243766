# Copyright (c) mmseg_ctt contributors.
"""Sub-models of a network: residual branches are dropped (stochastic depth, arXiv 1603.09382)."""

import logging
from contextlib import contextmanager, nullcontext
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence

import torch
import torch.nn as nn
from mmengine.logging import print_log
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.utils import InvertedResidual
from torch import Tensor

from ...nn import settings
from ...nn.repeated_pass import kept_activations
from ...nn.rng import Draw, sample_noise

KEY = 'model.depth_drop'
STREAM = 'dual_teacher/depth'
USUAL = 0.1  # of SegFormer, whose drop path the released code has


class Branch(NamedTuple):
    """A residual branch.

    The runner replaces layers of batch normalisation after the model is built (a run without a
    launcher, ``sync_bn``), so that its last module is looked up in each step.

    Attributes:
        block (nn.Module): Block that the branch belongs to.
        name (str): Attribute of the block: the last module of the branch.
    """

    block: nn.Module
    name: str

    @property
    def module(self) -> nn.Module:
        """The last module of the branch."""
        return getattr(self.block, self.name)


class DepthDrop:
    """Stochastic depth of a backbone, for the passes of one loss.

    A backbone with layers of drop path that are on (SegFormer, Swin, ConvNeXt) has it in all passes
    in training mode, and nothing is added. In one without, residual branches are dropped by image:
    those of ``InvertedResidual`` (MobileNetV2), ``BasicBlock`` and ``Bottleneck`` (ResNet and those
    derived from it). Their rates climb in equal steps from the first to the last block, and
    branches that stay are scaled up.

    Args:
        backbone (nn.Module): Of the student.
        rate (float, optional): Of the last branch, in [0, 1). Defaults to None: that of the
            backbone, 0.1 in one without drop path; with neither branches nor drop path, nothing is
            dropped, and a warning says so.

    Raises:
        TypeError: If the rate is no number.
        ValueError: If it lies outside [0, 1), or the backbone has nothing that it could drop.
    """

    def __init__(self, backbone: nn.Module, rate: Optional[float] = None) -> None:
        if rate is not None:
            settings.check_number(KEY, rate, 0, 1)
            if rate == 1:
                raise ValueError(f'{KEY}=1 drops the whole of the last branch; give a smaller one')
        self.backbone = backbone
        layers: List[Any] = [m for m in backbone.modules() if type(m).__name__ == 'DropPath']
        self.paths = layers
        self.branches = [] if layers else residual_branches(backbone)
        own = any(layer.drop_prob for layer in layers)
        if not layers and not self.branches:
            self._nothing_to_drop(rate)
        self.rate = (None if own else USUAL) if rate is None else rate

    @property
    def rates(self) -> List[float]:
        """Of each layer in the block; empty where those of the backbone stay."""
        layers = self.paths or self.branches
        if self.rate is None:
            return []
        return [self.rate * (i + 1) / len(layers) for i in range(len(layers))]

    @contextmanager
    def dropped(self, draws: Sequence[Draw], image: Tensor) -> Iterator[None]:
        """Passes of ``image`` in the ``with`` block are those of sub-models.

        Drop-path layers draw as dropout does; other branches by numbers of the samples.

        Args:
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            image (Tensor): ``(B, C, H, W)``, the images.
        """
        before = [layer.drop_prob for layer in self.paths]
        for layer, rate in zip(self.paths, self.rates):
            layer.drop_prob = rate
        handles = self._hooks(draws, image) if self.branches and self.rate else []
        # a pass that is computed again in backward would have the rates of the whole network
        changed = bool(handles) or (bool(self.paths) and self.rate is not None)
        try:
            with kept_activations(self.backbone) if changed else nullcontext():
                yield
        finally:
            for handle in handles:
                handle.remove()
            for layer, probability in zip(self.paths, before):
                layer.drop_prob = probability

    def _hooks(self, draws: Sequence[Draw], image: Tensor) -> List[Any]:
        rates = torch.tensor(self.rates)
        kept = sample_noise(draws, len(rates), STREAM) >= rates  # on the host, one copy
        scale = (kept / (1 - rates)).to(image.device, non_blocking=True)  # (B, branches)

        def hook(i: int) -> Any:
            return lambda module, args, output: output * scale[:, i].view(-1, 1, 1, 1).to(output)

        return [
            branch.module.register_forward_hook(hook(i)) for i, branch in enumerate(self.branches)
        ]

    def _nothing_to_drop(self, rate: Optional[float]) -> None:
        cause = (
            f'{type(self.backbone).__name__} has neither layers of drop path nor residual blocks '
            'of mmseg'
        )
        if rate:
            raise ValueError(f'{KEY}={rate}: {cause}, so it would be unused; remove it')
        print_log(
            f'{KEY}: {cause}; the consistency with depth drop drops nothing',
            'current',
            logging.WARNING,
        )


def residual_branches(backbone: nn.Module) -> List[Branch]:
    """Every residual branch, in the order of the network."""
    found: List[Branch] = []
    for module in backbone.modules():
        if isinstance(module, InvertedResidual) and module.use_res_connect:
            found.append(Branch(module, 'conv'))
        elif isinstance(module, BasicBlock):
            found.append(Branch(module, 'norm2'))
        elif isinstance(module, Bottleneck):
            found.append(Branch(module, 'norm3'))
    return found
