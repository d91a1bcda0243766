# Copyright (c) mmseg_ctt contributors.
"""STPG (arXiv 2409.12680): a general and a professional student, taught across.

One step, everything inside ``forward(mode='loss')``:

1. Both teachers see the weak view of the unlabelled images, and one of them the labelled ones.
2. Class and confidence of each unlabelled pixel are their pseudo-labels.
3. The strong view is the weak one after CutMix; pseudo-labels are mixed along.
4. Both students see the labelled images and the same strong view.
5. The general student (0) learns every pixel from teacher 1, weighted by confidence.
6. The professional student (1) learns from teacher 0 only where both agree, or where the teacher
   predicts a class on which they differ more often in this batch (mismatch score).
7. Labelled and unlabelled features of the general student are pulled to the anchor of their class
   and to its memory.
8. Confident and correctly classified labelled pixels of a teacher move the class centroids and
   enter the memory.

The teachers follow the students in :class:`TeacherEMAHook`; :class:`QueueWarmupHook` switches the
contrast on; :class:`AnchorAssignmentHook` matches anchors to centroids at an interval.
"""

from typing import Dict, List, Mapping, Optional, Sequence

from mmseg.registry import MODELS
from torch import Tensor

from ...nn.heads import main_head
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import PseudoLabel
from ...nn.ranks import mean_over_ranks, sum_over_ranks
from ..base import Losses, SemiSegmentor
from .contrast import AnchorContrast
from .functional import mismatch_score, mismatch_selection, weighted_cross_entropy

GENERAL, PROFESSIONAL = 0, 1


@MODELS.register_module()
class STPG(SemiSegmentor):
    """Synergistic training of a general and a professional pair of student and teacher.

    Loss weights ``sup``, ``general``, ``professional``, ``contrast_labeled``,
    ``contrast_unlabeled`` default to 1, 1, 1, 0.1, 0.1 (released code). The strong view is CutMix
    without changes of colour (released code, which cuts three smaller boxes). The general student
    predicts (released code).

    Buffers: those of :class:`SemiSegmentor` and of :class:`AnchorContrast`.

    Args:
        bank (dict, optional): Settings of :class:`ClassMemoryBank`. Defaults to None.
        contrast (dict, optional): Settings of :class:`AnchorContrast`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For another number of pairs, a graph without one teacher for each student, an
            unknown loss weight or a bad setting of a part.
    """

    default_member = 'student0'
    default_loss_weights = dict(
        general=1.0, professional=1.0, contrast_labeled=0.1, contrast_unlabeled=0.1
    )
    ramped_terms = ('general', 'professional')
    default_augmentation = (dict(type='CutMixing'),)
    parts = ('contrast',)
    reads_embedding = True
    sections = dict(SemiSegmentor.sections, _general_loss='losses', _professional_loss='losses')
    toy_settings = dict(bank=dict(size=2), contrast=dict(threshold=0.2))

    def build(self, bank: Optional[dict] = None, contrast: Optional[dict] = None) -> None:
        """See the class."""
        teachers = [member for members in self.graph for member in members]
        if len(self.students) != 2 or not len(self.teachers) or len(teachers) != 2:
            raise ValueError(
                'model.type=STPG is two students with one teacher each: set num_pairs=2 and '
                "supervision='cross', 'self' or 'ensemble'"
            )
        self.contrast = AnchorContrast.of(
            self,
            ('contrast_labeled', 'contrast_unlabeled'),
            contrast,
            bank,
            dict(norm_cfg=main_head(self.students[0]).norm_cfg),
        )

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        teachers = self.teacher_outputs(unlabeled=unlabeled, labeled=labeled)  # 1
        pseudo = self.pseudo_labels(teachers, unlabeled)  # 2
        view = self.strong_view(unlabeled, pseudo[self.graph[GENERAL][0]].label)  # 3
        targets = [pseudo[teacher].apply_mix(view) for (teacher,) in self.graph]
        on_labeled, on_strong = zip(*self.forward_students(labeled, [view]))  # 4
        losses: Losses = {}
        for i, output in enumerate(on_labeled):
            losses.update(self.supervised_loss(i, output, labeled))
        losses.update(self._general_loss(on_strong[GENERAL], targets[GENERAL]))  # 5
        losses.update(self._professional_loss(on_strong[PROFESSIONAL], targets[PROFESSIONAL]))  # 6
        outputs = on_labeled[GENERAL], on_strong[GENERAL]
        losses.update(self._contrast_losses(outputs, labeled.labels, targets[GENERAL]))  # 7
        if self.contrast is not None:
            self.contrast.update(teachers[self._memory_teacher][1], labeled.labels)  # 8
        return losses

    @property
    def _memory_teacher(self) -> str:
        own = self.contrast is not None and self.contrast.memory == 'own'
        return f'teacher{GENERAL if own else PROFESSIONAL}'

    def forward_teachers(self, images: Mapping[str, Images]) -> Dict[str, List[PixelOutput]]:
        """Outputs of both teachers for the weak view, of one for the labelled images too."""
        outputs = {}
        for name in ('teacher0', 'teacher1'):
            fills_memory = self.contrast is not None and name == self._memory_teacher
            sources = ('unlabeled', 'labeled') if fills_memory else ('unlabeled',)
            outputs[name] = self.forward_member(name, *(images[key].image for key in sources))
        return outputs

    def _general_loss(self, output: PixelOutput, target: PseudoLabel) -> Losses:
        """Cross-entropy of every pixel to its pseudo-label, weighted by confidence."""
        label = target.class_index
        logits = self.upsampled(output.logits, (label.shape[1], label.shape[2]))
        loss = weighted_cross_entropy(logits, label, target.confidence)
        return {f'student{GENERAL}.general': loss}

    def _professional_loss(self, output: PixelOutput, target: PseudoLabel) -> Losses:
        """The same of selected pixels: both agree, or the teacher's class has the larger score."""
        label = target.class_index
        logits = self.upsampled(output.logits, (label.shape[1], label.shape[2]))
        predicted = logits.detach().argmax(dim=1)
        score = mismatch_score(label, predicted, self.num_classes, target.valid, sum_over_ranks)
        selected = target.mask_padding(mismatch_selection(label, predicted, score))
        loss = weighted_cross_entropy(logits, label, target.confidence * selected)
        return {
            f'student{PROFESSIONAL}.professional': loss,
            f'student{PROFESSIONAL}.selected_ratio': mean_over_ranks(selected.float().mean()),
        }

    def _contrast_losses(
        self, outputs: Sequence[PixelOutput], label: Tensor, target: PseudoLabel
    ) -> Losses:
        """Both contrasts of the general student; zeros while switched off."""
        if self.contrast is None:
            return {}
        if self.contrast.active:
            terms = self.contrast(*outputs, label, target.label)
        else:
            terms = dict.fromkeys(('labeled', 'unlabeled'), self.contrast.zero_loss(*outputs))
        return {f'student{GENERAL}.contrast_{key}': term for key, term in terms.items()}
