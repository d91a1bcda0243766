# Copyright (c) mmseg_ctt contributors.
"""One member, a plain mmseg segmentor: building it and reading logits and embedding from it."""

import copy
from typing import Dict, List, NamedTuple, Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.model import ModuleList
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from .losses import PixelCrossEntropyLoss


class PixelOutput(NamedTuple):
    """What a member says about a batch.

    Attributes:
        logits (Tensor): ``(B, K, h, w)`` at the stride of the head.
        embedding (Tensor): ``(B, D, h, w)``, what the classifier reads (dropout included).
        features (list[Tensor]): Outputs of backbone and neck. ``look`` leaves them out where
            neither an auxiliary head nor the method (``reads_features``) reads them.
    """

    logits: Tensor
    embedding: Tensor
    features: List[Tensor]

    def split(self, sizes: Sequence[int]) -> List['PixelOutput']:
        """The same for consecutive parts of the batch.

        Split, not sliced: the gradient of a slice is padded into a tensor of the default memory
        format, which makes the backward pass of a channels-last network convert it.
        """
        parts = zip(*(tensor.split(list(sizes)) for tensor in (*self[:2], *self.features)))
        return [PixelOutput(logits, embedding, features) for logits, embedding, *features in parts]

    def pooled(self, side: int) -> 'PixelOutput':
        """Logits and embedding averaged over squares of ``side`` pixels."""
        if side == 1:
            return self
        return self._replace(
            **{
                name: F.avg_pool2d(getattr(self, name), side, ceil_mode=True)
                for name in ('logits', 'embedding')
            }
        )

    def zero(self) -> Tensor:
        """0 in float32 under any autocast, attached to the graph whatever the embedding holds."""
        return self.embedding[:0].float().sum()


def build_member(segmentor: dict, override: Optional[dict] = None) -> nn.Module:
    """Build a segmentor from the common config and the changes of one member.

    Args:
        segmentor (dict): Config of a plain mmseg segmentor.
        override (dict, optional): Merged into it, e.g. another ``backbone.init_cfg``.

    Raises:
        ValueError: If the segmentor has no classifier that embeddings can be taken from, or has
            a single (sigmoid) output channel.
    """
    cfg = ConfigDict(copy.deepcopy(dict(segmentor)))
    if override:
        cfg = Config._merge_a_into_b(ConfigDict(override), cfg)
    cfg.pop('data_preprocessor', None)  # the wrapper normalises once for all members
    member = MODELS.build(cfg)
    head = getattr(member, 'decode_head', None)
    if not isinstance(getattr(head, 'conv_seg', None), nn.Module):
        raise ValueError(
            f'model.segmentor: {type(head).__name__} has no `conv_seg` classifier to '
            'take the pixel embedding from; use a head that derives from '
            'BaseDecodeHead and calls `cls_seg`'
        )
    if head.out_channels < 2:
        raise ValueError(
            'model.segmentor.decode_head.out_channels=1 (sigmoid) has no class '
            'probabilities to compare; set out_channels=num_classes=2'
        )
    return member


def build_students(
    segmentor: dict, num: int, overrides: Optional[Sequence[dict]] = None
) -> ModuleList:
    """Students of one config, each with its own changes.

    Args:
        segmentor (dict): As in :func:`build_member`.
        num (int): How many.
        overrides (Sequence[dict], optional): One dict (or None) a student. Defaults to None.

    Raises:
        ValueError: If their number is another, or they change what all students share.
    """
    overrides = list(overrides or [None] * num)
    if len(overrides) != num:
        raise ValueError(
            f'model.student_overrides has {len(overrides)} entries for '
            f'num_pairs={num} students; give one dict each'
        )
    for i, override in enumerate(overrides):
        if override and 'data_preprocessor' in override:
            raise ValueError(
                f'model.student_overrides[{i}].data_preprocessor: all members see '
                'the same images; set model.segmentor.data_preprocessor'
            )
    students = [build_member(segmentor, override) for override in overrides]
    for key in ('num_classes', 'align_corners'):
        values = [getattr(student, key) for student in students]
        if len(set(values)) > 1:
            raise ValueError(
                f'students of different {key} {values}: model.student_overrides '
                f'must not change decode_head.{key}'
            )
    return ModuleList(students)


