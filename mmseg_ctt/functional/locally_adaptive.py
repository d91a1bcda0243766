# Copyright (c) mmseg_ctt contributors.
"""Locally adaptive learning loss (LAL): cross-entropy of the class means of small windows.

A window has at most ``min(q * q, K)`` classes, so all of them are pooled by one product of small
matrices, and no map of all pairs of classes exists. Rows of windows are taken in chunks, and the
backward pass computes them again: beside the gradient itself, memory does not grow with the image.
"""

from typing import Any, Iterator, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .probability import two_class_logits
from .windows import WindowRows, window_rows

# logits of windows held at a time, 16 MiB in float32
CHUNK_ELEMENTS = 1 << 22
CHOICES = dict(merge=('logits', 'probs'), norm=('weight', 'count'), mode=('all', 'center'))


def locally_adaptive_loss(
    logits: Tensor,
    label: Tensor,
    kernel_size: int = 3,
    stride: int = 1,
    sigma: float = 1.0,
    k: float = 5.0,
    merge: str = 'logits',
    norm: str = 'weight',
    root: bool = True,
    mode: str = 'all',
    ignore_index: int = 255,
    pixel_weight: Optional[Tensor] = None,
    class_weight: Optional[Tensor] = None,
) -> Tensor:
    """Locally adaptive learning loss (arXiv 1802.08290; no public code, built from the abstract).

    Pixels of a window with the same label are a group. Its cost is the cross-entropy of its mean
    prediction, with Gaussian weights of the chessboard distance ``d`` to the centre,
    ``exp(-d^2 / 2 sigma^2)``. The loss is ``mean(cost^k)^(1/k)`` over all groups of all windows.

    Args:
        logits (Tensor): ``(B, K, H, W)``; a single channel is the logit of class 1 against 0.
        label (Tensor): ``(B, H, W)`` int64.
        kernel_size (int): Side of a window, odd; fewer pixels at the border. Defaults to 3.
        stride (int): Step between centres, from pixel 0. Defaults to 1.
        sigma (float): Of the Gaussian, pixels. Defaults to 1.0.
        k (float): Exponent, 1 or more; hard groups count more with a larger one. Defaults to 5.0.
        merge (str): What is averaged: 'logits', or 'probs', softmax outputs. Defaults to 'logits'.
        norm (str): Divisor of a mean: 'weight', the sum of the Gaussian weights, or 'count', the
            number of pixels. Defaults to 'weight'.
        root (bool): Whether to take the ``k``-th root. Defaults to True.
        mode (str): 'all' groups of a window, or 'center', that of its centre. Defaults to 'all'.
        ignore_index (int): Label that does not count; negative ones neither. Defaults to 255.
        pixel_weight (Tensor, optional): ``(B, H, W)``, constant, not negative: weight of a pixel in
            its group, and in 'count'; those of 0 do not count. Defaults to None: 1.
        class_weight (Tensor, optional): ``(K,)``, not negative, of groups. Defaults to None: 1.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no group counts.

    Raises:
        ValueError: If an option is out of range, logits and labels differ in size, or the weights
            of classes are not one for each.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]]).view(1, 2, 1, 3)
        >>> label = torch.tensor([[[0, 1, 1]]])  # 5 groups in 3 windows
        >>> round(locally_adaptive_loss(logits, label, k=1).item(), 4)
        0.2387
    """
    options = _windows(kernel_size, stride, sigma, k, root, merge, norm, mode)
    labeled = (label != ignore_index) & (label >= 0)
    return _minkowski_cost(logits, label, labeled, options, pixel_weight, class_weight)


class Windows(NamedTuple):
    """Options of the windows, checked."""

    size: int
    stride: int
    sigma: float
    k: float
    root: bool
    probs: bool  # the maps are the log-probability of each pixel's label
    by_count: bool
    center: bool


