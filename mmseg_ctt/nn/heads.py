# Copyright (c) mmseg_ctt contributors.
"""Decode heads of mmseg's segmentors: their maps of logits, and their losses.

A cascade (``CascadeEncoderDecoder``) has several. Some heads give more than one map in training.
"""

from typing import Any, Dict, List, Mapping, Optional, Sequence

import torch
import torch.nn as nn
from mmseg.models.decode_heads import PointHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.utils import SampleList
from torch import Tensor

from ..functional import cross_entropy
from .head_checks import summed_terms
from .losses import PixelCrossEntropyLoss, SoftCrossEntropyLoss
from .sigmoid_loss import PixelSigmoidLoss

# which of several maps is the one that predicts, by class of the head or one that it derives from
PREDICTING_MAP = dict(EncHead=0, DAHead=0, DDRHead=0, PIDHead=1, IterativeDecodeHead=-1)
# heads that read a single map when they do not train, and which of the maps of training it is
MAP_OF_EVAL = dict(DDRHead=1, PIDHead=1)
# losses that up-sample on their own
UPSAMPLING = (PixelCrossEntropyLoss, SoftCrossEntropyLoss, PixelSigmoidLoss)
# heads whose outputs are no map of logits of the classes
UNFIT = dict(
    MaskFormerHead='predicts masks and a class for each',
    Mask2FormerHead='predicts masks and a class for each',
    SideAdapterCLIPHead='predicts masks and a class for each',
    VPDDepthHead='predicts depth',
)


def check_head_types(decode_head: Any) -> None:
    """Check that the heads of a config give maps of logits, before they are built.

    Args:
        decode_head (dict | list[dict]): ``segmentor.decode_head``.

    Raises:
        ValueError: If one predicts something else.
    """
    for cfg in decode_head if isinstance(decode_head, (list, tuple)) else [decode_head]:
        name = head_name(cfg)
        if name in UNFIT:
            raise ValueError(
                f'model.segmentor.decode_head: {name} {UNFIT[name]}, and pseudo-labels need one '
                'map of logits; docs/reference/networks.md has the heads that work'
            )


def head_name(cfg: Any) -> str:
    """Name of the class of a head, without its scope; '' where a config says none.

    Args:
        cfg (dict): Config of one head.
    """
    kind = cfg.get('type') if isinstance(cfg, Mapping) else None
    return kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '')


def heads_of(member: Any) -> List[BaseDecodeHead]:
    """Decode heads of a segmentor in their order."""
    head = getattr(member, 'decode_head', None)
    return list(head) if isinstance(head, nn.ModuleList) else [head]


def main_head(member: Any) -> BaseDecodeHead:
    """The head whose logits are those of the member: the last one that gives a whole map.

    That of PointRend is the head before its point head, which refines single points.
    """
    return [head for head in heads_of(member) if not isinstance(head, PointHead)][-1]


def reads_features(member: Any) -> bool:
    """Whether losses of the member need its feature maps."""
    return member.with_auxiliary_head or isinstance(heads_of(member)[-1], PointHead)


def head_outputs(member: Any, features: List[Tensor]) -> List[Any]:
    """Output of each head that gives a whole map, as its own loss reads it.

    Args:
        member (BaseSegmentor): The segmentor.
        features (list[Tensor]): Maps of backbone and neck.
    """
    outputs: List[Any] = []
    previous: List[Tensor] = []  # logits of the head before, which the next of a cascade reads
    for head in heads_of(member):
        if isinstance(head, PointHead):
            break
        inputs: Any = features
        alone = None if head.training else map_of_eval(head)
        if alone is not None:  # a backbone that trains gives several
            inputs = features[min(alone, len(features) - 1)]
        outputs.append(head(inputs, *previous))
        previous = [predicting_map(head, outputs[-1])]
    return outputs


def predicting_map(head: nn.Module, output: Any) -> Tensor:
    """``(B, K, h, w)`` logits from the output of a head.

    Raises:
        ValueError: If the head gives several maps and is none of those that are known to.
    """
    if isinstance(output, Tensor):
        return output
    for name, index in PREDICTING_MAP.items():
        if _is(head, (name,)):
            return output[index]
    raise ValueError(
        f'model.segmentor: {type(head).__name__} gives a {type(output).__name__}, '
        'not one map of logits; use a head that gives one'
    )


def map_of_eval(head: nn.Module) -> Optional[int]:
    """Which of the maps of training a head reads alone when it does not train; None: all."""
    return next((index for name, index in MAP_OF_EVAL.items() if _is(head, (name,))), None)


def _is(head: nn.Module, names: Sequence[str]) -> bool:
    return any(kind.__name__ in names for kind in type(head).__mro__)


