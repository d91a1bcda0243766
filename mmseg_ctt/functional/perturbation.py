# Copyright (c) mmseg_ctt contributors.
"""Perturbations of features and images, for consistency between a clean and a perturbed pass.

Random numbers may be given, uniform in [0, 1), so that they belong to a sample; without them they
are drawn from a generator.
"""

import math
from typing import Any, Callable, Optional, Sequence, Union

import torch
from torch import Tensor

from .distances import pixel_consistency
from .precision import full_precision


def channel_dropout(
    feature: Tensor,
    p: float = 0.5,
    noise: Optional[Tensor] = None,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    """Channel dropout: each channel of an image is zero or ``1 / (1 - p)`` times itself.

    Args:
        feature (Tensor): ``(B, C, ...)``. Receives the gradient.
        p (float): Probability of a channel to be dropped, below 1. Defaults to 0.5 (UniMatch).
        noise (Tensor, optional): ``(B, C)``; a channel is dropped below ``p``. Defaults to None:
            drawn.
        generator (torch.Generator, optional): Source of the noise. Defaults to None: global.

    Returns:
        Tensor: Shape and dtype of ``feature``.

    Raises:
        ValueError: If ``p`` lies outside [0, 1).
    """
    if not 0 <= p < 1:
        raise ValueError(f'p must be in [0, 1), got {p}')
    noise = _noise(noise, feature.shape[:2], feature.device, generator)
    return scaled_channels(feature, (noise >= p).to(feature.dtype) / (1 - p))


def scaled_channels(feature: Tensor, factor: Tensor, channel_dim: int = 1) -> Tensor:
    """Each channel of an image times a factor.

    Args:
        feature (Tensor): ``(B, ...)``. Receives the gradient.
        factor (Tensor): ``(B, C)``, of any dtype.
        channel_dim (int): Dimension ``C`` of the feature. Defaults to 1.

    Returns:
        Tensor: Shape and dtype of ``feature``.
    """
    shape = [1] * feature.dim()
    shape[0], shape[channel_dim] = factor.shape
    return feature * factor.to(feature.dtype).view(shape)


def complementary_channel_dropout(
    feature: Tensor,
    noise: Optional[Tensor] = None,
    keys: Optional[Tensor] = None,
    channel_dim: int = 1,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    """Complementary channel dropout of two views of a batch (UniMatch V2).

    A channel is kept in one of the two views of an image, times 2, and is zero in the other.
    ``floor(B / 2)`` images stay as they are in both views. The same noise and keys drop the same
    channels of several feature levels.

    Args:
        feature (Tensor): ``(2B, ...)``, the first views of all images, then the second ones.
            Receives the gradient.
        noise (Tensor, optional): ``(B, C)``; a channel is kept in the first view below 1/2.
            Defaults to None: drawn.
        keys (Tensor, optional): ``(B,)``; the images of the smallest keys stay as they are.
            Defaults to None: drawn.
        channel_dim (int): Dimension ``C`` of the feature, such as -1 for tokens. Defaults to 1.
        generator (torch.Generator, optional): Source of noise and keys. Defaults to None: global.

    Returns:
        Tensor: Shape and dtype of ``feature``.

    Raises:
        ValueError: If the number of views is odd.
    """
    if len(feature) % 2:
        raise ValueError(f'feature must hold two views of each image, got {len(feature)} views')
    batch, channels = len(feature) // 2, feature.shape[channel_dim]
    noise = _noise(noise, (batch, channels), feature.device, generator)
    keys = _noise(keys, (batch,), feature.device, generator)
    first = complementary_factors(noise, keys)
    return scaled_channels(feature, torch.cat([first, 2 - first]), channel_dim)


def complementary_factors(noise: Any, keys: Any) -> Any:
    """Factors of the channels in the first view; those in the second are 2 less them.

    Args:
        noise (Tensor | ndarray): ``(B, C)``; a channel is kept in the first view below 1/2.
        keys (Tensor | ndarray): ``(B,)``; the images of the smallest keys stay as they are.

    Returns:
        Tensor | ndarray: ``(B, C)``, 0, 1 or 2.
    """
    whole = (keys.argsort().argsort() < len(keys) // 2)[:, None]
    return whole * 1.0 + ~whole * ((noise < 0.5) * 2.0)


def uniform_feature_noise(
    feature: Tensor,
    limit: float = 0.3,
    noise: Optional[Tensor] = None,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    """Multiplicative noise, ``feature * (1 + u)`` with ``u`` uniform in ``[-limit, limit]`` (CCT).

    Args:
        feature (Tensor): ``(B, C, h, w)``. Receives the gradient.
        limit (float): Defaults to 0.3 (CCT).
        noise (Tensor, optional): ``(B, C, h, w)``, or ``(C, h, w)`` for all images (released code).
            Defaults to None: drawn, ``(B, C, h, w)``.
        generator (torch.Generator, optional): Source of the noise. Defaults to None: global.

    Returns:
        Tensor: Shape and dtype of ``feature``.
    """
    noise = _noise(noise, feature.shape, feature.device, generator)
    return feature * (1 + (2 * noise - 1) * limit).to(feature.dtype)


def feature_dropout(feature: Tensor, factor: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Feature drop: positions of high activation become zero (CCT).

    A position is kept where the mean of its channels lies below ``factor`` times the largest one of
    the image.

    Args:
        feature (Tensor): ``(B, C, h, w)``. Receives the gradient.
        factor (Tensor): ``(B,)`` of each image, or a scalar (released code: one for the batch).
        valid (Tensor, optional): ``(B, h, w)`` bool, positions among which the largest one is, such
            as those that are not padding (ours). Defaults to None: all.

    Returns:
        Tensor: Shape and dtype of ``feature``.
    """
    activation = feature.detach().float().mean(dim=1, keepdim=True)
    known = activation if valid is None else activation.masked_fill(~valid.unsqueeze(1), -math.inf)
    limit = known.amax(dim=(2, 3), keepdim=True) * factor.view(-1, 1, 1, 1)
    return feature * (activation < limit)


def adversarial_direction(
    predict: Callable[[Tensor], Tensor],
    image: Tensor,
    target: Tensor,
    noise: Tensor,
    eps: Union[float, Tensor] = 1.0,
    xi: Union[float, Tensor] = 0.1,
    kind: str = 'kl',
    num_iterations: int = 1,
    guard: float = 1e-12,
    weight: Optional[Tensor] = None,
) -> Tensor:
    """Virtual adversarial perturbation by power iterations (VAT, arXiv 1704.03976).

    ``d <- normalize(grad_d sum_q D(predict(image + xi d)_q, target_q))``, beginning with the
    normalised noise; then ``eps d``. Only the perturbation receives a gradient, weights do not.
    Where ``target`` is the prediction of ``image`` itself the gradient is about ``xi`` times a
    curvature, and a ``xi`` of 1e-6, as in released code, leaves rounding noise in float32.

    Args:
        predict (Callable): From ``(B, C, h, w)`` to logits ``(B, K, H, W)``; with batch
            normalisation in eval mode, so that no statistics move.
        image (Tensor): ``(B, C, h, w)`` image or feature, taken as a constant.
        target (Tensor): ``(B, K, H, W)`` probabilities, constant.
        noise (Tensor): ``(B, C, h, w)``, first direction of any length, such as normal numbers.
        eps (float | Tensor): Length of the result, also ``(B, 1, 1, 1)``, see
            :func:`adaptive_radius`. Defaults to 1: a direction.
        xi (float | Tensor): Length at which the gradient is taken, also ``(B, 1, 1, 1)``. Defaults
            to 0.1.
        kind (str): ``D``, as in :func:`pixel_consistency`, sum over classes. Defaults to 'kl'.
        num_iterations (int): Defaults to 1.
        guard (float): Added to a length before dividing by it. Defaults to 1e-12 (CutMix-Seg).
        weight (Tensor, optional): ``(B, H, W)`` of each pixel's distance, such as 0 in the
            padding. Defaults to None: 1.

    Returns:
        Tensor: ``(B, C, h, w)``, without a graph; zero where there is no gradient.
    """
    image, target = image.detach(), target.detach()
    direction = _normalized(noise.detach(), guard)
    for _ in range(num_iterations):
        with torch.enable_grad():
            direction.requires_grad_()
            logits = predict(image + xi * direction)
            distance = pixel_consistency(logits, target, kind, class_reduction='sum')
            distance = distance if weight is None else distance * weight
            (gradient,) = torch.autograd.grad(distance.sum(), direction)
        direction = _normalized(gradient, guard)
    return eps * direction


@torch.no_grad()
def adaptive_radius(image: Tensor, scale: float = 1.0, valid: Optional[Tensor] = None) -> Tensor:
    """Length of an adversarial perturbation that grows with the contrast of an image.

    ``scale / 2`` times the length of all central differences, vertical and horizontal (CutMix-Seg).

    Args:
        image (Tensor): ``(B, C, h, w)``.
        scale (float): Defaults to 1 (CutMix-Seg).
        valid (Tensor, optional): ``(B, h, w)`` bool; differences of two valid pixels count.
            Defaults to None: all.

    Returns:
        Tensor: ``(B, 1, 1, 1)``, float32 (float64 for double input).
    """
    image = full_precision(image)
    vertical = image[:, :, 2:] - image[:, :, :-2]
    horizontal = image[..., 2:] - image[..., :-2]
    if valid is not None:
        vertical = vertical * (valid[:, 2:] & valid[:, :-2]).unsqueeze(1)
        horizontal = horizontal * (valid[..., 2:] & valid[..., :-2]).unsqueeze(1)
    squares = vertical.square().sum((1, 2, 3)) + horizontal.square().sum((1, 2, 3))
    return (0.5 * scale * squares.sqrt()).view(-1, 1, 1, 1)


def _normalized(value: Tensor, guard: float) -> Tensor:
    """Each sample over its length."""
    value = full_precision(value)
    length = torch.linalg.vector_norm(value.flatten(1), dim=1) + guard
    return value / length.view(-1, *[1] * (value.dim() - 1))


def _noise(
    noise: Optional[Tensor],
    shape: Sequence[int],
    device: torch.device,
    generator: Optional[torch.Generator],
) -> Tensor:
    """What was given, or uniform numbers in [0, 1), on the device."""
    if noise is None:
        source = device if generator is None else generator.device
        noise = torch.rand(*shape, generator=generator, device=source)
    return noise.to(device)
