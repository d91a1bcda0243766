# Copyright (c) mmseg_ctt contributors.
"""Noise, colours and small flat textures; colours are RGB, 0 to 1."""

from typing import Sequence, Tuple, TypeVar, Union

import cv2
import numpy as np

Colour = Union[Sequence[float], np.ndarray]
T = TypeVar('T')


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """Draw an entry of a sequence, all equally likely.

    Args:
        rng (np.random.Generator): Source of randomness.
        choices (Sequence): At least one entry.

    Returns:
        object: The entry.
    """
    return choices[int(rng.integers(len(choices)))]


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 0.05) -> np.ndarray:
    """Vary a colour: mostly its brightness, a little its hue.

    Args:
        rng (np.random.Generator): Source of randomness.
        colour (Sequence[float] | np.ndarray): RGB, 0 to 1.
        amount (float): Standard deviation of the change. Defaults to 0.05.

    Returns:
        np.ndarray: float32 ``(3,)``, 0.02 to 1.
    """
    varied: np.ndarray = np.asarray(colour, np.float32)
    varied = varied * (1 + amount * 2 * rng.standard_normal())
    varied = varied + amount * 0.5 * rng.standard_normal(3)
    return np.clip(varied, 0.02, 1).astype(np.float32)


def fractal(
    rng: np.random.Generator, height: int, width: int, cells: int = 4, octaves: int = 4
) -> np.ndarray:
    """Cloud-like noise: random grids, each twice as fine and half as strong.

    Args:
        rng (np.random.Generator): Source of randomness.
        height (int): Height in pixels.
        width (int): Width in pixels.
        cells (int): Cells of the coarsest grid. Defaults to 4.
        octaves (int): Number of grids. Defaults to 4.

    Returns:
        np.ndarray: float32 ``(height, width)``, mean 0, standard deviation 1.
    """
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        grid = rng.standard_normal((cells << octave, cells << octave), np.float32)
        fine = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        total += fine / (1 << octave)
    return (total - total.mean()) / (total.std() + 1e-6)


def _plain(colour: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), colour, np.float32)


def _bricks(height: int, width: int, size: int) -> np.ndarray:
    rows, cols = np.mgrid[:height, :width]
    shifted = cols + (rows // size % 2) * size
    joint = (rows % size == 0) | (shifted % (2 * size) == 0)
    return 1 - 0.25 * joint[..., None].astype(np.float32)


def _stripes(height: int, width: int, size: int, along: int) -> np.ndarray:
    index = np.mgrid[:height, :width][along]
    return 1 - 0.3 * (index % max(size, 2) == 0)[..., None].astype(np.float32)


def wall(
    rng: np.random.Generator, kind: str, colour: Colour, height: int, width: int, pixels: float
) -> np.ndarray:
    """Texture of a flat wall without windows.

    Args:
        rng (np.random.Generator): Source of randomness.
        kind (str): ``'brick'``, ``'plaster'``, ``'panel'``, ``'wood'``,
            ``'stone'`` or ``'glass'``.
        colour (Sequence[float] | np.ndarray): RGB, 0 to 1.
        height (int): Height in pixels.
        width (int): Width in pixels.
        pixels (float): Pixels a metre.

    Returns:
        np.ndarray: float32 ``(height, width, 3)``.
    """
    base = _plain(jitter(rng, colour), height, width)
    unit = max(int(pixels * (0.3 if kind == 'brick' else 1.5)), 2)
    if kind == 'brick':
        base = base * _bricks(height, width, unit)
    elif kind == 'stone':
        base = base * _bricks(height, width, max(int(pixels * 0.7), 2))
    elif kind in ('panel', 'glass'):
        base = base * _stripes(height, width, unit, 0)
        base = base * _stripes(height, width, unit, 1)
    elif kind == 'wood':
        base = base * _stripes(height, width, max(int(pixels * 0.35), 2), 0)
    stain = 0.09 * fractal(rng, height, width, 3, 3)
    stain += 0.05 * rng.standard_normal((height, width), np.float32)
    return np.ascontiguousarray(base * (1 + stain[..., None]))


def fence(
    rng: np.random.Generator, kind: str, colour: Colour, height: int, width: int, pixels: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Texture of a flat fence and its opacity.

    Args:
        rng (np.random.Generator): Source of randomness.
        kind (str): ``'plank'``, ``'bars'``, ``'mesh'``, ``'rail'``, ``'wall'``
            or ``'picket'``.
        colour (Sequence[float] | np.ndarray): RGB, 0 to 1.
        height (int): Height in pixels.
        width (int): Width in pixels.
        pixels (float): Pixels a metre.

    Returns:
        tuple[np.ndarray, np.ndarray]: float32 ``(height, width, 3)`` and
        opacity ``(height, width)``.
    """
    face = wall(rng, 'brick' if kind == 'wall' else 'plaster', colour, height, width, pixels)
    rows, cols = np.mgrid[:height, :width]
    alpha = np.ones((height, width), np.float32)
    step = max(int(pixels * {'bars': 0.25, 'mesh': 0.2}.get(kind, 0.4)), 2)
    rail = (np.abs(rows - height * 0.2) < pixels * 0.08) | (
        np.abs(rows - height * 0.8) < pixels * 0.08
    )
    if kind == 'plank':
        face = face * (1 - 0.35 * (cols % step == 0)[..., None])
    elif kind == 'bars':
        alpha = np.where(rail | (cols % step == 0), 1, 0.08)
    elif kind == 'mesh':
        post = cols % max(int(pixels * 2.5), 4) < max(pixels * 0.12, 1)
        net = ((rows + cols) % step == 0) | ((rows - cols) % step == 0)
        alpha = np.where(rail | post, 1, np.where(net, 0.75, 0.2))
    elif kind == 'picket':
        alpha = np.where(rail | (cols % step < step * 0.6), 1, 0.0)
    elif kind == 'rail':
        post = cols % max(int(pixels * 2), 4) < max(pixels * 0.15, 1)
        beam = (rows < height * 0.55) & (rows > height * 0.1)
        face = face * (1 - 0.25 * np.sin(rows / height * 20)[..., None])
        alpha = np.where(beam | post, 1, 0.1)
    return face.astype(np.float32), alpha.astype(np.float32)
