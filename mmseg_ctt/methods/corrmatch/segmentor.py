# Copyright (c) mmseg_ctt contributors.
"""CorrMatch (arXiv 2306.04300): UniMatch with labels that spread over correlating pixels.

One step, everything inside ``forward(mode='loss')``:

1. The student takes the weak view; its decoder takes the features a second time, with half of
   their channels dropped.
2. Its predictions for the weak view, without gradient, are the pseudo-labels; the threshold
   follows their confidence.
3. The strong view is the weak one after colours, blur and CutMix; pseudo-labels are mixed along.
4. The student takes the labelled images and the strong view in one pass.
5. The correlation of the pixels of each image spreads its logits. Some rows of the correlation of
   the weak view are regions.
6. Pseudo-labels of the strong view grow over regions whose pixels are confident of one class.
7. Losses: supervised, of both kinds of logits; cross-entropy to the pseudo-labels, of the strong
   view, of the perturbed features and of spread logits; divergence of the strong view from the
   weak one.

The correlation is in no member: predictions and exported networks do not use it.
"""

from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.augmentation import View
from ...nn.deepest_map import deepest_map, deepest_width, reading_head
from ...nn.heads import main_head, map_loss
from ...nn.images import Images
from ...nn.loss_maps import loss_maps
from ...nn.member import PixelOutput
from ...nn.padding import joined_valid
from ...nn.pseudo_label import PseudoLabel
from ...nn.ranks import mean_over_ranks
from ..base import Losses
from ..unimatch import STUDENT, UniMatch
from .correlation import Correlation, CorrelationInput
from .functional import propagate_regions
from .threshold import DynamicThreshold

PROPAGATIONS = ('attention', 'transposed')
REGION_RULES = ('vote', 'sequential')
KL_TARGETS = ('mixed', 'unmixed')


class SpreadLogits(NamedTuple):
    """Spread logits of a step, and the regions that come with them.

    Attributes:
        labeled (Tensor): ``(B, K, h, w)`` for the labelled images.
        weak (Tensor): The same for the weak view.
        strong (Tensor): The same for the strong view.
        regions (Tensor): ``(B, n, H, W)`` bool, of the weak view.
    """

    labeled: Tensor
    weak: Tensor
    strong: Tensor
    regions: Tensor


