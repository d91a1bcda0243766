# Copyright (c) mmseg_ctt contributors.
"""Cross-Teacher Training (CTT, arXiv 2209.01327), for n pairs of student and EMA teacher.

One step, everything inside ``forward(mode='loss')``:

1. Every teacher looks at the weak view of the unlabelled images, and at the labelled ones.
2. Its label and confidence of each unlabelled pixel are the pseudo-labels (Eq 3-4).
3. The strong view is the weak one after ClassMix, colour jitter and blur; pseudo-labels are mixed
   along.
4. Every student sees the labelled images and the strong view.
5. Losses of each student: supervised (Eq 1-2), cross-entropy to the other pairs' teachers
   weighted by the share of confident pixels (Eq 5), high-level contrast with its bank (Eq 6-7),
   low-level contrast with the surer peer student (Eq 8-9); their weighted sum is Eq 10.
6. Each teacher's rightly classified labelled pixels enter its bank.

The teachers follow the students in :class:`TeacherEMAHook`, after each optimiser step;
:class:`QueueWarmupHook` switches the contrast on once the queues are full.
"""
from typing import Dict, List, Optional, Sequence

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from ...functional import confident_fraction_cross_entropy, pseudo_label
from ..cross_contrast import CrossContrast, Target
from ..member import PixelOutput, supervised_losses
from ..ranks import mean_over_ranks
from ..strong_view import View
from .semi_base import SemiSegmentor

WEIGHTS = dict(sup=1.0, ct=1.0, hc=0.1, lc=0.1)


