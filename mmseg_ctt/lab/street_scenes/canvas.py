# Copyright (c) mmseg_ctt contributors.
"""Camera and canvas: surface colour, glow, label and depth of a scene."""

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

from .texture import Colour

# Metres after which everything counts as infinitely far.
FAR = 400.0
# Bits of a fraction of a pixel in corner coordinates.
SHIFT = 4
Box = Tuple[slice, slice]


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

    def project(self, points: Sequence[Sequence[float]]) -> np.ndarray:
        """Project points.

        Args:
            points (Sequence): ``(N, 3)`` as x, y, z in metres, z above 0.

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
        """Where the ray of each pixel meets the ground.

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


class Canvas:
    """What a scene is painted on, far things first.

    Args:
        height (int): Rows.
        width (int): Columns.

    Attributes:
        colour (np.ndarray): float32 ``(H, W, 3)``, surface colour.
        glow (np.ndarray): float32 ``(H, W, 3)``, light given off.
        label (np.ndarray): uint8 ``(H, W)``.
        depth (np.ndarray): float32 ``(H, W)``, metres.
    """

    def __init__(self, height: int, width: int) -> None:
        self.shape = (height, width)
        self.colour = np.zeros((height, width, 3), np.float32)
        self.glow = np.zeros((height, width, 3), np.float32)
        self.label = np.zeros((height, width), np.uint8)
        self.depth = np.full((height, width), FAR, np.float32)

    def shrunk(self, factor: int) -> 'Canvas':
        """The same at a lower resolution, colours averaged.

        Args:
            factor (int): Divides height and width.

        Returns:
            Canvas: A new one.
        """
        small = Canvas(self.shape[0] // factor, self.shape[1] // factor)
        size = small.shape[::-1]
        small.colour = cv2.resize(self.colour, size, interpolation=cv2.INTER_AREA)
        small.glow = cv2.resize(self.glow, size, interpolation=cv2.INTER_AREA)
        small.label = np.ascontiguousarray(self.label[::factor, ::factor])
        small.depth = np.ascontiguousarray(self.depth[::factor, ::factor])
        return small

    def box(self, points: np.ndarray) -> Optional[Box]:
        """Rows and columns that hold the points, cut to the canvas.

        Args:
            points (np.ndarray): ``(N, 2)``.

        Returns:
            tuple[slice, slice] | None: None if nothing lies inside.
        """
        low = np.maximum(np.floor(points.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(points.max(0)) + 1, self.shape[::-1]).astype(int)
        if (high <= low).any():
            return None
        return slice(low[1], high[1]), slice(low[0], high[0])

    def inside(self, points: np.ndarray, box: Box) -> np.ndarray:
        """Which pixels of a box lie in a polygon.

        Args:
            points (np.ndarray): Corners ``(N, 2)``.
            box (tuple[slice, slice]): The box.

        Returns:
            np.ndarray: bool.
        """
        mask = np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.uint8)
        corners = _fixed_point(points - (box[1].start, box[0].start))
        cv2.fillPoly(mask, [corners], 1, shift=SHIFT)
        return mask.view(bool)

    def paint(
        self,
        box: Box,
        mask: np.ndarray,
        colour: np.ndarray,
        class_id: int,
        depth: np.ndarray,
        glow: Optional[np.ndarray] = None,
    ) -> None:
        """Paint the masked pixels of a box with a texture.

        Args:
            box (tuple[slice, slice]): The box, with the size of all arrays.
            mask (np.ndarray): bool ``(h, w)``.
            colour (np.ndarray): ``(h, w, 3)``.
            class_id (int): Label.
            depth (np.ndarray): Metres, a number or ``(h, w)``.
            glow (np.ndarray, optional): Light given off, ``(h, w, 3)``.
        """
        cut = mask.view(np.uint8)
        cv2.copyTo(np.asarray(colour, np.float32), cut, self.colour[box])
        np.copyto(self.depth[box], depth, where=mask)
        self.label[box][mask] = class_id
        if glow is not None:
            cv2.copyTo(glow, cut, self.glow[box])

    def polygon(
        self,
        points: Sequence[Sequence[float]],
        colour: Colour,
        class_id: Optional[int],
        depth: float,
        glow: Colour = (0, 0, 0),
    ) -> None:
        """Paint a polygon of one colour.

        Args:
            points (Sequence): Corners ``(N, 2)`` in pixels.
            colour (Sequence[float]): RGB.
            class_id (int, optional): Label; None leaves labels as they are.
            depth (float): Metres.
            glow (Sequence[float]): Light given off. Defaults to none.
        """
        corners = [_fixed_point(points)]
        values = [(self.colour, colour), (self.glow, glow), (self.depth, [depth])]
        if class_id is not None:
            values.append((self.label, [class_id]))
        for target, value in values:
            cv2.fillPoly(target, corners, [float(v) for v in value], shift=SHIFT)

    def ellipse(
        self,
        centre: Sequence[float],
        radii: Sequence[float],
        colour: Colour,
        class_id: Optional[int],
        depth: float,
        **kwargs: object,
    ) -> None:
        """Paint an upright ellipse; see :meth:`polygon`.

        Args:
            centre (Sequence[float]): Column and row.
            radii (Sequence[float]): Across and down.
            colour (Sequence[float]): RGB.
            class_id (int, optional): Label.
            depth (float): Metres.
            **kwargs: As for :meth:`polygon`.
        """
        angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        circle = np.stack([np.cos(angle), np.sin(angle)], 1)
        self.polygon(
            np.asarray(centre) + circle * np.asarray(radii), colour, class_id, depth, **kwargs
        )

    def line(
        self,
        start: Sequence[float],
        end: Sequence[float],
        width: float,
        colour: Colour,
        class_id: Optional[int],
        depth: float,
        **kwargs: object,
    ) -> None:
        """Paint a straight stroke; see :meth:`polygon`.

        Args:
            start (Sequence[float]): Column and row.
            end (Sequence[float]): Column and row.
            width (float): Pixels.
            colour (Sequence[float]): RGB.
            class_id (int, optional): Label.
            depth (float): Metres.
            **kwargs: As for :meth:`polygon`.
        """
        start, end = np.asarray(start, float), np.asarray(end, float)
        along = end - start
        normal = np.array([-along[1], along[0]]) / (np.hypot(*along) + 1e-6)
        half = normal * width / 2
        self.polygon(
            [start + half, end + half, end - half, start - half], colour, class_id, depth, **kwargs
        )

    def shadow(self, points: Sequence[Sequence[float]], factor: float) -> None:
        """Darken a polygon without changing labels.

        Args:
            points (Sequence): Corners ``(N, 2)``.
            factor (float): Times which the colours are taken.
        """
        points = np.asarray(points, np.float64)
        box = self.box(points)
        if box is not None:
            self.colour[box][self.inside(points, box)] *= factor

    def warp(
        self,
        texture: np.ndarray,
        corners: np.ndarray,
        distances: Tuple[float, float],
        class_id: int,
        alpha: Optional[np.ndarray] = None,
        glow: Optional[np.ndarray] = None,
    ) -> None:
        """Paint a flat upright texture in perspective.

        Args:
            texture (np.ndarray): float32 ``(h, w, 3)``.
            corners (np.ndarray): ``(4, 2)``: top left, top right, bottom
                right, bottom left of the texture.
            distances (tuple[float, float]): Depth of its left and right edge.
            class_id (int): Label of the whole quadrilateral.
            alpha (np.ndarray, optional): Opacity ``(h, w)``.
            glow (np.ndarray, optional): Light given off, as ``texture``.
        """
        box = self.box(corners)
        if box is None:
            return
        mask = self.inside(corners, box)
        height, width = texture.shape[:2]
        source = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
        target = np.float32(corners - (box[1].start, box[0].start))
        matrix = cv2.getPerspectiveTransform(source, target)

        def bring(array: np.ndarray) -> np.ndarray:
            return cv2.warpPerspective(
                array, matrix, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE
            )

        colour = bring(texture)
        if alpha is not None:
            part = bring(alpha)[..., None]
            colour = part * colour + (1 - part) * self.colour[box]
        across = np.arange(box[1].start, box[1].stop)
        # 1 / depth is linear over the columns of a plane
        near = np.interp(across, *_ascending(corners[:2, 0], distances))
        depth = np.tile(1 / near, (len(mask), 1))
        self.paint(box, mask, colour, class_id, depth, None if glow is None else bring(glow))


def _fixed_point(points: Sequence[Sequence[float]]) -> np.ndarray:
    # Clipped, because OpenCV computes with 32 bits.
    points = np.clip(np.asarray(points, np.float64), -20000, 20000)
    return np.round(points * (1 << SHIFT)).astype(np.int32)


def _ascending(cols: np.ndarray, distances: Tuple[float, float]) -> Tuple[np.ndarray, np.ndarray]:
    order = np.argsort(cols)
    return cols[order], 1 / np.asarray(distances)[order]
