# Copyright (c) mmseg_ctt contributors.
"""PrevMatch (arXiv 2405.20610): UniMatch that learns from past models of the run as well.

One step, everything inside ``forward(mode='loss')``:

1. The student takes the weak view; its decoder takes the features a second time, with half of
   their channels dropped.
2. Its predictions for the weak view, without gradient, are pseudo-labels.
3. One to three past models, drawn anew in each step, take the weak view in eval mode. The mean of
   their logits with random weights gives a second set of pseudo-labels.
4. Two strong views are the weak one after colours, blur and CutMix.
5. The student takes the labelled images and both strong views in one pass.
6. Losses: those of UniMatch, and the same with the second set of pseudo-labels, times a weight
   ``w`` that climbs to 1 in the first half of the run and falls to 0 in the second. All terms, the
   supervised one too, are multiplied by ``2 / (2 + w)``.

:class:`PastModelsHook` stores the student; until it has, the step is that of UniMatch.
"""

from typing import Any, Optional, Sequence, Tuple

import torch
from mmseg.registry import MODELS

from ...nn import settings
from ...nn.augmentation import View
from ...nn.batch_statistics import keep_statistics, mean_statistics
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.members import Member
from ...nn.pseudo_label import PseudoLabel
from ...nn.schedule import iterations
from ...nn.tag_limits import limited_outputs
from ..base import Losses
from ..unimatch import STUDENT, UniMatch
from .functional import ensemble_logits, triangular_weight
from .ring import Ring

PAST_TERMS = ('past_unsup', 'past_fp')
PAST_CONSISTENCY = dict(confidence_threshold=0.9, normalizer='valid')


