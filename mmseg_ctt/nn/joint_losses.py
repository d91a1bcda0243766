# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict, List, Optional, Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import SampleList
from torch import Tensor

from .heads import heads_of, labels_of
from .losses import PixelCrossEntropyLoss
from .member import PixelOutput


def joint_cross_entropy(
    members: Sequence[Any], outputs: Sequence[PixelOutput], samples: SampleList
) -> Optional[List[Dict[str, Tensor]]]:
    """Supervised losses of several members in one call, as those of :func:`supervised_losses`.

    Args:
        members (Sequence[BaseSegmentor]): ``P`` segmentors.
        outputs (Sequence[PixelOutput]): Their outputs for labelled images.
        samples (list[SegDataSample]): Their labels ``gt_sem_seg`` ``(1, H, W)``.

    Returns:
        list[dict[str, Tensor]], optional: Scalars ``decode.loss_ce`` of each member; None where the
        members have anything else than one head with the same plain cross-entropy.
    """
    if len({_loss_settings(member) for member in members} | {None}) != 2:
        return None
    if len({output.logits.shape for output in outputs}) > 1 or any(o.heads for o in outputs):
        return None
    (head,) = heads_of(members[0])
    losses = head.loss_decode(
        torch.stack([output.logits for output in outputs]),
        labels_of(samples),
        ignore_index=head.ignore_index,
        align_corners=head.align_corners,
    )
    return [{f'decode.{head.loss_decode.loss_name}': loss} for loss in losses.unbind()]


def _loss_settings(member: Any) -> Optional[tuple]:
    """What the supervised loss of a member depends on; None if it is no plain cross-entropy."""
    heads = heads_of(member)
    if len(heads) > 1 or member.with_auxiliary_head:
        return None
    head, loss = heads[0], getattr(heads[0], 'loss_decode', None)
    stock = type(head).loss_by_feat is BaseDecodeHead.loss_by_feat and head.sampler is None
    if not stock or type(loss) is not PixelCrossEntropyLoss or loss.map_names:
        return None
    weights = None if loss.class_weight is None else tuple(loss.class_weight)
    return head.ignore_index, head.align_corners, loss.loss_weight, loss.loss_name, weights
