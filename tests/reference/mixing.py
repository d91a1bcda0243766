# Copyright (c) mmseg_ctt contributors.
"""ClassMix and the pasting, pixel by pixel."""

from typing import List, Sequence

import torch
from torch import Tensor


def chosen_classes(label: Tensor, key: Sequence[float], ignore_index: int = 255) -> List[int]:
    """``floor(n / 2)`` of the classes of one image ``(H, W)``, by smallest key."""
    present = sorted({int(c) for c in label.flatten() if int(c) != ignore_index})
    return sorted(present, key=lambda c: float(key[c]))[: len(present) // 2]


def class_mask(label: Tensor, classes: Sequence[Sequence[int]]) -> Tensor:
    """``(B, H, W)`` bool, True where the label is one of the image's chosen classes."""
    mask = torch.zeros(label.shape, dtype=torch.bool)
    for b in range(label.shape[0]):
        for y in range(label.shape[1]):
            for x in range(label.shape[2]):
                mask[b, y, x] = int(label[b, y, x]) in list(classes[b])
    return mask


def paste(tensor: Tensor, mask: Tensor, shift: int = 1) -> Tensor:
    """Pixel of image ``i`` where the mask is set, else of image ``(i + shift) mod B``."""
    out = torch.empty_like(tensor)
    batch, height, width = mask.shape
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                source = b if mask[b, y, x] else (b + shift) % batch
                out[b, ..., y, x] = tensor[source, ..., y, x]
    return out
