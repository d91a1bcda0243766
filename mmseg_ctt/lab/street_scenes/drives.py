# Copyright (c) mmseg_ctt contributors.
"""The drives: each has its own light, weather, town and camera.

Colours are RGB, 0 to 1. Kinds of walls and fences are those of
``texture.wall`` and ``texture.fence``; a kind named twice is twice as common.
"""

from dataclasses import dataclass
from typing import Tuple

RGB = Tuple[float, float, float]
Colours = Tuple[RGB, ...]

GREY: Colours = ((0.35, 0.35, 0.36), (0.5, 0.5, 0.5), (0.62, 0.6, 0.58))
WHITE: RGB = (0.9, 0.9, 0.88)
BLACK: RGB = (0.08, 0.08, 0.09)


@dataclass(frozen=True)
class Drive:
    """What the scenes of a drive have in common.

    Args:
        name (str): Begins the file names.
        weather (str): In words, for ``meta.json``.
        sky (tuple): Colours at the top and at the horizon.
        light (tuple): Colour and strength of the light.
        haze (tuple): Colour that far things fade to.
        facades (tuple): Colours of buildings.
        walls (tuple): Kinds of walls.
        asphalt (tuple): Colour of the road.
        paving (tuple): Colours of pavements.
        leaves (tuple): Colours of plants.
        fences (tuple): Kinds of fences.
        fence_colours (tuple): Colours of fences.
        cars (tuple): Colours of vehicles.
        clothes (tuple): Colours of pedestrians' clothes.
        riders (tuple): Colours of bicyclists' clothes and bicycles.
        poles (tuple): Colours of poles.
        signs (tuple): Kinds of traffic signs, see ``furniture.SIGNS``.
        paint (tuple): Colours of lane markings.
        sun (float): Contrast of cast shadows, 0 to 1.
        fog (float): Fading a metre.
        rain (float): 0 to 1.
        night (float): 0 to 1.
        snow (float): 0 to 1.
        bare (float): Share of trees without leaves.
        camera_height (float): Metres.
        horizon (float): Row of the horizon, as a share of the height.
        focal (float): Focal length, as a share of the width.
        bonnet (bool): The own car's bonnet is in the picture.
        noise (float): Standard deviation of the sensor noise.
        saturation (float): Of the picture.
        gamma (float): Of the picture; above 1 is darker.
        blur (float): Of the lens, in pixels.
        quality (int): Of the JPEG files.
        people (float): Mean number of pedestrians tried.
        cyclists (float): Mean number of bicyclists tried.
    """

    name: str
    weather: str
    sky: Tuple[RGB, RGB]
    light: RGB
    haze: RGB
    facades: Colours
    walls: Tuple[str, ...]
    asphalt: RGB
    paving: Colours
    leaves: Colours
    fences: Tuple[str, ...]
    fence_colours: Colours
    cars: Colours
    clothes: Colours
    riders: Colours
    poles: Colours
    signs: Tuple[str, ...]
    paint: Colours = (WHITE,)
    sun: float = 0.0
    fog: float = 0.002
    rain: float = 0.0
    night: float = 0.0
    snow: float = 0.0
    bare: float = 0.05
    camera_height: float = 1.4
    horizon: float = 0.46
    focal: float = 0.9
    bonnet: bool = False
    noise: float = 0.015
    saturation: float = 1.0
    gamma: float = 1.0
    blur: float = 0.3
    quality: int = 92
    people: float = 3.0
    cyclists: float = 1.6