def _windows(
    size: int, stride: int, sigma: float, k: float, root: bool, merge: str, norm: str, mode: str
) -> Windows:
    """Check the options; an error begins with the name of one."""
    if size < 1 or size % 2 != 1:
        raise ValueError(
            f'kernel_size={size}: a window has a pixel in its centre, so its side must be odd and '
            'positive: 3, 5 or 7'
        )
    if stride < 1 or stride % 1:
        raise ValueError(f'stride={stride}: give an integer of 1 or more')
    if not sigma > 0:
        raise ValueError(f'sigma={sigma}: must be positive')
    if not 1 <= k < float('inf'):
        raise ValueError(f'k={k}: give 1, the mean, or more')
    for name, value in dict(merge=merge, norm=norm, mode=mode).items():
        if value not in CHOICES[name]:
            raise ValueError(f'{name}={value!r}: choose from {", ".join(CHOICES[name])}')
    choices = merge == 'probs', norm == 'count', mode == 'center'
    return Windows(int(size), int(stride), sigma, k, root, *choices)


def _minkowski_cost(
    logits: Tensor,
    label: Tensor,
    labeled: Tensor,
    options: Windows,
    pixel_weight: Optional[Tensor],
    class_weight: Optional[Tensor],
) -> Tensor:
    if logits.dim() != 4 or logits.shape[2:] != label.shape[1:]:
        raise ValueError(
            f'logits of {tuple(logits.shape)} and labels of {tuple(label.shape)}: windows need '
            'maps of equal size, (B, K, H, W) and (B, H, W)'
        )
    logits = two_class_logits(logits)
    if class_weight is not None and class_weight.shape != logits.shape[1:2]:
        raise ValueError(
            f'class_weight has {class_weight.numel()} values, and there are {logits.shape[1]} '
            'classes: give one for each'
        )
    # a larger window sees the whole image from every centre as well
    options = options._replace(size=min(options.size, max(1, 2 * max(label.shape[1:]) - 1)))
    working = torch.float64 if logits.dtype == torch.float64 else torch.float32
    index = label.masked_fill(~labeled, 0)
    ones = torch.ones(logits.shape[1], dtype=working, device=logits.device)
    weight = ones[index] * labeled  # an index error for a label that is no class
    if pixel_weight is not None:
        weight = weight * pixel_weight.detach().to(working)
    of_class = ones if class_weight is None else class_weight.detach().to(working)
    label = label.masked_fill(~labeled, -1)
    with torch.autocast(logits.device.type, enabled=False):
        if options.probs:
            logits = -F.cross_entropy(logits.to(working), index, reduction='none').unsqueeze(1)
        return _MinkowskiCost.apply(logits, label, weight, of_class, options)


class _MinkowskiCost(torch.autograd.Function):
    """Minkowski mean of the costs of all groups.

    Maps are ``(B, C, H, W)``: logits of all classes, or the log-probability of each pixel's label.
    """

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, label: Tensor, weight: Tensor, of_class: Tensor, options: Windows
    ) -> Tensor:
        highest, total, norm = weight.new_zeros(3)  # total: of cost ** k, in units of highest ** k
        for rows, groups in _groups_of_chunks(label, weight, of_class, options):
            cost, *_ = _costs(rows, maps, groups, options)
            top = torch.maximum(highest, cost.amax())
            unit = torch.where(top > 0, top, 1.0)
            total = total * (highest / unit).pow(options.k)
            total = total + (groups.weight * (cost / unit).pow(options.k)).sum()
            norm, highest = norm + groups.weight.sum(), top
        norm = torch.where(norm > 0, norm, 1.0)  # a tiny one would make its inverse infinite
        mean = total / norm
        if options.root:
            loss = highest * mean.pow(1 / options.k)
        else:
            loss = highest.pow(options.k) * mean
        ctx.save_for_backward(maps, label, weight, of_class, loss, norm)
        ctx.options = options
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Tuple[Optional[Tensor], ...]:
        maps, label, weight, of_class, loss, norm = ctx.saved_tensors
        options = ctx.options
        factor = grad_output.to(norm.dtype) / norm  # of (cost / unit) ** (k - 1)
        unit = torch.where(loss > 0, loss, 1.0)
        if not options.root:
            factor, unit = factor * options.k, torch.ones_like(unit)
        gradient = torch.zeros_like(maps, dtype=weight.dtype)
        with torch.autocast(maps.device.type, enabled=False):
            for rows, groups in _groups_of_chunks(label, weight, of_class, options):
                cost, exponential, total = _costs(rows, maps, groups, options)
                of_cost = factor * groups.weight * (cost / unit).pow(options.k - 1)
                vectors = _gradient(of_cost, exponential, total, groups, options)
                rows.add_(gradient.permute(0, 2, 3, 1), vectors)
        return (gradient.to(maps.dtype),) + (None,) * 4


