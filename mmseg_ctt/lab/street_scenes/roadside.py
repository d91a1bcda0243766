# Copyright (c) mmseg_ctt contributors.
"""Buildings, fences and trees along the street."""

from typing import Tuple

import cv2
import numpy as np

from ...datasets.streets_layout import BUILDING, FENCE, VEGETATION
from .canvas import Canvas
from .ground import darken_below
from .scene import Scene
from .texture import Colour, fence, fractal, jitter, pick, wall

# Largest side of a facade's texture in pixels.
MAX_TEXTURE = 180
FENCE_HEIGHT = dict(
    plank=(1.5, 2.4),
    bars=(1.2, 2.2),
    mesh=(1.5, 2.6),
    picket=(0.9, 1.4),
    rail=(0.8, 1.1),
    wall=(0.9, 2.1),
)


def _sky_glass(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    if rng.random() < 0.4:
        return jitter(rng, scene.drive.sky[1], 0.1) * 0.8
    return jitter(rng, (0.14, 0.16, 0.2), 0.1)


def _windows(scene: Scene, face: np.ndarray, pixels: float, storeys: int) -> np.ndarray:
    """Draw a grid of windows, and return the light that they emit."""
    rng = scene.rng
    glow = np.zeros_like(face)
    height, width = face.shape[:2]
    floor = height / storeys
    pitch = pixels * rng.uniform(1.6, 4.2)
    tall, wide = rng.uniform(0.35, 0.75), rng.uniform(0.3, 0.8)
    glass, frame = _sky_glass(rng, scene), jitter(rng, (0.75, 0.75, 0.72), 0.15)
    shop = rng.random() < 0.35
    awning = jitter(rng, scene.draw_colour('facades'), 0.1)
    lit = scene.drive.night * rng.uniform(0.1, 0.5)
    for storey in range(storeys):
        top = height - (storey + 1) * floor
        broad = shop and storey == 0
        filled = 0.85 if broad else wide
        for col in np.arange(pitch * 0.2, width - pitch * 0.5, pitch):
            rect = (
                int(col),
                int(top + floor * (1 - tall) * 0.5),
                int(col + pitch * filled),
                int(top + floor * (1 + tall) * 0.5),
            )
            cv2.rectangle(face, rect[:2], rect[2:], frame.tolist(), -1)
            pane = glass * rng.uniform(0.6, 1.3)
            inner = tuple(np.add(rect, (1, 1, -1, -1)).tolist())
            cv2.rectangle(face, inner[:2], inner[2:], pane.tolist(), -1)
            if rng.random() < (0.9 if broad else 1) * lit:
                warm = np.array((0.9, 0.7, 0.4)) * rng.uniform(0.3, 1)
                cv2.rectangle(glow, inner[:2], inner[2:], warm.tolist(), -1)
        if broad:
            cv2.rectangle(
                face, (0, int(top)), (width, int(top + floor * 0.22)), awning.tolist(), -1
            )
    return glow


def paint_facade(scene: Scene, x: float, near: float, far: float, side: int) -> None:
    """Paint one building beside the street.

    Args:
        scene (Scene): The scene.
        x (float): Its front, metres to the right.
        near (float): Where it begins, metres ahead.
        far (float): Where it ends.
        side (int): 0 is left, 1 is right.
    """
    rng, camera = scene.rng, scene.camera
    storeys = int(rng.integers(1, 8))
    high = storeys * rng.uniform(2.6, 3.8)
    # Seen from the street, the right wall runs from far to near rightwards.
    left, right = (far, near) if side == 1 else (near, far)
    corners = camera.project([(x, high, left), (x, high, right), (x, 0, right), (x, 0, left)])
    if scene.canvas.box(corners) is None:
        return
    longest = max(high, far - near)
    pixels = min(camera.focal / np.sqrt(near * far), 14, MAX_TEXTURE / longest)
    size = (max(int(high * pixels), 4), max(int((far - near) * pixels), 4))
    kind, colour = scene.draw_kind('walls'), scene.draw_colour('facades')
    face = wall(rng, kind, colour, *size, pixels) * np.float32(scene.shade(side))
    glow = _windows(scene, face, pixels, storeys) if rng.random() > 0.08 else None
    face[: max(int(pixels * 0.35), 1)] *= rng.uniform(0.5, 1.3)
    scene.canvas.warp(face, corners, (left, right), BUILDING, glow=glow)
    _paint_end_wall(scene, x, far, high, side, face.mean((0, 1)), near)
    if high < 11 and rng.random() < 0.6:
        _paint_roof(scene, x, (near, far), high, side)


def _paint_end_wall(
    scene: Scene, x: float, far: float, high: float, side: int, colour: np.ndarray, near: float
) -> None:
    """End wall, visible where the next building stands further back."""
    out = 2 * side - 1
    corners = scene.camera.project(
        [(x, high, near), (x + out * 12, high, near), (x + out * 12, 0, near), (x, 0, near)]
    )
    colour = colour * scene.rng.uniform(0.7, 1.1)
    scene.canvas.polygon(corners, colour, BUILDING, near)


def _paint_roof(scene: Scene, x: float, span: Tuple[float, float], high: float, side: int) -> None:
    rng, out = scene.rng, 2 * side - 1
    top = high + rng.uniform(1.5, 4)
    tiles = ((0.45, 0.2, 0.15), (0.25, 0.25, 0.27), (0.35, 0.3, 0.28), (0.55, 0.35, 0.25))
    colour = jitter(rng, pick(rng, tiles), 0.1)
    if scene.drive.snow and rng.random() < 0.7:
        colour = jitter(rng, (0.85, 0.87, 0.9), 0.03)
    near, far = span
    points = [(x, high, near), (x, high, far), (x + out * 4, top, far), (x + out * 4, top, near)]
    scene.canvas.polygon(scene.camera.project(points), colour, BUILDING, near)


def paint_fence(scene: Scene, x: float, near: float, far: float) -> None:
    """Paint a fence along the street.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        near (float): Where it begins, metres ahead.
        far (float): Where it ends.
    """
    rng, camera = scene.rng, scene.camera
    kind = scene.draw_kind('fences')
    high = rng.uniform(*FENCE_HEIGHT[kind])
    pixels = float(np.clip(camera.focal / np.sqrt(near * far), 8, 24))
    size = (max(int(high * pixels), 4), max(int((far - near) * pixels), 4))
    colour = jitter(rng, scene.draw_colour('fence_colours'), 0.12)
    face, alpha = fence(rng, kind, colour, *size, pixels)
    left, right = (near, far) if x < 0 else (far, near)
    corners = camera.project([(x, high, left), (x, high, right), (x, 0, right), (x, 0, left)])
    shade = scene.shade(int(x > 0))
    scene.canvas.warp(face * shade, corners, (left, right), FENCE, alpha)


def paint_hedge(scene: Scene, x: float, near: float, far: float) -> None:
    """Paint a clipped hedge along the street.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        near (float): Where it begins, metres ahead.
        far (float): Where it ends.
    """
    rng, high = scene.rng, scene.rng.uniform(0.8, 2.2)
    leaf = jitter(rng, scene.draw_colour('leaves'))
    texture = 1 + 0.3 * fractal(rng, 48, 160, 16, 3)
    left, right = (near, far) if x < 0 else (far, near)
    corners = scene.camera.project([(x, high, left), (x, high, right), (x, 0, right), (x, 0, left)])
    scene.canvas.warp(
        leaf * np.clip(texture, 0.2, 2)[..., None], corners, (left, right), VEGETATION
    )


def paint_tree(scene: Scene, x: float, z: float) -> None:
    """Paint a tree or a bush.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng, canvas = scene.rng, scene.canvas
    foot, metre = scene.ground_pixel(x, z)
    tall = metre * rng.uniform(3.5, 11)
    bark = jitter(rng, pick(rng, ((0.3, 0.22, 0.16), (0.4, 0.37, 0.33), (0.2, 0.17, 0.15))))
    leaf = jitter(rng, scene.draw_colour('leaves'), 0.1) * scene.shade(int(x > 0))
    if rng.random() < 0.15:
        _paint_crown(
            canvas, rng, foot - (0, metre * 0.5), (metre * 1.2, metre * 0.7), leaf, z, 'round'
        )
        return
    darken_below(scene, x, z, (1.2, 0.8), 0.75)
    trunk = foot - (metre * rng.normal(0, 0.15), tall * 0.5)
    canvas.line(foot, trunk, metre * rng.uniform(0.12, 0.24), bark, VEGETATION, z)
    if rng.random() < scene.drive.bare:
        _paint_branches(canvas, rng, trunk, tall * 0.4, bark, z)
        return
    shape = pick(rng, ('round', 'round', 'round', 'cone', 'column'))
    wide = {'round': rng.uniform(0.25, 0.45), 'cone': 0.25, 'column': 0.13}[shape]
    _paint_crown(canvas, rng, foot - (0, tall * 0.58), (tall * wide, tall * 0.42), leaf, z, shape)
    if scene.drive.snow and rng.random() < 0.5:
        _paint_crown(
            canvas,
            rng,
            foot - (0, tall * 0.8),
            (tall * wide * 0.6, tall * 0.18),
            (0.85, 0.87, 0.9),
            z,
            shape,
        )


def _paint_crown(
    canvas: Canvas,
    rng: np.random.Generator,
    centre: np.ndarray,
    radii: Tuple[float, float],
    leaf: Colour,
    depth: float,
    shape: str,
) -> None:
    reach = np.asarray(radii) * 1.25
    box = canvas.box(np.stack([centre - reach, centre + reach]))
    if box is None:
        return
    rows, cols = np.mgrid[box[0], box[1]]
    across = (cols - centre[0]) / radii[0]
    down = (rows - centre[1]) / radii[1]
    ragged = fractal(rng, len(rows), len(rows[0]), 5, 4)
    width = np.clip((down + 1) / 2, 0.02, 1) if shape == 'cone' else 1.0
    inside = (across / width) ** 2 + down**2 + 0.22 * ragged < 1
    if shape == 'cone':
        inside &= np.abs(down) < 1
    clumps = ragged[::-1, ::-1]
    shade = np.clip(1 + 0.32 * clumps - 0.25 * down, 0.15, 2)
    canvas.paint(box, inside, np.asarray(leaf) * shade[..., None], VEGETATION, depth)


def _paint_branches(
    canvas: Canvas,
    rng: np.random.Generator,
    foot: np.ndarray,
    length: float,
    bark: np.ndarray,
    depth: float,
) -> None:
    tips = [(foot, -np.pi / 2, length)]
    for _ in range(4):
        grown = []
        for start, angle, size in tips:
            end = start + size * np.array([np.cos(angle), np.sin(angle)])
            canvas.line(start, end, max(size * 0.12, 2.5), bark, VEGETATION, depth)
            for turn in rng.uniform(0.2, 0.7, 2) * (-1, 1):
                grown.append((end, angle + turn, size * rng.uniform(0.55, 0.8)))
        tips = grown
