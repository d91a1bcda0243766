# Copyright (c) mmseg_ctt contributors.
"""Table of the aims of the recipe, in Markdown: what is reached, and whether it is enough."""

import math
from statistics import fmean
from typing import TYPE_CHECKING, Collection, List

from _league_cells import MISSING, RECIPE, SETS, capital, main_set, table

if TYPE_CHECKING:
    from mmseg_ctt.lab.experiments.league import League, Standing

PUBLISHED = 'ctt'
NUMBER, HALF = 3, 0.5  # so many questions are to have so much of the gap
REST, MEAN = 1 / 3, 0.6  # mean shares of the other questions, and of all
DIGITS = 9  # that count; the mean of equal scores differs in the last ones


def aims_table(league: 'League') -> str:
    """What the recipe reaches, as one network and as ensemble, beside its aims."""
    images = main_set(league)
    leagues = (league, league.of_ensembles())
    # a method of one network has no ensemble, and a league of ensembles represents it by that one
    methods = (set(league.methods) - {league.baseline}, league.with_ensemble)
    seeds = [_standing(*given, RECIPE, images).fewest for given in zip(leagues, methods)]
    mean = f'at least {100 * MEAN:.0f} %'
    rows = [
        (
            'questions with at least half of the gap',
            f'at least {NUMBER} of {len(league.questions)}',
        ),
        (f'mean share of the others, the best {NUMBER} aside', 'at least a third'),
        ('lowest mean gain over labels alone, points', 'not below 0'),
        ('lowest gain of a single run over labels alone of its seed, points', 'not below 0'),
        ('mean share of the best method with as many seeds', mean),
        ('the same, shares above 100 % counted as 100 %', mean),
        (f'for comparison, mean share of `{PUBLISHED}` as published', 'none'),
    ]
    columns = [_column(*given, images) for given in zip(leagues, methods)]
    network = league.matrix.members.get(RECIPE, 'teacher0')
    head = [
        f'`{RECIPE}`',
        'aim',
        f'`{network}`, one network ({seeds[0]})',
        f'ensemble ({seeds[1]})',
    ]
    lines = [[*row, *cells] for row, *cells in zip(rows, *columns)]
    text = f'{capital(SETS[images])}, means over (number of) seeds:'
    return f'{text}\n\n{table(head, lines)}'


def _column(league: 'League', methods: Collection[str], images: str) -> List[str]:
    """Cells of a league, in which one network or the ensemble represents each method.

    Args:
        league (League): The league.
        methods (Collection[str]): Methods of it that have such a representative.
        images (str): ``val`` or ``test``.
    """
    row = _standing(league, methods, RECIPE, images)
    halves = sum(share >= HALF for share in row.measured) if row.complete else math.nan
    rest = _mean(sorted(row.measured)[:-NUMBER] if row.complete else [])
    runs = [list(league.gains(RECIPE, name, images).values()) for name in league.questions]
    known = row.complete and all(runs)
    lowest_mean = min(map(_mean, runs)) if known else math.nan
    lowest_run = min(map(min, runs)) if known else math.nan
    best = _best(league, methods, images)
    capped = _mean([min(share, 1.0) for share in best.measured] if best.complete else [])
    published = _standing(league, methods, PUBLISHED, images)
    return [
        _judged(halves, NUMBER, f'{halves:.0f}'),
        _judged(rest, REST, _share(rest)),
        _judged(lowest_mean, 0.0, _points(lowest_mean)),
        _judged(lowest_run, 0.0, _points(lowest_run)),
        _judged(best.mean, MEAN, f'{_share(best.mean)}, `{best.method}`'),
        _judged(capped, MEAN, f'{_share(capped)}, `{best.method}`'),
        f'{_share(published.mean)} ({published.fewest})' if published.complete else MISSING,
    ]


def _standing(league: 'League', methods: Collection[str], method: str, images: str) -> 'Standing':
    """Standing of a method; one without shares if it is not among the methods."""
    from mmseg_ctt.lab.experiments.league import Standing

    return league.standing(method, images) if method in methods else Standing(method, {}, {})


def _best(league: 'League', methods: Collection[str], images: str) -> 'Standing':
    """The highest mean of the methods that have as many seeds as the recipe."""
    recipe = _standing(league, methods, RECIPE, images)
    rows = (_standing(league, methods, row.method, images) for row in league.standings(images))
    return next((row for row in rows if row.complete and row.fewest >= recipe.fewest), recipe)


def _mean(values: List[float]) -> float:
    return fmean(values) if values else math.nan


def _share(share: float) -> str:
    return f'{100 * share:.1f} %'


def _points(gain: float) -> str:
    return f'{round(gain, 2) + 0.0:.2f}'  # no -0.00


def _judged(value: float, aim: float, text: str) -> str:
    """Text of a value, and whether the value is at least that of the aim."""
    if math.isnan(value):
        return MISSING
    return f'{text}: {"met" if round(value - aim, DIGITS) >= 0 else "missed"}'
