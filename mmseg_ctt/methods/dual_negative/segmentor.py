# Copyright (c) mmseg_ctt contributors.
"""Dual negative labels (DNLL, arXiv 2301.03976) for pixels, combined with cross teaching.

The paper classifies images. What follows is this package's reading of it for pixels; one step:

1. The peers of every student (the other pairs' teachers, or with ``teaching='mutual'`` the other
   students, as published) look at the weak view of the unlabelled images.
2. Their mean probability gives each pixel a label, a confidence and, away from its first choice,
   a few negative classes.
3. The strong view is the weak one after ClassMix, colour jitter and blur; all of 2 is mixed along.
4. A pixel is trusted where its peer is sure; with ``two_views``, where the peer says the same on
   both views and is sure on one of them (released code).
5. Every student sees the labelled images and the strong view.
6. Losses of each student: supervised; cross-entropy to the peer's label on trusted pixels;
   negative learning, the classes of 2, on all other pixels.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from ...functional import confident_fraction_cross_entropy
from ...functional.pixel_noise import pixel_noise
from ...nn import settings
from ...nn.member import PixelOutput
from ...nn.padding import content_mask
from ...nn.random import Draw, counter_noise, draws_of
from ...nn.ranks import mean_over_ranks
from ...nn.schedule import iterations, training_progress
from ...nn.strong_view import View
from ..base import SemiSegmentor
from .functional import (
    check_negatives,
    negative_classes,
    negative_label_loss,
    negative_ramp,
    stable,
)

WEIGHTS = dict(sup=1.0, pos=1.0, neg=2.0)
SCHEDULES = ('together', 'turns')
STREAM = 1000  # of the random numbers; those of the strong view are counted from 0
IGNORE = 255


class Advice(NamedTuple):
    """What the peers of a student say about the unlabelled batch.

    Attributes:
        label (Tensor): ``(B, H, W)`` int64.
        confidence (Tensor): ``(B, H, W)`` float32.
        negative (Tensor): ``(B, K, H, W)`` bool.
    """

    label: Tensor
    confidence: Tensor
    negative: Tensor


@MODELS.register_module()
class DualNegativeLabel(SemiSegmentor):
    """Mutual learning with pseudo-negative labels.

    It adds no state: schedules follow the iteration, which the run keeps.

    Args:
        segmentor (dict): As in :class:`SemiSegmentor`, as are all arguments not listed here.
        loss_weights (dict, optional): ``sup``, ``pos``, ``neg``. Defaults to 1, 1, 2 (the last
            is the released code's).
        confident (float): Confidence from which a pixel is trusted: positive label from there,
            negative ones below. Defaults to 0.8 (released code, of a stable image).
        num_negatives (int): Negative classes of a pixel. Defaults to 2 (released code).
        selection (str): ``'distinct'``, ``'replacement'`` (released code) or ``'rank'``, see
            :func:`mmseg_ctt.functional.negative_classes`. Defaults to 'distinct'.
        exclude (int): The peer's first choices that are never negative. Defaults to 1.
        ramp (float): Share of the training in which the negative term climbs to its weight.
            Defaults to 0.15 (released code).
        schedule (str): ``'together'``: all students learn from negatives in every iteration
            (released code); ``'turns'``: one student an iteration, in turn (the abstract's
            exchange of roles). Defaults to 'together'.
        two_views (bool): Trust by agreement on two views. One more pass of every peer.
            Defaults to False.
        strong_view (dict, optional): Settings of :class:`StrongView`. Defaults to None.

    Raises:
        ValueError: For an unknown loss weight, selection or schedule, or too few classes.
    """

    def __init__(
        self,
        segmentor: dict,
        loss_weights: Optional[dict] = None,
        confident: float = 0.8,
        num_negatives: int = 2,
        selection: str = 'distinct',
        exclude: int = 1,
        ramp: float = 0.15,
        schedule: str = 'together',
        two_views: bool = False,
        strong_view: Optional[dict] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(segmentor, **kwargs)
        if schedule not in SCHEDULES:
            raise ValueError(f'model.schedule must be one of {SCHEDULES}, got {schedule!r}')
        if not 0 <= ramp <= 1:
            raise ValueError(f'model.ramp must be in [0, 1], got {ramp}')
        check_negatives(num_negatives, selection, exclude, self.num_classes)
        self.weights = settings.loss_weights(loss_weights, WEIGHTS)
        self.confident, self.two_views = confident, two_views
        self.num_negatives, self.selection, self.exclude = num_negatives, selection, exclude
        self.ramp, self.schedule = ramp, schedule
        self.strong_view = settings.build_part('strong_view', strong_view, 'StrongView')

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> dict:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.loss`."""
        labeled, weak = inputs['labeled'], inputs['unlabeled']
        samples = data_samples['unlabeled']
        draws = draws_of(samples)
        opinions = self._opinions(self.aligned_guides(weak, labeled, samples), weak.shape[2:])  # 1
        advice = [self._advice(i, one, draws) for i, one in enumerate(opinions)]  # 2
        view = self.strong_view(
            weak, advice[0].label, draws, self.data_preprocessor, num_classes=self.num_classes
        )  # 3
        advice = [Advice(*map(view.follow, one)) for one in advice]
        trusted = self._trusted(advice, view)  # 4
        content = content_mask(samples, weak, view)
        losses: Dict[str, Tensor] = {}
        for i in range(len(self.students)):
            on_labeled, on_strong = self.look(f'student{i}', labeled, view.image)  # 5
            losses.update(self.supervise(i, on_labeled, data_samples['labeled']))  # 6
            losses.update(self._teach(i, on_strong, advice[i], trusted[i], content))
        return losses

    def _opinions(
        self, guides: Dict[str, List[PixelOutput]], size: Tuple[int, int]
    ) -> List[Tensor]:
        """Mean probability ``(B, K, H, W)`` of the peers of each student."""
        said = {
            name: self.upsampled(seen.logits, size).softmax(dim=1)
            for name, (seen,) in guides.items()
        }
        return [sum(said[name] for name in sources) / len(sources) for sources in self.graph]

    @torch.no_grad()
    def _advice(self, i: int, probability: Tensor, draws: Sequence[Draw]) -> Advice:
        confidence, label = probability.max(dim=1)
        noise = None
        if self.selection != 'rank':
            keys = counter_noise(draws, self.num_negatives, STREAM + i, probability.device)
            size = probability.shape[2:]
            noise = pixel_noise(keys.flatten(), *size).view(*keys.shape, *size)
        negative = negative_classes(
            probability, self.num_negatives, self.selection, self.exclude, noise
        )
        return Advice(label, confidence, negative)

    def _trusted(self, advice: Sequence[Advice], view: View) -> List[Tensor]:
        """Pixels ``(B, H, W)`` whose positive label each student takes."""
        if not self.two_views:
            return [one.confidence >= self.confident for one in advice]
        guides = self.ask(self.teaching_members, view.image)
        again = [
            probability.max(dim=1) for probability in self._opinions(guides, view.image.shape[2:])
        ]
        return [
            stable(one.label, one.confidence, other.indices, other.values, self.confident)
            for one, other in zip(advice, again)
        ]

    def _teach(
        self,
        i: int,
        output: PixelOutput,
        advice: Advice,
        trusted: Tensor,
        content: Optional[Tensor] = None,
    ) -> Dict[str, Tensor]:
        """Positive and negative term of one student."""
        logits = self.upsampled(output.logits, advice.label.shape[1:])
        unsure = ~trusted
        if content is not None:
            trusted, unsure = trusted & content, unsure & content
        positive = confident_fraction_cross_entropy(
            logits,
            advice.label.masked_fill(~trusted, IGNORE),
            advice.confidence,
            ignore_index=IGNORE,
            fraction=1,
        )
        negative = negative_label_loss(
            logits, advice.negative, unsure, count=mean_over_ranks(unsure.sum().float())
        )
        return {
            f'student{i}.loss_pos': positive * self.weights['pos'],
            f'student{i}.loss_neg': negative * self._negative_weight(i),
            f'student{i}.confident': mean_over_ranks(trusted.float().mean()),
        }

    def _negative_weight(self, i: int) -> float:
        """Weight of the negative term of one student in this iteration."""
        done, _ = iterations()
        if self.schedule == 'turns' and done % len(self.students) != i:
            return 0.0
        return self.weights['neg'] * negative_ramp(training_progress(), self.ramp)
