# Copyright (c) mmseg_ctt contributors.
"""STPG (arXiv 2409.12680): a general and a professional student, taught across.

One step, everything inside ``forward(mode='loss')``:

1. Both teachers look at the weak view of the unlabelled images, and one at the labelled ones.
2. Their label and confidence of each unlabelled pixel are the pseudo-labels.
3. The strong view is the weak one after CutMix; pseudo-labels are mixed along.
4. Both students see the labelled images and the same strong view, and learn their labels.
5. The general student (0) learns every pixel from teacher 1, weighted by confidence.
6. The professional student (1) learns from teacher 0 only where both agree, or where the teacher
   names a class on which they differ more often in this batch (mismatch score).
7. Labelled and unlabelled features of the general student are drawn to the anchor of their class
   and to its memory.
8. Surely and rightly classified labelled pixels of a teacher move the class centroids and enter
   the memory.

The teachers follow the students in :class:`TeacherEMAHook`; :class:`QueueWarmupHook` switches the
contrast on; :class:`AnchorAssignmentHook` matches anchors to centroids at an interval.
"""

from typing import Any, Dict, List, Optional, Sequence

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from ...functional import pseudo_label
from ...nn import settings
from ...nn.contrast_switch import ContrastSwitch
from ...nn.member import PixelOutput, labels_of
from ...nn.padding import content_mask, within
from ...nn.random import draws_of
from ...nn.ranks import sum_over_ranks
from ...nn.strong_view import View
from ..base import SemiSegmentor
from ..ctt.contrast import Target
from .contrast import AnchorContrast
from .functional import mismatch_score, mismatch_selection, weighted_cross_entropy

GENERAL, PROFESSIONAL = 0, 1
WEIGHTS = dict(sup=1.0, general=1.0, professional=1.0, contrast_labeled=0.1, contrast_unlabeled=0.1)
CUT_MIX = dict(mix='cut', jitter_prob=0, blur_prob=0)


