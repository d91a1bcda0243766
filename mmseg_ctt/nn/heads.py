# Copyright (c) mmseg_ctt contributors.
"""Kinds of decode heads: cascades, heads beside the one that predicts, heads that are refused."""

from typing import Any, Dict, List

import torch.nn as nn
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from torch import Tensor

MASK_HEADS = ('MaskFormerHead', 'Mask2FormerHead', 'SideAdapterCLIPHead')


class HeadCascade(nn.ModuleList):
    """Decode heads of mmseg's ``CascadeEncoderDecoder`` as a single head, the last of them.

    Logits, classifier, loss and class count are those of the last head. The names of the weights
    stay mmseg's, ``decode_head.0``, ``decode_head.1``, ...

    Args:
        heads (nn.ModuleList): Of the segmentor, in their order.

    Raises:
        ValueError: If a head after the first one gives no map of logits in training, such as the
            ``PointHead`` of PointRend, which gives logits of sampled points.
    """

    def __init__(self, heads: nn.ModuleList) -> None:
        super().__init__(heads)
        for head in list(heads)[1:]:
            loss: Any = getattr(type(head), 'loss', None)
            if loss is not BaseCascadeDecodeHead.loss:
                raise ValueError(
                    f'model.segmentor: {type(head).__name__} does not train with a map of logits, '
                    'from which pseudo-labels are made; use a cascade such as that of OCRNet, or '
                    'its first head alone'
                )

    def __getattr__(self, name: str) -> Any:
        """Attributes of the last head."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith('__') or not self.__dict__.get('_modules'):
                raise
            return getattr(self[len(self) - 1], name)

    @property
    def early(self) -> List[nn.Module]:
        """Every head but the last."""
        return list(self)[:-1]

    def forward(self, features: List[Tensor]) -> Tensor:
        """Logits ``(B, K, h, w)`` of the last head."""
        logits = self[0](features)
        for head in list(self)[1:]:
            logits = head(features, logits)
        return logits


def check_head(head: Any) -> None:
    """Refuse heads that predict a set of masks: their members have no map of logits to compare.

    Args:
        head (dict): Config of a decode head.

    Raises:
        ValueError: If it is such a head.
    """
    kind = head.get('type') if isinstance(head, dict) else None
    if isinstance(kind, str) and kind.rpartition('.')[2] in MASK_HEADS:
        raise ValueError(
            f'model.segmentor: {kind} predicts a set of masks and matches them with the labels, so '
            'that it gives no map of logits for pseudo-labels; use a head that gives one'
        )


def side_heads(member: nn.Module) -> Dict[str, nn.Module]:
    """Heads that train beside the decode head and do not predict.

    Returns:
        dict[str, nn.Module]: ``stage0``, ... of a cascade, and the auxiliary heads ``aux0``, ...
    """
    head = member.decode_head
    early = head.early if isinstance(head, HeadCascade) else []
    heads = getattr(member, 'auxiliary_head', None)
    heads = heads if isinstance(heads, nn.ModuleList) else [heads] if heads is not None else []
    named = {f'stage{i}': head for i, head in enumerate(early)}
    return {**named, **{f'aux{i}': head for i, head in enumerate(heads)}}
