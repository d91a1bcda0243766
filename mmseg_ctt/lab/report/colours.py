# Copyright (c) mmseg_ctt contributors.
"""Line style of every member, the same in all figures, distinct without red and green."""

import re
from typing import Dict, NamedTuple, Sequence, Tuple

# Dark and light colour for the student and the teacher of a pair, from Okabe and Ito, Paul Tol.
PAIRS = (
    ('#0072b2', '#56b4e9'),
    ('#d55e00', '#e69f00'),
    ('#882255', '#cc79a7'),
    ('#117733', '#44aa99'),
)
ENSEMBLE, PLAIN = '#222222', '#117733'
PLAIN_MODEL = 'model'  # name of the only network of a plain segmentor
EVERY_MEMBER = 'all members'  # name of a line that belongs to none
DASHES = {'student': 'solid', 'teacher': 'dash', 'ensemble': 'solid'}
MEMBER = re.compile(r'(student|teacher)(\d+)$|ensemble$')
# Lines that belong to no member.
PLAIN_LINES = ('#332288', '#009e73', '#999933', '#aa4499')
ALL = '#6b7280'  # all members together
SYMBOLS = ('circle', 'square', 'diamond', 'triangle-up', 'x', 'star', 'cross', 'triangle-down')


class Style(NamedTuple):
    """Style of a line: ``colour`` as ``#rrggbb`` and ``dash`` of plotly."""

    colour: str
    dash: str


def style_of(member: str) -> Style:
    """Style of a member; any other name has that of a plain model."""
    match = MEMBER.match(member)
    if match is None:
        return Style(PLAIN, 'solid')
    if match[1] is None:
        return Style(ENSEMBLE, DASHES['ensemble'])
    dark_or_light = ('student', 'teacher').index(match[1])
    return Style(PAIRS[int(match[2]) % len(PAIRS)][dark_or_light], DASHES[match[1]])


def member_styles(members: Sequence[str]) -> Dict[str, Style]:
    """Styles by member, in the order students, teachers, ensemble, others."""

    def rank(name: str) -> Tuple[int, int, str]:
        match = MEMBER.match(name)
        if match is None:
            return 3, 0, name
        if match[1] is None:
            return 2, 0, name
        return ('student', 'teacher').index(match[1]), int(match[2]), name

    return {name: style_of(name) for name in sorted(set(members), key=rank)}