@MODELS.register_module()
class STPG(ContrastSwitch, SemiSegmentor):
    """Synergistic training of a general and a professional pair of student and teacher.

    Buffers: those of :class:`SemiSegmentor`, :class:`ContrastSwitch` and :class:`AnchorContrast`.

    Args:
        segmentor (dict): As in :class:`SemiSegmentor`, as are all arguments not listed here.
        teaching (str): ``'cross'``, or another graph with one teacher a student.
            Defaults to 'cross'.
        loss_weights (dict, optional): ``sup``, ``general``, ``professional``,
            ``contrast_labeled``, ``contrast_unlabeled``. Defaults to 1, 1, 1, 0.1, 0.1 (released
            code).
        bank (dict, optional): Settings of :class:`ClassMemoryBank`. Defaults to None.
        contrast (dict, optional): Settings of :class:`AnchorContrast`. Defaults to None.
        strong_view (dict, optional): Settings of :class:`StrongView`. Defaults to None: CutMix
            without changes of colour (released code, which cuts three smaller boxes).
        test_cfg (dict, optional): ``predict_on`` defaults to the general student (released code).

    Raises:
        ValueError: For another number of pairs, a teaching graph without one teacher for each
            student, an unknown loss weight or any bad setting of the parts.
    """

    def __init__(
        self,
        segmentor: dict,
        teaching: str = 'cross',
        loss_weights: Optional[dict] = None,
        bank: Optional[dict] = None,
        contrast: Optional[dict] = None,
        strong_view: Optional[dict] = None,
        test_cfg: Optional[dict] = None,
        **kwargs: Any,
    ) -> None:
        test_cfg = {'predict_on': f'student{GENERAL}', **(test_cfg or {})}
        super().__init__(segmentor, teaching=teaching, test_cfg=test_cfg, **kwargs)
        if len(self.students) != 2:
            raise ValueError(
                'model.num_pairs must be 2, a general and a professional pair, got '
                f'{len(self.students)}'
            )
        if not self.teachers or any(len(sources) != 1 for sources in self.graph):
            raise ValueError(
                f'model.teaching={teaching!r} does not give each student one teacher;'
                ' choose cross, self or ensemble'
            )
        self.weights = settings.loss_weights(loss_weights, WEIGHTS)
        self.strong_view = settings.build_part('strong_view', strong_view, 'StrongView', CUT_MIX)
        self.contrast: Optional[AnchorContrast] = None
        if self.weights['contrast_labeled'] or self.weights['contrast_unlabeled']:
            head = self.students[GENERAL].decode_head
            self.contrast = settings.build_part(
                'contrast',
                contrast,
                AnchorContrast,
                dict(norm_cfg=head.norm_cfg),
                num_classes=head.num_classes,
                width=self.embedding_width,
                bank=bank,
            )
            if kwargs.get('channels_last'):
                self.contrast.to(memory_format=torch.channels_last)

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> dict:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.loss`."""
        labeled, weak = inputs['labeled'], inputs['unlabeled']
        label = labels_of(data_samples['labeled'])
        guides = self.aligned_guides(weak, labeled, data_samples['unlabeled'])  # 1
        pseudo = {
            name: pseudo_label(output[0].logits, weak.shape[2:], self.align_corners)
            for name, output in guides.items()
        }  # 2
        view = self._strong_view(weak, pseudo, data_samples['unlabeled'])  # 3
        seen = [self.look(f'student{i}', labeled, view.image) for i in range(2)]  # 4
        targets = [tuple(map(view.follow, pseudo[source])) for (source,) in self.graph]
        content = content_mask(data_samples['unlabeled'], weak, view)
        losses: Dict[str, Tensor] = {}
        for i, (on_labeled, _) in enumerate(seen):
            losses.update(self.supervise(i, on_labeled, data_samples['labeled']))
        logits = [on_strong.logits for _, on_strong in seen]
        losses.update(self._teach(logits, targets, content))  # 5, 6
        losses.update(
            self._contrast_losses(seen[GENERAL], label, within(targets[GENERAL][0], content, 255))
        )  # 7
        if self.contrast is not None:
            self.contrast.remember(guides[self._memory_teacher][1], label)  # 8
        return losses

    @property
    def _memory_teacher(self) -> str:
        own = self.contrast is not None and self.contrast.memory == 'own'
        return f'teacher{GENERAL if own else PROFESSIONAL}'

    def guides(self, weak: Tensor, labeled: Tensor) -> Dict[str, List[PixelOutput]]:
        """Outputs of both teachers on the weak view, of one on the labelled images too."""
        guides = {}
        for name in ('teacher0', 'teacher1'):
            remembers = self.contrast is not None and name == self._memory_teacher
            guides[name] = self.look(name, weak, labeled) if remembers else self.look(name, weak)
        return guides

    def _strong_view(self, weak: Tensor, pseudo: Dict[str, Target], samples: SampleList) -> View:
        """One view for both students; ClassMix would cut along the general student's labels."""
        label = pseudo[self.graph[GENERAL][0]][0]
        return self.strong_view(
            weak, label, draws_of(samples), self.data_preprocessor, num_classes=self.num_classes
        )

    def _teach(
        self, logits: Sequence[Tensor], targets: Sequence[Target], content: Optional[Tensor]
    ) -> Dict[str, Tensor]:
        """General student: all pixels. Professional student: agreeing and harder ones."""
        logits = [self.upsampled(one, targets[0][0].shape[1:]) for one in logits]
        (general, sure), (label, confidence) = targets
        guess = logits[PROFESSIONAL].detach().argmax(dim=1)
        score = mismatch_score(label, guess, self.num_classes, content, sum_over_ranks)
        selected = within(mismatch_selection(label, guess, score), content, False)
        general = weighted_cross_entropy(logits[GENERAL], general, within(sure, content, 0))
        professional = weighted_cross_entropy(logits[PROFESSIONAL], label, confidence * selected)
        return {
            f'student{GENERAL}.loss_general': general * self.weights['general'],
            f'student{PROFESSIONAL}.loss_professional': professional * self.weights['professional'],
            f'student{PROFESSIONAL}.selected': selected.float().mean(),
        }

    def _contrast_losses(
        self, outputs: Sequence[PixelOutput], label: Tensor, target: Tensor
    ) -> Dict[str, Tensor]:
        """Both contrasts; zeros attached to the graph while switched off."""
        if self.contrast is None:
            return {}
        if self.contrast_active:
            terms = self.contrast(*outputs, label, target)
        else:
            terms = dict.fromkeys(('labeled', 'unlabeled'), self.contrast.zero(*outputs))
        return {
            f'student{GENERAL}.loss_contrast_{key}': term * self.weights[f'contrast_{key}']
            for key, term in terms.items()
        }
