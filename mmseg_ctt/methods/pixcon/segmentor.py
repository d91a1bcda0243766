# Copyright (c) mmseg_ctt contributors.
"""PixCon (arXiv 2607.03068): UniMatch V2 with a contrast of labelled pixels.

One step, everything inside ``forward(mode='loss')``:

1. Pseudo-labels of the teacher, two strong views and the student's pass, as :class:`UniMatchV2`.
2. Losses of UniMatch V2.
3. Up to 64 labelled pixels a class that the student predicts right are anchors. Each goes to the
   entries of its class in the memory, which hold such pixels of former steps, and away from those
   of all other classes.
4. The anchors enter the memory.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Optional, Sequence

from mmseg.registry import MODELS

from ...nn.heads import main_head
from ...nn.images import Images
from ..base import Losses
from ..unimatch_v2 import UniMatchV2
from .contrast import CleanContrast


@MODELS.register_module()
class PixCon(UniMatchV2):
    """PixCon: one student and its EMA teacher; on a vision transformer in the paper.

    Loss weights ``sup``, ``unsup``, ``contrast`` default to 0.5, 0.5, 0.1 (released code). Without
    contrast (0) it is UniMatch V2.

    Buffers: those of :class:`SemiSegmentor` and the memory.

    Args:
        feature_perturbation (list[dict], optional): As in :class:`UniMatchV2`. Defaults to None.
        bank (dict, optional): Settings of the memory, a :class:`ClassMemoryBank`.
            Defaults to None.
        contrast (dict, optional): Settings of :class:`CleanContrast`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For an unknown loss weight or a bad setting.
    """

    default_loss_weights = dict(UniMatchV2.default_loss_weights, contrast=0.1)
    parts = ('contrast',)
    reads_embedding = True
    toy_settings = dict(
        UniMatchV2.toy_settings, bank=dict(size=12, budget=6), contrast=dict(dim=8, max_anchors=20)
    )

    def build(
        self,
        feature_perturbation: Optional[Sequence[dict]] = None,
        bank: Optional[dict] = None,
        contrast: Optional[dict] = None,
    ) -> None:
        """See the class."""
        super().build(feature_perturbation)
        norm_cfg = getattr(main_head(self.students[0]), 'norm_cfg', None)
        self.contrast = CleanContrast.of(
            self, ('contrast',), contrast, bank, dict(norm_cfg=norm_cfg)
        )

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        teachers = self.teacher_outputs(unlabeled=unlabeled)  # 1
        (pseudo,) = self.pseudo_labels(teachers, unlabeled).values()
        views = self.several_views(unlabeled, pseudo.label, range(2))
        on_labeled, on_views = self.forward_views(labeled, unlabeled, views)
        losses = self.supervised_loss(0, on_labeled, labeled)  # 2
        losses.update(self.view_terms(on_views, pseudo, views))
        if self.contrast is not None:  # 3, 4
            loss, ratio = self.contrast(on_labeled, labeled.labels, labeled.draws)
            losses['student0.contrast'], losses['student0.admitted_ratio'] = loss, ratio
            losses['queue_fill'] = self.contrast.fill_ratio().mean()
        return losses
