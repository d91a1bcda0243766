# Copyright (c) mmseg_ctt contributors.
"""Rendering of one street scene: objects are planned, then painted from far to near."""

from functools import partial
from typing import Callable, List, NamedTuple, Tuple

import numpy as np

from ...datasets.streets_layout import IGNORE_INDEX
from .drive import Drive
from .furniture import paint_clutter, paint_pole, paint_sign
from .ground import paint_ground, paint_sky, paint_skyline
from .people import paint_bicyclist, paint_pedestrian
from .roadside import paint_facade, paint_fence, paint_hedge, paint_tree
from .scene import Scene, make_scene
from .texture import jitter
from .vehicles import paint_vehicle
from .weather import light_scene, take_picture

# Factor of the canvas to the picture in height and width, for smooth edges.
OVERSAMPLING = 2
# Layers in the order of painting.
WALLS, YARDS, FENCES, STREET = range(4)


class Job(NamedTuple):
    """Object to paint: its layer, its depth in metres and the call that paints it."""

    layer: int
    depth: float
    paint: Callable[[], None]


def _plan_side(scene: Scene, side: int) -> List[Job]:
    """Buildings, gardens and fences of one side."""
    return [*_plan_buildings(scene, side), *_plan_gardens(scene, side), *_plan_fences(scene, side)]


def _plan_buildings(scene: Scene, side: int) -> List[Job]:
    rng, jobs = scene.rng, []
    out, front = 2 * side - 1, scene.street.wall_line(side)
    z = rng.uniform(1.5, 6)
    while z < 90:
        length = rng.uniform(5, 18)
        if rng.random() < 0.72:
            x = front + out * rng.choice((0, 0, 0.6, 1.5))
            paint = partial(paint_facade, scene, x, z, z + length, side)
            jobs.append(Job(WALLS, z + length, paint))
        else:
            for _ in range(rng.integers(2, 6)):
                x, depth = front + out * rng.uniform(0, 8), z + rng.uniform(0, length)
                jobs.append(Job(WALLS, depth, partial(paint_tree, scene, x, depth)))
        z += length * (1 if rng.random() < 0.7 else rng.uniform(1, 1.8))
    return jobs


def _plan_gardens(scene: Scene, side: int) -> List[Job]:
    rng, setback, jobs = scene.rng, scene.street.setback[side], []
    if setback > 1:
        for z in rng.uniform(4, 45, rng.integers(0, 5)):
            x = scene.street.fence_line(side) + (2 * side - 1) * rng.uniform(0.5, setback)
            jobs.append(Job(YARDS, z, partial(paint_tree, scene, x, z)))
    return jobs


def _plan_fences(scene: Scene, side: int) -> List[Job]:
    rng, x, jobs = scene.rng, scene.street.fence_line(side), []
    z = rng.uniform(2, 6)
    while z < 40:
        length = rng.uniform(5, 16)
        draw = rng.random()
        if draw < 0.65:
            painter = paint_fence if draw < 0.55 else paint_hedge
            jobs.append(Job(FENCES, z, partial(painter, scene, x, z, z + length)))
        z += length
    return jobs


def _plan_vehicles(scene: Scene) -> List[Job]:
    rng, (left, right) = scene.rng, scene.street.kerb
    # x, z and yaw of each vehicle.
    poses: List[Tuple[float, float, float]] = []
    for side, kerb in ((0, left + 1.1), (1, right - 1.1)):
        if rng.random() < 0.45:  # a row of parked cars
            z = rng.uniform(4, 14)
            while z < 45:
                if rng.random() < 0.6:
                    poses.append((kerb, z, np.pi if side == 0 else 0.0))
                z += rng.uniform(6, 9)
    lane = (right - left) / scene.street.lanes
    for _ in range(rng.integers(0, 4)):
        number = int(rng.integers(scene.street.lanes))
        away = number >= scene.street.lanes / 2
        poses.append((left + (number + 0.5) * lane, rng.uniform(6, 26), 0.0 if away else np.pi))
    if rng.random() < 0.2:  # a vehicle that turns or crosses
        poses.append((rng.uniform(left, right), rng.uniform(9, 30), rng.uniform(0, 2 * np.pi)))
    return [
        Job(STREET, z, partial(paint_vehicle, scene, x, z, yaw + rng.normal(0, 0.06)))
        for x, z, yaw in poses
    ]