@MODELS.register_module()
class CrossTeacherTraining(SemiSegmentor):
    """Cross-Teacher Training and, by another teaching graph, its relatives in the ablations.

    Buffers: those of :class:`SemiSegmentor`, the banks, and ``contrast_on`` bool.

    Args:
        segmentor (dict): As in :class:`SemiSegmentor`, as are all arguments not listed here.
        loss_weights (dict, optional): ``sup``, ``ct``, ``hc``, ``lc`` of Eq 10. Defaults to
            1, 1, 0.1, 0.1 (first upload of the released code).
        confident (float): Confidence from which a pixel counts in the weight of Eq 5; 0 is the
            paper's text (no weight). Defaults to 0.968 (released code).
        bank (dict, optional): Settings of :class:`ClassMemoryBank`. Defaults to None.
        contrast (dict, optional): Settings of :class:`CrossContrast`. Defaults to None.
        strong_view (dict, optional): Settings of :class:`StrongView`. Defaults to None.
        share_view (bool): One strong view for all students, so that low-level pairs see the
            same content; False gives each its own (released code). Defaults to True.

    Raises:
        ValueError: For an unknown loss weight or any bad setting of the parts.
    """

    def __init__(self,
                 segmentor: dict,
                 loss_weights: Optional[dict] = None,
                 confident: float = 0.968,
                 bank: Optional[dict] = None,
                 contrast: Optional[dict] = None,
                 strong_view: Optional[dict] = None,
                 share_view: bool = True,
                 **kwargs) -> None:
        super().__init__(segmentor, **kwargs)
        unknown = set(loss_weights or {}) - set(WEIGHTS)
        if unknown:
            raise ValueError(f'model.loss_weights has unknown terms {sorted(unknown)}; known are '
                             f'{sorted(WEIGHTS)}')
        self.weights = {**WEIGHTS, **(loss_weights or {})}
        self.confident, self.share_view = confident, share_view
        self.strong_view = MODELS.build({'type': 'StrongView', **(strong_view or {})})
        self.contrast: Optional[CrossContrast] = None
        if self.weights['hc'] or self.weights['lc']:
            head = self.students[0].decode_head
            dim = getattr(head, 'embedding_dim', None) or head.conv_seg.in_channels
            self.contrast = CrossContrast(len(self.students), head.num_classes, dim, bank or {},
                                          **(contrast or {}))
        self.register_buffer('contrast_on', torch.zeros((), dtype=torch.bool))
        self.contrast_active = False  # host copy of the buffer, see set_contrast

    def set_contrast(self, active: bool) -> None:
        """Switch both contrast terms; the buffer keeps the choice in the checkpoint."""
        self.contrast_active = active
        self.contrast_on.fill_(active)

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> dict:
        """Losses of one step, in the order of the file's header.

        Args:
            inputs (dict[str, Tensor]): ``labeled`` ``(B_l, 3, H, W)``, ``unlabeled``
                ``(B_u, 3, H, W)``, normalised.
            data_samples (dict[str, list[SegDataSample]]): Their samples; only the labelled ones
                carry labels.

        Returns:
            dict[str, Tensor]: Scalars; keys with ``loss`` in them are summed by mmengine.
        """
        labeled, weak = inputs['labeled'], inputs['unlabeled']
        label = torch.cat([sample.gt_sem_seg.data for sample in data_samples['labeled']])
        guides = self._guides(weak, labeled)  # 1
        pseudo = {name: pseudo_label(output[0].logits, weak.shape[2:], self.align_corners)
                  for name, output in guides.items()}  # 2
        views = self._strong_views(weak, pseudo, data_samples['unlabeled'])  # 3
        seen = [self.look(f'student{i}', labeled, view.image)
                for i, view in enumerate(views)]  # 4
        losses: Dict[str, Tensor] = {}
        targets = []
        for i, (on_labeled, on_strong) in enumerate(seen):  # 5
            mixed = [tuple(map(views[i].follow, pseudo[name])) for name in self.graph[i]]
            targets.append(_surest(mixed))
            terms = supervised_losses(self.students[i], on_labeled, data_samples['labeled'])
            losses.update({f'student{i}.{key}': value * self.weights['sup']
                           for key, value in terms.items()})
            losses.update(self._teach(i, on_strong.logits, mixed))
        losses.update(self._contrast_losses(seen, label, targets))
        self._remember(guides, seen, label)  # 6
        return losses

    def _guides(self, weak: Tensor, labeled: Tensor) -> Dict[str, List[PixelOutput]]:
        """Outputs of every teaching member, on the weak view and (for banks) the labelled one."""
        names = sorted({name for sources in self.graph for name in sources})
        fills_bank = self.contrast is not None and bool(self.teachers)
        batches = (weak, labeled) if fills_bank else (weak, )
        with torch.no_grad():
            return {name: self.look(name, *batches) for name in names}

    def _strong_views(self, weak: Tensor, pseudo: Dict[str, Target],
                      samples: SampleList) -> List[View]:
        """The view of each student, cut along the labels of its first teacher."""
        draws = [sample.metainfo['draw'] for sample in samples]
        views = []
        for i in range(len(self.students)):
            if i == 0 or not self.share_view:
                views.append(self.strong_view(
                    weak, pseudo[self.graph[i][0]][0], draws, self.data_preprocessor, stream=i,
                    num_classes=self.num_classes))
        return views * len(self.students) if self.share_view else views

    def _teach(self, i: int, logits: Tensor, targets: Sequence[Target]) -> Dict[str, Tensor]:
        """Eq 5 for one student, mean over its teachers."""
        logits = torch.nn.functional.interpolate(
            logits.float(), targets[0][0].shape[1:], mode='bilinear',
            align_corners=self.align_corners)
        fractions = [mean_over_ranks((confidence >= self.confident).float().mean())
                     for _, confidence in targets]
        values = [confident_fraction_cross_entropy(logits, label, confidence, fraction=fraction)
                  for (label, confidence), fraction in zip(targets, fractions)]
        return {f'student{i}.loss_ct': torch.stack(values).mean() * self.weights['ct'],
                f'student{i}.confident': torch.stack(fractions).mean()}

    def _contrast_losses(self, seen: Sequence[List[PixelOutput]], label: Tensor,
                         targets: Sequence[Target]) -> Dict[str, Tensor]:
        """Eq 6-9 for all students; zeros attached to the graph while switched off."""
        if self.contrast is None:
            return {}
        labeled, strong = zip(*seen)
        if self.contrast_active:
            terms = self.contrast(labeled, strong, label, targets)
        else:
            terms = [dict(high=output.zero(), low=output.zero()) for output in strong]
        losses = {}
        for i, term in enumerate(terms):
            losses[f'student{i}.loss_hc'] = term['high'] * self.weights['hc']
            losses[f'student{i}.loss_lc'] = term['low'] * self.weights['lc']
        return losses

    def _remember(self, guides: Dict[str, List[PixelOutput]],
                  seen: Sequence[List[PixelOutput]], label: Tensor) -> None:
        if self.contrast is None:
            return
        pairs = range(len(self.students))
        if self.teachers:
            outputs = [guides[f'teacher{i}'][1] for i in pairs]
        else:
            outputs = [seen[i][0] for i in pairs]
        self.contrast.remember(outputs, label)


def _surest(targets: Sequence[Target]) -> Target:
    """Label and confidence of the most confident teacher at each pixel."""
    if len(targets) == 1:
        return targets[0]
    label = torch.stack([one[0] for one in targets])
    confidence, best = torch.stack([one[1] for one in targets]).max(dim=0)
    return label.gather(0, best.unsqueeze(0)).squeeze(0), confidence
