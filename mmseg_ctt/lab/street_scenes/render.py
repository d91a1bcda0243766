# Copyright (c) mmseg_ctt contributors.
"""One street scene: what stands where, painted from far to near."""

from typing import Callable, List, Tuple

import numpy as np

from ...datasets.streets_layout import IGNORE_INDEX
from .drives import Drive
from .furniture import paint_clutter, paint_pole, paint_sign
from .ground import paint_ground, paint_sky, paint_skyline
from .roadside import paint_facade, paint_fence, paint_hedge, paint_tree
from .scene import Scene, make_scene
from .texture import jitter
from .traffic import paint_bicyclist, paint_pedestrian, paint_vehicle
from .weather import light_scene, take_picture

# The scene is painted this many times as large, so that edges blend.
OVERSAMPLING = 2
# (layer, depth, painter): layers from the walls to the road, in each far first.
Job = Tuple[int, float, Callable[[], None]]
WALLS, YARDS, FENCES, STREET = range(4)


def _plan_side(scene: Scene, side: int) -> List[Job]:
    """Buildings, gardens and fences of one side."""
    rng, street, jobs = scene.rng, scene.street, []
    out, front, border = 2 * side - 1, street.wall_line(side), street.fence_line(side)
    z = rng.uniform(1.5, 6)
    while z < 90:
        long = rng.uniform(5, 18)
        if rng.random() < 0.72:
            x = front + out * rng.choice((0, 0, 0.6, 1.5))
            jobs.append(
                (WALLS, z + long, lambda x=x, z=z, e=z + long: paint_facade(scene, x, z, e, side))
            )
        else:
            for _ in range(rng.integers(2, 6)):
                tree = (front + out * rng.uniform(0, 8), z + rng.uniform(0, long))
                jobs.append((WALLS, tree[1], lambda t=tree: paint_tree(scene, *t)))
        z += long * (1 if rng.random() < 0.7 else rng.uniform(1, 1.8))
    if street.setback[side] > 1:
        for z in rng.uniform(4, 45, rng.integers(0, 5)):
            x = border + out * rng.uniform(0.5, street.setback[side])
            jobs.append((YARDS, z, lambda x=x, z=z: paint_tree(scene, x, z)))
    z = rng.uniform(2, 6)
    while z < 40:
        long = rng.uniform(5, 16)
        draw = rng.random()
        if draw < 0.55:
            jobs.append((FENCES, z, lambda z=z, e=z + long: paint_fence(scene, border, z, e)))
        elif draw < 0.65:
            jobs.append((FENCES, z, lambda z=z, e=z + long: paint_hedge(scene, border, z, e)))
        z += long
    return jobs


def _plan_vehicles(scene: Scene) -> List[Job]:
    rng, (left, right), jobs = scene.rng, scene.street.kerb, []
    spots = []
    for side, kerb in ((0, left + 1.1), (1, right - 1.1)):
        if rng.random() < 0.45:  # a row of parked cars
            z = rng.uniform(4, 14)
            while z < 45:
                if rng.random() < 0.6:
                    spots.append((kerb, z, np.pi if side == 0 else 0.0))
                z += rng.uniform(6, 9)
    lane = (right - left) / scene.street.lanes
    for _ in range(rng.integers(0, 4)):
        number = int(rng.integers(scene.street.lanes))
        away = number >= scene.street.lanes / 2
        spots.append((left + (number + 0.5) * lane, rng.uniform(6, 26), 0.0 if away else np.pi))
    if rng.random() < 0.2:  # one that turns or crosses
        spots.append((rng.uniform(left, right), rng.uniform(9, 30), rng.uniform(0, 2 * np.pi)))
    for x, z, yaw in spots:
        yaw = yaw + rng.normal(0, 0.06)
        jobs.append((STREET, z, lambda x=x, z=z, yaw=yaw: paint_vehicle(scene, x, z, yaw)))
    return jobs


def _plan_people(scene: Scene) -> List[Job]:
    rng, street, drive, jobs = scene.rng, scene.street, scene.drive, []
    for _ in range(rng.poisson(0.7 * drive.people)):
        side, z = int(rng.integers(2)), 4.2 + rng.gamma(1.5, 1.3)
        x = rng.uniform(*sorted((street.kerb[side], street.fence_line(side))))
        if rng.random() < 0.2:
            x = rng.uniform(*street.kerb)
        for shift in np.arange(1 + (rng.random() < 0.3)) * 0.7:
            jobs.append((STREET, z, lambda x=x + shift, z=z: paint_pedestrian(scene, x, z)))
    for _ in range(rng.poisson(0.6 * drive.cyclists)):
        side, z = int(rng.integers(2)), 4.2 + rng.gamma(1.5, 1.2)
        x = street.kerb[side] * rng.uniform(0.5, 1.15)
        jobs.append((STREET, z, lambda x=x, z=z: paint_bicyclist(scene, x, z)))
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
            share = rng.uniform(0.1, 0.6) if painter is not paint_clutter else 0.9
            x = street.kerb[side] + (2 * side - 1) * street.pavement[side] * share
            jobs.append((STREET, z, lambda p=painter, x=x, z=z: p(scene, x, z)))
    return jobs


def _paint_bonnet(scene: Scene) -> None:
    """The own car at the lower edge, without a label."""
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
    """Render a picture and its label map.

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
    for _, _, job in sorted(jobs, key=lambda job: (job[0], -job[1])):
        job()
    if drive.bonnet:
        _paint_bonnet(scene)
    scene = scene.shrunk(OVERSAMPLING)
    return take_picture(scene, light_scene(scene)), scene.canvas.label
