# Copyright (c) mmseg_ctt contributors.
"""The drives: each has its own light, weather, town and camera.

Colours are RGB, 0 to 1. Kinds of walls and fences are those of
``texture.wall`` and ``texture.fence``; a kind named twice is twice as common.
"""
from dataclasses import dataclass
from typing import Tuple

RGB = Tuple[float, float, float]
Colours = Tuple[RGB, ...]

GREY: Colours = ((.35, .35, .36), (.5, .5, .5), (.62, .6, .58))
WHITE: RGB = (.9, .9, .88)
BLACK: RGB = (.08, .08, .09)


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
        clothes (tuple): Colours of clothes.
        paint (tuple): Colours of lane markings.
        sun (float): Contrast of cast shadows, 0 to 1.
        fog (float): Fading a metre.
        rain (float): 0 to 1.
        night (float): 0 to 1.
        snow (float): 0 to 1.
        bare (float): Share of trees without leaves.
        camera_height (float): Metres.
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
    paint: Colours = (WHITE, )
    sun: float = 0.
    fog: float = 0.002
    rain: float = 0.
    night: float = 0.
    snow: float = 0.
    bare: float = 0.05
    camera_height: float = 1.4
    bonnet: bool = False
    noise: float = 0.015
    saturation: float = 1.
    gamma: float = 1.
    blur: float = 0.3
    quality: int = 92
    people: float = 3.
    cyclists: float = 1.2


