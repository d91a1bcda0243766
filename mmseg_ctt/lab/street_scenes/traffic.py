# Copyright (c) mmseg_ctt contributors.
"""Vehicles, pedestrians and bicyclists."""

from typing import Callable, List, NamedTuple, Tuple

import numpy as np

from ...datasets.streets_layout import BICYCLIST, CAR, PEDESTRIAN
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


# Along, across and up: shares of the body's length and width, and metres.
Point = Tuple[float, float, float]
World = Callable[[float, float, float], Point]
Face = Callable[[List[Point], np.ndarray], None]


class Body(NamedTuple):
    """Shape of a vehicle in metres.

    ``cabin`` is where the glazed part stands on the body, as shares of the
    length from the rear, at its foot and at its roof.
    """

    length: float
    width: float
    body: float
    height: float
    cabin: Tuple[float, float, float, float]


BODIES = (
    Body(4.4, 1.8, 0.9, 1.45, (0.08, 0.72, 0.2, 0.58)),  # saloon
    Body(3.9, 1.7, 0.95, 1.55, (0.0, 0.72, 0.06, 0.55)),  # hatchback
    Body(4.6, 1.9, 1.1, 1.8, (0.0, 0.75, 0.04, 0.62)),  # off-road
    Body(5.2, 2.0, 1.2, 2.3, (0.0, 0.85, 0.0, 0.75)),  # van
    Body(7.0, 2.4, 1.5, 3.2, (0.0, 0.8, 0.0, 0.8)),  # lorry
    Body(11.0, 2.5, 1.1, 3.1, (0.0, 1.0, 0.0, 1.0)),  # bus
)
BODY_CHANCE = (0.3, 0.28, 0.2, 0.1, 0.07, 0.05)


def paint_vehicle(scene: Scene, x: float, z: float, yaw: float) -> None:
    """Paint a vehicle.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right, of its middle.
        z (float): Metres ahead, of its nearest part.
        yaw (float): Radians; 0 drives away from the camera.
    """
    rng = scene.rng
    body = BODIES[int(rng.choice(len(BODIES), p=BODY_CHANCE))]
    colour = jitter(rng, scene.style('cars'), 0.06)
    cos, sin = np.cos(yaw), np.sin(yaw)
    half = abs(sin) * body.width / 2 + abs(cos) * body.length / 2
    middle = np.array([x, z + half])

    def world(along: float, across: float, up: float) -> Point:
        """From shares of the body to metres."""
        a, b = (along - 0.5) * body.length, (across - 0.5) * body.width
        return (middle[0] + a * sin + b * cos, up, max(middle[1] + a * cos - b * sin, 0.6))

    darken_below(
        scene,
        x,
        z + half,
        (abs(cos) * body.width * 0.6 + abs(sin) * body.length * 0.55, half * 1.05),
        0.4,
    )
    _paint_shell(scene, world, body, colour, middle, (cos, sin))


def _visible(middle: np.ndarray, normal: Tuple[float, float], offset: float) -> bool:
    """Whether the camera at the origin is in front of a face."""
    point = middle + np.multiply(normal, offset)
    return float(point @ np.asarray(normal)) < 0


def _paint_shell(
    scene: Scene,
    world: World,
    body: Body,
    colour: np.ndarray,
    middle: np.ndarray,
    turn: Tuple[float, float],
) -> None:
    rng, canvas, (cos, sin) = scene.rng, scene.canvas, turn
    glass = jitter(rng, (0.12, 0.14, 0.17), 0.08)
    if rng.random() < 0.4:
        glass = jitter(rng, scene.drive.sky[1], 0.1) * 0.6
    floor, depth = 0.25, float(middle[1])
    sill_rear, sill_front, top_rear, top_front = body.cabin
    lorry = body.height > 3.15

    def face(points: List[Point], tint: np.ndarray) -> None:
        canvas.polygon(scene.camera.project([world(*p) for p in points]), tint, CAR, depth)

    roof = [
        (top_rear, 0, body.height),
        (top_front, 0, body.height),
        (top_front, 1, body.height),
        (top_rear, 1, body.height),
    ]
    if scene.camera.height > body.body:
        face(
            [(0, 0, body.body), (1, 0, body.body), (1, 1, body.body), (0, 1, body.body)],
            colour * 1.15,
        )
    if scene.camera.height > body.height:
        face(roof, colour * 1.2)
    shell = colour if lorry else glass
    for across, normal in ((0, (-cos, sin)), (1, (cos, -sin))):
        if not _visible(middle, normal, body.width / 2):
            continue
        shade = rng.uniform(0.65, 1)
        face(
            [
                (0, across, floor),
                (1, across, floor),
                (1, across, body.body),
                (0, across, body.body),
            ],
            colour * shade,
        )
        side = [
            (sill_rear, across, body.body),
            (top_rear, across, body.height),
            (top_front, across, body.height),
            (sill_front, across, body.body),
        ]
        face(side, colour * shade)
        face(_inset(side, 0.12, 0.16), shell * shade)
        _paint_wheels(face, across, body, rng)
    for end, normal in ((0, (-sin, -cos)), (1, (sin, cos))):
        if not _visible(middle, normal, body.length / 2):
            continue
        _paint_end(scene, face, world, body, colour * rng.uniform(0.75, 1), shell, end, depth)


