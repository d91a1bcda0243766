# Copyright (c) mmseg_ctt contributors.
"""AugSeg (arXiv 2212.04976): a mean teacher whose student sees random intensities and labels.

One step, everything inside ``forward(mode='loss')``:

1. The teacher sees the weak view of the unlabelled images: their pseudo-labels.
2. The confidence of an image is the mean over its pixels of the largest probability, times one
   minus the normalised entropy.
3. A random number of random operations changes the values of each unlabelled image.
4. CutMix pastes a box of another unlabelled image, and, the rather the less confident the image is,
   a box of a labelled one. Pseudo-labels are mixed along; pasted labels are true and have
   confidence 1.
5. The student sees the labelled and the mixed images.
6. Losses: supervised, and cross-entropy to the mixed labels of the confident pixels, divided by the
   number of all pixels.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Tuple, Union

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.images import Images
from ...nn.padding import valid_at
from ...nn.pseudo_label import PseudoLabel
from ...nn.ranks import mean_over_ranks
from ..base import Losses, SemiSegmentor
from ..checks import check_not_mixing, check_pair
from .cut_mix import LabelInjectingCutMix
from .functional import image_confidence

TEACHER = 'teacher0'


@MODELS.register_module()
class AugSeg(SemiSegmentor):
    """AugSeg: one student and its EMA teacher.

    Loss weights ``sup`` and ``unsup`` default to 1 and 1 (released code). The confidence of an
    image is computed at the stride of the head.

    Args:
        mode (str): ``'visible'``: injected labels lie on top, boxes are centred anywhere;
            ``'released'``: labels lie below the unlabelled box, and no box is centred in the upper
            or left eighth. It chooses the defaults of ``cut_mix``. Defaults to 'visible'.
        cut_mix (bool | dict): Settings of :class:`LabelInjectingCutMix`; False: no image is mixed.
            Defaults to True.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If ``cut_mix`` is neither a bool nor a dict.
        ValueError: For a step of ``strong_augmentation`` that mixes, or a bad setting of a part.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(unsup=1.0)
    ramped_terms = ('unsup',)
    default_augmentation = (dict(type='RandomIntensity', number=3),)
    default_consistency = dict(confidence_threshold=0.95, normalizer='all')
    modes = dict(visible={}, released={})
    sections = dict(SemiSegmentor.sections, _mixed='strong view')
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))

    def build(self, cut_mix: Union[bool, dict] = True) -> None:
        """See the class."""
        released = self.mode == 'released'
        usual = dict(visible=not released, lowest_centre=1 / 8 if released else 0.0)
        self.cut_mix = settings.build_optional('cut_mix', cut_mix, LabelInjectingCutMix, usual)
        check_not_mixing(self, 'model.cut_mix')

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        outputs = self.teacher_outputs(unlabeled=unlabeled)  # 1
        pseudo = self.pseudo_labels(outputs, unlabeled)[TEACHER]
        logits = outputs[TEACHER][0].logits
        confidence = image_confidence(logits, valid_at(pseudo.valid, logits.shape[2:]))  # 2
        strong = self.strong_view(unlabeled, pseudo.label).image  # 3
        image, target, injected = self._mixed(labeled, unlabeled, strong, pseudo, confidence)  # 4
        on_labeled, on_view = self.forward_member('student0', labeled.image, image)  # 5
        loss, _ = self.consistency_loss(on_view.logits, target)  # 6
        confident = self.consistency.confident(pseudo)
        logged = torch.stack([confident.float().mean(), confidence.mean(), injected.float().mean()])
        names = 'confident_ratio', 'image_confidence', 'injected_ratio'
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            'student0.unsup': loss,
            **{f'student0.{key}': value for key, value in zip(names, mean_over_ranks(logged))},
        }

    def _mixed(
        self,
        labeled: Images,
        unlabeled: Images,
        strong: Tensor,
        pseudo: PseudoLabel,
        confidence: Tensor,
    ) -> Tuple[Tensor, PseudoLabel, Tensor]:
        """Mixed images, their labels, and which images have got a part of a labelled one."""
        if self.cut_mix is None:
            return strong, pseudo, torch.zeros_like(confidence)
        check_pair(unlabeled.image, 'cut_mix', 'unlabelled')
        source, injected = self.cut_mix(
            confidence, unlabeled.size, len(labeled.image), unlabeled.draws
        )
        truth = PseudoLabel.of_truth(labeled.labels, self.num_classes, pseudo.logits)
        image = source.apply_mix(torch.cat([strong, labeled.image]))
        return image, pseudo.joined(truth).apply_mix(source), injected
