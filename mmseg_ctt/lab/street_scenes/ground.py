# Copyright (c) mmseg_ctt contributors.
"""Sky, skyline, road, pavements and lane markings."""

from typing import Callable, Tuple

import cv2
import numpy as np

from ...datasets.streets_layout import BUILDING, LANE, PAVEMENT, ROAD, SKY, VEGETATION
from .camera import FAR
from .canvas import Box
from .scene import Scene
from .texture import fractal, jitter, pick

# Side of the square of random numbers that is repeated over the ground.
TILE = 256
# Paints the masked ground: mask, colour, texture, class id.
Painter = Callable[[np.ndarray, np.ndarray, np.ndarray, int], None]


def paint_sky(scene: Scene) -> None:
    """Paint sky over the whole canvas: gradient, clouds, a bright spot.

    Args:
        scene (Scene): The scene.
    """
    canvas, drive, rng = scene.canvas, scene.drive, scene.rng
    width = canvas.shape[1]
    # The rest will be ground, however the camera is rolled.
    height = min(int(scene.camera.horizon + 0.1 * width), canvas.shape[0])
    down = np.arange(height)[:, None, None] / scene.camera.horizon
    down = np.minimum(down, 1) ** rng.uniform(0.7, 1.6)
    top, low = (jitter(rng, colour, 0.05) for colour in drive.sky)
    sky = (1 - down) * top + down * low
    cover = rng.uniform(-0.8, 1.2)
    clouds = np.clip(fractal(rng, height, width, 3, 5) - cover, 0, 1)[..., None]
    lit = low * rng.uniform(0.75, 1.2)
    sky = sky * (1 - 0.7 * clouds) + 0.7 * clouds * lit
    if drive.sun and rng.random() < 0.5:
        rows, cols = np.mgrid[:height, :width]
        spot = (rng.uniform(0, width), rng.uniform(0, scene.camera.horizon))
        away = np.hypot(cols - spot[0], rows - spot[1]) / width
        sky = sky + np.exp(-away / 0.12)[..., None] * (0.5, 0.45, 0.35)
    # The colour of the sky includes the light, which light_scene applies again.
    canvas.colour[:height] = sky / np.asarray(drive.light, np.float32)
    canvas.label[:] = SKY


def paint_skyline(scene: Scene) -> None:
    """Paint far rows of buildings and trees along the horizon.

    Args:
        scene (Scene): The scene.
    """
    canvas, rng = scene.canvas, scene.rng
    width = canvas.shape[1]
    base = scene.camera.horizon + 6
    for depth in (160.0,):
        col = -rng.uniform(0, 30)
        while col < width:
            step = rng.uniform(0.08, 0.25) * width
            tall = scene.camera.focal / depth * rng.uniform(3, 14)
            if rng.random() < 0.35:
                colour = jitter(rng, scene.draw_colour('leaves'))
                canvas.ellipse(
                    (col + step / 2, base), (step * 0.7, tall * 0.7), colour, VEGETATION, depth
                )
            elif rng.random() < 0.8:
                colour = jitter(rng, scene.draw_colour('facades'))
                corners = [
                    (col, base),
                    (col, base - tall),
                    (col + step, base - tall),
                    (col + step, base),
                ]
                canvas.polygon(corners, colour, BUILDING, depth)
            col += step * rng.uniform(0.6, 1.3)


def _sample(noise: np.ndarray, x: np.ndarray, z: np.ndarray, per_metre: float) -> np.ndarray:
    return cv2.remap(
        noise,
        x * np.float32(per_metre),
        z * np.float32(per_metre),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )


def _tiles(kind: str, x: np.ndarray, z: np.ndarray, noise: np.ndarray) -> np.ndarray:
    if kind == 'plain':
        return np.zeros_like(x)
    size = {'slab': 0.8, 'brick': 0.35, 'cobble': 0.22}[kind]
    across, ahead = np.floor(x / size), np.floor(z / size)
    stone = noise[across.astype(np.int32) % TILE, ahead.astype(np.int32) % TILE]
    joint = (x / size - across < 0.12) | (z / size - ahead < 0.12)
    # Joints blur into each other far away.
    return (0.07 * stone - 0.25 * joint) * np.clip(12 * size / z, 0, 1)


