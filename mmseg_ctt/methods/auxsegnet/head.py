# Copyright (c) mmseg_ctt contributors.
"""The head of AuxSegNet: three tasks on one feature map, and the affinity of two of them."""

from typing import Any, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ...functional import normalized_class_maps
from ...nn import settings
from ...nn.padding import valid_at
from .functional import gated_affinity, pixel_affinity, pooled, pooling_stride, propagate

TASKS = 2


class TaskMaps(NamedTuple):
    """What the head gives in training.

    Attributes:
        class_maps (Tensor): ``(B, F, h, w)`` raw maps of the ``F`` classes without background, from
            features with dropout; their means are the scores of the tags.
        seg_init (Tensor): ``(B, F + 1, h, w)`` logits of the segmentation branch.
        seg_ref (Tensor): The same, refined by the cross-task affinity.
        sal_init (Tensor): ``(B, 1, h, w)`` logits of the saliency branch.
        sal_ref (Tensor): The same, refined.
    """

    class_maps: Tensor
    seg_init: Tensor
    seg_ref: Tensor
    sal_init: Tensor
    sal_ref: Tensor


class RefinedMaps(NamedTuple):
    """What pseudo-labels of the next round are made of.

    Attributes:
        class_maps (Tensor): ``(B, F, h, w)`` class activation maps normalised by class and walked
            along the affinity.
        saliency (Tensor): ``(B, 1, h, w)`` in [0, 1], probability of the refined saliency.
    """

    class_maps: Tensor
    saliency: Tensor


class TaskBranch(nn.Module):
    """Two dilated convolutions, the affinity of the task, and features with its context.

    The affinity is the softmax of dot products of two 1x1 convolutions; the context is what a third
    one gives, walked along the affinity and projected by a fourth (a non-local block).

    Args:
        in_channels (int): Of the feature map.
        channels (int): Of all layers here.
        dilations (Sequence[int]): Of the three 3x3 convolutions.
        conv (dict): ``norm_cfg`` and ``act_cfg`` of the convolutions.
    """

    def __init__(
        self, in_channels: int, channels: int, dilations: Sequence[int], **conv: Any
    ) -> None:
        super().__init__()

        def dilated(width: int, dilation: int) -> nn.Module:
            return ConvModule(width, channels, 3, padding=dilation, dilation=dilation, **conv)

        first, second, last = dilations
        self.trunk = nn.Sequential(dilated(in_channels, first), dilated(channels, second))
        self.query, self.key = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.value, self.project = (
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, 1),
        )
        self.last = dilated(channels, last)

    def affinity(self, features: Tensor, stride: int, valid: Optional[Tensor] = None) -> Tensor:
        """``(B, n, n)`` from the features of the trunk, see :func:`pixel_affinity`."""
        tokens = pooled(features, stride)
        if valid is not None:  # pooled positions that have any content
            valid = pooled(valid.float().unsqueeze(1), stride).squeeze(1) > 0
        return pixel_affinity(self.query(tokens), self.key(tokens), valid)

    def predicting_features(self, features: Tensor, affinity: Tensor, stride: int) -> Tensor:
        """``(B, channels, h, w)`` features of the trunk with their context, for the classifier."""
        walked = propagate(affinity, self.value(features), stride).to(features.dtype)
        return self.last(features + self.project(walked))


