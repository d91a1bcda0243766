# Copyright (c) mmseg_ctt contributors.
"""Connected components of masks on the device."""

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def connected_components(mask: Tensor) -> Tensor:
    """Connected components (8 neighbours) of a batch of masks, without leaving the device.

    Every pixel points to another one of its component. In each round the pixel and its target take
    the largest pointer of the neighbourhood, and pointers to pointers are shortened (FastSV
    algorithm: Zhang, Azad and Hu, SIAM PP 2020). The number of rounds, the bits of the number of
    pixels, depends on the shape alone; winding components that fill the map need fewer.

    Args:
        mask (Tensor): ``(B, h, w)`` bool, less than 2 ** 24 pixels an image.

    Returns:
        Tensor: ``(B, h, w)`` int64, the largest flat index ``y * w + x`` of the pixel's
        component; -1 where the mask is False.
    """
    batch, height, width = mask.shape
    inside = mask.flatten(1)
    index = torch.arange(height * width, device=mask.device).expand(batch, -1)
    parent = index
    for _ in range((height * width).bit_length()):
        grandparent = parent.gather(1, parent)
        pointer = grandparent.masked_fill(~inside, -1).view(batch, 1, height, width)
        # pooling knows floats only, which hold these integers exactly
        best = F.max_pool2d(pointer.float(), 3, stride=1, padding=1).flatten(1).long()
        best = torch.where(inside, best, index)
        hooked = parent.scatter_reduce(1, parent, best, 'amax')
        parent = torch.maximum(torch.maximum(hooked, best), grandparent)
    return parent.masked_fill(~inside, -1).view_as(mask)