def paint_ground(scene: Scene) -> None:
    """Paint road, pavements, setbacks and lane markings below the horizon.

    Args:
        scene (Scene): The scene.
    """
    canvas, rng, street = scene.canvas, scene.rng, scene.street
    x, z = scene.camera.ground(*canvas.shape)
    # Only the rows that show ground are worked on.
    first = int(np.argmax((z < FAR * 0.98).any(1)))
    box = (slice(first, canvas.shape[0]), slice(0, canvas.shape[1]))
    x, z = x[box], z[box]
    below = z < FAR * 0.98
    noise = fractal(rng, TILE, TILE, 16, 4)
    rough = _sample(noise, x, z, 12)
    patchy = _sample(noise, x, z, 1.3)

    def paint(mask: np.ndarray, colour: np.ndarray, texture: np.ndarray, class_id: int) -> None:
        mask = mask & below
        shaded = np.asarray(colour, np.float32) * (1 + texture.astype(np.float32))[..., None]
        canvas.paint(box, mask, shaded, class_id, z)

    road = (x > street.kerb[0]) & (x < street.kerb[1])
    kind = pick(rng, ('plain', 'plain', 'plain', 'plain', 'cobble'))
    texture = _tiles(kind, x, z, noise) + 0.05 * rough + 0.08 * patchy
    repair = (_sample(noise, x, z, 0.5) > 1.1) * rng.uniform(-0.3, 0.2)
    asphalt = jitter(rng, scene.drive.asphalt, 0.1)
    paint(road, asphalt, texture + repair, ROAD)
    for side in (0, 1):
        _paint_side(scene, side, x, z, noise, paint)
    _paint_snow(scene, box, x, z, noise, road)
    _paint_markings(scene, box, x, z, noise, paint)
    _paint_sunlight(scene, box, x, z, noise, below)


def _paint_side(
    scene: Scene, side: int, x: np.ndarray, z: np.ndarray, noise: np.ndarray, paint: Painter
) -> None:
    rng, street = scene.rng, scene.street
    out = 2 * side - 1
    kind = pick(rng, ('slab', 'slab', 'brick', 'cobble', 'plain'))
    colour = jitter(rng, scene.draw_colour('paving'))
    if rng.random() < 0.2:
        colour = jitter(rng, scene.drive.asphalt, 0.1)
    texture = _tiles(kind, x, z, noise) + 0.06 * _sample(noise, x, z, 1.7)
    beyond = out * (x - street.kerb[side]) >= 0
    paint(beyond, colour, texture, PAVEMENT)
    kerb = beyond & (out * (x - street.kerb[side]) < 0.25)
    paint(kerb, colour * rng.uniform(0.7, 1.3), 0.3 * texture, PAVEMENT)
    yard = out * (x - street.fence_line(side)) >= 0
    grass = jitter(rng, scene.draw_colour('leaves')) * 1.1
    mottled = 0.2 * _sample(noise, x, z, 6) + 0.15 * _sample(noise, x, z, 2)
    if street.lawn[side]:
        paint(yard, grass, mottled, VEGETATION)
    if rng.random() < 0.2:  # a strip of grass along the kerb
        strip = beyond & (out * (x - street.kerb[side]) < 0.35 * street.pavement[side])
        paint(strip & ~kerb, grass, mottled, VEGETATION)


