# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment of pseudo-labels (ReMixMatch, CReST+), for any method."""

import re
from typing import Dict, List, Mapping, Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..functional import alignment_bias
from ..functional.ema import copy_tensors_
from .heads import joined_logits
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

    joint_state = (('means', 'pointer'),)
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

    def forward(self, logits: Tensor, valid: Optional[Tensor] = None) -> Tensor:
        """Aligned logits; the running mean moves on.

        Args:
            logits (Tensor): ``(B, K, h, w)``.
            valid (Tensor, optional): ``(B, h, w)``, bool or weights of the pixels in the mean.
                Defaults to None: all.

        Returns:
            Tensor: ``(B, K, h, w)`` float32.
        """
        return _aligned([self], [logits], valid)[0]

    def align(self, logits: Tensor) -> Tensor:
        """The same, but the running mean stays as it is."""
        return _aligned([self], [logits], None, moves=False)[0]


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
        return self._of(outputs, valid)

    def align(self, outputs: Outputs) -> Outputs:
        """The same, but the running means stay as they are."""
        return self._of(outputs, None, moves=False)

    def _of(self, outputs: Outputs, valid: Optional[Tensor], moves: bool = True) -> Outputs:
        weak = [first.logits for first, *_ in outputs.values()]
        weights = None if valid is None else _resized(valid, weak[0])
        aligned = _aligned([self.part(name) for name in outputs], weak, weights, moves)
        return {
            name: [first._replace(logits=logits), *others]
            for logits, (name, (first, *others)) in zip(aligned, outputs.items())
        }


@torch.no_grad()
def _aligned(
    parts: Sequence[DistributionAlignment],
    logits: Sequence[Tensor],
    valid: Optional[Tensor],
    moves: bool = True,
) -> Sequence[Tensor]:
    """Logits of members aligned by their parts, all in one: ``M`` tensors ``(B, K, h, w)``.

    The parts have the same settings, see :meth:`MemberAlignment.configure`.
    """
    means = torch.stack([part.means for part in parts])  # (M, steps, K)
    pointer = torch.stack([part.pointer for part in parts]).unsqueeze(1)
    row = torch.arange(means.shape[1], device=means.device)
    together = joined_logits(logits).float()
    by_member = len(parts), *logits[0].shape
    bias = _bias(parts[0], means, row < pointer)
    if moves:
        sums = sum_over_ranks(_sums(together.softmax(1).view(by_member), valid))
        _update(parts, means, pointer, row, sums)
    return (together.view(by_member) + bias[:, None, :, None, None]).unbind()


def _bias(part: DistributionAlignment, means: Tensor, written: Tensor) -> Tensor:
    """``(M, K)`` from ``(M, steps, K)`` means, of which ``(M, steps)`` are ``written``."""
    counted = written | part.uniform_start
    number = counted.sum(1, keepdim=True)
    # no matrix product, which autocast would round
    mean = (means * counted.unsqueeze(2)).sum(1) / number.clamp(min=1)
    bias = alignment_bias(mean, part.target)
    return torch.where(part.only_raise, bias.clamp(min=0), bias) * (number > 0)


def _sums(probability: Tensor, valid: Optional[Tensor]) -> Tensor:
    """Sums ``(M, K)`` of ``(M, B, K, h, w)`` over the valid pixels, behind them their number."""
    if valid is None:
        pixels = probability.shape[1] * probability.shape[3:].numel()
        number = probability.new_full((len(probability), 1), pixels)
    else:
        weight = valid.unsqueeze(1).to(probability)
        number = weight.sum().expand(len(probability), 1)
        probability = probability * weight
    return torch.cat([probability.sum((1, 3, 4)), number], 1)


def _update(
    parts: Sequence[DistributionAlignment],
    means: Tensor,
    pointer: Tensor,
    row: Tensor,
    sums: Tensor,
) -> None:
    """Write the mean of the sums of :func:`_sums` behind the pointer; without pixels nothing."""
    total, number = sums.split([sums.shape[1] - 1, 1], 1)
    counts = number > 0
    written = (row == pointer.remainder(len(row))) & counts  # (M, steps)
    mean = total / number.clamp(min=1)
    means = torch.where(written.unsqueeze(2), mean.unsqueeze(1), means)
    states = [part.means for part in parts] + [part.pointer for part in parts]
    news = means.unbind() + (pointer + counts).squeeze(1).unbind()
    copy_tensors_(states, news)


def _resized(valid: Tensor, logits: Tensor) -> Tensor:
    """Mask ``(B, H, W)`` at the size of the logits, float32."""
    return F.interpolate(valid.unsqueeze(1).float(), logits.shape[2:]).squeeze(1)
