# Copyright (c) mmseg_ctt contributors.
"""What the tables of the league share: cells, names of rows, and a table of them."""

import math
from typing import TYPE_CHECKING, List

if TYPE_CHECKING:
    from mmseg_ctt.lab.experiments.league import League
    from mmseg_ctt.lab.experiments.table import Summary

SETS = {'test': 'test images', 'val': 'validation images'}
RECIPE = 'ctt_plus'
MISSING = 'not measured'


def main_set(league: 'League') -> str:
    """Images that the shares are of: test as soon as both ends of every gap are measured."""
    return 'test' if league.has_set('test') else 'val'


def percent(share: float, unit: str = '') -> str:
    """A share in whole per cent."""
    return MISSING if math.isnan(share) else f'{round(100 * share)}{unit}'


def points(value: float, digits: int = 2) -> str:
    """A score or a gain in points of mIoU."""
    return MISSING if math.isnan(value) else f'{value:.{digits}f}'


def ratio(value: 'float | None') -> str:
    """A cost over that of labels alone."""
    return MISSING if value is None else f'{value:.1f}'


def scored(value: 'Summary') -> str:
    """Mean, spread and number of seeds."""
    return str(value) if value.number else MISSING


def rounded(value: 'Summary') -> str:
    """Mean and number of seeds."""
    return f'{value.mean:.1f} ({value.number})' if value.number else MISSING


def capital(text: str) -> str:
    """A text as the begin of a sentence."""
    return text[0].upper() + text[1:]


def link(method: str, root: str = '..') -> str:
    """Name of a method that leads to its configs, from a page below ``docs``."""
    return f'[{method}]({root}/configs/{method}/README.md)'


def ensemble(method: str) -> str:
    """Name of the row of a method's ensemble."""
    return f'{method}, ensemble'


def table(head: List[str], lines: List[List[str]]) -> str:
    """Table in Markdown, without a line break at its end."""
    from mmseg_ctt.lab.experiments.table import markdown_table

    return markdown_table(head, lines).rstrip('\n')