@MODELS.register_module()
class PrevMatch(UniMatch):
    """PrevMatch: one student, and frozen copies of its past.

    The copies are members ``past0``, ``past1``, ...; they do not predict. ``num_past`` of them take
    the memory of as many networks, on every device and in every checkpoint.

    Loss weights ``sup`` 0.5, ``unsup`` 0.25, ``fp`` 0.25 as those of :class:`UniMatch`;
    ``past_unsup`` and ``past_fp`` 0.25, times the weight of the ensemble ``w`` (released code:
    ``lambda``). With past models all terms are multiplied by ``2 / (2 + w)``.

    Buffers: ``ring.count`` and ``ring.best``, see :class:`Ring`.

    Args:
        feature_perturbation (list[dict], optional): See :class:`UniMatch`. Defaults to None:
            :class:`ChannelDropout` of one half.
        labeled_pass (str): See :class:`UniMatch`. Defaults to 'strong'.
        num_past (int): Past models that are kept, the last ones stored. Defaults to 8 (released
            code).
        num_drawn (tuple[int, int]): Fewest and most past models in a step. Defaults to (1, 3)
            (released code; (3, 3) with its ``random_select=False``).
        past_consistency (dict, optional): Settings of :class:`Consistency` for the pseudo-labels of
            past models. Defaults to None: as the student's, with a threshold of 0.9.
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_loss_weights = dict(UniMatch.default_loss_weights, past_unsup=0.25, past_fp=0.25)
    ramped_terms = (*UniMatch.ramped_terms, *PAST_TERMS)
    sections = dict(UniMatch.sections, past_label='teachers')
    joint_state = (('ring', 'past'),)
    toy_settings = dict(
        UniMatch.toy_settings, num_past=2, past_consistency=dict(confidence_threshold=0.26)
    )

    def build(
        self,
        feature_perturbation: Optional[Sequence[dict]] = None,
        labeled_pass: str = 'strong',
        num_past: int = 8,
        num_drawn: Tuple[int, int] = (1, 3),
        past_consistency: Optional[dict] = None,
    ) -> None:
        """See the class."""
        super().build(feature_perturbation, labeled_pass)
        settings.check_number('model.num_past', num_past, 1, whole=True)
        self.num_drawn = checked_drawn(num_drawn)
        self.past_consistency = settings.build_part(
            'past_consistency',
            past_consistency,
            'Consistency',
            PAST_CONSISTENCY,
            num_classes=self.num_classes,
        )
        self.ring = Ring(num_past)
        names = [f'past{i}' for i in range(num_past)]
        self.add_copies(names, Member(copy_of=STUDENT, predicts=False))

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        on_labeled, weak, perturbed = self.forward_weak(labeled, unlabeled)  # 1
        pseudo = self.weak_label(weak, unlabeled)  # 2
        past = self.past_label(unlabeled)  # 3
        views = self.several_views(unlabeled, pseudo.label, range(self.num_views))  # 4
        on_labeled, strong = self.forward_strong(labeled, views, on_labeled)  # 5
        return {  # 6
            **self.supervised_loss(0, on_labeled, labeled),
            **self.unlabeled_terms(perturbed, strong, pseudo, views),
            **self.past_terms(perturbed, strong, past, views),
        }

    @torch.no_grad()
    def store_past(self) -> None:
        """Store the student as it is validated, in the place of the oldest past model.

        Its running statistics are the mean over the ranks, so that past models are equal on all.
        """
        student, past = self.member(STUDENT), self.member(f'past{self.ring.next_position()}')
        with mean_statistics(student):
            past.load_state_dict(student.state_dict())
        keep_statistics(self, past)  # a validation gives all other members theirs back
        self.ring.advance()

    @torch.no_grad()
    def past_label(self, unlabeled: Images) -> Optional[PseudoLabel]:
        """Pseudo-label of an ensemble of past models; None as long as there are none."""
        if not self.ring.stored:
            return None
        drawn = self.ring.draw(unlabeled.draws[0][0], iterations()[0], self.num_drawn)
        names = [f'past{i}' for i in drawn.positions]
        outputs = self.forward_members(names, unlabeled.image, gradient=None)
        if self.use_tags:
            outputs = limited_outputs(outputs, unlabeled)
        logits = ensemble_logits([outputs[name][0].logits for name in names], drawn.weights)
        pseudo = self.pseudo_label(logits, unlabeled)
        self.past_consistency.update(pseudo.label, pseudo.confidence)
        return pseudo

    def past_terms(
        self,
        perturbed: PixelOutput,
        strong: Sequence[PixelOutput],
        past: Optional[PseudoLabel],
        views: Sequence[View],
    ) -> Losses:
        """Terms ``past_unsup`` and ``past_fp``, and the confident ratio of past models."""
        if past is None:
            zero = perturbed.zero_loss()
            losses = zero, zero, zero.detach()
        else:
            losses = self.unlabeled_losses(perturbed, strong, past, views, self.past_consistency)
        unsup, fp, ratio = losses
        return {
            f'{STUDENT}.past_unsup': unsup,
            f'{STUDENT}.past_fp': fp,
            f'{STUDENT}.confident_ratio_past': ratio,
        }

    # ---- weights

    def past_weight(self) -> float:
        """Weight of the ensemble in this iteration: 0 without past models, 1 outside of a run."""
        done, total = iterations()
        if not self.ring.stored:
            return 0.0
        return triangular_weight(done, total) if total else 1.0

    def loss_weight(self, member: str, term: str) -> float:
        """See :meth:`SemiSegmentor.loss_weight`."""
        past = self.past_weight()
        weight = super().loss_weight(member, term) * 2 / (2 + past)
        return weight * past if term in PAST_TERMS else weight


def checked_drawn(numbers: Any) -> Tuple[int, int]:
    """``num_drawn`` of a config.

    Raises:
        TypeError: If it is no pair of whole numbers.
        ValueError: If it is not ``1 <= fewest <= most``.
    """
    whole = isinstance(numbers, (list, tuple)) and all(type(number) is int for number in numbers)
    if not whole or len(numbers) != 2:
        raise TypeError(
            f'model.num_drawn must be two whole numbers, such as (1, 3), got {numbers!r}'
        )
    if not 1 <= numbers[0] <= numbers[1]:
        raise ValueError(
            f'model.num_drawn={numbers}: give the fewest first, at least 1, then the most'
        )
    return numbers[0], numbers[1]
