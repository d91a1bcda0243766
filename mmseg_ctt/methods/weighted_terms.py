# Copyright (c) mmseg_ctt contributors.
"""The weighted losses of a step."""

from typing import ClassVar, Dict, List, Optional, Tuple

import torch
from mmseg.utils import SampleList
from torch import Tensor

from ..nn.images import Images
from ..nn.member import PixelOutput, projects, supervised_losses
from ..nn.schedule import RampUp, weighted
from ..nn.unlabeled_weight import UnlabeledWeight
from .auxiliary import StepWithTasks

SUP = 'sup'  # in the loss weights: the term that a supervised baseline has too
Losses = Dict[str, Tensor]


class WeightedTerms(StepWithTasks):
    """Names and weights the terms of :meth:`SemiSegmentor.step`."""

    ramped_terms: ClassVar[Tuple[str, ...]]
    ramp_up: RampUp
    unlabeled_weight: Optional[UnlabeledWeight]  # built by DoNoHarmHook

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> Losses:
        """Losses of one step: the terms of :meth:`step`, named and weighted.

        Args:
            inputs (dict[str, Tensor]): ``(B, 3, H, W)`` normalised images by source.
            data_samples (dict[str, list[SegDataSample]]): Their samples.

        Returns:
            dict[str, Tensor]: Scalars; keys with ``loss`` in them are summed by mmengine.
        """
        images = {name: Images(inputs[name], data_samples[name]) for name in self.sources}
        if self.supervised_only:
            return self.supervised_step(images['labeled'])
        factor = 1.0 if self.unlabeled_weight is None else self.unlabeled_weight.factor
        losses: Losses = {}
        for name, value in self.step_with_tasks(images).items():
            member, _, term = name.rpartition('.')
            if term in self.weights:
                assert member, f'{name}: a loss that members share is divided among them'
                weight = self.loss_weight(member, term) * factor
                losses[f'{member}.loss_{term}'] = weighted(value, weight)
            else:
                losses[name] = value
        return losses

    @property
    def supervised_only(self) -> bool:
        """Whether :class:`DoNoHarmHook` has switched all other terms off."""
        return self.unlabeled_weight is not None and self.unlabeled_weight.factor == 0

    def supervised_step(self, labeled: Images) -> Losses:
        """Supervised losses of all students with the weight 1, as a baseline has them.

        Students see no other images.
        Terms times 0 would still let unlabelled images move the running averages of batch
        normalisation, and normalise labelled images in joint passes. Weights that only those terms
        train get a gradient of 0.

        Args:
            labeled (Images): Labelled images.
        """
        losses: Losses = {}
        for i in range(len(self.students)):
            (output,) = self.forward_member(f'student{i}', labeled.image)
            losses.update(self.supervised_loss(i, output, labeled))
        first = next(iter(losses))
        zeros = [w[None][:0].sum().float() for w in self.parameters() if w.requires_grad]  # no copy
        losses[first] = losses[first] + torch.stack(zeros).sum()
        return losses

    def loss_weight(self, member: str, term: str) -> float:
        """Weight of a term in this iteration, before :class:`DoNoHarmHook` lowers it."""
        weight = self.weights[term]
        return weight * self.ramp_up() if term in self.ramped_terms else weight

    def supervised_loss(self, i: int, output: PixelOutput, labeled: Images) -> Losses:
        """Losses of student ``i``'s heads on labelled images, times the weight of ``sup``."""
        terms = supervised_losses(self.students[i], output, labeled.samples)
        return self.weighted_supervised(i, output, terms)

    def weighted_supervised(self, i: int, output: PixelOutput, terms: Losses) -> Losses:
        """Losses of student ``i``'s heads, named and weighted."""
        weight = 1.0 if self.supervised_only else self.loss_weight(f'student{i}', SUP)
        losses = {f'student{i}.{key}': weighted(term, weight) for key, term in terms.items()}
        if projects(self.students[i]):  # DDP wants a gradient of layers that no other term reads
            first = next(iter(losses))
            losses[first] = losses[first] + output.zero_loss()
        return losses

    def update_state(self, state_dict: Dict[str, Tensor], prefix: str = '') -> List[str]:
        """See :class:`MemberNetworks`; the state is with or without :class:`DoNoHarmHook`.

        Its factor is of no use without the hook; where the state has none, the present one stays.
        """
        key = f'{prefix}unlabeled_weight.state'
        if self.unlabeled_weight is None:
            state_dict.pop(key, None)
        else:
            state_dict.setdefault(key, self.unlabeled_weight.state)
        return super().update_state(state_dict, prefix)
