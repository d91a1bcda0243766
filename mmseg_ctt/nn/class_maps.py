# Copyright (c) mmseg_ctt contributors.
from typing import Any, List, NoReturn, Sequence

import torch.nn as nn
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from ..functional.class_maps import class_map_logits


@MODELS.register_module()
class ClassMapHead(BaseDecodeHead):
    """An image classifier as a decode head: its last 1x1 convolution gives a map of each class.

    The mean of a map is the score of its class (global average pooling), so that the head learns
    from image-level tags. Without tags it predicts a segmentation by
    :func:`mmseg_ctt.functional.class_map_logits`.

    Args:
        num_convs (int): 3x3 convolutions with ReLU before the classifier. 0: class activation maps
            of the features themselves; 3: Group-WSSS. Defaults to 0.
        background (bool): Whether class 0 is the background, which is no tag and has no map.
            Defaults to True.
        background_level (float): Value of the background in predictions, in (0, 1), against
            normalised class maps. Defaults to 0.3.
        kwargs: As :class:`BaseDecodeHead`. ``channels`` is the width of the convolutions and
            defaults to ``in_channels``; ``dropout_ratio`` to 0; ``loss_decode`` is refused, since
            the method has the loss.

    Raises:
        ValueError: For a bad number, or ``loss_decode``.
    """

    # why stock mmseg cannot hold it, for an export
    stock_hint = (
        'stock mmseg has no classifier of tags with class maps: train an ordinary network on its '
        'pseudo-labels (docs/guide/class_maps.md), and export that'
    )

    def __init__(
        self,
        num_convs: int = 0,
        background: bool = True,
        background_level: float = 0.3,
        **kwargs: Any,
    ) -> None:
        if 'loss_decode' in kwargs:
            raise ValueError(
                'decode_head.loss_decode would be unused: the method has the loss of a '
                'ClassMapHead; remove it'
            )
        if not 0 < background_level < 1:
            raise ValueError(
                f'decode_head.background_level must be between 0 and 1, got {background_level}'
            )
        kwargs.setdefault('channels', kwargs.get('in_channels'))
        kwargs.setdefault('dropout_ratio', 0.0)
        # never used; mmseg's default would warn of itself
        super().__init__(loss_decode=dict(type='PixelCrossEntropyLoss'), **kwargs)
        self.background = background
        self.background_level = background_level if background else None
        self.num_convs = num_convs
        width = self.channels if num_convs else self.in_channels
        self.convs = nn.Sequential(
            *(
                ConvModule(self.channels if i else self.in_channels, width, 3, padding=1)
                for i in range(num_convs)
            )
        )
        self.conv_seg = nn.Conv2d(width, self.num_maps, 1)

    @property
    def num_maps(self) -> int:
        """Number of classes that have a map: all but the background."""
        return self.num_classes - int(self.background)

    def class_maps(self, inputs: Sequence[Tensor]) -> Tensor:
        """Raw maps ``(B, F, h, w)`` of the classes that may be tags; positive where one is.

        Args:
            inputs (Sequence[Tensor]): Maps of backbone and neck.
        """
        return self.cls_seg(self.convs(self._transform_inputs(inputs)))

    def tags_of_maps(self, tags: Tensor) -> Tensor:
        """``(B, F)`` tags of the classes that have a map, from ``(B, num_classes)``."""
        return tags[:, 1:] if self.background else tags

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits ``(B, num_classes, h, w)`` of a segmentation without tags."""
        return class_map_logits(self.class_maps(inputs), self.background_level)

    def loss(self, inputs: List[Tensor], *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse masks.

        Raises:
            ValueError: Always: tags train the head.
        """
        raise ValueError(
            'decode_head.type=ClassMapHead learns from tags, not from masks: set '
            'model.type="ClassActivationMaps" (configs/cam), or use another head'
        )