class CrossTaskAffinity(nn.Module):
    """Affinity of both tasks: gates for each pair of positions from their neighbourhoods.

    The two affinities are an image of ``n x n`` pixels with two channels, which a 3x3 and a 1x1
    convolution turn into gates.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Sequential(
            nn.Conv2d(TASKS, TASKS, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(TASKS, TASKS, 1)
        )

    def forward(self, segmentation: Tensor, saliency: Tensor) -> Tensor:
        """``(B, n, n)`` from two of this shape."""
        scores = self.gates(torch.stack([segmentation, saliency], dim=1))
        return gated_affinity(segmentation, saliency, scores)


@MODELS.register_module()
class AuxSegHead(BaseDecodeHead):
    """Classification, saliency and segmentation on the last feature map (AuxSegNet).

    ``forward`` gives the segmentation logits refined by the cross-task affinity, so that the
    network predicts as any segmentor does. The classifier of the tags is a 1x1 convolution without
    bias behind a global mean, whose weights also give class activation maps. Class 0 is the
    background, which has no tag.

    An image of ``n = h w`` positions has about 8 maps of ``n x n`` float32 in training: 11 MB each
    at 41x41, 67 MB at 64x64. On larger maps than ``max_tokens`` the affinity is that of pooled
    positions; what it refines is pooled and up-sampled.

    Layers of the released code that its forward pass does not use are left out (ours).

    Args:
        dilations (Sequence[int]): Of the three 3x3 convolutions of a branch. Defaults to
            (6, 12, 18) (released code, at output stride 8).
        max_tokens (int): Largest number of positions of an affinity. Defaults to 4096 (ours).
        kwargs: As :class:`BaseDecodeHead`. ``channels`` defaults to 128, ``dropout_ratio``, that of
            the features before the classifier of the tags, to 0.5 (both: released code).

    Raises:
        TypeError: If a setting is of another type.
        ValueError: If ``dilations`` are not three, a number is too small, the head reads several
            maps, or there is a ``loss_decode``.
    """

    background = True  # class 0, which saliency stands for
    # why stock mmseg cannot hold it, for an export
    stock_hint = (
        'stock mmseg has no refinement by an affinity: train an ordinary network on the last '
        'pseudo-labels of the rounds (configs/auxsegnet/README.md), and export that'
    )

    def __init__(
        self, dilations: Sequence[int] = (6, 12, 18), max_tokens: int = 4096, **kwargs: Any
    ) -> None:
        if 'loss_decode' in kwargs:
            raise ValueError(
                'decode_head.loss_decode would be unused: the method has the losses of an '
                'AuxSegHead; remove it'
            )
        kwargs.setdefault('channels', 128)
        kwargs.setdefault('dropout_ratio', 0.5)
        super().__init__(loss_decode=dict(type='PixelCrossEntropyLoss'), **kwargs)  # never called
        settings.check_number('decode_head.max_tokens', max_tokens, 1, whole=True)
        if len(dilations) != 3:
            raise ValueError(
                f'decode_head.dilations must be three, such as (6, 12, 18), got {dilations}'
            )
        if isinstance(self.in_index, (list, tuple)):
            raise ValueError(f'decode_head.in_index must be one feature map, got {self.in_index}')
        self.max_tokens = max_tokens
        conv = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        sizes = (self.in_channels, self.channels, dilations)
        self.segmentation = TaskBranch(*sizes, **conv)
        self.saliency = TaskBranch(*sizes, **conv)
        self.cross_task = CrossTaskAffinity()
        self.conv_seg = nn.Conv2d(self.channels, self.num_classes, 1, bias=False)
        self.conv_sal = nn.Conv2d(self.channels, 1, 1, bias=False)
        self.classifier = nn.Conv2d(self.in_channels, self.num_classes - 1, 1, bias=False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Refined segmentation logits ``(B, K, h, w)``."""
        x = self._transform_inputs(inputs)
        stride, features, affinities = self._affinities(x)
        logits = self._segmentation_logits(features[0], affinities[0], stride)
        return propagate(self.cross_task(*affinities), logits, stride)

    def task_maps(self, inputs: Sequence[Tensor], valid: Optional[Tensor] = None) -> TaskMaps:
        """Outputs of all tasks, before and after refinement.

        Args:
            inputs (Sequence[Tensor]): Feature maps.
            valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding, which takes no part
                in the affinities. Defaults to None: all pixels do.
        """
        x = self._transform_inputs(inputs)
        stride, features, affinities = self._affinities(x, valid_at(valid, x.shape[2:]))
        cross = self.cross_task(*affinities)
        seg = self._segmentation_logits(features[0], affinities[0], stride)
        sal = self._saliency_logits(features[1], affinities[1], stride)
        dropped = x if self.dropout is None else self.dropout(x)
        return TaskMaps(
            self.classifier(dropped),
            seg,
            propagate(cross, seg, stride),
            sal,
            propagate(cross, sal, stride),
        )

    def class_maps(self, inputs: Sequence[Tensor]) -> Tensor:
        """Class activation maps ``(B, F, h, w)`` of the classes without background, as they are."""
        return self.classifier(self._transform_inputs(inputs))

    def tags_of_maps(self, tags: Tensor) -> Tensor:
        """``(B, F)`` tags of the classes that have a map, from ``(B, num_classes)``."""
        return tags[:, 1:]

    def loss(self, inputs: List[Tensor], *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse masks.

        Raises:
            ValueError: Always: tags and pseudo-labels train the head.
        """
        raise ValueError(
            'decode_head.type=AuxSegHead learns from tags and pseudo-labels, not from masks: set '
            'model.type="AuxSegNet" (configs/auxsegnet), or use another head'
        )

    def refined_maps(
        self, inputs: Sequence[Tensor], class_maps: Optional[Tensor] = None
    ) -> RefinedMaps:
        """Class maps and saliency, refined by the cross-task affinity.

        Args:
            inputs (Sequence[Tensor]): Feature maps.
            class_maps (Tensor, optional): ``(B, P, H, W)`` in [0, 1], which are refined in the
                place of the head's own, ``(B, F, h, w)``. Defaults to None.
        """
        x = self._transform_inputs(inputs)
        stride, features, affinities = self._affinities(x)
        cross = self.cross_task(*affinities)
        if class_maps is None:
            maps = normalized_class_maps(self.classifier(x))
        else:
            maps = F.adaptive_avg_pool2d(class_maps, x.shape[2:])
        sal = self._saliency_logits(features[1], affinities[1], stride)
        return RefinedMaps(propagate(cross, maps, stride), propagate(cross, sal, stride).sigmoid())

    def _affinities(
        self, x: Tensor, valid: Optional[Tensor] = None
    ) -> Tuple[int, Tuple[Tensor, ...], Tuple[Tensor, ...]]:
        """Stride of the pooling, features of both trunks, and both affinities."""
        stride = pooling_stride((x.shape[2], x.shape[3]), self.max_tokens)
        branches = self.segmentation, self.saliency
        features = tuple(branch.trunk(x) for branch in branches)
        affinities = (
            branch.affinity(each, stride, valid) for branch, each in zip(branches, features)
        )
        return stride, features, tuple(affinities)

    def _segmentation_logits(self, features: Tensor, affinity: Tensor, stride: int) -> Tensor:
        return self.conv_seg(self.segmentation.predicting_features(features, affinity, stride))

    def _saliency_logits(self, features: Tensor, affinity: Tensor, stride: int) -> Tensor:
        return self.conv_sal(self.saliency.predicting_features(features, affinity, stride))
