# Copyright (c) mmseg_ctt contributors.
"""Canvas: surface colour, emitted light, label and depth of every pixel of a scene."""

from typing import List, Optional, Tuple, Union

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .camera import FAR
from .texture import Colour

# Bits of a fraction of a pixel in corner coordinates.
SHIFT = 4
Box = Tuple[slice, slice]


class Canvas:
    """Canvas of a scene, painted from far to near.

    Args:
        height (int): Rows.
        width (int): Columns.

    Attributes:
        colour (np.ndarray): float32 ``(H, W, 3)``, surface colour.
        glow (np.ndarray): float32 ``(H, W, 3)``, emitted light.
        label (np.ndarray): uint8 ``(H, W)``.
        depth (np.ndarray): float32 ``(H, W)``, metres.
    """

    def __init__(self, height: int, width: int) -> None:
        self.shape = (height, width)
        self.colour: np.ndarray = np.zeros((height, width, 3), np.float32)
        self.glow: np.ndarray = np.zeros((height, width, 3), np.float32)
        self.label: np.ndarray = np.zeros((height, width), np.uint8)
        self.depth: np.ndarray = np.full((height, width), FAR, np.float32)

    def shrunk(self, factor: int) -> 'Canvas':
        """Copy at a lower resolution, colours averaged.

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
        """Bounding box of points, cut to the canvas.

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

    def polygon_mask(self, points: np.ndarray, box: Box) -> np.ndarray:
        """Mask of a polygon over the pixels of a box.

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
        depth: Union[float, np.ndarray],
        glow: Optional[np.ndarray] = None,
    ) -> None:
        """Paint the masked pixels of a box with a texture.

        Args:
            box (tuple[slice, slice]): The box, with the size of all arrays.
            mask (np.ndarray): bool ``(h, w)``.
            colour (np.ndarray): ``(h, w, 3)``, RGB.
            class_id (int): Label.
            depth (float | np.ndarray): Metres, of all pixels or ``(h, w)``.
            glow (np.ndarray, optional): Emitted light, ``(h, w, 3)``.
        """
        selected = mask.view(np.uint8)
        cv2.copyTo(np.asarray(colour, np.float32), selected, self.colour[box])
        np.copyto(self.depth[box], depth, where=mask)
        self.label[box][mask] = class_id
        if glow is not None:
            cv2.copyTo(glow, selected, self.glow[box])

    def polygon(
        self,
        points: ArrayLike,
        colour: Colour,
        class_id: Optional[int],
        depth: float,
        glow: Colour = (0, 0, 0),
    ) -> None:
        """Paint a polygon of one colour.

        Args:
            points (ArrayLike): Corners ``(N, 2)`` in pixels.
            colour (Sequence[float] | np.ndarray): RGB.
            class_id (int, optional): Label; None leaves labels as they are.
            depth (float): Metres.
            glow (Sequence[float] | np.ndarray): Emitted light, RGB. Defaults to none.
        """
        corners = [_fixed_point(points)]
        values: List[Tuple[np.ndarray, Colour]] = [
            (self.colour, colour),
            (self.glow, glow),
            (self.depth, [depth]),
        ]
        if class_id is not None:
            values.append((self.label, [class_id]))
        for target, value in values:
            cv2.fillPoly(target, corners, [float(v) for v in value], shift=SHIFT)

    def ellipse(
        self,
        centre: ArrayLike,
        radii: ArrayLike,
        colour: Colour,
        class_id: Optional[int],
        depth: float,
        glow: Colour = (0, 0, 0),
    ) -> None:
        """Paint an upright ellipse; see :meth:`polygon`.

        Args:
            centre (ArrayLike): ``(2,)``, column and row.
            radii (ArrayLike): ``(2,)``, across and down.
            colour (Sequence[float] | np.ndarray): RGB.
            class_id (int, optional): Label.
            depth (float): Metres.
            glow (Sequence[float] | np.ndarray): Emitted light, RGB. Defaults to none.
        """
        angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        circle = np.stack([np.cos(angle), np.sin(angle)], 1)
        self.polygon(np.asarray(centre) + circle * np.asarray(radii), colour, class_id, depth, glow)

    def line(
        self,
        start: ArrayLike,
        end: ArrayLike,
        width: float,
        colour: Colour,
        class_id: Optional[int],
        depth: float,
        glow: Colour = (0, 0, 0),
    ) -> None:
        """Paint a straight stroke; see :meth:`polygon`.

        Args:
            start (ArrayLike): ``(2,)``, column and row.
            end (ArrayLike): ``(2,)``, column and row.
            width (float): Pixels.
            colour (Sequence[float] | np.ndarray): RGB.
            class_id (int, optional): Label.
            depth (float): Metres.
            glow (Sequence[float] | np.ndarray): Emitted light, RGB. Defaults to none.
        """
        first, last = np.asarray(start, float), np.asarray(end, float)
        along = last - first
        normal = np.array([-along[1], along[0]]) / (np.hypot(*along) + 1e-6)
        half = normal * width / 2
        self.polygon(
            [first + half, last + half, last - half, first - half], colour, class_id, depth, glow
        )

    def shadow(self, points: ArrayLike, factor: float) -> None:
        """Darken a polygon without changing labels.

        Args:
            points (ArrayLike): Corners ``(N, 2)``.
            factor (float): Multiplies the colours.
        """
        corners = np.asarray(points, np.float64)
        box = self.box(corners)
        if box is not None:
            self.colour[box][self.polygon_mask(corners, box)] *= factor

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
            glow (np.ndarray, optional): Emitted light, as ``texture``.
        """
        box = self.box(corners)
        if box is None:
            return
        mask = self.polygon_mask(corners, box)
        height, width = texture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        target = (corners - (box[1].start, box[0].start)).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)

        def warped(array: np.ndarray) -> np.ndarray:
            return cv2.warpPerspective(
                array, matrix, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE
            )

        colour = warped(texture)
        if alpha is not None:
            opacity = warped(alpha)[..., None]
            colour = opacity * colour + (1 - opacity) * self.colour[box]
        across = np.arange(box[1].start, box[1].stop)
        # 1 / depth is linear over the columns of a plane
        inverse = np.interp(across, *_ascending(corners[:2, 0], distances))
        depth = np.tile(1 / inverse, (len(mask), 1))
        self.paint(box, mask, colour, class_id, depth, None if glow is None else warped(glow))


def _fixed_point(points: ArrayLike) -> np.ndarray:
    # Clipped, because OpenCV computes with 32 bits.
    clipped = np.clip(np.asarray(points, np.float64), -20000, 20000)
    return np.round(clipped * (1 << SHIFT)).astype(np.int32)


def _ascending(cols: np.ndarray, distances: Tuple[float, float]) -> Tuple[np.ndarray, np.ndarray]:
    order = np.argsort(cols)
    return cols[order], 1 / np.asarray(distances)[order]
