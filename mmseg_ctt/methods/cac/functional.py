# Copyright (c) mmseg_ctt contributors.
"""Overlapping windows, and the directional contrast of their pixels (CAC, arXiv 2106.14133).

``tests/parity/test_parity_cac.py`` compares with values of the released code.
"""

from typing import Any, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_ELEMENTS = 1 << 22  # similarities held at a time on a CPU, 16 MiB in float32


@torch.no_grad()
def overlapping_windows(
    noise: Tensor,
    size: Tuple[int, int],
    window: Tuple[int, int],
    stride: int,
    iou: Tuple[float, float] = (0.1, 1.0),
) -> Tensor:
    """Two random windows of each image that overlap.

    The first one is uniform; the second one is uniform among those that lie a multiple of
    ``stride`` away. Of several draws of the second the first one whose intersection over union
    with the first lies in ``iou`` is taken, else the first window itself (released code).

    Args:
        noise (Tensor): ``(B, T + 1, 2)`` in [0, 1), for ``T`` draws of the second window.
        size (tuple[int, int]): ``(H, W)`` of the images.
        window (tuple[int, int]): ``(h, w)``, at most that.
        stride (int): In pixels.
        iou (tuple[float, float]): Smallest and largest. Defaults to (0.1, 1) (released code).

    Returns:
        Tensor: ``(B, 2, 2)`` int64, top and left of both windows.
    """
    side = torch.stack([torch.full_like(noise[0, 0], length) for length in window])[:, 0]
    room = torch.stack(
        [torch.full_like(noise[0, 0], all_ - own) for all_, own in zip(size, window)]
    )[:, 0]
    first = (noise[:, :1] * (room + 1)).floor().minimum(room)  # (B, 1, 2)
    rest = first % stride
    count = ((room - rest) / stride).floor() + 1
    second = rest + (noise[:, 1:] * count).floor().minimum(count - 1) * stride  # (B, T, 2)
    shared = (side - (second - first).abs()).clamp(min=0).prod(2)
    ratio = shared / (2 * side.prod() - shared)
    fits = (ratio >= iou[0]) & (ratio <= iou[1])
    chosen = fits & (fits.cumsum(1) == 1)  # the first that fits, or none
    found = (second * chosen.unsqueeze(2)).sum(1, keepdim=True)
    second = torch.where(fits.any(1).view(-1, 1, 1), found, first)
    return torch.cat([first, second], dim=1).long()


def crop_windows(
    maps: Tensor, corner: Tensor, window: Tuple[int, int], flip: Optional[Tensor] = None
) -> Tensor:
    """A window of each image, without waiting for its place.

    Args:
        maps (Tensor): ``(B, C, H, W)``.
        corner (Tensor): ``(B, 2)`` int64, top and left.
        window (tuple[int, int]): ``(h, w)``.
        flip (Tensor, optional): ``(B,)`` bool, windows that are mirrored left to right. Defaults
            to None: none.

    Returns:
        Tensor: ``(B, C, h, w)``.
    """
    height, width = window
    column = torch.arange(width, device=maps.device).expand(len(maps), -1)
    if flip is not None:
        column = torch.where(flip.unsqueeze(1), width - 1 - column, column)
    row = corner[:, :1] + torch.arange(height, device=maps.device)
    column = corner[:, 1:] + column
    channels = maps.shape[1]
    row = row.view(len(maps), 1, height, 1).expand(-1, channels, -1, maps.shape[3])
    column = column.view(len(maps), 1, 1, width).expand(-1, channels, height, -1)
    return maps.gather(2, row).gather(3, column)


def flip_back(maps: Tensor, flip: Tensor) -> Tensor:
    """``(B, C, h, w)`` maps of windows of which those with ``flip`` ``(B,)`` were mirrored."""
    return torch.where(flip.view(-1, 1, 1, 1), maps.flip(3), maps)


