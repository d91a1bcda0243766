# Copyright (c) mmseg_ctt contributors.
"""Names of the files of Cityscapes, as published lists give them."""

import os.path as osp
import re

CITYSCAPES_NAME = re.compile(
    r'^(?P<id>(?P<city>[a-z-]+)_\d{6}_\d{6})(?P<kind>_leftImg8bit|_gt(Fine|Coarse)(_\w+)?)?(\.\w+)?$'
)
# Of fine and coarse labels; other data sets have names of a word and two numbers as well.
CITIES = frozenset(
    'aachen augsburg bad-honnef bamberg bayreuth berlin bielefeld bochum bonn bremen cologne '
    'darmstadt dortmund dresden duisburg dusseldorf erfurt erlangen frankfurt freiburg hamburg '
    'hanover heidelberg heilbronn jena karlsruhe konigswinter konstanz krefeld leverkusen lindau '
    'mainz mannheim monchengladbach muhlheim-ruhr munich munster nuremberg oberhausen saarbrucken '
    'schweinfurt strasbourg stuttgart troisdorf tubingen ulm weimar wuppertal wurzburg '
    'zurich'.split()
)


def cityscapes_stem(path: str) -> str:
    """Stem of an image, mask or id of Cityscapes, with the folder of its city.

    Args:
        path (str): Such as ``leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png``.

    Returns:
        str: Such as ``ulm/ulm_000000_000019``; empty for a name that is none of Cityscapes.
    """
    found = CITYSCAPES_NAME.match(osp.basename(path))
    if found is None or not (found['kind'] or found['city'] in CITIES):
        return ''
    return f'{found["city"]}/{found["id"]}'