def _plan_people(scene: Scene) -> List[Job]:
    rng, street, drive, jobs = scene.rng, scene.street, scene.drive, []
    for _ in range(rng.poisson(0.7 * drive.people)):
        side, z = int(rng.integers(2)), 4.2 + rng.gamma(1.5, 1.3)
        left, right = sorted((street.kerb[side], street.fence_line(side)))
        x = rng.uniform(left, right)
        if rng.random() < 0.2:
            x = rng.uniform(*street.kerb)
        for shift in np.arange(1 + (rng.random() < 0.3)) * 0.7:
            jobs.append(Job(STREET, z, partial(paint_pedestrian, scene, x + shift, z)))
    for _ in range(rng.poisson(0.6 * drive.cyclists)):
        side, z = int(rng.integers(2)), 4.2 + rng.gamma(1.5, 1.2)
        x = street.kerb[side] * rng.uniform(0.5, 1.15)
        jobs.append(Job(STREET, z, partial(paint_bicyclist, scene, x, z)))
    return jobs


def _plan_furniture(scene: Scene) -> List[Job]:
    rng, street, jobs = scene.rng, scene.street, []
    counts = (
        (paint_pole, rng.poisson(2)),
        (paint_sign, rng.poisson(0.9)),
        (paint_clutter, rng.poisson(0.7)),
        (paint_tree, rng.poisson(1.5)),
    )
    for painter, count in counts:
        for _ in range(count):
            side, z = int(rng.integers(2)), 4.5 + rng.gamma(1.6, 1.8)
            fraction = rng.uniform(0.1, 0.6) if painter is not paint_clutter else 0.9
            x = street.kerb[side] + (2 * side - 1) * street.pavement[side] * fraction
            jobs.append(Job(STREET, z, partial(painter, scene, x, z)))
    return jobs


def _paint_bonnet(scene: Scene) -> None:
    """Bonnet of the own car at the lower edge, without a label."""
    canvas, (height, width) = scene.canvas, scene.canvas.shape
    top, middle = height * 0.94, scene.camera.centre
    cols = np.linspace(-0.1, 1.1, 25) * width
    arch = top + height * 0.12 * ((cols - middle) / width) ** 2 * 2
    points = [*zip(cols, arch), (1.1 * width, height + 9), (-0.1 * width, height + 9)]
    colour = jitter(np.random.default_rng(7), (0.2, 0.22, 0.28))
    canvas.polygon(points, colour, IGNORE_INDEX, 1.0)


def render_scene(
    drive: Drive, rng: np.random.Generator, height: int, width: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Render the picture and the label map of a scene.

    Args:
        drive (Drive): Light, weather and colours.
        rng (np.random.Generator): Only source of randomness.
        height (int): Rows.
        width (int): Columns.

    Returns:
        tuple[np.ndarray, np.ndarray]: uint8 RGB ``(height, width, 3)`` and
        uint8 labels ``(height, width)``.
    """
    scene = make_scene(drive, rng, height * OVERSAMPLING, width * OVERSAMPLING)
    paint_sky(scene)
    paint_skyline(scene)
    paint_ground(scene)
    jobs = [
        *_plan_side(scene, 0),
        *_plan_side(scene, 1),
        *_plan_vehicles(scene),
        *_plan_people(scene),
        *_plan_furniture(scene),
    ]
    for job in sorted(jobs, key=lambda job: (job.layer, -job.depth)):
        job.paint()
    if drive.bonnet:
        _paint_bonnet(scene)
    scene = scene.shrunk(OVERSAMPLING)
    return take_picture(scene, light_scene(scene)), scene.canvas.label
