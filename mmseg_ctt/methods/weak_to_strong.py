# Copyright (c) mmseg_ctt contributors.
"""Weak-to-strong consistency: what most methods with pseudo-labels have in common.

One step, everything inside ``forward(mode='loss')``:

1. The teaching members see the weak view of the unlabelled images.
2. Class and confidence of each pixel are the pseudo-labels.
3. The strong view is the weak one after the steps of ``strong_augmentation``; pseudo-labels are
   mixed along, and so are the true labels of parts of labelled images (``partner='labeled'``).
4. Every student sees the labelled images and the strong view.
5. Losses of each student: supervised, and the distance to the pseudo-labels of its teaching
   members (``consistency``), mean over these.

A method that is this step with other settings is a class with other attributes.
"""

from typing import Any, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..nn.augmentation import CLASS_MIX_STEPS, View
from ..nn.consistency import Consistency
from ..nn.images import Images
from ..nn.joint_losses import joint_cross_entropy
from ..nn.member import PixelOutput
from ..nn.pseudo_label import PseudoLabel
from .base import Losses, SemiSegmentor


class WeakToStrong(SemiSegmentor):
    """Students learn from pseudo-labels of the weak view on a strong view."""

    consistency_term: ClassVar[str] = 'unsup'
    takes_halves: ClassVar[bool] = True
    takes_labeled: ClassVar[bool] = True
    sections: ClassVar[Mapping[str, str]] = dict(SemiSegmentor.sections, supervised_losses='losses')
    shared_view: bool = True  # one strong view for all students; False: one for each
    default_loss_weights: ClassVar[Mapping[str, float]] = dict(unsup=1.0)
    ramped_terms: ClassVar[Tuple[str, ...]] = ('unsup',)
    default_augmentation: ClassVar[Sequence[dict]] = CLASS_MIX_STEPS
    default_consistency: ClassVar[Mapping[str, Any]] = dict(confidence_threshold=0.95)

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        teachers = self.teacher_outputs(unlabeled=unlabeled)  # 1
        pseudo = self.pseudo_labels(teachers, unlabeled)  # 2
        pool, pseudo = self.mixing_pool(pseudo, unlabeled=unlabeled, labeled=labeled)
        views = self.strong_views(pool, pseudo)  # 3
        students = self.forward_students(labeled, views)  # 4
        losses = self.supervised_losses([outputs[0] for outputs in students], labeled)  # 5
        targets = self.mixed_targets(pseudo, views)
        losses.update(self.consistency_losses([outputs[1] for outputs in students], targets))
        return losses

    def strong_views(self, images: Images, pseudo: Dict[str, PseudoLabel]) -> List[View]:
        """Strong view of each student, cut along the labels of its first teaching member.

        A single one for all with ``shared_view``.
        """
        graph = self.graph[:1] if self.shared_view else self.graph
        return [
            self.strong_view(images, pseudo[members[0]].label, i) for i, members in enumerate(graph)
        ]

    def mixed_targets(self, pseudo: Dict[str, PseudoLabel], views: Sequence[View]) -> PseudoLabel:
        """Pseudo-labels of the strong views, ``(P, S, B, H, W)`` for ``S`` teaching members."""
        shape = len(self.graph), len(self.graph[0])
        targets = [pseudo[name] for members in self.graph for name in members]
        stacked = (_mixed_stack(views, maps) for maps in zip(*targets))
        return PseudoLabel._make(
            None if map_ is None else map_.unflatten(0, shape) for map_ in stacked
        )

    def supervised_losses(self, outputs: Sequence[PixelOutput], labeled: Images) -> Losses:
        """Supervised losses of all students, in one call where their heads allow it."""
        losses: Losses = {}
        joint = None
        if len(outputs) > 1:
            joint = joint_cross_entropy(self.students, outputs, labeled.samples)
        for i, output in enumerate(outputs):
            losses.update(
                self.supervised_loss(i, output, labeled)
                if joint is None
                else self.weighted_supervised(i, output, joint[i])
            )
        return losses

    def view_losses(
        self,
        logits: Sequence[Tensor],
        targets: Sequence[PseudoLabel],
        consistency: Optional[Consistency] = None,
    ) -> Tuple[Tensor, Tensor]:
        """Consistency loss of each view, and its ratio of confident pixels.

        Args:
            logits (Sequence[Tensor]): ``(B, K, h, w)`` of each of ``V`` views.
            targets (Sequence[PseudoLabel]): ``(B, H, W)`` maps of each view.
            consistency (Consistency, optional): Defaults to None: the method's own.

        Returns:
            tuple[Tensor, Tensor]: ``(V,)`` and ``(V,)``.
        """
        stacked = torch.stack(list(logits)), PseudoLabel.stacked(targets)
        if consistency is not None:
            return consistency(*stacked, self.align_corners)
        return self.consistency_loss(*stacked)

    def consistency_losses(self, outputs: Sequence[PixelOutput], targets: PseudoLabel) -> Losses:
        """Consistency term of every student, mean over its teaching members.

        Args:
            outputs (Sequence[PixelOutput]): Of each student, for its strong view.
            targets (PseudoLabel): ``(P, S, B, H, W)`` maps.
        """
        shape = targets.label.shape[:2]
        logits = torch.stack([output.logits for output in outputs for _ in range(shape[1])])
        values = self.consistency_loss(logits.unflatten(0, shape), targets)
        loss, ratio = (value.mean(1) for value in values)
        return {**by_student(self.consistency_term, loss), **by_student('confident_ratio', ratio)}


def by_student(name: str, values: Tensor) -> Losses:
    """``(P,)`` values as terms of the students."""
    return {f'student{i}.{name}': value for i, value in enumerate(values.unbind())}


def _mixed_stack(views: Sequence[View], maps: Sequence[Optional[Tensor]]) -> Optional[Tensor]:
    """Maps of ``P * S`` targets, mixed as the view of all students or each as its own."""
    given = [map_ for map_ in maps if map_ is not None]
    if not given:
        return None
    if len(views) == 1 and given[0].dim() == 3:  # all in one operation
        return views[0].apply_mix(torch.stack(given), batch_dim=1)
    repeat = len(given) // len(views)
    return torch.stack([views[i // repeat].apply_mix(map_) for i, map_ in enumerate(given)])
