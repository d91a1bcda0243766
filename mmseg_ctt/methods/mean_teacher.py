# Copyright (c) mmseg_ctt contributors.
"""Mean teacher (arXiv 1703.01780) for segmentation: one student and its EMA teacher.

One step, everything inside ``forward(mode='loss')``:

1. The teacher sees the weak view of the unlabelled images, and the labelled ones.
2. Its probabilities of each pixel are the target.
3. The noise of the student's input: colours and blur of the unlabelled images.
4. The student sees the labelled images and these.
5. Losses: supervised; squared difference of the probabilities of both batches, whose weight
   climbs along a sigmoid in the first part of the training.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Tuple

import torch
from mmseg.registry import MODELS

from ..nn.images import Images
from .base import Losses, SemiSegmentor


@MODELS.register_module()
class MeanTeacher(SemiSegmentor):
    """Mean teacher.

    Loss weights ``sup`` and ``consistency`` default to 1 (ours; 100 in the re-implementation for
    segmentation in the code of CPS, which holds short runs on few labels at one class; the squared
    difference is a mean over classes and pixels). ``mode='hard'`` is cross-entropy to the teacher's
    labels of pixels at 0.95 or more instead (ours). The ramp takes a quarter of the training
    (ours; the paper gives it in steps). The noise of the input is colour jitter and blur (ours;
    ``strong_augmentation=[]`` gives both networks the same images, as the code of CPS does).

    Args:
        on_labeled (bool): Whether the consistency includes the labelled images.
            Defaults to True (paper).
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(consistency=1.0)
    ramped_terms = ('consistency',)
    default_ramp_up = dict(ratio=0.25, shape='sigmoid')
    default_augmentation = (dict(type='ColorJitter'), dict(type='GaussianBlur'))
    default_consistency = dict(target='squared', confidence_threshold=0.0)
    modes = dict(soft={}, hard=dict(consistency=dict(target='hard', confidence_threshold=0.95)))

    def build(self, on_labeled: bool = True) -> None:
        """See the class."""
        self.on_labeled = on_labeled

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        outputs = self.teacher_outputs(unlabeled=unlabeled, labeled=labeled)  # 1
        (target,) = self.pseudo_labels(outputs, unlabeled).values()  # 2
        view = self.strong_view(unlabeled, target.label)  # 3
        on_labeled, on_view = self.forward_member('student0', labeled.image, view.image)  # 4
        logits, target = on_view.logits, target.apply_mix(view)
        if self.on_labeled:
            ((_, teacher),) = outputs.values()
            target = target.joined(self.pseudo_label(teacher.logits, labeled))
            logits = torch.cat([logits, on_labeled.logits])
        loss, ratio = self.consistency_loss(logits, target)  # 5
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            'student0.consistency': loss,
            'student0.confident_ratio': ratio,
        }

    @property
    def teacher_sources(self) -> Tuple[str, ...]:
        """The labelled images too where they are a target."""
        return ('unlabeled', 'labeled') if self.on_labeled else ('unlabeled',)
