# Copyright (c) mmseg_ctt contributors.
"""Settings of a drive: light, weather, town and camera of its scenes.

Colours are RGB, 0 to 1. Kinds of walls and fences are those of
``texture.wall`` and ``texture.fence``; a kind listed twice is twice as common.
"""

from dataclasses import dataclass
from typing import Tuple

RGB = Tuple[float, float, float]
Colours = Tuple[RGB, ...]

WHITE: RGB = (0.9, 0.9, 0.88)


@dataclass(frozen=True)
class Drive:
    """Settings that the scenes of a drive have in common.

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
        bare (float): Fraction of trees without leaves.
        camera_height (float): Metres.
        horizon (float): Row of the horizon, as a fraction of the height.
        focal (float): Focal length, as a fraction of the width.
        bonnet (bool): The own car's bonnet is in the picture.
        noise (float): Standard deviation of the sensor noise.
        saturation (float): Of the picture.
        gamma (float): Of the picture; above 1 is darker.
        blur (float): Of the lens, in pixels.
        quality (int): Of the JPEG files.
        people (float): Scales the mean number of pedestrians.
        cyclists (float): Scales the mean number of bicyclists.
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
