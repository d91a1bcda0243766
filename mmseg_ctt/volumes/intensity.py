# Copyright (c) mmseg_ctt contributors.
"""Values of a volume as networks here take images: float32 or uint8 in 0..255."""

from typing import Any, Optional, Tuple

import numpy as np

from .planes import num_slices, take_slice

DEFAULT_PERCENTILES = (0.5, 99.5)
Pair = Tuple[float, float]


def check_intensity(
    window: Any, percentiles: Any, name: str = 'volumes'
) -> Tuple[Optional[Pair], Optional[Pair]]:
    """A window and percentiles as pairs of floats.

    Args:
        window (Any): Setting of a user; a pair of rising numbers, or None.
        percentiles (Any): The same, from 0 to 100.
        name (str): What has the settings, for messages.

    Raises:
        ValueError: If one is no such pair, or both are given.
    """
    if window is not None and percentiles is not None:
        raise ValueError(f'{name}: window and percentiles exclude one another, set one of them')
    pairs = _rising(window), _rising(percentiles)
    if window is not None and pairs[0] is None:
        raise ValueError(
            f'{name}: window must be a pair of rising numbers such as (-100, 400), got {window!r}'
        )
    in_range = pairs[1] is not None and 0 <= pairs[1][0] and pairs[1][1] <= 100
    if percentiles is not None and not in_range:
        raise ValueError(
            f'{name}: percentiles must be a pair of rising numbers from 0 to 100 such as '
            f'{DEFAULT_PERCENTILES}, got {percentiles!r}'
        )
    return pairs


def _rising(value: Any) -> Optional[Pair]:
    try:
        low, high = (float(number) for number in value)
    except (TypeError, ValueError):
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None


def value_limits(
    array: np.ndarray,
    window: Optional[Pair] = None,
    percentiles: Optional[Pair] = None,
    name: str = 'given',
) -> Optional[Pair]:
    """Values of a volume that become 0 and 255; None where all values stay.

    Args:
        array (np.ndarray): ``(X, Y, Z)``.
        window (tuple[float, float], optional): The values. Defaults to None.
        percentiles (tuple[float, float], optional): Percentiles of the volume that are the values.
            Defaults to None: values of 8 bit stay, others take :data:`DEFAULT_PERCENTILES`.
        name (str): What messages call the volume.

    Raises:
        ValueError: If both percentiles are one value.
    """
    if window is not None:
        return window
    if percentiles is None and array.dtype == np.uint8:
        return None
    low, high = np.percentile(array, percentiles or DEFAULT_PERCENTILES)
    if not low < high:
        raise ValueError(
            f'the volume {name}: percentiles {percentiles or DEFAULT_PERCENTILES} are both '
            f'{low:g}, set window to the values that become 0 and 255'
        )
    return float(low), float(high)


def scaled(pixels: np.ndarray, limits: Optional[Pair]) -> np.ndarray:
    """Values in 0..255: clipped to limits and mapped, or as they are.

    Args:
        pixels (np.ndarray): Of any shape.
        limits (tuple[float, float], optional): From :func:`value_limits`; None: of 8 bit.

    Returns:
        np.ndarray: float32, or uint8 without limits. Nothing is rounded.
    """
    if limits is None:
        return pixels
    low, high = limits
    return ((pixels.astype(np.float32) - low) * (255 / (high - low))).clip(0, 255)


def slice_image(
    array: np.ndarray, plane: str, index: int, context: int = 1, limits: Optional[Pair] = None
) -> np.ndarray:
    """Slice of a volume as a network takes it, the same in training and in prediction.

    Args:
        array (np.ndarray): ``(X, Y, Z)``.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.
        index (int): From 0.
        context (int): 1: the slice alone; 3: the slices before, at and after the index as
            channels, where the first and the last slice are their own neighbours. Defaults to 1.
        limits (tuple[float, float], optional): From :func:`value_limits`.

    Returns:
        np.ndarray: ``(H, W)`` or ``(H, W, 3)``; float32 in 0..255, uint8 without limits. The
        channels of a grey slice are made by the step that loads images (``color_type='color'``).

    Raises:
        IndexError: If there are fewer slices.
        ValueError: If there is no such plane or context.
    """
    check_context(context)
    number = num_slices(array.shape, plane)
    if context == 1:
        return np.array(scaled(take_slice(array, plane, index), limits), order='C')  # never a view
    take_slice(array, plane, index)  # the index is one of the volume
    near = [min(max(index + step, 0), number - 1) for step in (-1, 0, 1)]
    pixels = np.stack([take_slice(array, plane, k) for k in near], axis=-1)
    return np.array(scaled(pixels, limits), order='C')


def check_context(context: Any, name: str = 'volumes') -> None:
    """Check the number of slices of an image.

    Raises:
        ValueError: If it is neither 1 nor 3.
    """
    if context not in (1, 3):
        raise ValueError(f'{name}: context must be 1 or 3 slices, got {context!r}')
