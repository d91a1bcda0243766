# Copyright (c) mmseg_ctt contributors.
from typing import Any, List, Optional, Sequence, Union

from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

EPS = 1e-5  # of batch normalisation, where norm_cfg says nothing else


@MODELS.register_module()
class LinearHead(BaseDecodeHead):
    """Linear classifier of patches: batch normalisation and a 1x1 convolution (DINOv2).

    Several layers are concatenated (the "+ms" evaluation of DINOv2 takes four). The embedding is
    the normalised feature. With a frozen backbone this is the linear evaluation of DINOv2's paper.

    Args:
        in_channels (int | Sequence[int]): Of the layer, or of each layer.
        in_index (int | Sequence[int]): Layers that are read. Defaults to -1: the last one.
        norm_cfg (dict): Normalisation. Defaults to ``dict(type='SyncBN')``.
        dropout_ratio (float): Dropout before the classifier. Defaults to 0.
        **kwargs: As of mmseg's ``BaseDecodeHead``, without ``channels``.
    """

    def __init__(
        self,
        in_channels: Union[int, Sequence[int]],
        in_index: Union[int, Sequence[int]] = -1,
        norm_cfg: Optional[dict] = None,
        dropout_ratio: float = 0.0,
        **kwargs: Any,
    ) -> None:
        several = not isinstance(in_channels, int)
        widths = list(in_channels) if not isinstance(in_channels, int) else [in_channels]
        super().__init__(
            widths if several else in_channels,
            sum(widths),
            in_index=list(in_index) if not isinstance(in_index, int) else in_index,
            input_transform='resize_concat' if several else None,
            norm_cfg=norm_cfg or dict(type='SyncBN', requires_grad=True),
            dropout_ratio=dropout_ratio,
            **kwargs,
        )
        self.norm = build_norm_layer(self.norm_cfg, self.channels)[1]

    def forward(self, inputs: List[Tensor]) -> Tensor:
        """``(B, K, h, w)`` logits at the stride of the backbone."""
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))
