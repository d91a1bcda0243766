# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment of pseudo-labels (ReMixMatch, CReST+), for any method."""

import re
from typing import Dict, List, Mapping, Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..functional import alignment_bias
from .member import PixelOutput
from .ranks import sum_over_ranks

Outputs = Dict[str, List[PixelOutput]]


class DistributionAlignment(nn.Module):
    """Aligns logits of one member to a target, by the mean of its last predictions.

    Adding the logarithm of ``(q + eps) / (p_model + eps)`` to the logits multiplies the
    probabilities by that ratio and normalises them. The mean is that of the steps before.

    Buffers: ``means`` ``(steps, K)`` float32, uniform at first; ``pointer`` int64; the settings, so
    that a checkpoint says all that its alignment needs: ``target`` ``(K,)`` float32,
    ``uniform_start`` and ``only_raise`` bool.

    Args:
        target (Tensor): ``(K,)``, ``q``.
        steps (int): Length of the running mean. Defaults to 128 (released code).
        uniform_start (bool): Whether the running mean begins with ``steps`` uniform entries
            (released code), which holds rare classes down until they are replaced; False takes
            the mean of the steps so far, and does not change the first. Defaults to True.
        only_raise (bool): Whether only classes that are predicted too rarely are changed; for
            images whose common classes differ from those of the labels. Defaults to False
            (released code).
    """

    SETTINGS = ('target', 'uniform_start', 'only_raise')
    target: Tensor
    uniform_start: Tensor
    only_raise: Tensor
    means: Tensor
    pointer: Tensor

    def __init__(
        self, target: Tensor, steps: int = 128, uniform_start: bool = True, only_raise: bool = False
    ) -> None:
        super().__init__()
        self.register_buffer('target', target.float())
        self.register_buffer('uniform_start', torch.tensor(uniform_start))
        self.register_buffer('only_raise', torch.tensor(only_raise))
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
        self._update(logits.float().softmax(dim=1), valid)
        return aligned

    def align(self, logits: Tensor) -> Tensor:
        """The same, but the running mean stays as it is."""
        return logits.float() + self._bias().view(1, -1, 1, 1)

    def _bias(self) -> Tensor:
        bias = alignment_bias(self._mean(), self.target)
        bias = torch.where(self.only_raise, bias.clamp(min=0), bias)
        return bias * (self.uniform_start | (self.pointer > 0))

    def _mean(self) -> Tensor:
        rows = torch.arange(len(self.means), device=self.means.device)
        filled = (self.uniform_start | (rows < self.pointer)).float()
        # no matrix product, which autocast would round
        return (self.means * filled.unsqueeze(1)).sum(dim=0) / filled.sum().clamp(min=1)

    def _update(self, probability: Tensor, valid: Optional[Tensor]) -> None:
        weight = (
            torch.ones_like(probability[:, :1])
            if valid is None
            else valid.unsqueeze(1).to(probability)
        )
        sums = sum_over_ranks(
            torch.cat([(probability * weight).sum(dim=(0, 2, 3)), weight.sum().view(1)])
        )
        row = (self.pointer % len(self.means)).view(1)
        mean = sums[:-1] / sums[-1].clamp(min=1)
        kept = torch.where(sums[-1] > 0, mean, self.means.index_select(0, row)[0])
        self.means.index_copy_(0, row, kept.unsqueeze(0))
        self.pointer += sums[-1] > 0


class MemberAlignment(nn.ModuleDict):
    """One :class:`DistributionAlignment` for each teaching member, ``alignment`` of a model.

    Args:
        members (Sequence[str]): Their names.
        target (Tensor): ``(K,)``.
        steps (int): See :class:`DistributionAlignment`. Defaults to 128.
        uniform_start (bool): See there. Defaults to True.
        only_raise (bool): See there. Defaults to False.
    """

    def __init__(
        self,
        members: Sequence[str],
        target: Tensor,
        steps: int = 128,
        uniform_start: bool = True,
        only_raise: bool = False,
    ) -> None:
        parts = {
            name: DistributionAlignment(target, steps, uniform_start, only_raise)
            for name in members
        }
        super().__init__(parts)
        self.applied = False  # by a training step, so far in this process

    @classmethod
    def of_state(cls, state_dict: Mapping[str, Tensor], prefix: str) -> Optional['MemberAlignment']:
        """The alignment that a checkpoint holds, its state still to be loaded.

        Args:
            state_dict (Mapping[str, Tensor]): Entries of the checkpoint.
            prefix (str): Of those of the alignment, such as ``'alignment.'``.

        Returns:
            MemberAlignment | None: None without such entries, or where the target is not among
            them, as in version 0.1.
        """
        means = re.escape(prefix) + r'([^.]+)\.means'
        found = [match[1] for key in state_dict if (match := re.fullmatch(means, key))]
        targets = [state_dict.get(f'{prefix}{name}.target') for name in found]
        if not found or targets[0] is None:
            return None
        return cls(found, targets[0], steps=len(state_dict[f'{prefix}{found[0]}.means']))

    def configure(self, target: Tensor, uniform_start: bool, only_raise: bool) -> None:
        """Change the settings of all members; the running means stay."""
        for name in self:
            part = self.part(name)
            part.target.copy_(target)
            part.uniform_start.fill_(uniform_start)
            part.only_raise.fill_(only_raise)

    def add_settings(self, state_dict: Dict[str, Tensor], prefix: str) -> None:
        """Give a checkpoint of version 0.1, which has running means alone, these settings.

        Args:
            state_dict (dict[str, Tensor]): Changed in place.
            prefix (str): As in :meth:`of_state`.
        """
        for name in self:
            if f'{prefix}{name}.means' in state_dict:
                for key in DistributionAlignment.SETTINGS:
                    state_dict.setdefault(f'{prefix}{name}.{key}', getattr(self[name], key))

    def part(self, name: str) -> DistributionAlignment:
        """The alignment of one member."""
        part = self[name]
        assert isinstance(part, DistributionAlignment)
        return part

    def forward(self, outputs: Outputs, valid: Optional[Tensor]) -> Outputs:
        """Aligned outputs for the weak view, the first of each member; the others as they are.

        Args:
            outputs (dict[str, list[PixelOutput]]): By member.
            valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding, which the running
                means leave out.

        Returns:
            dict[str, list[PixelOutput]]: By member.
        """
        self.applied = True
        aligned = {}
        for name, (weak, *others) in outputs.items():
            weights = None if valid is None else _resized(valid, weak.logits)
            aligned[name] = [weak._replace(logits=self[name](weak.logits, weights)), *others]
        return aligned

    def align(self, outputs: Outputs) -> Outputs:
        """The same, but the running means stay as they are."""
        return {
            name: [weak._replace(logits=self.part(name).align(weak.logits)), *others]
            for name, (weak, *others) in outputs.items()
        }


def _resized(valid: Tensor, logits: Tensor) -> Tensor:
    """Mask ``(B, H, W)`` at the size of the logits, float32."""
    return F.interpolate(valid.unsqueeze(1).float(), logits.shape[2:]).squeeze(1)