@MODELS.register_module()
class CorrMatch(UniMatch):
    """CorrMatch: one student, no teacher, and a correlation that works in training only.

    Loss weights (released code): ``sup`` and ``corr_sup`` (labels, of logits and spread logits)
    0.25; ``unsup`` (strong view), ``kl`` (its divergence from the weak view), ``fp`` (perturbed
    features) and ``corr`` (spread logits, mean of weak and strong view) 0.125.

    ``mode='released'`` is ``labeled_pass='weak'``, ``propagation='transposed'``,
    ``region_rule='sequential'``, ``kl_target='unmixed'``; each can be set alone.

    Buffers: ``consistency.threshold``, see :class:`DynamicThreshold`.

    Args:
        feature_perturbation (list[dict], optional): See :class:`UniMatch`. Defaults to None:
            :class:`ChannelDropout` of one half.
        labeled_pass (str): See :class:`UniMatch`. Defaults to 'strong'.
        correlation (dict, optional): Settings of :class:`Correlation`. Defaults to None.
        propagation (str): ``'attention'``: a pixel takes the mean of the logits of all pixels by
            its correlation with them; ``'transposed'``: by theirs with it, weights that do not sum
            to 1 (released code). Defaults to 'attention'.
        region_rule (str): ``'vote'`` (ours) or ``'sequential'`` (released code), see
            :func:`propagate_regions`. Defaults to 'vote'.
        kl_target (str): ``'mixed'``: the weak view mixed as the strong one is; ``'unmixed'``: the
            weak view, which inside of a pasted box is another image (released code). Defaults to
            'mixed'.
        kwargs: As in :class:`SemiSegmentor`.
    """

    num_views = 1
    default_loss_weights = dict(
        sup=0.25, corr_sup=0.25, unsup=0.125, kl=0.125, fp=0.125, corr=0.125
    )
    ramped_terms = ('unsup', 'kl', 'fp', 'corr')
    modes = dict(
        default={},
        released=dict(
            build=dict(
                labeled_pass='weak',
                propagation='transposed',
                region_rule='sequential',
                kl_target='unmixed',
            )
        ),
    )
    consistency_class = DynamicThreshold
    default_consistency = dict(confidence_threshold=0.85)
    parts = ('correlation',)
    reads_features = True
    sections = dict(UniMatch.sections, grown_label='pseudo-labels')
    toy_settings = dict(
        consistency=dict(confidence_threshold=0.26),
        correlation=dict(width=8, dropout=0.0, num_regions=12),
    )

    def build(
        self,
        feature_perturbation: Optional[Sequence[dict]] = None,
        labeled_pass: str = 'strong',
        correlation: Optional[dict] = None,
        propagation: str = 'attention',
        region_rule: str = 'vote',
        kl_target: str = 'mixed',
    ) -> None:
        """See the class."""
        super().build(feature_perturbation, labeled_pass)
        settings.check_choice('model.propagation', propagation, PROPAGATIONS)
        settings.check_choice('model.region_rule', region_rule, REGION_RULES)
        settings.check_choice('model.kl_target', kl_target, KL_TARGETS)
        self.transposed = propagation == 'transposed'
        self.sequential, self.kl_target = region_rule == 'sequential', kl_target
        student = self.students[0]
        self.correlation = settings.build_part(
            'correlation',
            correlation,
            Correlation,
            in_channels=deepest_width(student),
            num_classes=self.num_classes,
            norm_cfg=reading_head(student).norm_cfg,
            align_corners=self.align_corners,
        )

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        on_labeled, weak, perturbed = self.forward_weak(labeled, unlabeled)  # 1
        pseudo = self.weak_label(weak, unlabeled)  # 2
        views = self.several_views(unlabeled, pseudo.label, range(self.num_views))  # 3
        (view,) = views
        on_labeled, (strong,) = self.forward_strong(labeled, views, on_labeled)  # 4
        mixed = pseudo.apply_mix(view)
        spread = self.correlate(  # 5
            (on_labeled, weak, strong), (labeled.valid(), pseudo.valid, mixed.valid), unlabeled
        )
        grown = self.grown_label(mixed, spread.regions, view)  # 6
        return {  # 7
            **self.supervised_loss(0, on_labeled, labeled),
            f'{STUDENT}.corr_sup': self.spread_supervised_loss(spread.labeled, labeled),
            f'{STUDENT}.kl': self.divergence(strong, mixed, pseudo),
            **self.pseudo_label_terms(strong, perturbed, spread, grown, pseudo),
            f'{STUDENT}.grown_ratio': self.grown_ratio(mixed, grown),
            f'{STUDENT}.confidence_threshold': self.consistency.threshold.clone(),
        }

    def spread_supervised_loss(self, logits: Tensor, labeled: Images) -> Tensor:
        """Term ``corr_sup``: the loss of the head, on spread logits."""
        student = self.students[0]
        with loss_maps(student, labeled.samples):
            return map_loss(main_head(student), logits, labeled.samples)

    def weak_label(self, weak: PixelOutput, unlabeled: Images) -> PseudoLabel:
        """Pseudo-label of the weak view, which moves the threshold."""
        pseudo = super().weak_label(weak, unlabeled)
        of_views = pseudo.first(self.num_viewed(unlabeled))
        self.consistency.update(of_views.label, of_views.confidence)
        return pseudo

    def correlate(
        self, outputs: Sequence[PixelOutput], valid: Sequence[Optional[Tensor]], unlabeled: Images
    ) -> SpreadLogits:
        """Spread logits, in the passes in which the student took the images, and regions.

        Args:
            outputs (Sequence[PixelOutput]): For labelled images, weak view and strong view.
            valid (Sequence[Tensor]): ``(B, H, W)`` bool for each, False in the padding, or None.
            unlabeled (Images): Those of the weak view, and partners of CutMix.
        """
        labeled, weak, strong = map(self._without_partners, outputs, valid)
        if self.labeled_pass == 'weak':
            on_labeled, (on_weak, correlation) = self._one_pass(labeled, weak)
            on_strong, _ = self.correlation(*strong, self.transposed)
        else:
            on_labeled, (on_strong, _) = self._one_pass(labeled, strong)
            on_weak, correlation = self.correlation(*weak, self.transposed)
        regions = self.correlation.regions(
            correlation.detach(), unlabeled.draws[: len(on_weak)], unlabeled.size, weak.valid
        )
        return SpreadLogits(on_labeled, on_weak, on_strong, regions)

    def _without_partners(self, output: PixelOutput, valid: Optional[Tensor]) -> CorrelationInput:
        """What the correlation reads; partners of CutMix, which have no features, are left out."""
        feature = deepest_map(self.students[0], output.features)
        number = len(feature)
        valid = None if valid is None else valid[:number]
        return CorrelationInput(feature, output.logits[:number], valid)

    def _one_pass(
        self, labeled: CorrelationInput, other: CorrelationInput
    ) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
        """Spread logits for the labelled images; those for a view, and its correlation.

        Batch statistics are those of both together where the student took them in one pass.
        """
        if not self._is_joint(STUDENT):
            spread, _ = self.correlation(*labeled, self.transposed)
            return spread, self.correlation(*other, self.transposed)
        features, logits = (labeled.feature, other.feature), (labeled.logits, other.logits)
        valid = joined_valid((labeled.valid, other.valid), features)
        joint = self.correlation(torch.cat(features), torch.cat(logits), valid, self.transposed)
        sizes = [len(feature) for feature in features]
        (on_labeled, on_other), (_, correlation) = (found.split(sizes) for found in joint)
        return on_labeled, (on_other, correlation)

    @torch.no_grad()
    def grown_label(self, mixed: PseudoLabel, regions: Tensor, view: View) -> PseudoLabel:
        """Pseudo-label of the strong view after region propagation; grown pixels have confidence 1.

        Args:
            mixed (PseudoLabel): ``(B, H, W)`` maps of the strong view.
            regions (Tensor): ``(B, n, H, W)`` bool of the weak view.
            view (View): The strong view; only pixels that it has not pasted are in a region.
        """
        own = own_pixels(view, mixed.label, self.strong_augmentation.halves)
        regions = regions & mixed.mask_padding(own)[:, None]
        confident = mixed.mask_padding(self.consistency.confident(mixed))
        label, kept = propagate_regions(
            mixed.label,
            confident,
            regions,
            self.consistency.threshold,
            self.num_classes,
            self.sequential,
        )
        confidence = mixed.confidence.masked_fill(kept & ~confident, 1)
        return mixed._replace(label=label, confidence=confidence, logits=None)

    def grown_ratio(self, mixed: PseudoLabel, grown: PseudoLabel) -> Tensor:
        """Ratio of the pixels that are confident by region propagation alone."""
        return mean_over_ranks((grown.confidence != mixed.confidence).float().mean())

    def divergence(self, strong: PixelOutput, mixed: PseudoLabel, pseudo: PseudoLabel) -> Tensor:
        """Term ``kl``."""
        if self.kl_target == 'unmixed':
            mixed = mixed._replace(logits=pseudo.first(len(strong.logits)).logits)
        return self.consistency.divergence(strong.logits, mixed, self.align_corners)

    def pseudo_label_terms(
        self,
        strong: PixelOutput,
        perturbed: PixelOutput,
        spread: SpreadLogits,
        grown: PseudoLabel,
        pseudo: PseudoLabel,
    ) -> Losses:
        """Terms ``unsup``, ``fp`` and ``corr``, and the confident ratio of the weak view."""
        targets = [grown, pseudo.first(len(perturbed.logits))._replace(logits=None)]
        loss, ratio = self.view_losses([strong.logits, perturbed.logits], targets)
        corr, _ = self.view_losses([spread.strong, spread.weak], targets)
        return {
            f'{STUDENT}.unsup': loss[0],
            f'{STUDENT}.fp': loss[1],
            f'{STUDENT}.corr': corr.mean(),
            f'{STUDENT}.confident_ratio': ratio[1],
        }


def own_pixels(view: View, label: Tensor, halves: bool) -> Tensor:
    """``(B, H, W)`` bool: pixels of a strong view that are of the image itself.

    Args:
        view (View): Strong view of ``B`` images.
        label (Tensor): ``(B, H, W)``, for shape and device.
        halves (bool): Whether it pastes from a second half of the batch, of ``2B`` images.
    """
    number = torch.arange(len(label), device=label.device)[:, None, None]
    source = torch.arange(len(label) * (2 if halves else 1), device=label.device)[:, None, None]
    return view.apply_mix(source.expand(-1, *label.shape[1:])) == number