def _paint_snow(
    scene: Scene, box: Box, x: np.ndarray, z: np.ndarray, noise: np.ndarray, road: np.ndarray
) -> None:
    snow = scene.drive.snow
    if not snow:
        return
    deep = _sample(noise, x, z, 1.1) + 0.5 * _sample(noise, x, z, 7)
    bound = np.where(road, 2.2 - 2 * snow * scene.rng.random(), 1.2 - 2.2 * snow)
    cover = np.clip((deep - bound) * 2, 0, 0.9)[..., None] * (z < FAR * 0.98)[..., None]
    colour = scene.canvas.colour[box]
    colour *= 1 - cover
    colour += cover * np.array((0.86, 0.88, 0.92), np.float32)


def _marking_mask(scene: Scene, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    rng, street = scene.rng, scene.street
    left, right = street.kerb
    width = (right - left) / street.lanes
    half = rng.uniform(0.1, 0.16)
    dash, gap = rng.uniform(1.5, 4), rng.uniform(1.5, 5)
    phase = np.mod(z + rng.uniform(0, 9), dash + gap) < dash
    mask = np.zeros(x.shape, bool)
    for lane in range(1, street.lanes):
        line = np.abs(x - (left + lane * width)) < half
        middle = 2 * lane == street.lanes and rng.random() < 0.5
        mask |= line if middle else line & phase
    if rng.random() < 0.5:
        mask |= np.abs(x - left - 0.4) < half
        mask |= np.abs(x - right + 0.4) < half
    if rng.random() < 0.35:  # zebra crossing, sometimes with a stop line
        start, deep = rng.uniform(6, 22), rng.uniform(2.5, 4)
        across = (x > left + 0.3) & (x < right - 0.3)
        mask |= across & (z > start) & (z < start + deep) & (np.mod(x, 1.0) < 0.5)
    if rng.random() < 0.3:
        stop = rng.uniform(5, 15)
        mask |= (z > stop) & (z < stop + 0.45) & (x > (left + right) / 2) & (x < right)
    return mask & (z < 35)


def _paint_markings(
    scene: Scene, box: Box, x: np.ndarray, z: np.ndarray, noise: np.ndarray, paint: Painter
) -> None:
    rng = scene.rng
    if rng.random() < 0.12:
        return
    mask = _marking_mask(scene, x, z)
    mask &= scene.canvas.label[box] == ROAD
    worn = _sample(noise, x, z, 5) > rng.uniform(0.4, 2.5)
    paint(
        mask & ~worn,
        jitter(rng, scene.draw_colour('paint'), 0.06),
        0.08 * _sample(noise, x, z, 9),
        LANE,
    )


def _paint_sunlight(
    scene: Scene, box: Box, x: np.ndarray, z: np.ndarray, noise: np.ndarray, below: np.ndarray
) -> None:
    """Shadows of houses (a wavy line) and of trees (blotches)."""
    sun, rng = scene.drive.sun, scene.rng
    if not sun:
        return
    out = 2 * scene.sunny - 1
    edge = rng.uniform(-9, 6) + 3 * np.floor(_wave(z, rng.uniform(6, 14), rng))
    shade = out * x < edge
    if rng.random() < 0.5:
        shade |= _sample(noise, x, z, 1.6) > rng.uniform(0.3, 1.5)
    colour = scene.canvas.colour[box]
    colour[shade & below] *= 1 - 0.75 * sun
    colour[~shade & below] *= 1 + 0.2 * sun


def _wave(z: np.ndarray, period: float, rng: np.random.Generator) -> np.ndarray:
    steps = rng.uniform(-1.2, 1.8, 64)
    return steps[np.minimum(z / period, 63).astype(int)]


def darken_below(
    scene: Scene, x: float, z: float, size: Tuple[float, float], factor: float = 0.5
) -> None:
    """Paint the contact shadow of an object on the ground.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
        size (tuple[float, float]): Half extent across and ahead in metres.
        factor (float): Multiplies the colour of the ground. Defaults to 0.5.
    """
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    ring = [(x + size[0] * np.cos(a), 0, max(z + size[1] * np.sin(a), 0.5)) for a in angle]
    scene.canvas.shadow(scene.camera.project(ring), factor)
