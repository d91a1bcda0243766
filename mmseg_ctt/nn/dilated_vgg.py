# Copyright (c) mmseg_ctt contributors.
from typing import Optional, Tuple

from mmcv.cnn import VGG
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

STAGES = 5
DILATION = 2  # of the last stage


@MODELS.register_module()
class DilatedVGG(BaseModule):
    """VGG of output stride 8 without fully connected layers (released code of Group-WSSS).

    The fourth pooling is 3x3 with stride 1, the last stage is dilated by 2, and the fifth pooling
    is left out. Weights have the names of torchvision (``features.0.weight``), so that its file
    loads as ``init_cfg=dict(type='Pretrained', checkpoint='vgg16.pth')``.

    Args:
        depth (int): 11, 13, 16 or 19. Defaults to 16.
        init_cfg (dict, optional): As of mmengine's ``BaseModule``. Defaults to None.
    """

    def __init__(self, depth: int = 16, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        dilations = (*[1] * (STAGES - 1), DILATION)
        self.features = VGG(depth, dilations=dilations, with_last_pool=False).features
        last = max(i for i, layer in enumerate(self.features) if isinstance(layer, nn.MaxPool2d))
        self.features[last] = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, image: Tensor) -> Tuple[Tensor]:
        """The last map ``(B, 512, H / 8, W / 8)`` of images ``(B, 3, H, W)``, in a tuple."""
        return (self.features(image),)
