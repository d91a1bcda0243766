# Copyright (c) mmseg_ctt contributors.
"""Pinhole camera over the ground plane of a scene."""

from dataclasses import dataclass
from typing import Tuple

import numpy as np
from numpy.typing import ArrayLike

# Metres after which everything counts as infinitely far.
FAR = 400.0


@dataclass(frozen=True)
class Camera:
    """Pinhole camera over a flat, bent road.

    World axes in metres: x to the right, y up from the ground, z ahead.

    Args:
        focal (float): Focal length in pixels.
        centre (float): Column of the vanishing point.
        horizon (float): Row of the horizon.
        height (float): Height over the ground in metres.
        bend (float): Sideways shift of the road is ``bend * z**2`` metres.
        roll (float): Rotation in radians.
    """

    focal: float
    centre: float
    horizon: float
    height: float
    bend: float
    roll: float

    def project(self, points: ArrayLike) -> np.ndarray:
        """Project points of the world onto the picture.

        Args:
            points (ArrayLike): ``(N, 3)`` as x, y, z in metres, z above 0.

        Returns:
            np.ndarray: float64 ``(N, 2)``, column and row in pixels.
        """
        x, y, z = np.asarray(points, np.float64).T
        across = self.focal * (x / z + self.bend * z)
        down = self.focal * (self.height - y) / z
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        return np.stack(
            [self.centre + cos * across - sin * down, self.horizon + sin * across + cos * down], 1
        )

    def ground(self, height: int, width: int) -> Tuple[np.ndarray, np.ndarray]:
        """Intersection of the ray of each pixel with the ground.

        Args:
            height (int): Rows.
            width (int): Columns.

        Returns:
            tuple[np.ndarray, np.ndarray]: float32 x and z of shape
            ``(height, width)``; z is ``FAR`` at and above the horizon.
        """
        rows, cols = np.mgrid[:height, :width].astype(np.float32)
        rows, cols = rows - self.horizon, cols - self.centre
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        across, down = cos * cols + sin * rows, cos * rows - sin * cols
        z = self.focal * self.height / np.maximum(down, 1e-3)
        z = np.minimum(z, FAR).astype(np.float32)
        x = across * z / self.focal - self.bend * z * z
        return x.astype(np.float32), z