DRIVES: Tuple[Drive, ...] = (
    Drive(
        'd01', 'clear noon, brick town', ((.25, .45, .8), (.7, .82, .92)),
        (1.05, 1.02, .96), (.72, .8, .88),
        ((.55, .27, .2), (.62, .38, .28), (.8, .74, .62), (.7, .7, .68)),
        ('brick', 'brick', 'plaster', 'stone'), (.33, .33, .34),
        ((.62, .58, .52), (.55, .42, .36), (.6, .6, .6)),
        ((.2, .38, .12), (.28, .45, .16), (.14, .3, .12)),
        ('bars', 'picket', 'wall'), (BLACK, (.85, .85, .8), (.5, .28, .2)),
        (WHITE, BLACK, (.7, .1, .1), (.15, .25, .5), (.5, .5, .52)),
        (BLACK, (.2, .25, .45), (.75, .2, .2), (.8, .78, .7)),
        sun=.55, bonnet=True),
    Drive(
        'd02', 'overcast, concrete town', ((.72, .74, .76), (.82, .83, .84)),
        (.8, .82, .85), (.75, .77, .79),
        (*GREY, (.55, .58, .62), (.42, .4, .38), (.66, .64, .55)),
        ('panel', 'panel', 'plaster', 'glass'), (.4, .4, .41),
        ((.47, .47, .47), (.55, .54, .53), (.4, .4, .41)),
        ((.18, .26, .14), (.24, .3, .18)), ('rail', 'mesh', 'wall'),
        (*GREY, (.3, .4, .35)),
        (*GREY, BLACK, WHITE, (.2, .25, .3)), (*GREY, BLACK, (.25, .28, .35)),
        fog=.006, saturation=.75, camera_height=1.2, people=4.),
    Drive(
        'd03', 'dusk, southern town', ((.35, .25, .45), (.95, .55, .3)),
        (.85, .55, .42), (.8, .5, .38),
        ((.85, .6, .35), (.8, .5, .42), (.88, .8, .6), (.6, .35, .3)),
        ('plaster', 'plaster', 'stone'), (.36, .32, .3),
        ((.66, .54, .42), (.55, .5, .46), (.7, .4, .3)),
        ((.3, .34, .1), (.4, .38, .15), (.2, .3, .16)),
        ('wall', 'bars', 'plank'), ((.8, .65, .5), (.3, .2, .15), (.2, .35, .2)),
        (WHITE, (.8, .6, .2), (.5, .1, .1), (.3, .35, .4), BLACK),
        ((.8, .5, .2), (.85, .8, .7), (.3, .2, .3), (.5, .15, .15)),
        paint=(WHITE, (.9, .8, .4)), sun=.35, gamma=1., night=.25,
        camera_height=1.6, people=4.),
    Drive(
        'd04', 'night, lamps', ((.02, .03, .07), (.1, .09, .1)),
        (.26, .28, .4), (.06, .06, .09),
        ((.4, .4, .45), (.5, .42, .36), (.3, .3, .36), (.6, .55, .5)),
        ('glass', 'panel', 'plaster', 'brick'), (.3, .3, .32),
        ((.45, .43, .42), (.38, .38, .4)),
        ((.14, .25, .12), (.2, .3, .15)), ('bars', 'mesh', 'plank'),
        (BLACK, (.4, .4, .42), (.3, .22, .16)),
        (WHITE, BLACK, (.4, .4, .42), (.6, .15, .12), (.75, .65, .1)),
        (BLACK, (.3, .3, .35), (.6, .6, .6), (.5, .2, .2)),
        night=1., noise=.035, saturation=.85, blur=.5, quality=88,
        bonnet=True),
    Drive(
        'd05', 'fog, suburb', ((.78, .79, .8), (.76, .77, .78)),
        (.8, .8, .8), (.77, .78, .79),
        ((.8, .78, .74), (.6, .5, .42), (.5, .55, .5), (.7, .72, .75)),
        ('wood', 'plaster', 'wood', 'brick'), (.38, .38, .39),
        ((.58, .57, .56), (.48, .47, .46)),
        ((.22, .33, .2), (.3, .36, .22), (.35, .33, .2)),
        ('picket', 'plank', 'plank'), (WHITE, (.45, .34, .25), (.35, .4, .3)),
        (WHITE, (.5, .55, .6), (.3, .1, .12), (.2, .3, .25)),
        ((.75, .7, .2), (.3, .35, .4), (.6, .6, .62), (.2, .2, .22)),
        fog=.028, saturation=.7, bare=.3, noise=.02, blur=.6, people=2.),
    Drive(
        'd06', 'rain, harbour town', ((.4, .43, .48), (.56, .58, .6)),
        (.78, .85, .92), (.5, .53, .57),
        ((.3, .42, .55), (.62, .3, .25), (.75, .75, .72), (.35, .45, .38)),
        ('wood', 'brick', 'panel', 'glass'), (.22, .23, .25),
        ((.36, .36, .38), (.45, .38, .35), (.3, .31, .33)),
        ((.1, .28, .16), (.16, .34, .2)), ('rail', 'bars', 'mesh'),
        ((.65, .67, .7), (.15, .3, .45), BLACK),
        ((.15, .3, .5), WHITE, (.6, .12, .1), (.25, .28, .3), (.1, .35, .3)),
        ((.8, .75, .15), (.15, .25, .5), BLACK, (.6, .15, .2), (.2, .45, .4)),
        paint=(WHITE, (.85, .7, .15)), rain=1., fog=.01, gamma=.95,
        camera_height=2.3, blur=.5),
    Drive(
        'd07', 'low sun, autumn avenue', ((.5, .62, .8), (.95, .85, .65)),
        (1.15, .95, .7), (.9, .8, .65),
        ((.75, .65, .48), (.6, .55, .5), (.5, .3, .22), (.86, .82, .74)),
        ('stone', 'stone', 'plaster', 'brick'), (.42, .39, .36),
        ((.6, .52, .42), (.68, .62, .52), (.5, .35, .25)),
        ((.7, .45, .1), (.6, .25, .08), (.55, .5, .15), (.35, .38, .14)),
        ('bars', 'plank', 'mesh'), ((.2, .3, .2), (.55, .4, .22), BLACK),
        ((.6, .35, .1), WHITE, (.3, .32, .3), (.5, .08, .1), (.7, .68, .6)),
        ((.6, .4, .2), (.3, .3, .2), (.7, .6, .45), (.25, .15, .2)),
        paint=(WHITE, (.9, .75, .25)), sun=.65, gamma=.9, saturation=1.15,
        camera_height=1.3, cyclists=2.),
    Drive(
        'd08', 'snow, northern town', ((.7, .76, .84), (.9, .92, .95)),
        (.92, .98, 1.06), (.86, .89, .93),
        ((.75, .3, .22), (.85, .7, .35), (.4, .45, .5), (.85, .86, .88)),
        ('wood', 'wood', 'plaster', 'panel'), (.45, .46, .48),
        ((.75, .77, .8), (.6, .61, .63)),
        ((.12, .22, .16), (.2, .26, .2), (.3, .26, .22)),
        ('plank', 'picket', 'rail'), ((.5, .2, .15), WHITE, (.45, .4, .36)),
        (WHITE, (.7, .72, .75), (.15, .3, .55), BLACK, (.65, .1, .1)),
        (BLACK, (.7, .15, .15), (.2, .3, .55), (.85, .85, .85)),
        snow=.8, fog=.006, gamma=.92, bare=.55, saturation=.9,
        cyclists=.8),
)
