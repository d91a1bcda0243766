# Copyright (c) mmseg_ctt contributors.
"""Cross-Teacher Training (CTT, arXiv 2209.01327), for n pairs of student and EMA teacher.

One step, everything inside ``forward(mode='loss')``:

1. Every teacher looks at the weak view of the unlabelled images, and at the labelled ones.
2. Its label and confidence of each unlabelled pixel are the pseudo-labels (Eq 3-4).
3. The strong view is the weak one after ClassMix, colour jitter and blur; pseudo-labels are mixed
   along.
4. Every student sees the labelled images and the strong view.
5. Losses of each student: supervised (Eq 1-2), cross-entropy to the other pairs' teachers
   weighted by the share of confident pixels (Eq 5; with ``class_thresholds`` to the pixels that
   are sure for their class), high-level contrast with its bank (Eq 6-7), low-level contrast with
   the surer peer student (Eq 8-9); their weighted sum is Eq 10.
6. Each teacher's rightly classified labelled pixels enter its bank.

The teachers follow the students in :class:`TeacherEMAHook`, after each optimiser step;
:class:`QueueWarmupHook` switches the contrast on once the queues are full.
"""

from typing import Any, Dict, List, Optional, Sequence, Union

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from ...functional import confident_fraction_cross_entropy, pseudo_label
from ...nn import settings
from ...nn.class_thresholds import ClassThresholds
from ...nn.contrast_switch import ContrastSwitch
from ...nn.member import PixelOutput, labels_of
from ...nn.padding import content_mask, within
from ...nn.random import draws_of
from ...nn.ranks import mean_over_ranks
from ...nn.schedule import ramp_up
from ...nn.strong_view import View
from ..base import SemiSegmentor
from .contrast import CrossContrast, Target

IGNORE = 255
WEIGHTS = dict(sup=1.0, ct=1.0, hc=0.1, lc=0.1)


