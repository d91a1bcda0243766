# Copyright (c) mmseg_ctt contributors.
"""Vehicles: a body of flat faces with a cabin, wheels and lamps."""

from dataclasses import dataclass
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from ...datasets.streets_layout import CAR
from .ground import darken_below
from .scene import Scene
from .texture import Colour, jitter

Point = Tuple[float, float, float]
# Metres between the ground and the body.
FLOOR = 0.25


class Body(NamedTuple):
    """Shape of a vehicle in metres.

    ``cabin`` says where the glazed part begins and ends, as fractions of the
    length from the rear: two at its foot, then two at its roof.
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


@dataclass(frozen=True)
class Vehicle:
    """Vehicle in a scene.

    Points of it are tuples of along, across and up: along and across as
    fractions of length and width from the rear left corner, up in metres.

    Args:
        scene (Scene): The scene.
        body (Body): Its shape.
        middle (np.ndarray): ``(2,)``, x and z of its middle in metres.
        yaw (float): Radians; 0 drives away from the camera.
    """

    scene: Scene
    body: Body
    middle: np.ndarray
    yaw: float

    def project(self, points: Sequence[Point]) -> np.ndarray:
        """Pixels of points of the vehicle.

        Args:
            points (Sequence[tuple[float, float, float]]): N points.

        Returns:
            np.ndarray: float64 ``(N, 2)``, column and row.
        """
        return self.scene.camera.project([self._world(*point) for point in points])

    def _world(self, along: float, across: float, up: float) -> Point:
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        a, b = (along - 0.5) * self.body.length, (across - 0.5) * self.body.width
        x, z = self.middle
        return (x + a * sin + b * cos, up, max(z + a * cos - b * sin, 0.6))

    def face(self, points: Sequence[Point], colour: Colour, glow: Colour = (0, 0, 0)) -> None:
        """Paint a flat part of the surface.

        Args:
            points (Sequence[tuple[float, float, float]]): Its corners.
            colour (Sequence[float] | np.ndarray): RGB.
            glow (Sequence[float] | np.ndarray): Emitted light, RGB. Defaults to none.
        """
        depth = float(self.middle[1])
        self.scene.canvas.polygon(self.project(points), colour, CAR, depth, glow)

    def is_visible(self, normal: Tuple[float, float], offset: float) -> bool:
        """Whether the camera at the origin is in front of a side of the vehicle.

        Args:
            normal (tuple[float, float]): Its outward normal, x and z.
            offset (float): Its distance from the middle in metres.

        Returns:
            bool: True if so.
        """
        point = self.middle + np.multiply(normal, offset)
        return float(point @ np.asarray(normal)) < 0


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
    colour = jitter(rng, scene.draw_colour('cars'), 0.06)
    cos, sin = np.cos(yaw), np.sin(yaw)
    half = abs(sin) * body.width / 2 + abs(cos) * body.length / 2
    size = (abs(cos) * body.width * 0.6 + abs(sin) * body.length * 0.55, half * 1.05)
    darken_below(scene, x, z + half, size, 0.4)
    _paint_shell(Vehicle(scene, body, np.array([x, z + half]), yaw), colour)


def _paint_shell(vehicle: Vehicle, colour: np.ndarray) -> None:
    scene, body, rng = vehicle.scene, vehicle.body, vehicle.scene.rng
    cos, sin = np.cos(vehicle.yaw), np.sin(vehicle.yaw)
    glass = jitter(rng, (0.12, 0.14, 0.17), 0.08)
    if rng.random() < 0.4:
        glass = jitter(rng, scene.drive.sky[1], 0.1) * 0.6
    up, (_, _, rear, front) = body.height, body.cabin
    if scene.camera.height > body.body:
        deck = [(0, 0, body.body), (1, 0, body.body), (1, 1, body.body), (0, 1, body.body)]
        vehicle.face(deck, colour * 1.15)
    if scene.camera.height > body.height:
        vehicle.face([(rear, 0, up), (front, 0, up), (front, 1, up), (rear, 1, up)], colour * 1.2)
    lorry = body.height > 3.15
    cabin = colour if lorry else glass
    for across, normal in ((0, (-cos, sin)), (1, (cos, -sin))):
        if vehicle.is_visible(normal, body.width / 2):
            _paint_flank(vehicle, across, colour, cabin)
    for end, normal in ((0, (-sin, -cos)), (1, (sin, cos))):
        if vehicle.is_visible(normal, body.length / 2):
            _paint_end(vehicle, end, colour * rng.uniform(0.75, 1), cabin)


def _paint_flank(vehicle: Vehicle, across: int, colour: np.ndarray, cabin: np.ndarray) -> None:
    body = vehicle.body
    sill_rear, sill_front, top_rear, top_front = body.cabin
    shade = vehicle.scene.rng.uniform(0.65, 1)
    door = [(0, across, FLOOR), (1, across, FLOOR), (1, across, body.body), (0, across, body.body)]
    vehicle.face(door, colour * shade)
    side = [
        (sill_rear, across, body.body),
        (top_rear, across, body.height),
        (top_front, across, body.height),
        (sill_front, across, body.body),
    ]
    vehicle.face(side, colour * shade)
    vehicle.face(_inset(side, 0.12, 0.16), cabin * shade)
    _paint_wheels(vehicle, across)


def _inset(quad: Sequence[Point], along: float, up: float) -> List[Point]:
    centre = np.mean(quad, 0)
    scale = np.array([1 - along, 1 - along, 1 - up])
    return [tuple(centre + (np.array(point) - centre) * scale) for point in quad]


def _paint_wheels(vehicle: Vehicle, across: int) -> None:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rim = jitter(vehicle.scene.rng, (0.5, 0.5, 0.5), 0.2)
    for along in (0.18, 0.8):
        for radius, colour in ((0.34, np.full(3, 0.05)), (0.18, rim)):
            reach = radius / vehicle.body.length
            circle = [
                (along + reach * np.cos(angle), across, 0.34 + radius * np.sin(angle))
                for angle in angles
            ]
            vehicle.face(circle, colour)


def _paint_end(vehicle: Vehicle, end: int, colour: np.ndarray, cabin: np.ndarray) -> None:
    body, rng = vehicle.body, vehicle.scene.rng
    sill, top = (body.cabin[1], body.cabin[3]) if end else (body.cabin[0], body.cabin[2])
    panel = [(end, 0, FLOOR), (end, 1, FLOOR), (end, 1, body.body), (end, 0, body.body)]
    vehicle.face(panel, colour)
    window = [
        (sill, 0, body.body),
        (sill, 1, body.body),
        (top, 1, body.height),
        (top, 0, body.height),
    ]
    vehicle.face(window, colour * 1.05)
    vehicle.face(_inset(window, 0.15, 0.2), cabin)
    bumper = [(end, 0.02, FLOOR), (end, 0.98, FLOOR), (end, 0.98, 0.5), (end, 0.02, 0.5)]
    vehicle.face(bumper, colour * rng.choice((0.4, 0.9)))
    plate = [(end, 0.38, 0.45), (end, 0.62, 0.45), (end, 0.62, 0.6), (end, 0.38, 0.6)]
    vehicle.face(plate, jitter(rng, (0.85, 0.85, 0.8), 0.1))
    _paint_lamps(vehicle, end)


def _paint_lamps(vehicle: Vehicle, end: int) -> None:
    colour = np.array((1, 0.95, 0.8)) if end else np.array((0.8, 0.08, 0.05))
    glow = colour * vehicle.scene.drive.night * 1.5
    low = vehicle.body.body * vehicle.scene.rng.uniform(0.55, 0.75)
    for left in (0.04, 0.78):
        corners = [
            (end, left, low),
            (end, left + 0.18, low),
            (end, left + 0.18, low + 0.16),
            (end, left, low + 0.16),
        ]
        vehicle.face(corners, colour, glow)
