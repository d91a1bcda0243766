# Copyright (c) mmseg_ctt contributors.
"""Poles, traffic signs and street clutter."""

from typing import Tuple

import numpy as np

from ...datasets.streets_layout import IGNORE_INDEX, POLE, SIGN
from .ground import darken_below
from .scene import Scene
from .texture import jitter, pick

RED, WHITE, BLUE = (0.78, 0.08, 0.1), (0.92, 0.92, 0.9), (0.1, 0.25, 0.7)
YELLOW, GREEN, DARK = (0.92, 0.75, 0.1), (0.05, 0.4, 0.2), (0.08, 0.08, 0.09)
# Shape, colour of the edge, colour inside.
SIGNS = dict(
    ban=('disc', RED, WHITE),
    round=('disc', RED, RED),
    arrow=('disc', BLUE, BLUE),
    warning=('triangle', RED, WHITE),
    yellow=('triangle', RED, YELLOW),
    priority=('diamond', WHITE, YELLOW),
    stop=('octagon', WHITE, RED),
    board=('board', WHITE, BLUE),
    green=('board', WHITE, GREEN),
    parking=('board', BLUE, WHITE),
    light=('light', DARK, DARK),
)
ANGLES = dict(disc=18, triangle=3, diamond=4, octagon=8)


def _post(
    scene: Scene, x: float, z: float, height: float, width: float, colour: np.ndarray
) -> Tuple[np.ndarray, float]:
    """Paint a post and return its top and the pixels per metre."""
    foot, metre = scene.ground_pixel(x, z)
    top = foot - (scene.rng.normal(0, 0.01) * height * metre, height * metre)
    darken_below(scene, x, z, (0.25, 0.2), 0.7)
    # At least two pixels of the finished picture.
    scene.canvas.line(foot, top, max(width * metre, 3.5), colour, POLE, z)
    return top, metre


def paint_pole(scene: Scene, x: float, z: float) -> None:
    """Paint a lamp post, utility pole, plain post or bollard.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng, canvas = scene.rng, scene.canvas
    colour = jitter(rng, scene.draw_colour('poles'))
    kind = pick(rng, ('lamp', 'lamp', 'utility', 'post', 'bollard'))
    if kind == 'bollard':
        _post(scene, x, z, 1.0, 0.3, colour)
    elif kind == 'post':
        _post(scene, x, z, rng.uniform(2.5, 4), 0.26, colour)
    elif kind == 'utility':
        top, metre = _post(scene, x, z, rng.uniform(6, 9), 0.4, colour)
        beam = top + (0, 0.6 * metre)
        canvas.line(beam - (metre, 0), beam + (metre, 0), max(0.14 * metre, 1.6), colour, POLE, z)
    else:
        top, metre = _post(scene, x, z, rng.uniform(4.5, 8), 0.3, colour)
        arm = np.array([-np.sign(x) * metre * rng.uniform(0, 1.6), -0.2 * metre])
        canvas.line(top, top + arm, max(0.1 * metre, 1.6), colour, POLE, z)
        glow = np.array((1.6, 1.2, 0.6)) * scene.drive.night
        canvas.ellipse(top + arm, (0.35 * metre, 0.16 * metre), colour * 1.1, POLE, z, glow=glow)


def paint_sign(scene: Scene, x: float, z: float) -> None:
    """Paint a post with a traffic sign or with traffic lights.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng = scene.rng
    metal = jitter(rng, scene.draw_colour('poles'))
    top, metre = _post(scene, x, z, rng.uniform(2.1, 2.7), 0.2, metal)
    shape, edge, inner = SIGNS[scene.draw_kind('signs')]
    if shape == 'light':
        _paint_lights(scene, top, metre, z)
        return
    radius = metre * rng.uniform(0.42, 0.55)
    squeeze = rng.uniform(0.7, 1)
    for scale, colour in ((1, jitter(rng, edge, 0.06)), (0.72, jitter(rng, inner, 0.06))):
        points = top + _outline(shape, rng) * (radius * scale * squeeze, radius * scale)
        scene.canvas.polygon(points, colour, SIGN, z)
    if rng.random() < 0.7:
        ink = np.full(3, 0.08) if inner in (WHITE, YELLOW) else np.full(3, 0.92)
        bar = rng.uniform(-0.4, 0.4, (2, 2)) * (radius * squeeze, radius)
        scene.canvas.line(top + bar[0], top + bar[1], radius * 0.18, ink, SIGN, z)


def _outline(shape: str, rng: np.random.Generator) -> np.ndarray:
    if shape == 'board':
        return np.array([(-1.4, -0.8), (1.4, -0.8), (1.4, 0.8), (-1.4, 0.8)])
    count = ANGLES[shape]
    start = {'triangle': -np.pi / 2, 'diamond': 0.0}.get(shape, np.pi / count)
    angle = start + np.arange(count) * 2 * np.pi / count
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _paint_lights(scene: Scene, top: np.ndarray, metre: float, z: float) -> None:
    half = np.array([0.22, 0.58]) * metre
    box = [top - half, top + half * (1, -1), top + half, top - half * (1, -1)]
    case = jitter(scene.rng, DARK)
    scene.canvas.polygon(box, case, SIGN, z)
    lit = int(scene.rng.integers(3))
    for row, colour in enumerate(((0.9, 0.1, 0.08), (0.95, 0.7, 0.1), (0.1, 0.85, 0.4))):
        shown = np.array(colour) * (1 if row == lit else 0.25)
        scene.canvas.ellipse(
            top + (0, (row - 1) * 0.37 * metre),
            (0.15 * metre, 0.15 * metre),
            shown,
            SIGN,
            z,
            glow=shown * (row == lit) * 0.9,
        )


def paint_clutter(scene: Scene, x: float, z: float) -> None:
    """Paint a bin, a box or a crate that belongs to no class.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng = scene.rng
    foot, metre = scene.ground_pixel(x, z)
    half, tall = metre * rng.uniform(0.2, 0.5), metre * rng.uniform(0.6, 1.4)
    colour = jitter(rng, scene.draw_colour('cars'), 0.15)
    darken_below(scene, x, z, (0.5, 0.4), 0.6)
    scene.canvas.polygon(
        [foot - (half, 0), foot + (half, 0), foot + (half, -tall), foot - (half, tall)],
        colour,
        IGNORE_INDEX,
        z,
    )
