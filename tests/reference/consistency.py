# Copyright (c) mmseg_ctt contributors.
"""Distance of predictions to pseudo-labels, one pixel at a time."""

import math
from typing import List, Optional, Tuple

from torch import Tensor

from .cross_entropy import softmax


def distance(logits: List[float], target: List[float], kind: str, class_mean: bool) -> float:
    """Of one pixel; ``target`` is a list of probabilities, for ``hard`` one of zeros and a one."""
    p = softmax(logits)
    if kind == 'squared':
        total = sum((a - b) ** 2 for a, b in zip(p, target))
        return total / len(p) if class_mean else total
    if kind == 'middle_kl':
        middle = [(a + b) / 2 for a, b in zip(p, target)]
        return sum(
            m * (2 * math.log(m) - math.log(a) - math.log(b + 1e-5)) / 2
            for m, a, b in zip(middle, p, target)
        )
    entropy = -sum(b * math.log(b) for b in target if b) if kind == 'kl' else 0.0
    return -sum(b * math.log(a) for a, b in zip(p, target) if b) - entropy


def consistency(
    logits: Tensor,
    label: Tensor,
    confidence: Tensor,
    threshold: float,
    kind: str = 'hard',
    select: str = 'pixel',
    normalizer: str = 'valid',
    class_mean: bool = True,
    target_logits: Optional[Tensor] = None,
    weighted: bool = False,
) -> Tuple[float, float]:
    """Loss and ratio of confident pixels.

    Args:
        logits: ``(B, K, H, W)``, already at the size of the label.
        label: ``(B, H, W)``, 255 in the padding.
        confidence: ``(B, H, W)``, 0 in the padding.
        threshold: Lowest confidence of a confident pixel.
        kind: A target of the part.
        select: ``pixel``, ``ratio`` or ``image_ratio``.
        normalizer: ``valid``, ``kept`` or ``all``.
        class_mean: Of the squared difference.
        target_logits: ``(B, K, H, W)``, for targets that are not hard.
        weighted: Whether a pixel counts as much as its confidence.
    """
    total, confident, kept, valid = 0.0, 0, 0, 0
    for b in range(label.shape[0]):
        image, image_confident, image_valid = 0.0, 0, 0
        for y in range(label.shape[1]):
            for x in range(label.shape[2]):
                c, is_confident = int(label[b, y, x]), float(confidence[b, y, x]) >= threshold
                confident += is_confident
                if c == 255:
                    continue
                image_valid += 1
                image_confident += is_confident
                if select == 'pixel' and not is_confident:
                    continue
                kept += 1
                target = [float(k == c) for k in range(logits.shape[1])]
                if kind != 'hard':
                    target = softmax(target_logits[b, :, y, x].double().tolist())
                value = distance(logits[b, :, y, x].double().tolist(), target, kind, class_mean)
                image += value * (float(confidence[b, y, x]) if weighted else 1)
        valid += image_valid
        total += image * (image_confident / image_valid if select == 'image_ratio' else 1)
    ratio = confident / label.numel()
    count = dict(valid=valid, kept=kept, all=label.numel())[normalizer]
    return (ratio if select == 'ratio' else 1) * total / max(count, 1), ratio
