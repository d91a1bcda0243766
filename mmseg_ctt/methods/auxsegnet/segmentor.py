# Copyright (c) mmseg_ctt contributors.
"""AuxSegNet (arXiv 2107.11787): segmentation from tags, with saliency as an auxiliary task.

One step, everything inside ``forward(mode='loss')``:

1. The student sees images that have tags, pseudo-labels and pseudo-saliency, and no masks. Its head
   classifies them, predicts saliency and segments them, the last two before and after refinement by
   the cross-task affinity.
2. Loss of the tags: multilabel soft margin.
3. Losses of the saliency, before and after: binary cross-entropy against the pseudo-saliency.
4. Losses of the segmentation, before and after: cross-entropy against the pseudo-labels.

There is no teacher. Pseudo-labels and saliency of the next round come from the affinity that was
learnt: :mod:`mmseg_ctt.self_training.auxsegnet_rounds`.
"""

from typing import Optional, Tuple

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from ...functional import class_scores
from ...nn import settings
from ...nn.heads import main_head
from ...nn.images import Images
from ...nn.ranks import mean_over_ranks
from ..base import Losses
from ..tag_learning import TagLearning
from .functional import pseudo_label_loss, saliency_loss
from .head import AuxSegHead, TaskMaps

LABEL, SALIENCY = 'pseudo_label', 'saliency'
PADDING = ('ignored', 'background')


@MODELS.register_module()
class AuxSegNet(TagLearning):
    """One student of three tasks, whose affinities refine its own labels from round to round.

    Loss weights ``cls``, ``sal_init``, ``sal_ref``, ``seg_init`` and ``seg_ref`` default to 1
    (released code). The pipeline of the tagged images loads ``pseudo_label`` (class ids, 255 is
    ignored) and ``saliency`` (smooth, in [0, 1]) by ``LoadMaps`` and packs them.

    Args:
        saliency_threshold (float): Pseudo-saliency above which a pixel is foreground. Defaults to
            0.5 (released code).
        padding (str): ``'ignored'``: padded pixels train nothing and have no affinities;
            ``'background'``: they train both tasks as class 0, and have (released code). Defaults
            to 'ignored'.
        kwargs: As in :class:`SemiSegmentor`. The decode head is an :class:`AuxSegHead`.

    Raises:
        ValueError: For a bad setting or another head.
    """

    reads_maps = (LABEL, SALIENCY)
    default_loss_weights = dict(cls=1.0, sal_init=1.0, sal_ref=1.0, seg_init=1.0, seg_ref=1.0)
    sections = dict(
        TagLearning.sections,
        _task_maps='students forward',
        _targets='losses',
        _segmentation='losses',
        _saliency='losses',
    )
    toy_settings = dict(
        segmentor=dict(
            decode_head=dict(
                _delete_=True,
                type='AuxSegHead',
                in_channels=8,
                in_index=1,
                channels=8,
                dilations=(1, 2, 3),
                num_classes=4,
            )
        )
    )

    def build(self, saliency_threshold: float = 0.5, padding: str = 'ignored') -> None:
        """See the class."""
        settings.check_number('model.saliency_threshold', saliency_threshold, 0, 1)
        settings.check_choice('model.padding', padding, PADDING)
        self.saliency_threshold, self.padding = saliency_threshold, padding
        head = main_head(self.students[0])
        if not isinstance(head, AuxSegHead):
            raise ValueError(
                f'model.segmentor.decode_head.type={type(head).__name__}: AuxSegNet trains an '
                'AuxSegHead (configs/auxsegnet)'
            )
        self.ignore_index = head.ignore_index

    def step(self, tagged: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        label, saliency, valid = self._targets(tagged)
        maps = self._task_maps(tagged.image, valid)  # 1
        tags = self.students[0].decode_head.tags_of_maps(tagged.tags)
        scores = class_scores(maps.class_maps, valid)
        return {
            'student0.cls': F.multilabel_soft_margin_loss(scores, tags),  # 2
            'student0.sal_init': self._saliency(maps.sal_init, saliency, valid),  # 3
            'student0.sal_ref': self._saliency(maps.sal_ref, saliency, valid),
            'student0.seg_init': self._segmentation(maps.seg_init, label),  # 4
            'student0.seg_ref': self._segmentation(maps.seg_ref, label),
        }

    def _task_maps(self, image: Tensor, valid: Optional[Tensor]) -> TaskMaps:
        student = self.students[0]
        return student.decode_head.task_maps(student.extract_feat(image), valid)

    def _targets(self, tagged: Images) -> Tuple[Tensor, Tensor, Optional[Tensor]]:
        """Pseudo-labels ``(B, H, W)`` int64, saliency ``(B, 1, H, W)``, pixels that count."""
        label, saliency = tagged.maps(LABEL)[:, 0].long(), tagged.maps(SALIENCY)
        valid = tagged.valid() if self.padding == 'ignored' else None
        if valid is not None:
            label = label.masked_fill(~valid, self.ignore_index)
        return label, saliency, valid

    def _saliency(self, logits: Tensor, saliency: Tensor, valid: Optional[Tensor]) -> Tensor:
        return saliency_loss(
            logits, saliency, valid, self.saliency_threshold, self.align_corners, mean_over_ranks
        )

    def _segmentation(self, logits: Tensor, label: Tensor) -> Tensor:
        return pseudo_label_loss(
            logits, label, self.ignore_index, self.align_corners, mean_over_ranks
        )
