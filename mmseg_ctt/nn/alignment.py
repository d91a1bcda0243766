# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment (CReST+) for any method: a bias on what teaching members say."""

from typing import Dict, List, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..functional import alignment_bias
from .member import PixelOutput
from .ranks import sum_over_ranks


class DistributionAlignment(nn.Module):
    """Aligns logits of one member to a target, by the mean of its last predictions.

    Adding the logarithm of ``(q + eps) / (p_model + eps)`` to the logits multiplies the
    probabilities by that ratio and normalises them. The mean is that of the steps before.

    Buffers: ``means`` ``(steps, K)`` float32, uniform at first; ``pointer`` int64.

    Args:
        target (Tensor): ``(K,)``, ``q``.
        steps (int): Length of the running mean. Defaults to 128 (released code).
        uniform_start (bool): Whether the uniform means of the beginning count until they are
            replaced (released code), which holds rare classes down for as long; False takes the
            mean of the steps there are, and leaves the first as it is. Defaults to True.
        only_raise (bool): Whether classes that are named more often than the target says are left
            alone; for images whose common classes are others than those of the labels. Defaults
            to False (released code).
    """

    def __init__(
        self, target: Tensor, steps: int = 128, uniform_start: bool = True, only_raise: bool = False
    ) -> None:
        super().__init__()
        self.uniform_start, self.only_raise = uniform_start, only_raise
        self.register_buffer('target', target.float(), persistent=False)
        self.register_buffer('means', torch.full((steps, len(target)), 1 / len(target)))
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, logits: Tensor, valid: Optional[Tensor] = None) -> Tensor:
        """Aligned logits; the running mean moves on.

        Args:
            logits (Tensor): ``(B, K, h, w)``.
            valid (Tensor, optional): ``(B, h, w)``, bool or weights of the pixels in the mean.
                Defaults to None: all.

        Returns:
            Tensor: ``(B, K, h, w)`` float32.
        """
        aligned = self.align(logits)
        self._remember(logits.float().softmax(dim=1), valid)
        return aligned

    def align(self, logits: Tensor) -> Tensor:
        """The same, but the running mean stays as it is."""
        return logits.float() + self._bias().view(1, -1, 1, 1)

    def _bias(self) -> Tensor:
        bias = alignment_bias(self._mean(), self.target)
        if self.only_raise:
            bias = bias.clamp(min=0)
        return bias if self.uniform_start else bias * (self.pointer > 0)

    def _mean(self) -> Tensor:
        if self.uniform_start:
            return self.means.mean(dim=0)
        filled = (torch.arange(len(self.means), device=self.means.device) < self.pointer).float()
        # no matrix product, which autocast would round
        return (self.means * filled.unsqueeze(1)).sum(dim=0) / filled.sum().clamp(min=1)

    def _remember(self, probability: Tensor, valid: Optional[Tensor]) -> None:
        weight = (
            torch.ones_like(probability[:, :1])
            if valid is None
            else valid.unsqueeze(1).to(probability)
        )
        sums = sum_over_ranks(
            torch.cat([(probability * weight).sum(dim=(0, 2, 3)), weight.sum().view(1)])
        )
        slot = (self.pointer % len(self.means)).view(1)
        mean = sums[:-1] / sums[-1].clamp(min=1)
        kept = torch.where(sums[-1] > 0, mean, self.means.index_select(0, slot)[0])
        self.means.index_copy_(0, slot, kept.unsqueeze(0))
        self.pointer += sums[-1] > 0


class MemberAlignment(nn.ModuleDict):
    """One :class:`DistributionAlignment` for each teaching member, ``alignment`` of a model.

    Args:
        members (Sequence[str]): Their names.
        target (Tensor): ``(K,)``.
        **settings: ``steps``, ``uniform_start``, ``only_raise`` of the parts.
    """

    def __init__(
        self, members: Sequence[str], target: Tensor, **settings: Union[int, bool]
    ) -> None:
        super().__init__({name: DistributionAlignment(target, **settings) for name in members})
        self.asked = False  # by a training step, so far in this process

    def forward(
        self, guides: Dict[str, List[PixelOutput]], content: Optional[Tensor]
    ) -> Dict[str, List[PixelOutput]]:
        """Aligned outputs for the weak view, the first of each member; the others as they are.

        Args:
            guides (dict[str, list[PixelOutput]]): By member.
            content (Tensor, optional): ``(B, H, W)`` bool, False in the padding, which the
                running means leave out.

        Returns:
            dict[str, list[PixelOutput]]: By member.
        """
        self.asked = True
        if content is not None:
            content = content.unsqueeze(1).float()
        aligned = {}
        for name, (weak, *others) in guides.items():
            valid = (
                None
                if content is None
                else F.interpolate(content, weak.logits.shape[2:]).squeeze(1)
            )
            aligned[name] = [weak._replace(logits=self[name](weak.logits, valid)), *others]
        return aligned
