# Copyright (c) mmseg_ctt contributors.
"""Low-level features of every pixel of an image or volume.

The abstract of the method names low-level image features. The list here is a reconstruction.
"""

from typing import List, Optional, Sequence

import numpy as np
from scipy import ndimage

from .grid import relative_spacing

SMOOTH, GRADIENT, LOG = (1.0, 2.0, 4.0), (1.0, 2.0), 2.0  # standard deviations of Gaussians
WINDOWS = (3, 7)  # sides of the windows of local standard deviations
ORIENTATIONS, WAVELENGTH = 4, 6.0  # of Gabor filters


def image_features(
    image: np.ndarray,
    ndim: int,
    spacing: Optional[Sequence[float]] = None,
    gabor_entropy: bool = False,
) -> np.ndarray:
    """Features of each pixel, of each channel in turn, then its coordinates.

    Of a channel: intensity, Gaussian mean (sigma 1, 2, 4), gradient magnitude (sigma 1, 2), local
    standard deviation (windows of 3 and 7), Laplacian of Gaussian (sigma 2); with
    ``gabor_entropy`` the entropy of the energy of four oriented Gabor filters. Coordinates go from
    0 to 1 along each axis. Sigmas and windows are in units of the smallest spacing.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(X, Y, Z)``, or with channels behind.
        ndim (int): 2 for an image, 3 for a volume.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.
        gabor_entropy (bool): Whether the entropy is added; in a volume it is that of the slices
            along the last axis. Defaults to False.

    Returns:
        np.ndarray: ``(..., F)`` float32; F is ``9 C + ndim``, ``10 C + ndim`` with entropy.

    Raises:
        ValueError: If the image has another number of dimensions, or values that are not finite.
    """
    channels = image_channels(image, ndim)
    steps = relative_spacing(ndim, spacing)
    maps: List[np.ndarray] = []
    for channel in channels:
        maps += _channel_features(channel, steps)
        if gabor_entropy:
            maps.append(oriented_entropy(channel))
    shape = channels[0].shape
    for axis, size in enumerate(shape):
        line = np.linspace(0, 1, size, dtype=np.float32)
        form = [size if k == axis else 1 for k in range(ndim)]
        maps.append(np.broadcast_to(line.reshape(form), shape))
    return np.stack(maps, axis=-1)


def image_channels(image: np.ndarray, ndim: int) -> List[np.ndarray]:
    """Channels of an image or volume, float32.

    Raises:
        ValueError: If the image has another number of dimensions, or values that are not finite.
    """
    image = np.asarray(image)
    if image.ndim not in (ndim, ndim + 1) or ndim not in (2, 3):
        raise ValueError(f'an image of shape {image.shape} has not {ndim} dimensions and channels')
    stack = image.astype(np.float32).reshape(*image.shape[:ndim], -1)
    if not np.isfinite(stack).all():
        raise ValueError('the image has values that are not finite')
    return [np.ascontiguousarray(stack[..., c]) for c in range(stack.shape[-1])]


def _channel_features(channel: np.ndarray, steps: np.ndarray) -> List[np.ndarray]:
    maps = [channel]
    maps += [ndimage.gaussian_filter(channel, sigma / steps) for sigma in SMOOTH]
    maps += [ndimage.gaussian_gradient_magnitude(channel, sigma / steps) for sigma in GRADIENT]
    maps += [local_deviation(channel, window_sides(side, steps)) for side in WINDOWS]
    maps.append(ndimage.gaussian_laplace(channel, LOG / steps))
    return maps


def window_sides(side: int, steps: np.ndarray) -> List[int]:
    """Odd sides of a window in pixels, from its side in units of the smallest spacing."""
    return [2 * int((side - 1) / 2 / step + 0.5) + 1 for step in steps]


def local_deviation(channel: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Standard deviation in a window around each pixel.

    Args:
        channel (np.ndarray): float32.
        sides (Sequence[int]): Side of the window along each axis.
    """
    centred = channel.astype(np.float64) - channel.mean()
    mean = ndimage.uniform_filter(centred, sides)
    square = ndimage.uniform_filter(centred**2, sides)
    return np.sqrt(np.maximum(square - mean**2, 0)).astype(np.float32)


def oriented_entropy(channel: np.ndarray) -> np.ndarray:
    """Entropy, in nats, of the energy of Gabor filters of four orientations.

    Args:
        channel (np.ndarray): ``(H, W)``, or ``(X, Y, Z)``: slices along the last axis.

    Returns:
        np.ndarray: float32, 0 for one orientation alone up to ``log 4`` for equal energies.
    """
    if channel.ndim == 3:
        return np.stack([oriented_entropy(part) for part in np.moveaxis(channel, 2, 0)], axis=2)
    energies = []
    for angle in np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS:
        kernel = _gabor_kernel(angle)
        parts = [ndimage.correlate(channel, part) for part in (kernel.real, kernel.imag)]
        energies.append(ndimage.gaussian_filter(parts[0] ** 2 + parts[1] ** 2, WAVELENGTH / 2))
    energy = np.stack(energies) + 1e-6
    part = energy / energy.sum(axis=0)
    return -(part * np.log(part)).sum(axis=0).astype(np.float32)


def _gabor_kernel(angle: float) -> np.ndarray:
    """Complex kernel without a mean, so that it does not answer to a constant image."""
    sigma = WAVELENGTH / 2
    radius = int(2 * sigma + 0.5)
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    envelope = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
    phase = 2 * np.pi * (columns * np.cos(angle) + rows * np.sin(angle)) / WAVELENGTH
    wave = np.exp(1j * phase)
    wave -= (envelope * wave).sum() / envelope.sum()
    return (envelope * wave / envelope.sum()).astype(np.complex64)