# ---- losses


def labels_of(samples: SampleList) -> Tensor:
    """``(B, H, W)`` int64 ground truth of labelled samples."""
    return torch.cat([sample.gt_sem_seg.data for sample in samples])


def decode_losses(
    member: Any, outputs: Sequence[Any], features: List[Tensor], samples: SampleList
) -> Dict[str, Tensor]:
    """Losses of the decode heads, named as mmseg does: ``decode.``, or ``decode_0.`` and so on.

    Args:
        member (BaseSegmentor): The segmentor.
        outputs (Sequence): Of :func:`head_outputs`.
        features (list[Tensor]): Maps of backbone and neck; read by a point head alone.
        samples (list[SegDataSample]): Labels ``gt_sem_seg`` ``(1, H, W)``.
    """
    heads = heads_of(member)
    losses: Dict[str, Tensor] = {}
    for i, head in enumerate(heads):
        if i < len(outputs):
            terms = head_losses(head, outputs[i], samples)
        else:
            previous = predicting_map(heads[i - 1], outputs[i - 1])
            terms = head.loss(features, previous, samples, member.train_cfg)
        part = 'decode' if len(heads) == 1 else f'decode_{i}'
        losses.update(summed_terms(part, terms))
    return losses


def head_losses(head: BaseDecodeHead, output: Any, samples: SampleList) -> Dict[str, Tensor]:
    """Losses of one head, as its config defines them.

    Args:
        head (BaseDecodeHead): The head, also an auxiliary one.
        output (Tensor | tuple | list): What it gave.
        samples (list[SegDataSample]): Labels ``gt_sem_seg`` ``(1, H, W)``.

    Raises:
        ValueError: If the head learns edges and the samples have none.
    """
    if _is(head, ('PIDHead',)) and 'gt_edge_map' not in samples[0]:
        raise ValueError(
            'PIDHead learns edges: put dict(type="GenerateEdge", edge_width=4) before '
            'PackSegInputs in train_dataloader.dataset.labeled.pipeline'
        )
    if type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat:
        return head.loss_by_feat(output, samples)
    return _stock_losses(head, predicting_map(head, output), labels_of(samples))


def map_loss(head: BaseDecodeHead, logits: Tensor, samples: SampleList) -> Tensor:
    """Loss of a map of logits that is not the head's own, as the config of the head defines it.

    Cross-entropy where the head has losses of several maps.

    Args:
        head (BaseDecodeHead): The head.
        logits (Tensor): ``(B, K, h, w)``.
        samples (list[SegDataSample]): Labels ``gt_sem_seg`` ``(1, H, W)``.
    """
    label = labels_of(samples)
    if type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat:
        return cross_entropy(logits, label, head.ignore_index, head.align_corners)
    return torch.stack(list(_stock_losses(head, logits, label).values())).sum()


def _stock_losses(head: BaseDecodeHead, logits: Tensor, label: Tensor) -> Dict[str, Tensor]:
    """As the stock method, without its accuracy, which costs two host synchronisations."""
    terms: Sequence = (
        list(head.loss_decode)
        if isinstance(head.loss_decode, nn.ModuleList)
        else [head.loss_decode]
    )
    align = dict(align_corners=head.align_corners)
    if head.sampler is None and all(isinstance(term, UPSAMPLING) for term in terms):
        settings: Dict[str, Any] = dict(align)  # they up-sample on their own
    else:
        logits = resize(logits.float(), label.shape[1:], mode='bilinear', **align)
        sampler = head.sampler
        weight: Optional[Tensor] = sampler and sampler.sample(logits, label.unsqueeze(1))
        settings = dict(weight=weight)
    losses: Dict[str, Tensor] = {}
    for term in terms:
        value = term(logits, label, ignore_index=head.ignore_index, **settings)
        name = term.loss_name
        losses[name] = losses[name] + value if name in losses else value
    return losses


def joined_logits(maps: Sequence[Tensor]) -> Tensor:
    """Logits ``(B, K, h, w)`` of several members for the same images, one after the other.

    Raises:
        ValueError: If they are of different sizes.
    """
    sizes = sorted({(map_.shape[2], map_.shape[3]) for map_ in maps})
    if len(sizes) > 1:
        words = ' and '.join(f'{height}x{width}' for height, width in sizes)
        raise ValueError(
            f'model.student_overrides: networks give maps of {words} for the same images, and the '
            'method compares them pixel by pixel: give all students a network of the same output '
            'stride (strides and dilations of the backbone, decode_head.in_index)'
        )
    return maps[0] if len(maps) == 1 else torch.cat(list(maps))