@torch.no_grad()
def matching_pixels(shift: Tensor, size: Tuple[int, int]) -> Tuple[Tensor, Tensor]:
    """The pixel of a second map that shows what each pixel of a first one shows.

    Args:
        shift (Tensor): ``(B, 2)`` int64, rows and columns from a pixel of the first map to that of
            the second: the corner of the first window less that of the second.
        size (tuple[int, int]): ``(h, w)`` of both maps.

    Returns:
        tuple[Tensor, Tensor]: ``index`` ``(B, h * w)`` int64 into the pixels of the second map, and
        ``inside`` ``(B, h * w)`` bool, False where it shows nothing of the kind.
    """
    height, width = size
    row = shift[:, :1] + torch.arange(height, device=shift.device)
    column = shift[:, 1:] + torch.arange(width, device=shift.device)
    in_rows, in_columns = (row >= 0) & (row < height), (column >= 0) & (column < width)
    fits = in_rows.unsqueeze(2) & in_columns.unsqueeze(1)
    index = row.clamp(0, height - 1).unsqueeze(2) * width + column.clamp(0, width - 1).unsqueeze(1)
    return index.flatten(1), fits.flatten(1)


def pixel_contrast(
    query: Tensor,
    positive: Tensor,
    label: Tensor,
    keys: Tensor,
    key_label: Tensor,
    temperature: float = 0.1,
    epsilon: float = 0.0,
    elements: Optional[int] = None,
) -> Tensor:
    """Contrast of each pixel with its positive and all keys of other classes (CAC Eq 3).

    ``-log(e^p / (e^p + sum e^n))`` by cosine over temperature. Computed in chunks of pixels with
    the gradient formed on the way, so that only ``(N, D)`` numbers are kept.

    Args:
        query (Tensor): ``(N, D)`` unit features. Receives the gradient.
        positive (Tensor): ``(N, D)`` unit features, constant.
        label (Tensor): ``(N,)`` int64, class of the query.
        keys (Tensor): ``(V, D)`` unit features, constant.
        key_label (Tensor): ``(V,)`` int64, classes of the keys; negative where there is none.
        temperature (float): Defaults to 0.1 (released code).
        epsilon (float): Added to the denominator and to the quotient, after all terms were divided
            by the largest one, keys of the own class included (released code: 1e-8); pixels with
            a quotient below it then give little gradient. Defaults to 0: the exact logarithm.
        elements (int, optional): Similarities held at a time. Defaults to None:
            :data:`CHUNK_ELEMENTS`.

    Returns:
        Tensor: ``(N,)`` float32 (float64 for double input).
    """
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    with torch.autocast(query.device.type, enabled=False):
        constants = positive.detach().to(dtype), label, keys.detach().to(dtype), key_label
        elements = elements or CHUNK_ELEMENTS
        return _PixelContrast.apply(query.to(dtype), *constants, temperature, epsilon, elements)


class _PixelContrast(torch.autograd.Function):
    """Loss of every query, with the gradient formed on the way."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        positive: Tensor,
        label: Tensor,
        keys: Tensor,
        key_label: Tensor,
        temperature: float,
        epsilon: float,
        elements: int,
    ) -> Tensor:
        rows = max(1, elements // max(1, len(keys)))
        loss, gradient = query.new_empty(len(query)), torch.empty_like(query)
        pieces = (map_.split(rows) for map_ in (query.detach(), positive, label, loss, gradient))
        for part, peer, own, value, slope in zip(*pieces):
            hit = (part * peer).sum(1, keepdim=True) / temperature
            score = part @ keys.t() / temperature
            unused, same = key_label < 0, key_label == own.unsqueeze(1)
            score.masked_fill_(unused if epsilon else unused | same, -torch.inf)
            top = torch.maximum(hit, score.amax(1, keepdim=True))
            score.sub_(top).exp_()
            if epsilon:
                score.masked_fill_(same, 0)
            pull = (hit - top).exp()
            total = score.sum(1, keepdim=True) + pull + epsilon
            quotient = pull / total + epsilon
            exact = total.log() + top - hit
            value.copy_((-quotient.log() if epsilon else exact).squeeze(1))
            slope.copy_((score @ keys + (pull - total) * peer) / (total * temperature))
            if epsilon:
                slope.mul_(1 - epsilon / quotient)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Tuple[Optional[Tensor], ...]:
        (gradient,) = ctx.saved_tensors
        return (grad_output.unsqueeze(1) * gradient,) + (None,) * 7
