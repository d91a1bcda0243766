# Copyright (c) mmseg_ctt contributors.
"""Entropy of predictions, and the pixels of a batch of lowest and highest entropy (U2PL)."""

from typing import Callable, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ...functional import prediction_entropy


def drop_percent(progress: float, start: float = 20.0) -> float:
    """Percent of unreliable pixels, which falls linearly while training (U2PL, ``alpha_t``).

    Args:
        progress (float): Ratio of the training that is done, in [0, 1].
        start (float): Percent at the beginning. Defaults to 20 (paper).

    Returns:
        float: Percent.

    Example:
        >>> [drop_percent(progress) for progress in (0, 0.25, 1)]
        [20.0, 15.0, 0.0]
    """
    return start * (1 - progress)


@torch.no_grad()
def pixel_entropy(
    logits: Tensor, size: Optional[Sequence[int]] = None, align_corners: bool = False
) -> Tensor:
    """Entropy of the softmax of every pixel, in nats, without a gradient.

    :func:`mmseg_ctt.functional.prediction_entropy`; the released code adds 1e-10 to the
    probability.

    Args:
        logits (Tensor): ``(B, K, h, w)``, any floating dtype.
        size (Sequence[int], optional): ``(H, W)`` to up-sample the logits to, bilinearly,
            before the softmax. Defaults to None: ``(h, w)``.
        align_corners (bool): As in :func:`torch.nn.functional.interpolate`.

    Returns:
        Tensor: ``(B, H, W)`` in [0, log K], float32 (float64 for double input).
    """
    return prediction_entropy(logits, size, align_corners)


@torch.no_grad()
def percentiles(values: Tensor, percents: Sequence[float]) -> Tuple[Tensor, ...]:
    """Percentiles with linear interpolation, as ``numpy.percentile``, of the finite values.

    Args:
        values (Tensor): ``(N,)`` float; infinity where a value does not count.
        percents (Sequence[float]): In [0, 100].

    Returns:
        tuple[Tensor, ...]: A scalar each; not finite where no value counts.
    """
    values = values.sort().values
    last = (values.isfinite().sum() - 1).clamp(min=0)
    found = []
    for percent in percents:
        # in float64: float32 cannot count past 16 million pixels
        position = last.double() * (percent / 100)
        below = position.floor()
        index = below.long()
        # `take`: indexing by a tensor of no dimension would read it on the host
        found.append(
            torch.lerp(
                values.take(index),
                values.take(torch.minimum(index + 1, last)),
                (position - below).to(values.dtype),
            )
        )
    return tuple(found)


class EntropyPartition(NamedTuple):
    """Pixels of lowest and of highest entropy in a batch, ``(B, H, W)`` bool each.

    Attributes:
        low (Tensor): Entropy in the lowest percents.
        high (Tensor): Entropy in the highest percents: the unreliable pixels.
    """

    low: Tensor
    high: Tensor


@torch.no_grad()
def entropy_partition(
    entropy: Tensor,
    percent: float,
    valid: Optional[Tensor] = None,
    gather: Optional[Callable[[Tensor], Tensor]] = None,
) -> EntropyPartition:
    """Partition of a batch's pixels by percentiles of their entropy (U2PL, ``gamma_t``).

    Both ends include the pixel that lies on the threshold, as in the released code.

    Args:
        entropy (Tensor): ``(B, H, W)``.
        percent (float): Size of either end, ``alpha_t``, in [0, 50].
        valid (Tensor, optional): ``(B, H, W)`` bool; the others are neither low nor high and do
            not count. Defaults to None: all.
        gather (Callable, optional): Takes the ``(N,)`` entropies, infinite where not valid, to
            those that the percentiles are of, such as the ones of all processes. Defaults to
            None: this batch (released code).

    Returns:
        EntropyPartition: The two ends.

    Raises:
        ValueError: If ``percent`` lies outside [0, 50], where the ends would overlap.
    """
    if not 0 <= percent <= 50:
        raise ValueError(f'percent must lie in [0, 50], got {percent}')
    if valid is None:
        valid = torch.ones_like(entropy, dtype=torch.bool)
    values = torch.where(valid, entropy, torch.inf).flatten()
    if gather is not None:
        values = gather(values)
    lowest, highest = percentiles(values, (percent, 100 - percent))
    return EntropyPartition(valid & (entropy <= lowest), valid & (entropy >= highest))