class Groups(NamedTuple):
    """Pixels of equal labels in ``P`` windows, ``G`` groups each; some have no pixel."""

    classes: Tensor  # (P, G)
    average: Tensor  # (P, G, q * q) weights of the pixels in the mean of the group
    weight: Tensor  # (P, G) of the group's cost; 0 without pixels


def _groups_of_chunks(
    label: Tensor, weight: Tensor, of_class: Tensor, options: Windows
) -> Iterator[Tuple[WindowRows, Groups]]:
    of_pixel = len(of_class)  # values that are held for each pixel of a window
    for rows in window_rows(
        tuple(label.shape), options.size, options.stride, CHUNK_ELEMENTS // of_pixel
    ):
        labels = rows.labels(label, -1)
        yield rows, _groups(labels, rows.labels(weight, 0), of_class, options)


def _groups(labels: Tensor, weights: Tensor, of_class: Tensor, options: Windows) -> Groups:
    """Groups of ``(P, q * q)`` labels, -1 where ignored, and weights of pixels."""
    number = options.size**2
    position = torch.arange(number, device=labels.device)
    if options.center:
        index = labels[:, number // 2 : number // 2 + 1]
    elif len(of_class) <= number:  # a group for every class
        index = torch.arange(len(of_class), device=labels.device).expand(len(labels), -1)
    else:  # a group for every pixel; those that repeat one do not count
        index = labels
    in_group = labels.unsqueeze(1) == index.unsqueeze(2)
    of_pixel = weights * _gaussian(position, options).to(weights.dtype)
    average = in_group * of_pixel.unsqueeze(1)
    norm = ((in_group * weights.unsqueeze(1)) if options.by_count else average).sum(2)
    average /= norm.clamp(min=torch.finfo(norm.dtype).tiny).unsqueeze(2)
    present = norm > 0
    if index is labels:
        present &= ~(in_group & (position < position.unsqueeze(1))).any(2)
    index = index.clamp(min=0)
    return Groups(index, average, of_class[index] * present)


def _gaussian(position: Tensor, options: Windows) -> Tensor:
    """``(q * q)`` weights of the pixels of a window by their chessboard distance to its centre."""
    row = position.div(options.size, rounding_mode='floor')
    offset = torch.stack([row, position - row * options.size]) - options.size // 2
    distance = offset.abs().amax(0).double() / options.sigma  # before squaring: any sigma works
    return torch.exp(-distance.square() / 2)


def _costs(
    rows: WindowRows, maps: Tensor, groups: Groups, options: Windows
) -> Tuple[Tensor, Tensor, Tensor]:
    """Cost ``(P, G)`` of each group, 0 where its weight is, and what its gradient is made of.

    These are exponentials of the mean ``(P, G, K)``, or of probabilities those of each pixel
    ``(P, G, q * q)``, and their sum ``(P, G, 1)``.
    """
    vectors = rows.vectors(maps.permute(0, 2, 3, 1)).to(groups.average.dtype)
    if options.probs:
        score = groups.average.log() + vectors.transpose(1, 2)
    else:
        score = torch.bmm(groups.average, vectors)
    highest = score.amax(2, keepdim=True).clamp(min=torch.finfo(score.dtype).min)
    own = 0 if options.probs else score.gather(2, groups.classes.unsqueeze(2))
    exponential = score.sub_(highest).exp_()
    total = exponential.sum(2, keepdim=True)
    cost = -highest - total.log() if options.probs else highest - own + total.log()
    return cost.squeeze(2).clamp(min=0).masked_fill(groups.weight == 0, 0), exponential, total


def _gradient(
    of_cost: Tensor, exponential: Tensor, total: Tensor, groups: Groups, options: Windows
) -> Tensor:
    """``(P, q * q, C)`` gradient of the vectors from that ``(P, G)`` of the costs."""
    factor = of_cost.unsqueeze(2)
    part = exponential.mul_(factor / total.clamp(min=torch.finfo(total.dtype).tiny))
    if options.probs:
        return -part.sum(1).unsqueeze(2)
    part.scatter_add_(2, groups.classes.unsqueeze(2), -factor)
    return torch.bmm(groups.average.transpose(1, 2), part)
