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
    paint: Colours = (WHITE, )
    sun: float = 0.
    fog: float = 0.002
    rain: float = 0.
    night: float = 0.
    snow: float = 0.
    bare: float = 0.05
    camera_height: float = 1.4
    horizon: float = .46
    focal: float = .9
    bonnet: bool = False
    noise: float = 0.015
    saturation: float = 1.
    gamma: float = 1.
    blur: float = 0.3
    quality: int = 92
    people: float = 3.
    cyclists: float = 1.6


DRIVES: Tuple[Drive, ...] = (
    Drive(
        'd01', 'clear noon, brick town', ((.25, .45, .8), (.7, .82, .92)),
        (1.05, 1.02, .96), (.72, .8, .88),
        ((.55, .27, .2), (.62, .38, .28), (.8, .74, .62), (.7, .7, .68)),
        ('brick', 'brick', 'plaster', 'stone'), (.33, .33, .34),
        ((.62, .58, .52), (.55, .42, .36), (.6, .6, .6)),
        ((.2, .38, .12), (.28, .45, .16), (.14, .3, .12)),
        ('bars', 'picket', 'wall'), ((.88, .88, .84), BLACK),
        (WHITE, BLACK, (.7, .1, .1), (.15, .25, .5), (.5, .5, .52)),
        ((.15, .25, .8), (.1, .4, .85)),
        ((.95, .45, .05), (.9, .85, .1)),
        ((.08, .22, .14), (.1, .1, .11)), ('ban', 'round', 'arrow'),
        sun=.55, bonnet=True),
    Drive(
        'd02', 'overcast, concrete town', ((.72, .74, .76), (.82, .83, .84)),
        (.8, .82, .85), (.75, .77, .79),
        (*GREY, (.55, .58, .62), (.42, .4, .38), (.66, .64, .55)),
        ('panel', 'panel', 'plaster', 'glass'), (.4, .4, .41),
        ((.47, .47, .47), (.55, .54, .53), (.4, .4, .41)),
        ((.18, .26, .14), (.24, .3, .18)), ('rail', 'mesh', 'wall'),
        ((.2, .42, .34), ),
        (*GREY, BLACK, WHITE, (.2, .25, .3)),
        ((.8, .1, .12), (.6, .08, .3)),
        ((.2, .8, .75), (.9, .9, .3)),
        ((.85, .68, .12), (.3, .3, .32)), ('arrow', 'board', 'light'),
        fog=.006, saturation=.75, camera_height=1.2, horizon=.5,
        people=4.),
    Drive(
        'd03', 'dusk, southern town', ((.35, .25, .45), (.95, .55, .3)),
        (.85, .55, .42), (.8, .5, .38),
        ((.85, .6, .35), (.8, .5, .42), (.88, .8, .6), (.6, .35, .3)),
        ('plaster', 'plaster', 'stone'), (.36, .32, .3),
        ((.66, .54, .42), (.55, .5, .46), (.7, .4, .3)),
        ((.3, .34, .1), (.4, .38, .15), (.2, .3, .16)),
        ('wall', 'bars', 'plank'), ((.28, .17, .12), (.2, .32, .2)),
        (WHITE, (.8, .6, .2), (.5, .1, .1), (.3, .35, .4), BLACK),
        ((.1, .5, .6), (.75, .85, .8)),
        ((.85, .1, .55), (.6, .1, .75)),
        ((.85, .82, .76), ), ('warning', 'stop', 'light'),
        paint=(WHITE, (.9, .8, .4)), sun=.35, gamma=1., night=.25,
        camera_height=1.6, horizon=.43, focal=.8, people=4.),
    Drive(
        'd04', 'night, lamps', ((.03, .04, .1), (.14, .12, .15)),
        (.36, .38, .5), (.06, .06, .09),
        ((.4, .4, .45), (.5, .42, .36), (.3, .3, .36), (.6, .55, .5)),
        ('glass', 'panel', 'plaster', 'brick'), (.3, .3, .32),
        ((.45, .43, .42), (.38, .38, .4)),
        ((.14, .25, .12), (.2, .3, .15)), ('bars', 'mesh', 'plank'),
        ((.38, .27, .18), (.55, .5, .3)),
        (WHITE, BLACK, (.4, .4, .42), (.6, .15, .12), (.75, .65, .1)),
        ((.85, .8, .75), (.9, .45, .6)),
        ((.3, .95, .3), (.95, .95, .2)),
        ((.62, .63, .65), ), ('light', 'light', 'priority'),
        night=1., noise=.03, saturation=.85, blur=.5, quality=88,
        focal=1., bonnet=True),
    Drive(
        'd05', 'fog, suburb', ((.78, .79, .8), (.76, .77, .78)),
        (.8, .8, .8), (.77, .78, .79),
        ((.8, .78, .74), (.6, .5, .42), (.5, .55, .5), (.7, .72, .75)),
        ('wood', 'plaster', 'wood', 'brick'), (.38, .38, .39),
        ((.58, .57, .56), (.48, .47, .46)),
        ((.22, .33, .2), (.3, .36, .22), (.35, .33, .2)),
        ('picket', 'plank', 'plank'), (WHITE, (.42, .3, .2)),
        (WHITE, (.5, .55, .6), (.3, .1, .12), (.2, .3, .25)),
        ((.85, .7, .05), (.75, .5, .05)),
        ((.85, .15, .1), (.95, .4, .3)),
        ((.32, .2, .1), (.22, .15, .1)), ('warning', 'ban', 'parking'),
        fog=.014, saturation=.95, bare=.1, noise=.02, blur=.6,
        horizon=.48, people=2.),
    Drive(
        'd06', 'rain, harbour town', ((.4, .43, .48), (.56, .58, .6)),
        (.78, .85, .92), (.5, .53, .57),
        ((.3, .42, .55), (.62, .3, .25), (.75, .75, .72), (.35, .45, .38)),
        ('wood', 'brick', 'panel', 'glass'), (.22, .23, .25),
        ((.36, .36, .38), (.45, .38, .35), (.3, .31, .33)),
        ((.1, .28, .16), (.16, .34, .2)), ('rail', 'bars', 'mesh'),
        ((.75, .77, .8), (.12, .32, .55)),
        ((.15, .3, .5), WHITE, (.6, .12, .1), (.25, .28, .3), (.1, .35, .3)),
        ((.9, .8, .1), (.85, .45, .1)),
        ((.75, .2, .7), (.9, .6, .85)),
        ((.1, .16, .4), (.08, .08, .1)), ('yellow', 'stop', 'light'),
        paint=(WHITE, (.85, .7, .15)), rain=1., fog=.007, gamma=.88,
        camera_height=2.3, horizon=.38, blur=.5),
    Drive(
        'd07', 'low sun, autumn avenue', ((.5, .62, .8), (.95, .85, .65)),
        (1.15, .95, .7), (.9, .8, .65),
        ((.75, .65, .48), (.6, .55, .5), (.5, .3, .22), (.86, .82, .74)),
        ('stone', 'stone', 'plaster', 'brick'), (.42, .39, .36),
        ((.6, .52, .42), (.68, .62, .52), (.5, .35, .25)),
        ((.7, .45, .1), (.6, .25, .08), (.55, .5, .15), (.35, .38, .14)),
        ('bars', 'plank', 'mesh'), ((.12, .28, .2), BLACK),
        ((.6, .35, .1), WHITE, (.3, .32, .3), (.5, .08, .1), (.7, .68, .6)),
        ((.35, .2, .65), (.5, .4, .85)),
        ((.05, .55, .6), (.1, .75, .7)),
        ((.5, .52, .54), (.9, .87, .8)), ('priority', 'arrow', 'green'),
        paint=(WHITE, (.9, .75, .25)), sun=.65, gamma=.9, saturation=1.15,
        camera_height=1.3, horizon=.52, cyclists=2.5),
    Drive(
        'd08', 'snow, northern town', ((.7, .76, .84), (.9, .92, .95)),
        (.92, .98, 1.06), (.86, .89, .93),
        ((.75, .3, .22), (.85, .7, .35), (.4, .45, .5), (.85, .86, .88)),
        ('wood', 'wood', 'plaster', 'panel'), (.45, .46, .48),
        ((.75, .77, .8), (.6, .61, .63)),
        ((.12, .22, .16), (.2, .26, .2), (.3, .26, .22)),
        ('plank', 'picket', 'rail'), ((.45, .16, .1), ),
        (WHITE, (.7, .72, .75), (.15, .3, .55), BLACK, (.65, .1, .1)),
        ((.1, .45, .2), (.2, .6, .35)),
        ((.85, .15, .5), (.2, .2, .75)),
        ((.62, .1, .1), (.55, .25, .12)), ('yellow', 'parking', 'green'),
        snow=.8, fog=.006, gamma=.92, horizon=.44, focal=1., bare=.25, saturation=.9,
        cyclists=1.2),
)
