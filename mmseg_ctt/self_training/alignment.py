# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment (CReST+) for any method: a bias on what teaching members say."""
from typing import Dict, List, Optional, Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor, nn

from ..functional import alignment_bias, target_distribution
from ..models.member import PixelOutput
from ..models.padding import content_mask
from ..models.segmentors import SemiSegmentor

KEY = 'custom_hooks: DistributionAlignmentHook'


class DistributionAlignment(nn.Module):
    """Aligns logits of one member to a target, by the mean of its last predictions.

    Adding the logarithm of ``(q + eps) / (p_model + eps)`` to the logits multiplies the
    probabilities by that ratio and normalises them. The mean is that of the steps before.

    Buffers: ``means`` ``(steps, K)`` float32, uniform at first; ``pointer`` int64.

    Args:
        target (Tensor): ``(K,)``, ``q``.
        steps (int): Length of the running mean. Defaults to 128 (released code).
    """

    def __init__(self, target: Tensor, steps: int = 128) -> None:
        super().__init__()
        self.register_buffer('target', target.float(), persistent=False)
        self.register_buffer('means', torch.full((steps, len(target)), 1 / len(target)))
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, logits: Tensor, valid: Optional[Tensor] = None) -> Tensor:
        """Aligned logits; the running mean moves on.

        Args:
            logits (Tensor): ``(B, K, h, w)``.
            valid (Tensor, optional): ``(B, h, w)`` bool, pixels that count in the mean. Defaults
                to None: all.

        Returns:
            Tensor: ``(B, K, h, w)`` float32.
        """
        logits = logits.float()
        bias = alignment_bias(self.means.mean(dim=0), self.target)
        self._remember(logits.softmax(dim=1), valid)
        return logits + bias.view(1, -1, 1, 1)

    def _remember(self, probability: Tensor, valid: Optional[Tensor]) -> None:
        weight = torch.ones_like(probability[:, :1]) if valid is None else \
            valid.unsqueeze(1).to(probability)
        sums = torch.cat([(probability * weight).sum(dim=(0, 2, 3)), weight.sum().view(1)])
        if get_world_size() > 1:
            all_reduce(sums)
        slot = (self.pointer % len(self.means)).view(1)
        mean = sums[:-1] / sums[-1].clamp(min=1)
        kept = torch.where(sums[-1] > 0, mean, self.means.index_select(0, slot)[0])
        self.means.index_copy_(0, slot, kept.unsqueeze(0))
        self.pointer += 1


@HOOKS.register_module()
class DistributionAlignmentHook(Hook):
    """Aligns the pseudo-labels of any method of this package, before its threshold.

    What a teaching member says without gradient about the weak view of the step is aligned; all
    else passes unchanged. The state lives in the model, as ``alignment.{member}``, and in the
    checkpoint. Exports do not carry it.

    Args:
        frequency (Sequence[float]): Of the classes in the labels (pixels).
        temperature (float): Exponent of the target; below 1 it is flatter. Defaults to 1.
        steps (int): Length of the running mean. Defaults to 128 (released code).

    Raises:
        ValueError: If the model is not semi-supervised or has another number of classes.
    """

    def __init__(self, frequency: Sequence[float], temperature: float = 1.0,
                 steps: int = 128) -> None:
        if steps < 1:
            raise ValueError(f'{KEY}.steps must be positive, got {steps}')
        self.target = target_distribution(torch.tensor(list(frequency)), temperature)
        self.steps = steps

    def before_run(self, runner: Runner) -> None:
        """Give the model its state, before a checkpoint is loaded into it."""
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        if not isinstance(model, SemiSegmentor):
            raise ValueError(f'{KEY} needs a semi-supervised model, got {type(model).__name__}: '
                             'set self_training.align=False')
        if len(self.target) != model.num_classes:
            raise ValueError(f'{KEY}.frequency has {len(self.target)} entries for '
                             f'{model.num_classes} classes')
        attach(model, self.target, self.steps)


def attach(model: SemiSegmentor, target: Tensor, steps: int = 128) -> None:
    """Let ``model.loss`` see aligned pseudo-labels.

    Args:
        model (SemiSegmentor): Changed in place: ``alignment``, ``look_all`` and ``loss``.
        target (Tensor): ``(K,)``.
        steps (int): Length of the running mean. Defaults to 128.

    Raises:
        ValueError: In ``loss``, if the method gives nothing to align.
    """
    names = sorted({name for sources in model.graph for name in sources})
    device = next(model.parameters()).device
    model.alignment = nn.ModuleDict(
        {name: DistributionAlignment(target, steps) for name in names}).to(device)
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
                             'weak view as it is; set self_training.align=False')
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
