# Copyright (c) mmseg_ctt contributors.
"""SemiVL (arXiv 2311.16241): UniMatch with labels of a frozen vision-language model.

One step, everything inside ``forward(mode='loss')``:

1. The student takes the weak view; its decoder takes the features a second time, with half of
   their channels dropped.
2. Its predictions for the weak view, without gradient, are pseudo-labels.
3. The frozen vision-language model labels the weak view by class texts.
4. Two strong views are the weak one after colours, blur and CutMix; both kinds of labels are mixed
   along.
5. The student takes the labelled images and both strong views in one pass.
6. Losses: those of UniMatch, and cross-entropy to the labels of the frozen model of 0.9 confidence
   or more, of the strong views and of the perturbed features, times a weight that falls to 0.
"""

from typing import Any, Callable, Optional, Sequence

import torch
from mmseg.registry import MODELS

from ...nn import settings
from ...nn.augmentation import View
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import PseudoLabel
from ...nn.schedule import training_progress
from ...nn.tag_limits import allowed_classes, limited_logits
from ..base import Losses
from ..unimatch import STUDENT, UniMatch
from .guidance import ImageTextGuidance

GUIDED_TERM = 'guidance'


@MODELS.register_module()
class SemiVL(UniMatch):
    """SemiVL without its decoder: UniMatch and the dense guidance of a frozen CLIP.

    Loss weights ``sup`` 0.5, ``unsup`` 0.25, ``fp`` 0.25 as those of :class:`UniMatch`;
    ``guidance`` 0.1, which falls to 0 along the run, for the mean of strong views and perturbed
    features (released code).

    The frozen model is in no member and in no checkpoint; a resumed run reads its files again.

    Args:
        feature_perturbation (list[dict], optional): See :class:`UniMatch`. Defaults to None.
        labeled_pass (str): See :class:`UniMatch`. Defaults to 'strong'.
        guidance (dict, optional): Settings of :class:`ImageTextGuidance`. Defaults to None: random
            weights and texts, which a warning says.
        guidance_consistency (dict, optional): Settings of :class:`Consistency` for its labels.
            Defaults to None: threshold 0.9, divided by all pixels (released code).
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        FileNotFoundError: If a file of the guidance is missing.
        TypeError: If a setting is of a wrong type.
        ValueError: For a bad setting, or files that do not fit.
    """

    default_loss_weights = dict(UniMatch.default_loss_weights, guidance=0.1)
    sections = dict(UniMatch.sections, guidance_label='teachers')
    toy_settings = dict(
        UniMatch.toy_settings,
        guidance=dict(
            dim=8, network=dict(embed_dim=16, depth=2, num_heads=2, patch_size=8, img_size=32)
        ),
    )

    def build(
        self,
        feature_perturbation: Optional[Sequence[dict]] = None,
        labeled_pass: str = 'strong',
        guidance: Optional[dict] = None,
        guidance_consistency: Optional[dict] = None,
    ) -> None:
        """See the class."""
        super().build(feature_perturbation, labeled_pass)
        self.guidance_consistency = settings.build_part(
            'guidance_consistency',
            guidance_consistency,
            'Consistency',
            dict(confidence_threshold=0.9, normalizer='all'),
            num_classes=self.num_classes,
        )
        part = settings.build_part(
            'guidance', guidance, ImageTextGuidance, num_classes=self.num_classes
        )
        self._unsaved = [part]  # a list keeps it out of the state and of DDP

    @property
    def guidance(self) -> ImageTextGuidance:
        """The frozen vision-language model."""
        return self._unsaved[0]

    def _apply(self, function: Callable, *args: Any, **kwargs: Any) -> 'SemiVL':
        """Move the frozen model along with the others."""
        super()._apply(function, *args, **kwargs)
        self.guidance._apply(function, *args, **kwargs)
        return self

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        on_labeled, weak, perturbed = self.forward_weak(labeled, unlabeled)  # 1
        pseudo = self.weak_label(weak, unlabeled)  # 2
        guided = self.guidance_label(unlabeled)  # 3
        views = self.several_views(unlabeled, pseudo.label, range(self.num_views))  # 4
        on_labeled, strong = self.forward_strong(labeled, views, on_labeled)  # 5
        return {  # 6
            **self.supervised_loss(0, on_labeled, labeled),
            **self.unlabeled_terms(perturbed, strong, pseudo, views),
            **self.guidance_terms(perturbed, strong, guided, views),
        }

    @torch.no_grad()
    def guidance_label(self, unlabeled: Images) -> PseudoLabel:
        """Labels of the frozen model for the weak view."""
        logits = self.guidance(unlabeled.image, self.data_preprocessor)
        if self.use_tags:
            logits = limited_logits(logits, allowed_classes(unlabeled))
        pseudo = self.pseudo_label(logits, unlabeled)
        self.guidance_consistency.update(pseudo.label, pseudo.confidence)
        return pseudo

    def guidance_terms(
        self,
        perturbed: PixelOutput,
        strong: Sequence[PixelOutput],
        guided: PseudoLabel,
        views: Sequence[View],
    ) -> Losses:
        """Term ``guidance``, mean of strong views and perturbed features, and its ratio."""
        losses = self.unlabeled_losses(perturbed, strong, guided, views, self.guidance_consistency)
        on_strong, on_perturbed, ratio = losses
        return {
            f'{STUDENT}.{GUIDED_TERM}': (on_strong + on_perturbed) / 2,
            f'{STUDENT}.confident_ratio_guidance': ratio,
        }

    def loss_weight(self, member: str, term: str) -> float:
        """See :meth:`SemiSegmentor.loss_weight`; that of the guidance falls to 0."""
        weight = super().loss_weight(member, term)
        return weight * (1 - training_progress()) if term == GUIDED_TERM else weight