@MODELS.register_module()
class CrossTeacherTraining(ContrastSwitch, SemiSegmentor):
    """Cross-Teacher Training and, by another teaching graph, its relatives in the ablations.

    Buffers: those of :class:`SemiSegmentor`, :class:`ContrastSwitch`, :class:`ClassThresholds` and
    the banks.

    Args:
        segmentor (dict): As in :class:`SemiSegmentor`, as are all arguments not listed here.
        loss_weights (dict, optional): ``sup``, ``ct``, ``hc``, ``lc`` of Eq 10. Defaults to
            1, 1, 0.1, 0.1 (first upload of the released code).
        confident (float): Confidence from which a pixel counts in the weight of Eq 5; 0 is the
            paper's text (no weight). Defaults to 0.968 (released code).
        class_thresholds (dict, optional): Settings of :class:`ClassThresholds`: in place of the
            weight of Eq 5, pixels less sure than their class on average (and than ``confident``)
            teach nothing and all others have weight 1. Defaults to None (paper, released code).
        ramp (float): Share of the training in which the weight ``ct`` climbs linearly from 0 to
            its value, so that students follow teachers only once these know something. Defaults
            to 0 (paper, released code): full weight from the start.
        bank (dict, optional): Settings of :class:`ClassMemoryBank`. Defaults to None.
        contrast (dict, optional): Settings of :class:`CrossContrast`. Defaults to None.
        strong_view (dict, optional): Settings of :class:`StrongView`. Defaults to None.
        share_view (bool): One strong view for all students, so that low-level pairs see the
            same content; False gives each its own (released code). Defaults to True.

    Raises:
        ValueError: For an unknown loss weight, a ``ramp`` outside [0, 1] or any bad setting of
            the parts.
    """

    def __init__(
        self,
        segmentor: dict,
        loss_weights: Optional[dict] = None,
        confident: float = 0.968,
        class_thresholds: Optional[dict] = None,
        ramp: float = 0.0,
        bank: Optional[dict] = None,
        contrast: Optional[dict] = None,
        strong_view: Optional[dict] = None,
        share_view: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(segmentor, **kwargs)
        self.weights = settings.loss_weights(loss_weights, WEIGHTS)
        if not 0 <= ramp <= 1:
            raise ValueError(f'model.ramp is a share of the training, in [0, 1]; got {ramp}')
        self.confident, self.ramp, self.share_view = confident, ramp, share_view
        self.strong_view = settings.build_part('strong_view', strong_view, 'StrongView')
        self.thresholds = (
            None
            if class_thresholds is None
            else settings.build_part(
                'class_thresholds',
                class_thresholds,
                ClassThresholds,
                num_classes=self.num_classes,
                highest=confident,
            )
        )
        self.contrast: Optional[CrossContrast] = None
        if self.weights['hc'] or self.weights['lc']:
            self.contrast = settings.build_part(
                'contrast',
                contrast,
                CrossContrast,
                num_pairs=len(self.students),
                num_classes=self.num_classes,
                dim=self.embedding_width,
                bank=bank,
            )

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> dict:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.loss`."""
        labeled, weak = inputs['labeled'], inputs['unlabeled']
        label = labels_of(data_samples['labeled'])
        guides = self.aligned_guides(weak, labeled, data_samples['unlabeled'])  # 1
        pseudo = self._pseudo_labels(guides, weak, data_samples['unlabeled'])  # 2
        views = self._strong_views(weak, pseudo, data_samples['unlabeled'])  # 3
        seen = self._students_look(labeled, views)  # 4
        strong = [outputs[1] for outputs in seen]
        targets = self._mixed(pseudo, views)
        losses: Dict[str, Tensor] = {}
        for i, (on_labeled, _) in enumerate(seen):  # 5
            losses.update(self.supervise(i, on_labeled, data_samples['labeled']))
        losses.update(self._teach(strong, targets))
        losses.update(self._contrast_losses(seen, label, targets))
        self._remember(guides, seen, label)  # 6
        return losses

    def guides(self, weak: Tensor, labeled: Tensor) -> Dict[str, List[PixelOutput]]:
        """Outputs of every teaching member, on the weak view and (for banks) the labelled one."""
        fills_bank = self.contrast is not None and bool(self.teachers)
        batches = (weak, labeled) if fills_bank else (weak,)
        return self.ask(self.teaching_members, *batches)

    def _pseudo_labels(
        self, guides: Dict[str, List[PixelOutput]], weak: Tensor, samples: SampleList
    ) -> Dict[str, Target]:
        """Label and confidence ``(B_u, H, W)`` by teaching member; 255 and 0 in the padding."""
        label, confidence = pseudo_label(
            torch.cat([outputs[0].logits for outputs in guides.values()]),
            weak.shape[2:],
            self.align_corners,
        )
        content = content_mask(samples, weak)
        parts = zip(label.chunk(len(guides)), confidence.chunk(len(guides)))
        pseudo = {
            name: (within(one, content, IGNORE), within(sure, content, 0))
            for name, (one, sure) in zip(guides, parts)
        }
        if self.thresholds is not None:
            self.thresholds.update(*map(torch.stack, zip(*pseudo.values())))
        return pseudo

    def _strong_views(
        self, weak: Tensor, pseudo: Dict[str, Target], samples: SampleList
    ) -> List[View]:
        """The view of each student, cut along the labels of its first teacher; or one for all."""
        draws = draws_of(samples)
        return [
            self.strong_view(
                weak,
                pseudo[sources[0]][0],
                draws,
                self.data_preprocessor,
                stream=i,
                num_classes=self.num_classes,
            )
            for i, sources in enumerate(self.graph[:1] if self.share_view else self.graph)
        ]

    def _students_look(self, labeled: Tensor, views: Sequence[View]) -> List[List[PixelOutput]]:
        """Outputs of each student on the labelled images and on its strong view."""
        names = [f'student{i}' for i in range(len(self.students))]
        if len(views) == 1:
            return self.look_all(names, labeled, views[0].image)
        return [self.look(name, labeled, view.image) for name, view in zip(names, views)]

    def _mixed(self, pseudo: Dict[str, Target], views: Sequence[View]) -> Target:
        """Label and confidence ``(P, S, B_u, H, W)`` of each student's ``S`` teachers."""
        shape = len(self.graph), len(self.graph[0])
        taught = [pseudo[name] for sources in self.graph for name in sources]
        return tuple(_follow(views, torch.stack(maps)).unflatten(0, shape) for maps in zip(*taught))

    def _teach(self, strong: Sequence[PixelOutput], targets: Target) -> Dict[str, Tensor]:
        """Eq 5 for every student, mean over its teachers."""
        label, confidence = targets
        shape = label.shape[:2]
        sure = confidence >= self.threshold_of(label)
        fraction = mean_over_ranks(sure.float().mean((2, 3, 4)))  # (P, S)
        weight = fraction
        if self.thresholds is not None:
            label, weight = label.masked_fill(~sure, IGNORE), torch.ones_like(fraction)
        logits = torch.stack([output.logits for output in strong for _ in range(shape[1])])
        loss = confident_fraction_cross_entropy(
            logits,
            label.flatten(0, 1),
            confidence,
            fraction=weight.flatten(),
            align_corners=self.align_corners,
        ).view(shape)
        factor = self.weights['ct'] * ramp_up(self.ramp)  # one number, one product
        return {
            **_by_student('loss_ct', loss.mean(1) * factor),
            **_by_student('confident', fraction.mean(1)),
        }

    def threshold_of(self, label: Tensor) -> Union[float, Tensor]:
        """Confidence from which a pixel counts; also asked by ``PseudoLabelHook``.

        Args:
            label (Tensor): Pseudo-labels, int64.

        Returns:
            float | Tensor: For all, or of the shape of ``label``.
        """
        return self.confident if self.thresholds is None else self.thresholds.of(label)

    def _contrast_losses(
        self, seen: Sequence[List[PixelOutput]], label: Tensor, targets: Target
    ) -> Dict[str, Tensor]:
        """Eq 6-9 for all students; zeros attached to the graph while switched off."""
        if self.contrast is None:
            return {}
        labeled, strong = zip(*seen)
        if self.contrast_active:
            terms = self.contrast(labeled, strong, label, _surest(targets))
        else:
            terms = dict.fromkeys(('high', 'low'), torch.stack([out.zero() for out in strong]))
        return {
            **_by_student('loss_hc', terms['high'] * self.weights['hc']),
            **_by_student('loss_lc', terms['low'] * self.weights['lc']),
        }

    def _remember(
        self, guides: Dict[str, List[PixelOutput]], seen: Sequence[List[PixelOutput]], label: Tensor
    ) -> None:
        if self.contrast is None:
            return
        if self.teachers:
            outputs = [guides[f'teacher{i}'][1] for i in range(len(self.teachers))]
        else:
            outputs = [labeled for labeled, _ in seen]
        self.contrast.remember(outputs, label)


def _by_student(name: str, values: Tensor) -> Dict[str, Tensor]:
    """``(P,)`` values as terms of the log."""
    return {f'student{i}.{name}': value for i, value in enumerate(values.unbind())}


def _follow(views: Sequence[View], maps: Tensor) -> Tensor:
    """Maps ``(P * S, B, H, W)`` mixed as the view of all students, or each as its own."""
    parts = [view.follow(part, batch_dim=1) for view, part in zip(views, maps.chunk(len(views)))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _surest(targets: Target) -> Target:
    """Label and confidence ``(P, B, H, W)`` of the surest of ``S`` teachers at each pixel."""
    label, confidence = targets
    if label.shape[1] == 1:
        return label.squeeze(1), confidence.squeeze(1)
    confidence, best = confidence.max(dim=1, keepdim=True)
    return label.gather(1, best).squeeze(1), confidence.squeeze(1)
