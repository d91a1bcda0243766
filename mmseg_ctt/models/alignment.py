# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment (CReST+) for any method: a bias on what teaching members say."""
from typing import Dict, List, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..functional import alignment_bias
from .member import PixelOutput
from .padding import content_mask
from .ranks import sum_over_ranks
from .segmentors import SemiSegmentor

KEY = 'custom_hooks: DistributionAlignmentHook'


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

    def __init__(self, target: Tensor, steps: int = 128, uniform_start: bool = True,
                 only_raise: bool = False) -> None:
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
        weight = torch.ones_like(probability[:, :1]) if valid is None else \
            valid.unsqueeze(1).to(probability)
        sums = sum_over_ranks(
            torch.cat([(probability * weight).sum(dim=(0, 2, 3)), weight.sum().view(1)]))
        slot = (self.pointer % len(self.means)).view(1)
        mean = sums[:-1] / sums[-1].clamp(min=1)
        kept = torch.where(sums[-1] > 0, mean, self.means.index_select(0, slot)[0])
        self.means.index_copy_(0, slot, kept.unsqueeze(0))
        self.pointer += sums[-1] > 0


def attach(model: SemiSegmentor, target: Tensor, **settings: Union[int, bool]) -> None:
    """Let ``model.loss`` see aligned pseudo-labels; done again, only the target is renewed.

    Args:
        model (SemiSegmentor): Changed in place: ``alignment``, ``look_all`` and ``loss``.
        target (Tensor): ``(K,)``.
        **settings: ``steps``, ``uniform_start``, ``only_raise`` of
            :class:`DistributionAlignment`.

    Raises:
        ValueError: In ``loss``, if the method gives nothing to align.
    """
    if hasattr(model, 'alignment'):  # a runner that trains and then tests comes here twice
        for alignment in model.alignment.values():
            alignment.target.copy_(target)
        return
    device = next(model.parameters()).device
    model.alignment = nn.ModuleDict({name: DistributionAlignment(target, **settings)
                                     for name in model.teaching_members}).to(device)
    look_all, loss = model.look_all, model.loss
    step: dict = dict(weak=None, content=None, aligned=0)

    def aligned_loss(inputs: Dict[str, Tensor], data_samples: Dict[str, list]) -> dict:
        weak = inputs['unlabeled']
        step.update(weak=weak, content=content_mask(data_samples['unlabeled'], weak), aligned=0)
        try:
            losses = loss(inputs, data_samples)
        finally:
            step['weak'] = None
        if not step['aligned']:
            raise ValueError(f'{KEY}: {type(model).__name__} asks no teaching member about the '
                             'weak view as it is; remove the hook, or set '
                             'self_training.align=False')
        return losses

    def aligned_look(names: Sequence[str], *batches: Tensor) -> List[List[PixelOutput]]:
        found = look_all(names, *batches)
        return [aligned(name, outputs, batches) for name, outputs in zip(names, found)]

    def aligned(name: str, outputs: List[PixelOutput],
                batches: Sequence[Tensor]) -> List[PixelOutput]:
        learns = torch.is_grad_enabled() and name.startswith('student')
        if learns or name not in model.alignment:
            return outputs
        asked = [images is step['weak'] for images in batches]
        step['aligned'] += sum(asked)
        return [_align(model.alignment[name], output, step['content']) if weak else output
                for weak, output in zip(asked, outputs)]

    model.look_all, model.loss = aligned_look, aligned_loss


def _align(alignment: nn.Module, output: PixelOutput, content: Optional[Tensor]) -> PixelOutput:
    if content is not None:
        content = F.interpolate(content.unsqueeze(1).float(), output.logits.shape[2:]).squeeze(1)
    return output._replace(logits=alignment(output.logits, content))