DRIVES: Tuple[Drive, ...] = (
    Drive(
        'd01',
        'clear noon, brick town',
        ((0.25, 0.45, 0.8), (0.7, 0.82, 0.92)),
        (1.05, 1.02, 0.96),
        (0.72, 0.8, 0.88),
        ((0.55, 0.27, 0.2), (0.62, 0.38, 0.28), (0.8, 0.74, 0.62), (0.7, 0.7, 0.68)),
        ('brick', 'brick', 'plaster', 'stone'),
        (0.33, 0.33, 0.34),
        ((0.62, 0.58, 0.52), (0.55, 0.42, 0.36), (0.6, 0.6, 0.6)),
        ((0.2, 0.38, 0.12), (0.28, 0.45, 0.16), (0.14, 0.3, 0.12)),
        ('bars', 'picket', 'wall'),
        ((0.88, 0.88, 0.84), BLACK),
        (WHITE, BLACK, (0.7, 0.1, 0.1), (0.15, 0.25, 0.5), (0.5, 0.5, 0.52)),
        ((0.15, 0.25, 0.8), (0.1, 0.4, 0.85)),
        ((0.95, 0.45, 0.05), (0.9, 0.85, 0.1)),
        ((0.08, 0.22, 0.14), (0.1, 0.1, 0.11)),
        ('ban', 'round', 'arrow'),
        sun=0.55,
        bonnet=True,
    ),
    Drive(
        'd02',
        'overcast, concrete town',
        ((0.72, 0.74, 0.76), (0.82, 0.83, 0.84)),
        (0.8, 0.82, 0.85),
        (0.75, 0.77, 0.79),
        (*GREY, (0.55, 0.58, 0.62), (0.42, 0.4, 0.38), (0.66, 0.64, 0.55)),
        ('panel', 'panel', 'plaster', 'glass'),
        (0.4, 0.4, 0.41),
        ((0.47, 0.47, 0.47), (0.55, 0.54, 0.53), (0.4, 0.4, 0.41)),
        ((0.18, 0.26, 0.14), (0.24, 0.3, 0.18)),
        ('rail', 'mesh', 'wall'),
        ((0.2, 0.42, 0.34),),
        (*GREY, BLACK, WHITE, (0.2, 0.25, 0.3)),
        ((0.8, 0.1, 0.12), (0.6, 0.08, 0.3)),
        ((0.2, 0.8, 0.75), (0.9, 0.9, 0.3)),
        ((0.85, 0.68, 0.12), (0.3, 0.3, 0.32)),
        ('arrow', 'board', 'light'),
        fog=0.006,
        saturation=0.75,
        camera_height=1.2,
        horizon=0.5,
        people=4.0,
    ),
    Drive(
        'd03',
        'dusk, southern town',
        ((0.35, 0.25, 0.45), (0.95, 0.55, 0.3)),
        (0.85, 0.55, 0.42),
        (0.8, 0.5, 0.38),
        ((0.85, 0.6, 0.35), (0.8, 0.5, 0.42), (0.88, 0.8, 0.6), (0.6, 0.35, 0.3)),
        ('plaster', 'plaster', 'stone'),
        (0.36, 0.32, 0.3),
        ((0.66, 0.54, 0.42), (0.55, 0.5, 0.46), (0.7, 0.4, 0.3)),
        ((0.3, 0.34, 0.1), (0.4, 0.38, 0.15), (0.2, 0.3, 0.16)),
        ('wall', 'bars', 'plank'),
        ((0.28, 0.17, 0.12), (0.2, 0.32, 0.2)),
        (WHITE, (0.8, 0.6, 0.2), (0.5, 0.1, 0.1), (0.3, 0.35, 0.4), BLACK),
        ((0.1, 0.5, 0.6), (0.75, 0.85, 0.8)),
        ((0.85, 0.1, 0.55), (0.6, 0.1, 0.75)),
        ((0.85, 0.82, 0.76),),
        ('warning', 'stop', 'light'),
        paint=(WHITE, (0.9, 0.8, 0.4)),
        sun=0.35,
        gamma=1.0,
        night=0.25,
        camera_height=1.6,
        horizon=0.43,
        focal=0.8,
        people=4.0,
    ),
    Drive(
        'd04',
        'night, lamps',
        ((0.03, 0.04, 0.1), (0.14, 0.12, 0.15)),
        (0.36, 0.38, 0.5),
        (0.06, 0.06, 0.09),
        ((0.4, 0.4, 0.45), (0.5, 0.42, 0.36), (0.3, 0.3, 0.36), (0.6, 0.55, 0.5)),
        ('glass', 'panel', 'plaster', 'brick'),
        (0.3, 0.3, 0.32),
        ((0.45, 0.43, 0.42), (0.38, 0.38, 0.4)),
        ((0.14, 0.25, 0.12), (0.2, 0.3, 0.15)),
        ('bars', 'mesh', 'plank'),
        ((0.38, 0.27, 0.18), (0.55, 0.5, 0.3)),
        (WHITE, BLACK, (0.4, 0.4, 0.42), (0.6, 0.15, 0.12), (0.75, 0.65, 0.1)),
        ((0.85, 0.8, 0.75), (0.9, 0.45, 0.6)),
        ((0.3, 0.95, 0.3), (0.95, 0.95, 0.2)),
        ((0.62, 0.63, 0.65),),
        ('light', 'light', 'priority'),
        night=1.0,
        noise=0.03,
        saturation=0.85,
        blur=0.5,
        quality=88,
        focal=1.0,
        bonnet=True,
    ),
    Drive(
        'd05',
        'fog, suburb',
        ((0.78, 0.79, 0.8), (0.76, 0.77, 0.78)),
        (0.8, 0.8, 0.8),
        (0.77, 0.78, 0.79),
        ((0.8, 0.78, 0.74), (0.6, 0.5, 0.42), (0.5, 0.55, 0.5), (0.7, 0.72, 0.75)),
        ('wood', 'plaster', 'wood', 'brick'),
        (0.38, 0.38, 0.39),
        ((0.58, 0.57, 0.56), (0.48, 0.47, 0.46)),
        ((0.22, 0.33, 0.2), (0.3, 0.36, 0.22), (0.35, 0.33, 0.2)),
        ('picket', 'plank', 'plank'),
        (WHITE, (0.42, 0.3, 0.2)),
        (WHITE, (0.5, 0.55, 0.6), (0.3, 0.1, 0.12), (0.2, 0.3, 0.25)),
        ((0.85, 0.7, 0.05), (0.75, 0.5, 0.05)),
        ((0.85, 0.15, 0.1), (0.95, 0.4, 0.3)),
        ((0.32, 0.2, 0.1), (0.22, 0.15, 0.1)),
        ('warning', 'ban', 'parking'),
        fog=0.014,
        saturation=0.95,
        bare=0.1,
        noise=0.02,
        blur=0.6,
        horizon=0.48,
        people=2.0,
    ),
    Drive(
        'd06',
        'rain, harbour town',
        ((0.4, 0.43, 0.48), (0.56, 0.58, 0.6)),
        (0.78, 0.85, 0.92),
        (0.5, 0.53, 0.57),
        ((0.3, 0.42, 0.55), (0.62, 0.3, 0.25), (0.75, 0.75, 0.72), (0.35, 0.45, 0.38)),
        ('wood', 'brick', 'panel', 'glass'),
        (0.22, 0.23, 0.25),
        ((0.36, 0.36, 0.38), (0.45, 0.38, 0.35), (0.3, 0.31, 0.33)),
        ((0.1, 0.28, 0.16), (0.16, 0.34, 0.2)),
        ('rail', 'bars', 'mesh'),
        ((0.75, 0.77, 0.8), (0.12, 0.32, 0.55)),
        ((0.15, 0.3, 0.5), WHITE, (0.6, 0.12, 0.1), (0.25, 0.28, 0.3), (0.1, 0.35, 0.3)),
        ((0.9, 0.8, 0.1), (0.85, 0.45, 0.1)),
        ((0.75, 0.2, 0.7), (0.9, 0.6, 0.85)),
        ((0.1, 0.16, 0.4), (0.08, 0.08, 0.1)),
        ('yellow', 'stop', 'light'),
        paint=(WHITE, (0.85, 0.7, 0.15)),
        rain=1.0,
        fog=0.007,
        gamma=0.88,
        camera_height=2.3,
        horizon=0.38,
        blur=0.5,
    ),
    Drive(
        'd07',
        'low sun, autumn avenue',
        ((0.5, 0.62, 0.8), (0.95, 0.85, 0.65)),
        (1.15, 0.95, 0.7),
        (0.9, 0.8, 0.65),
        ((0.75, 0.65, 0.48), (0.6, 0.55, 0.5), (0.5, 0.3, 0.22), (0.86, 0.82, 0.74)),
        ('stone', 'stone', 'plaster', 'brick'),
        (0.42, 0.39, 0.36),
        ((0.6, 0.52, 0.42), (0.68, 0.62, 0.52), (0.5, 0.35, 0.25)),
        ((0.7, 0.45, 0.1), (0.6, 0.25, 0.08), (0.55, 0.5, 0.15), (0.35, 0.38, 0.14)),
        ('bars', 'plank', 'mesh'),
        ((0.12, 0.28, 0.2), BLACK),
        ((0.6, 0.35, 0.1), WHITE, (0.3, 0.32, 0.3), (0.5, 0.08, 0.1), (0.7, 0.68, 0.6)),
        ((0.35, 0.2, 0.65), (0.5, 0.4, 0.85)),
        ((0.05, 0.55, 0.6), (0.1, 0.75, 0.7)),
        ((0.5, 0.52, 0.54), (0.9, 0.87, 0.8)),
        ('priority', 'arrow', 'green'),
        paint=(WHITE, (0.9, 0.75, 0.25)),
        sun=0.65,
        gamma=0.9,
        saturation=1.15,
        camera_height=1.3,
        horizon=0.52,
        cyclists=2.5,
    ),
    Drive(
        'd08',
        'snow, northern town',
        ((0.7, 0.76, 0.84), (0.9, 0.92, 0.95)),
        (0.92, 0.98, 1.06),
        (0.86, 0.89, 0.93),
        ((0.75, 0.3, 0.22), (0.85, 0.7, 0.35), (0.4, 0.45, 0.5), (0.85, 0.86, 0.88)),
        ('wood', 'wood', 'plaster', 'panel'),
        (0.45, 0.46, 0.48),
        ((0.75, 0.77, 0.8), (0.6, 0.61, 0.63)),
        ((0.12, 0.22, 0.16), (0.2, 0.26, 0.2), (0.3, 0.26, 0.22)),
        ('plank', 'picket', 'rail'),
        ((0.45, 0.16, 0.1),),
        (WHITE, (0.7, 0.72, 0.75), (0.15, 0.3, 0.55), BLACK, (0.65, 0.1, 0.1)),
        ((0.1, 0.45, 0.2), (0.2, 0.6, 0.35)),
        ((0.85, 0.15, 0.5), (0.2, 0.2, 0.75)),
        ((0.62, 0.1, 0.1), (0.55, 0.25, 0.12)),
        ('yellow', 'parking', 'green'),
        snow=0.8,
        fog=0.006,
        gamma=0.92,
        horizon=0.44,
        focal=1.0,
        bare=0.25,
        saturation=0.9,
        cyclists=1.2,
    ),
)
