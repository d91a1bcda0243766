# Copyright (c) mmseg_ctt contributors.
"""Regional contrast (ReCo, arXiv 2104.04465): a mean teacher with ClassMix, and a contrast.

One step, everything inside ``forward(mode='loss')``:

1. The teacher labels the weak view of the unlabelled images.
2. Half of the classes of each image are pasted onto its neighbour, labels along; then colours and
   blur.
3. The student sees the labelled and the mixed images.
4. Losses: supervised; cross-entropy to the teacher's labels, times the ratio of pixels at 0.97 or
   more in each image; regional contrast.
5. The contrast: pixels with a true label, or a pseudo-label of 0.7 or more, take part. Those to
   whose class the student gives less than 0.97 are queries, 256 a class at random. They are drawn
   to the mean of their class and away from 512 pixels of other classes, of which those with a
   similar mean are drawn more often.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Optional

from mmseg.registry import MODELS

from ...nn.images import Images
from ...nn.pseudo_label import PseudoLabel
from ..base import Losses
from ..weak_to_strong import WeakToStrong
from .contrast import RegionalContrast


@MODELS.register_module()
class ReCo(WeakToStrong):
    """ReCo with ClassMix: one student and its EMA teacher.

    Loss weights ``sup``, ``unsup``, ``contrast`` default to 1, 1, 1 (paper and released code).
    ReCo with CutMix is ``strong_augmentation=[dict(type='CutMixing'), ...]``.

    Args:
        contrast (dict, optional): Settings of :class:`RegionalContrast`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For an unknown loss weight or a bad setting.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(unsup=1.0, contrast=1.0)
    default_consistency = dict(select='image_ratio', confidence_threshold=0.97)
    parts = ('contrast',)
    reads_embedding = True
    toy_settings = dict(
        consistency=dict(confidence_threshold=0.27),
        contrast=dict(dim=8, num_queries=4, num_negatives=3, weak_threshold=0.27),
    )

    def build(self, contrast: Optional[dict] = None) -> None:
        """See the class."""
        self.contrast = RegionalContrast.of(self, contrast)

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        teachers = self.teacher_outputs(unlabeled=unlabeled)
        pseudo = self.pseudo_labels(teachers, unlabeled)  # 1
        pool, pseudo = self.mixing_pool(pseudo, unlabeled=unlabeled, labeled=labeled)
        views = self.strong_views(pool, pseudo)  # 2
        ((on_labeled, on_view),) = self.forward_students(labeled, views)  # 3
        targets = self.mixed_targets(pseudo, views)
        losses = self.supervised_loss(0, on_labeled, labeled)  # 4
        losses.update(self.consistency_losses([on_view], targets))
        if self.contrast is not None:  # 5
            target = PseudoLabel(targets.label[0, 0], targets.confidence[0, 0])
            losses['student0.contrast'] = self.contrast(
                [on_labeled, on_view], labeled.labels, target, unlabeled.draws
            )
        return losses
