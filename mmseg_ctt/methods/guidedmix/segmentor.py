# Copyright (c) mmseg_ctt contributors.
"""GuidedMix-Net (arXiv 2106.15064): a labelled image passes its knowledge to an unlabelled one.

One step, everything inside ``forward(mode='loss')``:

1. The student sees the labelled and the unlabelled images.
2. Each unlabelled image gets a labelled partner: a random one (``released``), or the most similar
   of the pool, which is the labelled images of the batch (``paper``).
3. Both are interpolated, with the smaller ratio for the labelled one: as features of the ASPP,
   which a second classifier reads (``released``), or as images, which the student then sees through
   MITrans (``paper``).
4. Decoupling: the partner's prediction, times its ratio, is subtracted from the mixed prediction.
5. Losses: supervised; the decoupled prediction must agree with the student's own label of the
   unlabelled image, which gives no gradient; image-level classes of labelled images shape the
   embedding that similarity is measured in (``paper``).

There is one network, and it teaches itself. Its moving average follows in
:class:`TeacherEMAHook` as ``teacher0``; it only predicts.
"""

from typing import Any, ClassVar, Dict, List, Mapping, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from ...functional.class_maps import masked_mean
from ...nn import settings
from ...nn.deepest_map import deepest_map, deepest_width, reading_head, with_deepest_map
from ...nn.heads import main_head
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.rng import sample_noise
from ..base import Losses, SemiSegmentor
from .agreement import Agreement
from .functional import classes_present, decouple, interpolate_pair, most_similar
from .mitrans import MITrans
from .mixing_ratio import mixing_ratios
from .second_head import SecondHead, bottleneck_inputs


