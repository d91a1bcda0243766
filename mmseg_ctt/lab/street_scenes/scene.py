# Copyright (c) mmseg_ctt contributors.
"""Scene: canvas, camera, street and drive in one."""

from dataclasses import dataclass, replace
from typing import Tuple

import numpy as np

from .camera import Camera
from .canvas import Canvas
from .drive import RGB, Drive
from .drives import DRIVES
from .texture import pick

# Probability that a colour or kind comes from the palette of another drive.
FOREIGN = 0.05


@dataclass(frozen=True)
class Street:
    """Cross section of a street, in metres; pairs are left and right.

    Args:
        kerb (tuple[float, float]): Edges of the road, negative and positive.
        pavement (tuple[float, float]): Widths of the pavements.
        setback (tuple[float, float]): Distances from pavement to buildings.
        lawn (tuple[bool, bool]): Whether the setback is grass, not paved.
        lanes (int): Lanes of the road.
    """

    kerb: Tuple[float, float]
    pavement: Tuple[float, float]
    setback: Tuple[float, float]
    lawn: Tuple[bool, bool]
    lanes: int

    def fence_line(self, side: int) -> float:
        """Border of pavement and setback.

        Args:
            side (int): 0 is left, 1 is right.

        Returns:
            float: x in metres.
        """
        return self.kerb[side] + (2 * side - 1) * self.pavement[side]

    def wall_line(self, side: int) -> float:
        """Front of the buildings.

        Args:
            side (int): 0 is left, 1 is right.

        Returns:
            float: x in metres.
        """
        return self.fence_line(side) + (2 * side - 1) * self.setback[side]


@dataclass(frozen=True)
class Scene:
    """Everything that a painting function needs.

    Args:
        canvas (Canvas): The picture so far.
        camera (Camera): The camera.
        street (Street): Layout of the street.
        drive (Drive): Light, weather and colours.
        rng (np.random.Generator): Source of randomness.
        sunny (int): Side that the sun shines on, 0 or 1.
    """

    canvas: Canvas
    camera: Camera
    street: Street
    drive: Drive
    rng: np.random.Generator
    sunny: int

    def _random_drive(self) -> Drive:
        return pick(self.rng, DRIVES) if self.rng.random() < FOREIGN else self.drive

    def draw_colour(self, palette: str) -> RGB:
        """Draw a colour of the drive, with probability ``FOREIGN`` of any drive.

        Args:
            palette (str): Field of :class:`Drive` that holds colours.

        Returns:
            tuple[float, float, float]: RGB, 0 to 1.
        """
        return pick(self.rng, getattr(self._random_drive(), palette))

    def draw_kind(self, field: str) -> str:
        """Draw a kind of thing of the drive, with probability ``FOREIGN`` of any drive.

        Args:
            field (str): Field of :class:`Drive` that holds kinds.

        Returns:
            str: The kind.
        """
        return pick(self.rng, getattr(self._random_drive(), field))

    def shade(self, side: int) -> float:
        """Brightness of a wall on one side of the street.

        Args:
            side (int): 0 is left, 1 is right.

        Returns:
            float: Factor of its colour.
        """
        return 1 + self.drive.sun * (0.25 if side == self.sunny else -0.45)

    def shrunk(self, factor: int) -> 'Scene':
        """Copy of the scene at a lower resolution.

        Args:
            factor (int): Divides height and width.

        Returns:
            Scene: A new one.
        """
        camera = replace(
            self.camera,
            focal=self.camera.focal / factor,
            centre=self.camera.centre / factor,
            horizon=self.camera.horizon / factor,
        )
        return replace(self, canvas=self.canvas.shrunk(factor), camera=camera)

    def ground_pixel(self, x: float, z: float) -> Tuple[np.ndarray, float]:
        """Pixel of a point of the ground, and the scale at its distance.

        Args:
            x (float): Metres to the right.
            z (float): Metres ahead.

        Returns:
            tuple[np.ndarray, float]: Column and row; pixels per metre.
        """
        return self.camera.project([(x, 0, z)])[0], self.camera.focal / z


def make_scene(drive: Drive, rng: np.random.Generator, height: int, width: int) -> Scene:
    """Scene with a random camera and a random street.

    Args:
        drive (Drive): The drive.
        rng (np.random.Generator): Source of randomness.
        height (int): Rows of the canvas.
        width (int): Columns of the canvas.

    Returns:
        Scene: With an empty canvas.
    """
    camera = Camera(
        focal=width * drive.focal,
        centre=width * rng.uniform(0.44, 0.56),
        horizon=height * (drive.horizon + rng.normal(0, 0.012)),
        height=drive.camera_height,
        bend=rng.normal(0, 0.0022) * (rng.random() < 0.6),
        roll=rng.normal(0, 0.008),
    )
    lanes = int(rng.integers(2, 5))
    lane_width = rng.uniform(2.8, 3.6)
    # The camera is in one of the lanes of the right half.
    right = lane_width * (rng.integers(1, lanes // 2 + 1) - 0.5)
    street = Street(
        kerb=(right - lanes * lane_width, right),
        pavement=(rng.uniform(1.4, 4.5), rng.uniform(1.4, 4.5)),
        setback=tuple(np.where(rng.random(2) < 0.55, 0.05, rng.uniform(1.5, 7, 2))),
        lawn=tuple(rng.random(2) < 0.5),
        lanes=lanes,
    )
    return Scene(Canvas(height, width), camera, street, drive, rng, int(rng.integers(2)))
