# Copyright (c) mmseg_ctt contributors.
"""Cross-Teacher Training (CTT, arXiv 2209.01327), for n pairs of student and EMA teacher.

One step, everything inside ``forward(mode='loss')``:

1. Every teacher sees the weak view of the unlabelled images, and the labelled ones for its bank.
2. Its class and confidence of each unlabelled pixel are the pseudo-labels (Eq 3-4).
3. The strong view is the weak one after ClassMix, colour jitter and blur; pseudo-labels are mixed
   along.
4. Every student sees the labelled images and the strong view.
5. Losses of each student: supervised (Eq 1-2), cross-entropy to the other pairs' teachers times
   the ratio of confident pixels (Eq 5), high-level contrast with its bank (Eq 6-7), low-level
   contrast with the peer student where that is more confident (Eq 8-9); Eq 10 is their sum.
6. Correctly classified labelled pixels of each teacher enter its bank.

The teachers follow the students in :class:`TeacherEMAHook`, after each optimiser step;
:class:`QueueWarmupHook` switches the contrast on once the banks are full.
"""

from typing import Dict, List, Optional, Sequence, Tuple

from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import PseudoLabel
from ...nn.schedule import iterations
from ..base import Losses
from ..weak_to_strong import WeakToStrong, by_student
from .contrast import CrossContrast


@MODELS.register_module()
class CrossTeacherTraining(WeakToStrong):
    """Cross-Teacher Training and, by another supervision graph, its relatives in the ablations.

    Loss weights ``sup``, ``ct``, ``hc``, ``lc`` of Eq 10 default to 1, 1, 0.1, 0.1 (first upload of
    the released code). The consistency (``ct``) is cross-entropy to hard labels times the ratio of
    pixels at 0.968 or more (released code); ``confidence_threshold=0`` is the paper's text (no
    such factor).

    Buffers: those of :class:`SemiSegmentor` and of :class:`CrossContrast`.

    Args:
        bank (dict, optional): Settings of :class:`ClassMemoryBank`. Defaults to None.
        contrast (dict, optional): Settings of :class:`CrossContrast`. Defaults to None.
        shared_view (bool): One strong view for all students, so that low-level pairs have the
            same content; False gives each its own (released code). Defaults to True.
        bank_interval (int): Iterations between two updates of the banks, once the contrast is on;
            until then they fill in every one. The teachers pass the labelled images for the banks
            alone, so that an interval of n saves this pass in n - 1 of n iterations; entries are n
            times as old when they are replaced (docs/methods/ctt.md). Defaults to 1 (paper).
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For an unknown loss weight or a bad setting of a part; for a ``bank_interval``
            without contrast or teachers, or where teachers normalise both kinds of images together.
    """

    default_loss_weights = dict(ct=1.0, hc=0.1, lc=0.1)
    ramped_terms = ('ct',)
    consistency_term = 'ct'
    default_consistency = dict(select='ratio', normalizer='all', confidence_threshold=0.968)
    reads_embedding = True
    takes_halves = False  # contrast pairs weak and strong views
    toy_settings = dict(
        consistency=dict(confidence_threshold=0.27),
        bank=dict(size=2),
        contrast=dict(threshold=0.27),
    )

    def build(
        self,
        bank: Optional[dict] = None,
        contrast: Optional[dict] = None,
        shared_view: bool = True,
        bank_interval: int = 1,
    ) -> None:
        """See the class."""
        self.shared_view = shared_view
        self.contrast = CrossContrast.of(
            self, ('hc', 'lc'), contrast, bank, num_pairs=len(self.students)
        )
        settings.check_number('model.bank_interval', bank_interval, 1, whole=True)
        self.bank_interval = bank_interval
        if bank_interval > 1:
            self._check_interval()

    def _check_interval(self) -> None:
        if self.contrast is None:
            raise ValueError(
                'model.bank_interval: the loss weights of hc and lc are 0, so that there are no '
                'banks; remove it'
            )
        if not len(self.teachers):
            raise ValueError(
                'model.bank_interval saves a pass of the teachers, and without teachers the banks '
                'take the features of the students, at no cost: remove it'
            )
        if self.joint_forward is True and self.teacher_mode == 'train':
            raise ValueError(
                'model.bank_interval: with joint_forward=True the pseudo-labels would be '
                'normalised together with the labelled images in some iterations alone; set '
                "joint_forward='students'"
            )

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        teachers = self.teacher_outputs(unlabeled=unlabeled, labeled=labeled)  # 1
        pseudo = self.pseudo_labels(teachers, unlabeled)  # 2
        pool, pseudo = self.mixing_pool(pseudo, unlabeled=unlabeled, labeled=labeled)
        views = self.strong_views(pool, pseudo)  # 3
        students = self.forward_students(labeled, views)  # 4
        on_labeled, on_strong = zip(*students)
        label, targets = labeled.labels, self.mixed_targets(pseudo, views)
        losses = self.supervised_losses(on_labeled, labeled)  # 5
        losses.update(self.consistency_losses(on_strong, targets))
        losses.update(self._contrast_losses(on_labeled, on_strong, label, targets))
        self._update_bank(teachers, on_labeled, label)  # 6
        return losses

    @property
    def teacher_sources(self) -> Tuple[str, ...]:
        """The labelled images too where banks take them."""
        fills_bank = self._updates_bank() and len(self.teachers) > 0
        return ('unlabeled', 'labeled') if fills_bank else ('unlabeled',)

    def _contrast_losses(
        self,
        on_labeled: Sequence[PixelOutput],
        on_strong: Sequence[PixelOutput],
        label: Tensor,
        targets: PseudoLabel,
    ) -> Losses:
        """Eq 6-9 for all students; zeros attached to the graph while switched off."""
        if self.contrast is None:
            return {}
        if self.contrast.active:
            high, low = self.contrast(on_labeled, on_strong, label, most_confident(targets))
        else:
            high = low = self.contrast.zero_loss(on_strong)
        return {**by_student('hc', high), **by_student('lc', low)}

    def _updates_bank(self) -> bool:
        """Whether the banks learn in this iteration, which every rank and resumed run knows."""
        if self.contrast is None:
            return False
        return not self.contrast.active or iterations()[0] % self.bank_interval == 0

    def _update_bank(
        self,
        teachers: Dict[str, List[PixelOutput]],
        on_labeled: Sequence[PixelOutput],
        label: Tensor,
    ) -> None:
        if self.contrast is None or not self._updates_bank():
            return
        if len(self.teachers):
            on_labeled = [teachers[f'teacher{i}'][1] for i in range(len(self.teachers))]
        self.contrast.update(on_labeled, label)


def most_confident(targets: PseudoLabel) -> PseudoLabel:
    """``(P, B, H, W)`` of ``(P, S, B, H, W)``: at each pixel the most confident of ``S``."""
    if targets.label.shape[1] == 1:
        return PseudoLabel(targets.label.squeeze(1), targets.confidence.squeeze(1))
    confidence, best = targets.confidence.max(dim=1, keepdim=True)
    return PseudoLabel(targets.label.gather(1, best).squeeze(1), confidence.squeeze(1))