def _inset(quad: List[Point], along: float, up: float) -> List[Point]:
    centre = np.mean(quad, 0)
    keep = np.array([1 - along, 1 - along, 1 - up])
    return [tuple(centre + (np.array(p) - centre) * keep) for p in quad]


def _paint_wheels(face: Face, across: int, body: Body, rng: np.random.Generator) -> None:
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rim = jitter(rng, (0.5, 0.5, 0.5), 0.2)
    for along in (0.18, 0.8):
        for radius, tint in ((0.34, np.full(3, 0.05)), (0.18, rim)):
            face(
                [
                    (along + radius / body.length * np.cos(a), across, 0.34 + radius * np.sin(a))
                    for a in angle
                ],
                tint,
            )


def _paint_end(
    scene: Scene,
    face: Face,
    world: World,
    body: Body,
    colour: np.ndarray,
    shell: np.ndarray,
    end: int,
    depth: float,
) -> None:
    rng, night = scene.rng, scene.drive.night
    floor = 0.25
    sill, top = (body.cabin[1], body.cabin[3]) if end else (body.cabin[0], body.cabin[2])
    face([(end, 0, floor), (end, 1, floor), (end, 1, body.body), (end, 0, body.body)], colour)
    window = [
        (sill, 0, body.body),
        (sill, 1, body.body),
        (top, 1, body.height),
        (top, 0, body.height),
    ]
    face(window, colour * 1.05)
    face(_inset(window, 0.15, 0.2), shell)
    face(
        [(end, 0.02, floor), (end, 0.98, floor), (end, 0.98, 0.5), (end, 0.02, 0.5)],
        colour * rng.choice((0.4, 0.9)),
    )
    lamp = np.array((1, 0.95, 0.8)) if end else np.array((0.8, 0.08, 0.05))
    plate = jitter(rng, (0.85, 0.85, 0.8), 0.1)
    face([(end, 0.38, 0.45), (end, 0.62, 0.45), (end, 0.62, 0.6), (end, 0.38, 0.6)], plate)
    low = body.body * rng.uniform(0.55, 0.75)
    for left in (0.04, 0.78):
        corners = [
            (end, left, low),
            (end, left + 0.18, low),
            (end, left + 0.18, low + 0.16),
            (end, left, low + 0.16),
        ]
        points = scene.camera.project([world(*p) for p in corners])
        glow = lamp * night * 1.5
        scene.canvas.polygon(points, lamp, CAR, depth, glow=glow)


class Figure(NamedTuple):
    """A person being painted: where, how large, in what colours."""

    canvas: Canvas
    foot: np.ndarray
    unit: float
    depth: float
    class_id: int
    coat: np.ndarray
    legs: np.ndarray
    skin: np.ndarray

    def at(self, across: float, up: float) -> np.ndarray:
        """Pixel of a point given in heights of the person."""
        return self.foot + self.unit * np.array([across, -up])

    def limb(
        self, start: Tuple[float, float], end: Tuple[float, float], width: float, colour: np.ndarray
    ) -> None:
        """Paint a limb between two points."""
        self.canvas.line(
            self.at(*start), self.at(*end), self.unit * width, colour, self.class_id, self.depth
        )

    def patch(self, points: List[Tuple[float, float]], colour: Colour) -> None:
        """Paint a polygon."""
        self.canvas.polygon([self.at(*p) for p in points], colour, self.class_id, self.depth)

    def disc(self, across: float, up: float, radii: Tuple[float, float], colour: Colour) -> None:
        """Paint an ellipse."""
        self.canvas.ellipse(
            self.at(across, up), np.multiply(radii, self.unit), colour, self.class_id, self.depth
        )


def _figure(scene: Scene, x: float, z: float, class_id: int, clothes: str, height: float) -> Figure:
    foot, metre = scene.place(x, z)
    rng = scene.rng
    return Figure(
        scene.canvas,
        foot,
        metre * height,
        z,
        class_id,
        jitter(rng, scene.style(clothes)),
        jitter(rng, scene.style(clothes)) * 0.8,
        jitter(rng, pick(rng, SKINS), 0.05),
    )


def _paint_head(man: Figure, rng: np.random.Generator, across: float, up: float) -> None:
    hair = jitter(
        rng,
        pick(rng, ((0.1, 0.08, 0.07), (0.35, 0.22, 0.12), (0.7, 0.6, 0.4), (0.55, 0.55, 0.55))),
        0.05,
    )
    man.disc(across, up, (0.055, 0.075), man.skin)
    man.disc(across, up + 0.035, (0.06, 0.05), hair)
    if rng.random() < 0.25:
        man.disc(across, up + 0.05, (0.065, 0.045), man.coat * 0.8)