def forward_member(member: nn.Module, image: Tensor) -> PixelOutput:
    """Logits and embedding of normalised images ``(B, 3, H, W)``.

    The embedding is the input of the head's last 1x1 convolution, the one point that all mmseg
    heads share, unless the head has a method ``forward_with_embedding``. It is returned, not
    left behind on the module.
    """
    features = list(member.extract_feat(image))
    head = member.decode_head
    if projects(member):
        return PixelOutput(*head.forward_with_embedding(features), features)
    seen: List[Tensor] = []
    handle = head.conv_seg.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        logits = head(features)
    finally:
        handle.remove()
    if len(seen) != 1:
        raise ValueError(
            f'model.segmentor: {type(head).__name__} called its '
            f'classifier {len(seen)} times; exactly one call gives an embedding'
        )
    if not isinstance(logits, Tensor):
        raise ValueError(
            f'model.segmentor: {type(head).__name__} gives a {type(logits).__name__}, '
            'not one map of logits; use a head that gives one'
        )
    return PixelOutput(logits, seen[0], features)


def projects(member: nn.Module) -> bool:
    """Whether the head makes the embedding by layers of its own, which the logits do not need."""
    return hasattr(member.decode_head, 'forward_with_embedding')


def supervised_losses(
    member: nn.Module, output: PixelOutput, samples: SampleList
) -> Dict[str, Tensor]:
    """Losses of the decode head and the auxiliary heads, as the member's config defines them.

    Args:
        member (nn.Module): The segmentor.
        output (PixelOutput): Its output for labelled images.
        samples (list[SegDataSample]): Their labels ``gt_sem_seg`` ``(1, H, W)``.

    Returns:
        dict[str, Tensor]: Scalars, ``decode.loss_ce`` and the like.
    """
    losses = {'decode': _head_losses(member.decode_head, output.logits, samples)}
    heads = getattr(member, 'auxiliary_head', None)
    heads = heads if isinstance(heads, nn.ModuleList) else [heads] if heads is not None else []
    for i, head in enumerate(heads):
        losses[f'aux{i}'] = _head_losses(head, head(output.features), samples)
    return {
        f'{part}.{key}': value
        for part, terms in losses.items()
        for key, value in terms.items()
        if 'loss' in key
    }


def labels_of(samples: SampleList) -> Tensor:
    """``(B, H, W)`` int64 truth of labelled samples."""
    return torch.cat([sample.gt_sem_seg.data for sample in samples])


def _head_losses(head: BaseDecodeHead, logits: Tensor, samples: SampleList) -> Dict[str, Tensor]:
    if type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat:
        return head.loss_by_feat(logits, samples)
    # the stock method also computes the accuracy, at the price of two host synchronisations
    label = labels_of(samples)
    terms: Sequence = (
        head.loss_decode if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]
    )
    align = dict(align_corners=head.align_corners)
    if head.sampler is None and all(isinstance(term, PixelCrossEntropyLoss) for term in terms):
        settings = dict(align)  # they up-sample on their own
    else:
        logits = resize(logits.float(), label.shape[1:], mode='bilinear', **align)
        settings = dict(
            weight=None if head.sampler is None else head.sampler.sample(logits, label.unsqueeze(1))
        )
    losses: Dict[str, Tensor] = {}
    for term in terms:
        value = term(logits, label, ignore_index=head.ignore_index, **settings)
        losses[term.loss_name] = (
            losses[term.loss_name] + value if term.loss_name in losses else value
        )
    return losses