@MODELS.register_module()
class GuidedMixNet(SemiSegmentor):
    """GuidedMix-Net as its code does it, or as we read reports of the paper.

    The paper's text was not available, so that ``mode='paper'`` is our reading: every number of it
    is ours. Loss weights ``sup``, ``mix``, ``align`` default to 1, 10, 0, in paper mode 1, 1, 0.1.
    The consistency is an :class:`Agreement`.

    Args:
        mode (str): ``'released'`` or ``'paper'``, see the file's header; also chooses the
            defaults of loss weights, consistency and what follows. Defaults to 'released'.
        ratio_limit (float): Upper limit of the labelled ratio. Defaults to 0.5 (released code).
        ratio_alpha (float): Of the Beta distribution. Defaults to 1 (released code).
        mitrans (bool | dict): Settings of :class:`MITrans`, or whether there is one. Defaults to
            False, in paper mode True.
        detach_labeled (bool): Whether the partner's prediction that is subtracted gives no
            gradient. Defaults to False, in paper mode True.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For more than one student, an unknown mode, consistency or weight, a ratio
            outside (0, 0.5], or a head without ``bottleneck`` in released mode.
    """

    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    keeps_average = True
    default_member = 'student0'
    default_loss_weights = dict(mix=10.0, align=0.0)
    modes = dict(
        released={},
        paper=dict(
            loss_weights=dict(mix=1.0, align=0.1),
            consistency=dict(loss='ce'),
            build=dict(mitrans=True, detach_labeled=True),
        ),
    )
    ramped_terms = ('mix',)
    consistency_class = Agreement
    default_consistency: ClassVar[Mapping[str, Any]] = dict(loss='focal')
    parts = ('mitrans', 'mix_head', 'align')
    reads_features = True  # similarity is measured in the encoder's last map
    toy_settings = dict(mode='paper')  # the head of the toys has no bottleneck
    sections = dict(SemiSegmentor.sections, _mixed_logits='students forward', _alignment='losses')
    renamed = dict(
        share_limit='model.ratio_limit',
        share_alpha='model.ratio_alpha',
        confident='model.consistency=dict(confidence_threshold=...)',
    )

    def build(
        self,
        ratio_limit: float = 0.5,
        ratio_alpha: float = 1.0,
        mitrans: Union[bool, dict] = False,
        detach_labeled: bool = False,
    ) -> None:
        """See the class."""
        settings.check_number('model.ratio_limit', ratio_limit, 0, 0.5, ends='(]')
        settings.check_number('model.ratio_alpha', ratio_alpha, 0, ends='(]')
        self.ratio_limit, self.ratio_alpha = ratio_limit, ratio_alpha
        self.detach_labeled = detach_labeled
        student = self.students[0]
        channels, align = deepest_width(student), self.weights['align']
        self.align: Any = nn.Linear(channels, self.num_classes) if align else None
        self.mix_head: Any = SecondHead(main_head(student)) if self.mode == 'released' else None
        width = self.mix_head.in_channels if self.mix_head else channels
        defaults = dict(norm_cfg=reading_head(student).norm_cfg)
        part = settings.build_optional('mitrans', mitrans, MITrans, defaults, channels=width)
        self.mitrans = part or nn.Identity()

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        with bottleneck_inputs(main_head(self.students[0])) as aspp:
            student = self.forward_member('student0', labeled.image, unlabeled.image)  # 1
        partner, ratio = self._partners(student, labeled, unlabeled)  # 2
        mixed = self._mixed_logits(labeled, unlabeled, partner, ratio, aspp)  # 3
        partner_logits = self._resized(student[0].logits, mixed)
        if self.detach_labeled:
            partner_logits = partner_logits.detach()
        decoupled = decouple(mixed, partner_logits[partner], ratio)  # 4
        (target,) = self.align_and_limit({'student0': student[1:]}, unlabeled)['student0']  # 5
        losses = self.supervised_loss(0, student[0], labeled)
        losses.update(self._agreement(decoupled, target, unlabeled))
        if self.align is not None:
            losses['student0.align'] = self._alignment(student[0], labeled)
        return losses

    def forward_teachers(self, images: Mapping[str, Images]) -> Dict[str, List[PixelOutput]]:
        """Outputs of the student, from the pass with the labelled images that a step makes."""
        outputs = self.forward_member(
            'student0', images['labeled'].image, images['unlabeled'].image
        )
        return {'student0': outputs[::-1]}

    def _partners(
        self, student: List[PixelOutput], labeled: Images, images: Images
    ) -> Tuple[Tensor, Tensor]:
        """Index of each unlabelled image's partner, and the partner's ratio."""
        device = images.image.device
        ratio = mixing_ratios(images.draws, self.ratio_limit, self.ratio_alpha)
        ratio = ratio.to(device, non_blocking=True)
        if self.mode == 'paper':
            found = zip(student, (labeled, images))
            pool, query = (self._embedding(output, of).detach() for output, of in found)
            return most_similar(query, pool), ratio
        if len(student[0].logits) != len(images.samples):
            raise ValueError(
                "model.mode='released' pairs labelled and unlabelled images: set "
                'train_dataloader.sampler.ratio=dict(labeled=1, unlabeled=1)'
            )
        keys = sample_noise(images.draws, 1, 'guidedmix/partner', device)
        return keys[:, 0].argsort(), ratio[:1].expand_as(ratio)  # one ratio a step

    def _mixed_logits(
        self, labeled: Images, unlabeled: Images, partner: Tensor, ratio: Tensor, aspp: List[Tensor]
    ) -> Tensor:
        """Logits of the mixed images or features."""
        if self.mode == 'released':
            labeled_features, unlabeled_features = torch.cat(aspp).split(
                [len(labeled.image), len(unlabeled.image)]
            )
            mixed_features = interpolate_pair(labeled_features[partner], unlabeled_features, ratio)
            return self.mix_head(self.mitrans(mixed_features))
        image = interpolate_pair(labeled.image[partner], unlabeled.image, ratio)
        (mixed,) = self.forward_member('student0', image, perturb=self._through_mitrans)
        return mixed.logits

    def _through_mitrans(self, features: List[Any]) -> List[Any]:
        return with_deepest_map(self.students[0], features, self.mitrans)

    def _embedding(self, output: PixelOutput, images: Images) -> Tensor:
        """``(B, C)``, mean of the encoder's last feature map, without the padding."""
        return masked_mean(deepest_map(self.students[0], output.features), images.valid())

    def _resized(self, logits: Tensor, like: Tensor) -> Tensor:
        if logits.shape[2:] == like.shape[2:]:
            return logits
        return F.interpolate(
            logits, like.shape[2:], mode='bilinear', align_corners=self.align_corners
        )

    def _agreement(self, decoupled: Tensor, target: PixelOutput, images: Images) -> Losses:
        logits = self._resized(target.logits, decoupled)
        loss, used = self.consistency(decoupled, logits, images.valid(decoupled.shape[2:]))
        return {'student0.mix': loss, 'student0.confident_ratio': used}

    def _alignment(self, output: PixelOutput, labeled: Images) -> Tensor:
        """Loss of the image-level classes, predicted from the embedding of a labelled image."""
        present = classes_present(labeled.labels, self.num_classes)
        with torch.autocast(present.device.type, enabled=False):
            predicted = self.align(self._embedding(output, labeled))
            return F.binary_cross_entropy_with_logits(predicted, present)
