# Copyright (c) mmseg_ctt contributors.
"""Dual negative labels (DNLL, arXiv 2301.03976) for pixels, combined with cross teaching.

The paper classifies images. This is the package's reading of it for pixels. One step, everything
inside ``forward(mode='loss')``:

1. The peers of every student (the other pairs' teachers, or with ``supervision='mutual'`` the other
   students, as published) see the weak view of the unlabelled images.
2. Their mean probability gives each pixel a label, a confidence and a few negative classes, none
   of them the most probable one.
3. The strong view is the weak one after ClassMix, colour jitter and blur; all of 2 is mixed along.
4. A pixel is confident where its peer is; with ``two_views``, where the peer predicts the same on
   both views and is confident on one of them (released code).
5. Every student sees the labelled images and the strong view.
6. Losses of each student: supervised; cross-entropy to the peer's label on confident pixels;
   negative learning, the classes of 2, on all other pixels.
"""

from typing import Dict, List, NamedTuple, Sequence, Tuple

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...functional import pixel_noise, resized_cross_entropy
from ...nn import settings
from ...nn.augmentation import CLASS_MIX_STEPS, View
from ...nn.consistency import ConfidenceSelection
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import IGNORE_INDEX, PseudoLabel
from ...nn.ranks import mean_over_ranks
from ...nn.rng import sample_noise
from ...nn.schedule import iterations, training_progress
from ..base import Losses, SemiSegmentor
from ..forward import Outputs
from .functional import (
    check_negatives,
    negative_classes,
    negative_label_loss,
    negative_ramp,
    stable,
)

SCHEDULES = ('together', 'turns')


class Target(NamedTuple):
    """Pseudo-labels of both kinds: the class of a pixel, and classes that it is not.

    Attributes:
        pseudo (PseudoLabel): ``(B, H, W)`` maps.
        negative_classes (Tensor): ``(B, K, H, W)`` bool, classes that a pixel is not.
    """

    pseudo: PseudoLabel
    negative_classes: Tensor

    def apply_mix(self, view: View) -> 'Target':
        """The target of the images of a strong view."""
        return Target(self.pseudo.apply_mix(view), view.apply_mix(self.negative_classes))


