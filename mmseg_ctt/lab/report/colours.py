# Copyright (c) mmseg_ctt contributors.
"""One look of every member in all figures, told apart without red and green."""

import re
from typing import Dict, NamedTuple, Sequence

# Dark and light of a hue, for the student and the teacher of a pair: Okabe and Ito, Paul Tol.
PAIRS = (
    ('#0072b2', '#56b4e9'),
    ('#d55e00', '#e69f00'),
    ('#882255', '#cc79a7'),
    ('#117733', '#44aa99'),
)
ENSEMBLE, PLAIN = '#222222', '#117733'
PLAIN_MODEL = 'model'  # what the only network of a plain segmentor is called
DASHES = {'student': 'solid', 'teacher': 'dash', 'ensemble': 'solid'}
MEMBER = re.compile(r'(student|teacher)(\d+)$|ensemble$')
# Lines that belong to no member.
PLAIN_LINES = ('#332288', '#009e73', '#999933', '#aa4499')
ALL = '#6b7280'  # of all members together
SYMBOLS = ('circle', 'square', 'diamond', 'triangle-up', 'x', 'star', 'cross', 'triangle-down')


class Look(NamedTuple):
    """``colour`` as ``#rrggbb`` and ``dash`` in plotly's words."""

    colour: str
    dash: str


def look_of(member: str) -> Look:
    """Colour and dash of a member; any other name is that of a plain model."""
    found = MEMBER.match(member)
    if found is None:
        return Look(PLAIN, 'solid')
    if found[1] is None:
        return Look(ENSEMBLE, DASHES['ensemble'])
    dark_or_light = ('student', 'teacher').index(found[1])
    return Look(PAIRS[int(found[2]) % len(PAIRS)][dark_or_light], DASHES[found[1]])


def in_order(members: Sequence[str]) -> Dict[str, Look]:
    """Looks by member: students, teachers, the ensemble, others."""

    def place(name: str) -> tuple:
        found = MEMBER.match(name)
        if found is None:
            return 3, 0, name
        if found[1] is None:
            return 2, 0, name
        return ('student', 'teacher').index(found[1]), int(found[2]), name

    return {name: look_of(name) for name in sorted(set(members), key=place)}
