# Copyright (c) mmseg_ctt contributors.
"""Cross pseudo supervision (CPS, arXiv 2106.01226): two students teach one another.

One step with CutMix, everything inside ``forward(mode='loss')``:

1. Both students label the weak view of the unlabelled images, without gradient.
2. CutMix mixes the unlabelled images and both labels.
3. Both students see the labelled and the mixed images.
4. Losses of each student: supervised, and cross-entropy to the other student's labels, all pixels.

Without CutMix (``strong_augmentation=[]``) the students see the labelled and the unlabelled images
once, and each learns the other's labels of both.
"""

from typing import Mapping

import torch
from mmseg.registry import MODELS

from ..nn.augmentation import View
from ..nn.images import Images
from .base import Losses
from .forward import Outputs
from .weak_to_strong import WeakToStrong


@MODELS.register_module()
class CrossPseudoSupervision(WeakToStrong):
    """Cross pseudo supervision of two students of other initial weights, no teacher.

    Loss weights ``sup`` and ``cps`` default to 1 and 1 (released code, VOC with CutMix; 1.5
    without, and 5 and 6 on Cityscapes). CutMix keeps three boxes that cover a quarter to a half of
    the area together and pastes the rest (released code). Every pixel counts, whatever its
    confidence.

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_num_pairs = 2
    default_supervision = 'mutual'
    fixed_graph = True
    default_loss_weights = dict(cps=1.0)
    consistency_term = 'cps'
    ramped_terms = ('cps',)
    default_augmentation = (dict(type='CutMixing', area=(0.5, 0.75), boxes=3),)
    default_consistency = dict(confidence_threshold=0.0)

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        if self.strong_augmentation.active:
            return super().step(labeled, unlabeled)
        students = self.forward_students(labeled, [View(unlabeled.image)])
        losses = self.supervised_losses([outputs[0] for outputs in students], labeled)
        outputs = {f'student{i}': student[::-1] for i, student in enumerate(students)}
        outputs = self.align_and_limit(outputs, unlabeled)
        pseudo = self.pseudo_labels(outputs, unlabeled)
        for i, (peer,) in enumerate(self.graph):
            target = pseudo[peer].joined(self.pseudo_label(outputs[peer][1].logits, labeled))
            logits = torch.cat([output.logits for output in students[i][::-1]])
            loss, ratio = self.consistency_loss(logits, target)
            losses[f'student{i}.cps'] = loss
            losses[f'student{i}.confident_ratio'] = ratio
        return losses

    def forward_teachers(self, images: Mapping[str, Images]) -> Outputs:
        """Outputs of the students, which without another view have one pass for all images."""
        if self.strong_augmentation.active:
            return super().forward_teachers(images)
        batches = images['labeled'].image, images['unlabeled'].image
        outputs = self.forward_members(self.teaching_members, *batches)
        return {name: output[::-1] for name, output in outputs.items()}
