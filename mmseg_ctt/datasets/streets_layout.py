# Copyright (c) mmseg_ctt contributors.
"""Classes, colours and folders of the street scenes."""

from typing import Dict, List, Tuple

IGNORE_INDEX = 255
IMG_SUFFIX = '.jpg'
SEG_MAP_SUFFIX = '.png'
PARTS = ('train', 'val')

_TABLE: Tuple[Tuple[str, List[int]], ...] = (
    ('road', [110, 70, 120]),
    ('lane marking', [245, 245, 245]),
    ('pavement', [230, 80, 200]),
    ('building', [120, 40, 40]),
    ('fence', [190, 150, 120]),
    ('pole', [150, 150, 150]),
    ('traffic sign', [240, 220, 0]),
    ('vegetation', [60, 140, 40]),
    ('sky', [80, 150, 230]),
    ('pedestrian', [230, 30, 50]),
    ('bicyclist', [255, 140, 0]),
    ('car', [20, 20, 160]),
)
CLASSES = tuple(name for name, _ in _TABLE)
PALETTE = [colour for _, colour in _TABLE]
CLASS_ID: Dict[str, int] = {name: k for k, name in enumerate(CLASSES)}
ROAD, LANE, PAVEMENT, BUILDING, FENCE, POLE = range(6)
SIGN, VEGETATION, SKY, PEDESTRIAN, BICYCLIST, CAR = range(6, 12)
