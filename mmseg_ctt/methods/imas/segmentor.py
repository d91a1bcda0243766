# Copyright (c) mmseg_ctt contributors.
"""iMAS (arXiv 2211.11335): a mean teacher whose student learns the more, the easier an image is.

One step, everything inside ``forward(mode='loss')``:

1. The teacher sees the weak view of the unlabelled images: their pseudo-labels.
2. The student sees it too, without gradient. Where both agree and are confident, an image is easy.
3. First strong view: random intensities, as strong as the image is easy.
4. Second strong view: CutMix of each image with one of opposite easiness, as often as the images of
   the batch are easy; else the weak view. Pseudo-labels are mixed along.
5. The student sees the labelled images and both views.
6. Losses: supervised; cross-entropy to the labels of the confident pixels, divided by the number of
   all pixels, each image times its easiness; mean over the views, the first one alone in a step
   without CutMix.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step. Step 2 is one
more forward pass than a mean teacher has.
"""

from contextlib import nullcontext
from typing import List, Optional, Union

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...functional.intensity import INTENSITIES
from ...nn import settings
from ...nn.images import Images
from ...nn.member import eval_mode
from ...nn.pseudo_label import PseudoLabel
from ...nn.ranks import mean_over_ranks
from ..base import Losses, SemiSegmentor
from ..checks import check_not_mixing, check_pair
from .cut_mix import EasyHardCutMix
from .easiness import ImageEasiness

STUDENT, TEACHER = 'student0', 'teacher0'
INTENSITY_MODES = ('blended', 'scaled')


@MODELS.register_module()
class IMAS(SemiSegmentor):
    """iMAS: one student and its EMA teacher.

    Loss weights ``sup`` and ``unsup`` default to 1 and 1 (released code: 3 on Cityscapes). In step
    2 the student is in the mode of the teacher (``teacher_mode``; eval mode where it is frozen).

    Args:
        easiness (dict, optional): Settings of :class:`ImageEasiness`. Defaults to None.
        intensity (str): How the easiness sets the strength of the first view: ``'blended'``: the
            strong view is mixed with the weak one, ``e strong + (1 - e) weak`` (released code);
            ``'scaled'``: the magnitude of each operation is multiplied by it, which operations
            without a magnitude ignore. Defaults to 'blended'.
        cut_mix (bool | dict): Settings of :class:`EasyHardCutMix`; False: no second view. Defaults
            to True.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If ``cut_mix`` is neither a bool nor a dict.
        ValueError: For a step of ``strong_augmentation`` that mixes, an unknown ``intensity``, or a
            bad setting of a part.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(unsup=1.0)
    ramped_terms = ('unsup',)
    default_augmentation = (
        dict(type='RandomIntensity', number=2, random_number=False, operations=tuple(INTENSITIES)),
    )
    default_consistency = dict(confidence_threshold=0.95, normalizer='all')
    sections = dict(SemiSegmentor.sections, _view_losses='losses')
    toy_settings = dict(consistency=dict(confidence_threshold=0.27), cut_mix=dict(prob=1.0))

    def build(
        self,
        easiness: Optional[dict] = None,
        intensity: str = 'blended',
        cut_mix: Union[bool, dict] = True,
    ) -> None:
        """See the class."""
        settings.check_choice('model.intensity', intensity, INTENSITY_MODES)
        self.intensity = intensity
        self.easiness = settings.build_part(
            'easiness', easiness, ImageEasiness, num_classes=self.num_classes
        )
        self.cut_mix = settings.build_optional('cut_mix', cut_mix, EasyHardCutMix)
        check_not_mixing(self, 'model.cut_mix')

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        outputs = self.teacher_outputs(unlabeled=unlabeled)  # 1
        pseudo = self.pseudo_labels(outputs, unlabeled)[TEACHER]
        easiness = self._easiness(unlabeled, pseudo)  # 2
        images, targets = [self._intensity_view(unlabeled, pseudo, easiness)], [pseudo]  # 3
        mixes = torch.zeros_like(easiness[0], dtype=torch.bool)
        if self.cut_mix is not None:  # 4
            check_pair(unlabeled.image, 'cut_mix', 'unlabelled')
            source, mixes = self.cut_mix(easiness, unlabeled.size, unlabeled.draws)
            images.append(source.apply_mix(unlabeled.image))
            targets.append(pseudo.apply_mix(source))
        on_labeled, *on_views = self.forward_member(STUDENT, labeled.image, *images)  # 5
        losses = self._view_losses([output.logits for output in on_views], targets, easiness)  # 6
        confident = self.consistency.confident(pseudo).float().mean()
        logged = mean_over_ranks(torch.stack([confident, easiness.mean(), mixes.float()]))
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            f'{STUDENT}.unsup': torch.where(mixes, losses.mean(), losses[0]),
            f'{STUDENT}.confident_ratio': logged[0],
            f'{STUDENT}.easiness': logged[1],
            f'{STUDENT}.mixed_ratio': logged[2],
        }

    @torch.no_grad()
    def _easiness(self, unlabeled: Images, teacher: PseudoLabel) -> Tensor:
        """``(B,)``, from the student's own prediction of the weak view."""
        alike = self.member(TEACHER).training  # both normalise in the same way
        with nullcontext() if alike else eval_mode(self.member(STUDENT)):
            (output,) = self.forward_member(STUDENT, unlabeled.image, gradient=None)
        student = self.pseudo_label(output.logits, unlabeled)
        confident = self.consistency.confident(teacher), self.consistency.confident(student)
        return self.easiness(teacher, student, confident)

    def _intensity_view(self, unlabeled: Images, pseudo: PseudoLabel, easiness: Tensor) -> Tensor:
        """Images of the first view."""
        if self.intensity == 'scaled':
            return self.strong_view(unlabeled, pseudo.label, strength=easiness).image
        strong = self.strong_view(unlabeled, pseudo.label).image
        return torch.lerp(unlabeled.image, strong, easiness.view(-1, 1, 1, 1))

    def _view_losses(
        self, logits: List[Tensor], targets: List[PseudoLabel], easiness: Tensor
    ) -> Tensor:
        """``(V,)``, consistency loss of each view."""
        weight = easiness.expand(len(logits), -1)
        losses, _ = self.consistency(
            torch.stack(logits), PseudoLabel.stacked(targets), self.align_corners, weight
        )
        return losses
