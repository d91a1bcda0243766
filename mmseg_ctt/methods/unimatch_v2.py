# Copyright (c) mmseg_ctt contributors.
"""UniMatch V2 (arXiv 2410.10777): two strong views with complementary halves of the channels.

One step, everything inside ``forward(mode='loss')``:

1. The teacher takes the weak view of the unlabelled images.
2. Class and confidence of each pixel are the pseudo-labels.
3. Two strong views are the weak one after colours, blur and CutMix with the batch in reverse order;
   pseudo-labels are mixed along.
4. The student takes the labelled images and both views. Between its backbone and its decoder each
   channel of a view is dropped in one of the two; half of the images keep all.
5. Losses: supervised, and cross-entropy to the pseudo-labels of 0.95 confidence or more, mean over
   the views, divided by the number of pixels that are not padding.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import List, Optional, Sequence, Tuple

import torch
from mmseg.registry import MODELS

from ..nn.augmentation import View
from ..nn.images import Images
from ..nn.member import PixelOutput
from ..nn.perturbation import FeaturePerturbations
from ..nn.pseudo_label import PseudoLabel
from .base import Losses
from .fixmatch import FixMatchSeg
from .weak_to_strong import WeakToStrong


@MODELS.register_module()
class UniMatchV2(WeakToStrong):
    """UniMatch V2: one student and its EMA teacher; on a vision transformer in the paper.

    Loss weights ``sup`` and ``unsup`` default to 0.5 and 0.5 (Eq 5 and released code).

    Args:
        feature_perturbation (list[dict], optional): Perturbations of the features of both views,
            see :class:`FeaturePerturbations`; one of single views, such as
            :class:`ChannelDropout`, changes each by numbers of its own. Defaults to None:
            :class:`ComplementaryChannelDropout`.
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(sup=0.5, unsup=0.5)
    default_augmentation = (
        *FixMatchSeg.default_augmentation[:-1],
        dict(FixMatchSeg.default_augmentation[-1], partner='flipped'),
    )
    default_consistency = FixMatchSeg.default_consistency
    toy_settings = FixMatchSeg.toy_settings
    takes_halves = False  # both views hold all images
    takes_labeled = False

    def build(self, feature_perturbation: Optional[Sequence[dict]] = None) -> None:
        """See the class."""
        usual = [dict(type='ComplementaryChannelDropout')]
        self.feature_perturbation = FeaturePerturbations(
            usual if feature_perturbation is None else feature_perturbation, num_views=2
        )

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        teachers = self.teacher_outputs(unlabeled=unlabeled)  # 1
        (pseudo,) = self.pseudo_labels(teachers, unlabeled).values()  # 2
        views = self.several_views(unlabeled, pseudo.label, range(2))  # 3
        on_labeled, on_views = self.forward_views(labeled, unlabeled, views)  # 4
        return {  # 5
            **self.supervised_loss(0, on_labeled, labeled),
            **self.view_terms(on_views, pseudo, views),
        }

    def forward_views(
        self, labeled: Images, unlabeled: Images, views: Sequence[View]
    ) -> Tuple[PixelOutput, List[PixelOutput]]:
        """Outputs of the student for the labelled images and for each view."""
        images = torch.cat([view.image for view in views])
        valid = unlabeled.valid()
        if valid is not None:
            valid = torch.cat([view.apply_mix(valid) for view in views])
        perturb = self.feature_perturbation.of(unlabeled.draws, valid=valid)
        on_labeled, output = self.forward_member(
            'student0', labeled.image, images, perturb=(None, perturb)
        )
        return on_labeled, output.split([len(view.image) for view in views])

    def view_terms(
        self, outputs: Sequence[PixelOutput], pseudo: PseudoLabel, views: Sequence[View]
    ) -> Losses:
        """Term ``unsup``, mean over the views, and their confident ratio."""
        targets = [pseudo.apply_mix(view) for view in views]
        loss, ratio = self.view_losses([output.logits for output in outputs], targets)
        return {'student0.unsup': loss.mean(), 'student0.confident_ratio': ratio.mean()}
