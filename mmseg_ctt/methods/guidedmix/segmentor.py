# Copyright (c) mmseg_ctt contributors.
"""GuidedMix-Net (arXiv 2106.15064): a labelled image lends its knowledge to an unlabelled one.

One step, everything inside ``forward(mode='loss')``:

1. The student sees the labelled and the unlabelled images.
2. Each unlabelled image gets a labelled partner: the most similar of the pool, which is the
   labelled images of the batch (``paper``), or a random one (``released``).
3. Both are interpolated, with the smaller share for the labelled one: as images, which the student
   then sees through MITrans (``paper``), or as features of the ASPP, which a second classifier
   reads (``released``).
4. Decoupling: the partner's prediction, times its share, is taken off the mixed prediction.
5. Losses: supervised; what is left must agree with the student's own label of the unlabelled
   image, which gives no gradient; image-level classes of labelled images shape the embedding that
   similarity is measured in (``paper``).

There is one network, and it teaches itself. Its moving average follows in
:class:`TeacherEMAHook` as ``teacher0``; it only predicts.
"""

from typing import Any, Dict, List, Optional, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from ...functional import downsample_nearest
from ...nn import settings
from ...nn.member import PixelOutput, labels_of
from ...nn.padding import content_mask
from ...nn.random import counter_noise, draws_of
from ..base import SemiSegmentor
from .functional import (
    AGREEMENTS,
    agreement,
    classes_present,
    decouple,
    interpolate_pair,
    most_similar,
)
from .mitrans import MITrans
from .mixing_ratio import mixing_shares
from .second_head import SecondHead, bottleneck_inputs

MODES = {  # defaults of the settings, by mode
    'paper': dict(
        mitrans=True,
        consistency='ce',
        detach_labeled=True,
        weights=dict(sup=1.0, mix=1.0, align=0.1),
    ),
    'released': dict(
        mitrans=False,
        consistency='focal',
        detach_labeled=False,
        weights=dict(sup=1.0, mix=10.0, align=0.0),
    ),
}
STREAM = 24  # of the random numbers


