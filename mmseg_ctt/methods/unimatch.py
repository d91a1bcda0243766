# Copyright (c) mmseg_ctt contributors.
"""UniMatch (arXiv 2208.09910): weak to strong in two views, and from clean to perturbed features.

One step, everything inside ``forward(mode='loss')``:

1. The student takes the weak view; its decoder takes the features a second time, with half of
   their channels dropped.
2. Its predictions for the weak view, without gradient, are the pseudo-labels.
3. Two strong views are the weak one after colours, blur and CutMix; pseudo-labels are mixed along.
4. The student takes the labelled images and both strong views in one pass.
5. Losses: supervised, and cross-entropy to the pseudo-labels of 0.95 confidence or more, of the
   strong views and of the perturbed features, each divided by the number of its pixels that are
   not padding.
"""

from typing import ClassVar, List, Mapping, Optional, Sequence, Tuple

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ..nn import settings
from ..nn.augmentation import View
from ..nn.consistency import Consistency
from ..nn.images import Images
from ..nn.member import PixelOutput, eval_mode
from ..nn.perturbation import FeaturePerturbations, appended
from ..nn.pseudo_label import PseudoLabel
from .base import Losses
from .fixmatch import FixMatchSeg
from .forward import Outputs

STUDENT = 'student0'
LABELED_PASSES = ('strong', 'weak')