@MODELS.register_module()
class DualNegativeLabel(SemiSegmentor):
    """Mutual learning with pseudo-negative labels.

    Loss weights ``sup``, ``pos``, ``neg`` default to 1, 1, 2 (the last is the released code's). The
    consistency holds the threshold: positive label from there, negative ones below; 0.8 by default
    (released code, for an image that is stable under two views). It adds no state: schedules
    follow the iterations.

    Args:
        num_negatives (int): Negative classes of a pixel. Defaults to 2 (released code), which needs
            three classes: of two, the class that a pixel is not names the one that it is, and
            pixels that are not trusted would be learnt from like others.
        selection (str): ``'distinct'``, ``'replacement'`` (released code) or ``'rank'``, see
            :func:`mmseg_ctt.functional.negative_classes`. Defaults to 'distinct'.
        exclude (int): Most probable classes of the peer that are never negative. Defaults to 1.
        negative_ramp (float): Ratio of the training in which the negative term climbs to its
            weight. Defaults to 0.15 (released code).
        schedule (str): ``'together'``: all students learn from negatives in every iteration
            (released code); ``'turns'``: one student an iteration, in turn (the abstract's
            exchange of roles). Defaults to 'together'.
        two_views (bool): Positive labels by agreement on two views. One more pass of every peer.
            Defaults to False.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For an unknown loss weight, selection or schedule, too few classes, or class
            thresholds with two views.
    """

    default_loss_weights = dict(pos=1.0, neg=2.0)
    ramped_terms = ('pos',)
    default_augmentation = CLASS_MIX_STEPS
    consistency_class = ConfidenceSelection
    default_consistency = dict(confidence_threshold=0.8)
    sections = dict(SemiSegmentor.sections, _target='pseudo-labels', _pseudo_label_losses='losses')
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))
    renamed = dict(ramp='model.negative_ramp')
    teaches_by_mean = True

    def build(
        self,
        num_negatives: int = 2,
        selection: str = 'distinct',
        exclude: int = 1,
        negative_ramp: float = 0.15,
        schedule: str = 'together',
        two_views: bool = False,
    ) -> None:
        """See the class."""
        settings.check_choice('model.schedule', schedule, SCHEDULES)
        settings.check_number('model.negative_ramp', negative_ramp, 0, 1)
        numbers = dict(num_negatives=num_negatives, exclude=exclude)
        settings.check_numbers('model', numbers, 1, whole=True)
        if two_views and self.consistency.class_thresholds is not None:
            raise ValueError(
                'model.two_views=True has one threshold for all classes: remove '
                'model.consistency.class_thresholds'
            )
        check_negatives(num_negatives, selection, exclude, self.num_classes)
        self.num_negatives, self.selection, self.exclude = num_negatives, selection, exclude
        self.negative_ramp, self.schedule, self.two_views = negative_ramp, schedule, two_views

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        outputs = self.teacher_outputs(unlabeled=unlabeled)  # 1
        probabilities = self._peer_probabilities(outputs, unlabeled.size)
        targets = [self._target(i, p, unlabeled) for i, p in enumerate(probabilities)]  # 2
        self._update_thresholds([target.pseudo for target in targets])
        view = self.strong_view(unlabeled, targets[0].pseudo.label)  # 3
        targets = [target.apply_mix(view) for target in targets]
        confident = self._confident_pixels([target.pseudo for target in targets], view)  # 4
        students = self.forward_students(labeled, [view])  # 5
        losses: Losses = {}
        for i, (on_labeled, on_strong) in enumerate(students):  # 6
            losses.update(self.supervised_loss(i, on_labeled, labeled))
            losses.update(self._pseudo_label_losses(i, on_strong, targets[i], confident[i]))
        return losses

    def _peer_probabilities(self, outputs: Outputs, size: Tuple[int, int]) -> List[Tensor]:
        """Mean probability ``(B, K, H, W)`` of the peers of each student."""
        probability = {
            name: self.upsampled(output.logits, size).softmax(dim=1)
            for name, (output,) in outputs.items()
        }
        return [
            sum((probability[name] for name in members[1:]), probability[members[0]]) / len(members)
            for members in self.graph
        ]

    def _labels_of(self, outputs: Outputs, images: Images) -> Dict[str, PseudoLabel]:
        """Pseudo-labels of the peers of each student, by their names."""
        names = (name for members in self.graph for name in self.target_names(members))
        probabilities = self._peer_probabilities(outputs, images.size)
        return {name: _most_probable(p, images) for name, p in zip(names, probabilities)}

    @torch.no_grad()
    def _target(self, i: int, probability: Tensor, images: Images) -> Target:
        """Pseudo-label and negative classes of student ``i``."""
        noise = None
        if self.selection != 'rank':
            stream, size = f'negatives/{i}', probability.shape[2:]
            keys = sample_noise(images.draws, self.num_negatives, stream, probability.device)
            noise = pixel_noise(keys.flatten(), *size).view(*keys.shape, *size)
        negatives = negative_classes(
            probability, self.num_negatives, self.selection, self.exclude, noise
        )
        return Target(_most_probable(probability, images), negatives)

    def _update_thresholds(self, pseudo: Sequence[PseudoLabel]) -> None:
        """Let class thresholds, if any, learn from the pseudo-labels of all students."""
        if self.consistency.class_thresholds is not None:
            labels = torch.stack([target.label for target in pseudo])
            confidences = torch.stack([target.confidence for target in pseudo])
            self.consistency.update(labels, confidences)

    def _confident_pixels(self, pseudo: Sequence[PseudoLabel], view: View) -> List[Tensor]:
        """Pixels ``(B, H, W)`` bool at which each student learns the pseudo-label."""
        if not self.two_views:
            return [self.consistency.confident(target) for target in pseudo]
        with torch.no_grad():
            outputs = self.forward_members(self.teaching_members, view.image)
            size = (view.image.shape[2], view.image.shape[3])
            strong = [p.max(dim=1) for p in self._peer_probabilities(outputs, size)]
        threshold = self.consistency.confidence_threshold
        return [
            stable(weak.label, weak.confidence, other.indices, other.values, threshold)
            for weak, other in zip(pseudo, strong)
        ]

    def _pseudo_label_losses(
        self, i: int, output: PixelOutput, target: Target, confident: Tensor
    ) -> Losses:
        """Positive and negative term of one student."""
        label = target.pseudo.label
        logits = self.upsampled(output.logits, (label.shape[1], label.shape[2]))
        learns_negative = target.pseudo.mask_padding(~confident)
        learns_positive = target.pseudo.mask_padding(confident)
        values = resized_cross_entropy(logits, label.masked_fill(~learns_positive, IGNORE_INDEX))
        count = mean_over_ranks(learns_negative.sum().float())
        return {
            f'student{i}.pos': values.sum() / label.numel(),
            f'student{i}.neg': negative_label_loss(
                logits, target.negative_classes, learns_negative, count=count
            ),
            f'student{i}.confident_ratio': mean_over_ranks(learns_positive.float().mean()),
        }

    def loss_weight(self, member: str, term: str) -> float:
        """Weight of a term in this iteration; the negative one has a schedule of its own."""
        weight = super().loss_weight(member, term)
        if term != 'neg':
            return weight
        done, _ = iterations()
        if self.schedule == 'turns' and f'student{done % len(self.students)}' != member:
            return 0.0
        return weight * negative_ramp(training_progress(), self.negative_ramp)


def _most_probable(probability: Tensor, images: Images) -> PseudoLabel:
    """Pseudo-label from probabilities ``(B, K, H, W)``."""
    confidence, label = probability.max(dim=1)
    return PseudoLabel.of(label, confidence, images.valid())
