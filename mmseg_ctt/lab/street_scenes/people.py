# Copyright (c) mmseg_ctt contributors.
"""People: pedestrians and bicyclists as limbs, discs and patches."""

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from ...datasets.streets_layout import BICYCLIST, PEDESTRIAN
from .canvas import Canvas
from .ground import darken_below
from .scene import Scene
from .texture import Colour, jitter, pick

SKINS: Tuple[Colour, ...] = (
    (0.9, 0.72, 0.6),
    (0.75, 0.55, 0.42),
    (0.5, 0.34, 0.25),
    (0.3, 0.2, 0.15),
)


class Person(NamedTuple):
    """Person in a picture: foot pixel, height in pixels, depth in metres, label, colours."""

    canvas: Canvas
    foot: np.ndarray
    height: float
    depth: float
    class_id: int
    coat: np.ndarray
    legs: np.ndarray
    skin: np.ndarray

    def pixel(self, across: float, up: float) -> np.ndarray:
        """Pixel of a point given in heights of the person."""
        return self.foot + self.height * np.array([across, -up])

    def limb(
        self, start: Tuple[float, float], end: Tuple[float, float], width: float, colour: np.ndarray
    ) -> None:
        """Paint a limb between two points."""
        self.canvas.line(
            self.pixel(*start),
            self.pixel(*end),
            self.height * width,
            colour,
            self.class_id,
            self.depth,
        )

    def patch(self, points: Sequence[Tuple[float, float]], colour: Colour) -> None:
        """Paint a polygon."""
        self.canvas.polygon(
            [self.pixel(*point) for point in points], colour, self.class_id, self.depth
        )

    def disc(self, across: float, up: float, radii: Tuple[float, float], colour: Colour) -> None:
        """Paint an ellipse."""
        self.canvas.ellipse(
            self.pixel(across, up),
            np.multiply(radii, self.height),
            colour,
            self.class_id,
            self.depth,
        )


def _make_person(
    scene: Scene, x: float, z: float, class_id: int, clothes: str, height: float
) -> Person:
    foot, metre = scene.ground_pixel(x, z)
    rng = scene.rng
    return Person(
        scene.canvas,
        foot,
        metre * height,
        z,
        class_id,
        jitter(rng, scene.draw_colour(clothes)),
        jitter(rng, scene.draw_colour(clothes)) * 0.8,
        jitter(rng, pick(rng, SKINS), 0.05),
    )


def _paint_head(person: Person, rng: np.random.Generator, across: float, up: float) -> None:
    hair = jitter(
        rng,
        pick(rng, ((0.1, 0.08, 0.07), (0.35, 0.22, 0.12), (0.7, 0.6, 0.4), (0.55, 0.55, 0.55))),
        0.05,
    )
    person.disc(across, up, (0.055, 0.075), person.skin)
    person.disc(across, up + 0.035, (0.06, 0.05), hair)
    if rng.random() < 0.25:
        person.disc(across, up + 0.05, (0.065, 0.045), person.coat * 0.8)


def paint_pedestrian(scene: Scene, x: float, z: float) -> None:
    """Paint a person on foot.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng = scene.rng
    height = rng.uniform(1.05, 1.35) if rng.random() < 0.15 else rng.normal(1.72, 0.08)
    person = _make_person(scene, x, z, PEDESTRIAN, 'clothes', height)
    darken_below(scene, x, z, (0.4, 0.3), 0.55)
    stride, girth = rng.uniform(-0.16, 0.16), rng.uniform(0.85, 1.35)
    for foot in (stride, -stride):
        person.limb((0, 0.5), (foot, 0.02), 0.075 * girth, person.legs)
        person.limb((foot, 0.02), (foot + 0.04, 0.01), 0.04, np.full(3, 0.1))
    hip, chest = 0.085 * girth, 0.11 * girth
    hem = 0.22 if rng.random() < 0.3 else 0.45  # a long coat or a skirt
    person.patch([(-chest, 0.82), (chest, 0.82), (hip * 1.2, hem), (-hip * 1.2, hem)], person.coat)
    for out in (-1, 1):
        hand = (out * chest + rng.uniform(-0.12, 0.12), rng.uniform(0.4, 0.6))
        person.limb((out * chest, 0.8), hand, 0.05 * girth, person.coat * 0.9)
    _paint_head(person, rng, rng.normal(0, 0.01), 0.92)
    if rng.random() < 0.3:
        bag = jitter(rng, scene.draw_colour('cars'), 0.1)
        side = rng.choice((-0.14, 0.14))
        person.patch(
            [(side - 0.06, 0.62), (side + 0.06, 0.62), (side + 0.06, 0.42), (side - 0.06, 0.42)],
            bag,
        )
    if rng.random() < 0.6 * scene.drive.rain:
        shade = jitter(rng, pick(rng, scene.drive.clothes), 0.2)
        person.patch([(-0.3, 1.0), (-0.18, 1.12), (0, 1.17), (0.18, 1.12), (0.3, 1.0)], shade)


def paint_bicyclist(scene: Scene, x: float, z: float) -> None:
    """Paint a person on a bicycle, from the side or along the street.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng = scene.rng
    person = _make_person(scene, x, z, BICYCLIST, 'riders', rng.normal(1.75, 0.06))
    frame = jitter(rng, scene.draw_colour('riders'), 0.1)
    darken_below(scene, x, z, (0.5, 0.4), 0.55)
    # Foreshortening of the length: 0.2 along the street, 1 across it.
    turn = rng.choice((0.2, 0.6, 1.0)) * rng.choice((-1, 1))
    wheel, tyre = 0.19, np.full(3, 0.07)
    for hub in (-0.3 * turn, 0.3 * turn):
        for angle in np.arange(0, 2 * np.pi, np.pi / 6):
            rim = [
                (hub + abs(turn) * wheel * np.cos(a), wheel + wheel * np.sin(a))
                for a in (angle, angle + np.pi / 6)
            ]
            person.limb(rim[0], rim[1], 0.045, tyre)
    seat, crank, bar = (-0.12 * turn, 0.52), (-0.02 * turn, 0.2), (0.24 * turn, 0.56)
    for start, end in (
        ((-0.3 * turn, wheel), seat),
        (seat, crank),
        (crank, bar),
        (bar, (0.3 * turn, wheel)),
        (seat, bar),
        ((-0.3 * turn, wheel), crank),
    ):
        person.limb(start, end, 0.04, frame)
    lean = turn * rng.uniform(0.05, 0.2)
    neck = (seat[0] + lean, 0.98)
    for foot in (0.03, -0.06):
        knee = (seat[0] + 0.14 * turn + 0.03, 0.4)
        person.limb(seat, knee, 0.08, person.legs)
        person.limb(knee, (crank[0] + foot, 0.14 + abs(foot)), 0.06, person.legs)
    wide = 0.06 + 0.05 * (1 - abs(turn))
    person.patch(
        [
            (neck[0] - wide, 0.97),
            (neck[0] + wide, 0.97),
            (seat[0] + wide, 0.52),
            (seat[0] - wide, 0.52),
        ],
        person.coat,
    )
    person.limb((neck[0], 0.92), bar, 0.05, person.coat * 0.85)
    _paint_head(person, rng, neck[0] + 0.03 * turn, 1.06)
    if rng.random() < 0.5:
        person.disc(neck[0] + 0.03 * turn, 1.1, (0.07, 0.05), jitter(rng, frame, 0.2))