@MODELS.register_module()
class UniMatch(FixMatchSeg):
    """UniMatch: one student, no teacher.

    Loss weights ``sup``, ``unsup`` (mean of the strong views) and ``fp`` (perturbed features)
    default to 0.5, 0.25 and 0.25 (Eq 7 and released code).

    CutMix pastes the next image of the batch. ``CutMixing(partner='second_half')`` pastes those of
    a second unlabelled batch, which the student labels in eval mode (released code); it needs
    ``train_dataloader.sampler.ratio=dict(labeled=1, unlabeled=2)``.

    Args:
        feature_perturbation (list[dict], optional): Perturbations of the features, see
            :class:`FeaturePerturbations`. Defaults to None: :class:`ChannelDropout` of one half.
        labeled_pass (str): Pass of the labelled images: with the ``'strong'`` views, so that the
            weak view is normalised by its own statistics; or with the ``'weak'`` view (released
            code), which failed where unlabelled images are of another place. Without
            ``joint_forward`` it is their own. Defaults to 'strong'.
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_loss_weights = dict(sup=0.5, unsup=0.25, fp=0.25)
    ramped_terms: ClassVar[Tuple[str, ...]] = ('unsup', 'fp')
    num_views: ClassVar[int] = 2  # strong views
    takes_labeled = False

    def build(
        self, feature_perturbation: Optional[Sequence[dict]] = None, labeled_pass: str = 'strong'
    ) -> None:
        """See the class."""
        settings.check_choice('model.labeled_pass', labeled_pass, LABELED_PASSES)
        self.labeled_pass = labeled_pass
        usual = [dict(type='ChannelDropout')]
        self.feature_perturbation = FeaturePerturbations(
            usual if feature_perturbation is None else feature_perturbation
        )

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        on_labeled, weak, perturbed = self.forward_weak(labeled, unlabeled)  # 1
        pseudo = self.weak_label(weak, unlabeled)  # 2
        views = self.several_views(unlabeled, pseudo.label, range(self.num_views))  # 3
        on_labeled, strong = self.forward_strong(labeled, views, on_labeled)  # 4
        return {  # 5
            **self.supervised_loss(0, on_labeled, labeled),
            **self.unlabeled_terms(perturbed, strong, pseudo, views),
        }

    def forward_weak(
        self, labeled: Images, unlabeled: Images
    ) -> Tuple[Optional[PixelOutput], PixelOutput, PixelOutput]:
        """Outputs for the labelled images, the weak view, and its perturbed features.

        Those for the labelled images are None where they are in the pass of the strong views. The
        weak view holds the partners of CutMix too, where they are the second half of the batch;
        perturbed features do not.
        """
        self.strong_augmentation.check_number(len(unlabeled.image))  # before they are halved
        number = self.num_viewed(unlabeled)
        weak, *partners = unlabeled.image.split(number)
        valid = unlabeled.valid()
        perturb = appended(
            self.feature_perturbation.of(
                unlabeled.draws[:number], valid=None if valid is None else valid[:number]
            )
        )
        images = [labeled.image] if self.labeled_pass == 'weak' else []
        perturbs = [*(None for _ in images), perturb]
        *on_labeled, on_weak = self.forward_member(STUDENT, *images, weak, perturb=perturbs)
        clean, perturbed = on_weak.split([number, number])
        clean = self._with_partners(clean, partners)
        return on_labeled[0] if on_labeled else None, clean, perturbed

    def _with_partners(self, weak: PixelOutput, partners: Sequence[Tensor]) -> PixelOutput:
        """Output for the weak view, behind it the logits for the partners of CutMix, if any."""
        if not partners:
            return weak
        with eval_mode(self.member(STUDENT)):
            (on_partners,) = self.forward_member(STUDENT, *partners, gradient=None)
        return weak._replace(logits=torch.cat([weak.logits, on_partners.logits]))

    def forward_teachers(self, images: Mapping[str, Images]) -> Outputs:
        """Outputs of the student for the weak view, from the passes that a step makes."""
        _, weak, _ = self.forward_weak(images['labeled'], images['unlabeled'])
        return {STUDENT: [weak]}

    def num_viewed(self, unlabeled: Images) -> int:
        """Images of the batch that have strong views."""
        return len(unlabeled.image) // (2 if self.strong_augmentation.halves else 1)

    @torch.no_grad()
    def weak_label(self, weak: PixelOutput, unlabeled: Images) -> PseudoLabel:
        """Pseudo-label of the weak view."""
        outputs = self.align_and_limit({STUDENT: [weak]}, unlabeled)
        return self.pseudo_labels(outputs, unlabeled)[STUDENT]

    def forward_strong(
        self, labeled: Images, views: Sequence[View], on_labeled: Optional[PixelOutput]
    ) -> Tuple[PixelOutput, List[PixelOutput]]:
        """Outputs for the labelled images and for each strong view.

        Args:
            labeled (Images): Labelled images.
            views (Sequence[View]): Strong views.
            on_labeled (PixelOutput, optional): Of :meth:`forward_weak`.
        """
        images = torch.cat([view.image for view in views])
        if on_labeled is None:
            on_labeled, output = self.forward_member(STUDENT, labeled.image, images)
        else:
            (output,) = self.forward_member(STUDENT, images)
        return on_labeled, output.split([len(view.image) for view in views])

    def unlabeled_terms(
        self,
        perturbed: PixelOutput,
        strong: Sequence[PixelOutput],
        pseudo: PseudoLabel,
        views: Sequence[View],
    ) -> Losses:
        """Terms ``unsup`` and ``fp``, and the confident ratio of the weak view."""
        unsup, fp, ratio = self.unlabeled_losses(perturbed, strong, pseudo, views)
        return {f'{STUDENT}.unsup': unsup, f'{STUDENT}.fp': fp, f'{STUDENT}.confident_ratio': ratio}

    def unlabeled_losses(
        self,
        perturbed: PixelOutput,
        strong: Sequence[PixelOutput],
        pseudo: PseudoLabel,
        views: Sequence[View],
        consistency: Optional[Consistency] = None,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """Mean loss of the strong views, that of perturbed features, confident ratio of the latter.

        Args:
            perturbed (PixelOutput): For the weak view with perturbed features.
            strong (Sequence[PixelOutput]): For each strong view.
            pseudo (PseudoLabel): Of the weak view.
            views (Sequence[View]): Strong views.
            consistency (Consistency, optional): Defaults to None: the method's own.
        """
        weak = pseudo.first(len(perturbed.logits))
        targets = [*(pseudo.apply_mix(view) for view in views), weak]
        logits: List[Tensor] = [*(output.logits for output in strong), perturbed.logits]
        loss, ratio = self.view_losses(logits, targets, consistency)
        return loss[:-1].mean(), loss[-1], ratio[-1]