@MODELS.register_module()
class GuidedMixNet(SemiSegmentor):
    """GuidedMix-Net, as the paper describes it or as its code does it.

    Args:
        segmentor (dict): As in :class:`SemiSegmentor`, as are all arguments not listed here.
        mode (str): ``'paper'`` or ``'released'``, see the file's header; also chooses the
            defaults of what follows. Defaults to 'paper'.
        share_limit (float): The labelled share stays below. Defaults to 0.5 (released code).
        share_alpha (float): Of the Beta distribution. Defaults to 1 (released code).
        mitrans (bool | dict, optional): Settings of :class:`MITrans`, or whether there is one.
            Defaults to None: in paper mode.
        consistency (str, optional): ``'ce'`` or ``'focal'`` to hard labels, ``'mse'`` to
            probabilities. Defaults to None: ``'ce'``, released ``'focal'``.
        detach_labeled (bool, optional): Whether the partner's prediction that is taken off gives
            no gradient. Defaults to None: True, released False.
        confident (float): Pixels of which the student is less sure do not count in the
            consistency. Defaults to 0, all (both modes).
        loss_weights (dict, optional): ``sup``, ``mix``, ``align``. Default to 1, 1, 0.1, released
            1, 10, 0.

    Raises:
        ValueError: For more than one student, an unknown mode, consistency or weight, a share
            outside (0, 0.5], or a head without ``bottleneck`` in released mode.
    """

    reads_features = True  # similarity is measured in the encoder's last map

    def __init__(
        self,
        segmentor: dict,
        num_pairs: int = 1,
        teaching: str = 'self',
        mode: str = 'paper',
        share_limit: float = 0.5,
        share_alpha: float = 1.0,
        mitrans: Union[None, bool, dict] = None,
        consistency: Optional[str] = None,
        detach_labeled: Optional[bool] = None,
        confident: float = 0.0,
        loss_weights: Optional[dict] = None,
        test_cfg: Optional[dict] = None,
        **kwargs: Any,
    ) -> None:
        test_cfg = {'predict_on': 'student0', **(test_cfg or {})}
        super().__init__(segmentor, num_pairs, teaching, test_cfg=test_cfg, **kwargs)
        settings.check_single_pair('GuidedMixNet', num_pairs, teaching)
        self.graph = (('student0',),)  # the teacher is an average that teaches nobody
        if mode not in MODES:
            raise ValueError(f'model.mode must be one of {sorted(MODES)}, got {mode!r}')
        usual = MODES[mode]
        self.mode, self.confident = mode, confident
        self.consistency = consistency or usual['consistency']
        self.detach_labeled = usual['detach_labeled'] if detach_labeled is None else detach_labeled
        self.weights = settings.loss_weights(loss_weights, usual['weights'])
        self.share_limit, self.share_alpha = share_limit, share_alpha
        self._check()
        self._build(usual['mitrans'] if mitrans is None else mitrans)

    def _check(self) -> None:
        if self.consistency not in AGREEMENTS:
            raise ValueError(
                f'model.consistency must be one of {AGREEMENTS}, got {self.consistency!r}'
            )
        if not 0 < self.share_limit <= 0.5 or self.share_alpha <= 0:
            raise ValueError(
                'model.share_limit must be in (0, 0.5] and model.share_alpha '
                f'positive, got {self.share_limit} and {self.share_alpha}'
            )

    def _build(self, mitrans: Union[bool, dict]) -> None:
        head = self.students[0].decode_head
        several = isinstance(head.in_channels, (list, tuple))
        channels = head.in_channels[-1] if several else head.in_channels
        self.in_index = head.in_index[-1] if several else head.in_index
        self.align = nn.Linear(channels, head.num_classes) if self.weights['align'] else None
        self.mix_head = SecondHead(head) if self.mode == 'released' else None
        width = self.mix_head.in_channels if self.mix_head else channels
        self.mitrans = (
            settings.build_switched(
                'mitrans', mitrans, MITrans, dict(norm_cfg=head.norm_cfg), channels=width
            )
            or nn.Identity()
        )

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> dict:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.loss`."""
        labeled, weak = inputs['labeled'], inputs['unlabeled']
        samples = data_samples['labeled']
        with bottleneck_inputs(self.students[0].decode_head) as aspp:
            seen = self.look('student0', labeled, weak)  # 1
        partner, share = self._pairs(seen, data_samples['unlabeled'])  # 2
        if self.mode == 'paper':  # 3
            mixed = self._look_at(interpolate_pair(labeled[partner], weak, share))
        else:
            own, other = torch.cat(aspp).split([len(labeled), len(weak)])
            feature = interpolate_pair(own[partner], other, share)
            mixed = self.mix_head(self.mitrans(feature))
        guide, target = (self._at_size(output.logits, mixed) for output in seen)
        guide = guide.detach() if self.detach_labeled else guide
        decoupled = decouple(mixed, guide[partner], share)  # 4
        losses = self.supervise(0, seen[0], samples)  # 5
        content = content_mask(data_samples['unlabeled'], weak)
        if content is not None:
            content = downsample_nearest(content, target.shape[2:])
        loss, used = agreement(decoupled, target, self.consistency, self.confident, content)
        losses['student0.loss_mix'] = loss * self.weights['mix']
        losses['student0.confident'] = used
        if self.align is not None:
            losses['student0.loss_align'] = self._alignment(seen[0], samples)
        return losses

    def guides(self, weak: Tensor, labeled: Tensor) -> Dict[str, List[PixelOutput]]:
        """The student's outputs, for hooks that look at pseudo-labels."""
        return {name: seen[::-1] for name, seen in self.ask(['student0'], labeled, weak).items()}

    def _pairs(self, seen: List[PixelOutput], samples: SampleList) -> Tuple[Tensor, Tensor]:
        """Index of each unlabelled image's partner, and the partner's share."""
        draws = draws_of(samples)
        device = seen[0].logits.device
        share = mixing_shares(draws, self.share_limit, self.share_alpha, STREAM)
        share = share.to(device, non_blocking=True)
        if self.mode == 'paper':
            pool, query = (self._embedding(output).detach() for output in seen)
            return most_similar(query, pool), share
        if len(seen[0].logits) != len(samples):
            raise ValueError(
                "model.mode='released' pairs labelled and unlabelled images: set "
                'train_dataloader.sampler.ratio=(1, 1)'
            )
        keys = counter_noise(draws, 1, STREAM + 1, device)
        return keys[:, 0].argsort(), share[:1].expand_as(share)  # one share a step

    def _embedding(self, output: PixelOutput) -> Tensor:
        """``(B, C)``, mean of the encoder's last feature map."""
        return output.features[self.in_index].float().mean(dim=(2, 3))

    def _look_at(self, mixed: Tensor) -> Tensor:
        """The student's logits of mixed images, through MITrans."""
        student = self.students[0]
        features = list(student.extract_feat(mixed))
        features[self.in_index] = self.mitrans(features[self.in_index])
        return student.decode_head(features)

    def _at_size(self, logits: Tensor, like: Tensor) -> Tensor:
        if logits.shape[2:] == like.shape[2:]:
            return logits
        return F.interpolate(
            logits, like.shape[2:], mode='bilinear', align_corners=self.align_corners
        )

    def _alignment(self, output: PixelOutput, samples: SampleList) -> Tensor:
        """Which classes a labelled image shows, from its embedding."""
        present = classes_present(labels_of(samples), self.num_classes)
        with torch.autocast(present.device.type, enabled=False):
            guess = self.align(self._embedding(output))
            return F.binary_cross_entropy_with_logits(guess, present) * self.weights['align']
