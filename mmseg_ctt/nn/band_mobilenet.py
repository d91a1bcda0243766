# Copyright (c) mmseg_ctt contributors.
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models import MobileNetV2
from mmseg.registry import MODELS


@MODELS.register_module()
class BandMobileNetV2(MobileNetV2):
    """MobileNetV2 of mmseg for images of any number of bands.

    All layers but the first have the names and shapes of mmseg's, so that its weights load.

    Args:
        in_channels (int): Bands of the images. Defaults to 3.
        **kwargs: Of mmseg's ``MobileNetV2``.
    """

    def __init__(self, in_channels: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv1 = ConvModule(
            in_channels,
            self.conv1.out_channels,
            3,
            stride=self.conv1.stride,
            padding=1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