def paint_pedestrian(scene: Scene, x: float, z: float) -> None:
    """Paint a person on foot.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng = scene.rng
    height = rng.uniform(1.05, 1.35) if rng.random() < 0.15 else rng.normal(1.72, 0.08)
    man = _figure(scene, x, z, PEDESTRIAN, 'clothes', height)
    darken_below(scene, x, z, (0.4, 0.3), 0.55)
    stride, girth = rng.uniform(-0.16, 0.16), rng.uniform(0.85, 1.35)
    for foot in (stride, -stride):
        man.limb((0, 0.5), (foot, 0.02), 0.075 * girth, man.legs)
        man.limb((foot, 0.02), (foot + 0.04, 0.01), 0.04, np.full(3, 0.1))
    hip, chest = 0.085 * girth, 0.11 * girth
    hem = 0.22 if rng.random() < 0.3 else 0.45  # a long coat or a skirt
    man.patch([(-chest, 0.82), (chest, 0.82), (hip * 1.2, hem), (-hip * 1.2, hem)], man.coat)
    for out in (-1, 1):
        hand = (out * chest + rng.uniform(-0.12, 0.12), rng.uniform(0.4, 0.6))
        man.limb((out * chest, 0.8), hand, 0.05 * girth, man.coat * 0.9)
    _paint_head(man, rng, rng.normal(0, 0.01), 0.92)
    if rng.random() < 0.3:
        bag = jitter(rng, scene.style('cars'), 0.1)
        side = rng.choice((-0.14, 0.14))
        man.patch(
            [(side - 0.06, 0.62), (side + 0.06, 0.62), (side + 0.06, 0.42), (side - 0.06, 0.42)],
            bag,
        )
    if rng.random() < 0.6 * scene.drive.rain:
        shade = jitter(rng, pick(rng, scene.drive.clothes), 0.2)
        man.patch([(-0.3, 1.0), (-0.18, 1.12), (0, 1.17), (0.18, 1.12), (0.3, 1.0)], shade)


def paint_bicyclist(scene: Scene, x: float, z: float) -> None:
    """Paint a person on a bicycle, from the side or along the street.

    Args:
        scene (Scene): The scene.
        x (float): Metres to the right.
        z (float): Metres ahead.
    """
    rng = scene.rng
    man = _figure(scene, x, z, BICYCLIST, 'riders', rng.normal(1.75, 0.06))
    frame = jitter(rng, scene.style('riders'), 0.1)
    darken_below(scene, x, z, (0.5, 0.4), 0.55)
    # How much of the length is seen: 0.2 along the street, 1 across it.
    turn = rng.choice((0.2, 0.6, 1.0)) * rng.choice((-1, 1))
    wheel, tyre = 0.19, np.full(3, 0.07)
    for hub in (-0.3 * turn, 0.3 * turn):
        for angle in np.arange(0, 2 * np.pi, np.pi / 6):
            rim = [
                (hub + abs(turn) * wheel * np.cos(a), wheel + wheel * np.sin(a))
                for a in (angle, angle + np.pi / 6)
            ]
            man.limb(rim[0], rim[1], 0.045, tyre)
    seat, crank, bar = (-0.12 * turn, 0.52), (-0.02 * turn, 0.2), (0.24 * turn, 0.56)
    for start, end in (
        ((-0.3 * turn, wheel), seat),
        (seat, crank),
        (crank, bar),
        (bar, (0.3 * turn, wheel)),
        (seat, bar),
        ((-0.3 * turn, wheel), crank),
    ):
        man.limb(start, end, 0.04, frame)
    lean = turn * rng.uniform(0.05, 0.2)
    neck = (seat[0] + lean, 0.98)
    for foot in (0.03, -0.06):
        knee = (seat[0] + 0.14 * turn + 0.03, 0.4)
        man.limb(seat, knee, 0.08, man.legs)
        man.limb(knee, (crank[0] + foot, 0.14 + abs(foot)), 0.06, man.legs)
    wide = 0.06 + 0.05 * (1 - abs(turn))
    man.patch(
        [
            (neck[0] - wide, 0.97),
            (neck[0] + wide, 0.97),
            (seat[0] + wide, 0.52),
            (seat[0] - wide, 0.52),
        ],
        man.coat,
    )
    man.limb((neck[0], 0.92), bar, 0.05, man.coat * 0.85)
    _paint_head(man, rng, neck[0] + 0.03 * turn, 1.06)
    if rng.random() < 0.5:
        man.disc(neck[0] + 0.03 * turn, 1.1, (0.07, 0.05), jitter(rng, frame, 0.2))
