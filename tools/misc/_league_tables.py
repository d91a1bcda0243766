# Copyright (c) mmseg_ctt contributors.
"""Tables of the league and of the results, in Markdown."""

import math
from statistics import fmean
from typing import TYPE_CHECKING, Callable, List, Mapping, Tuple

from _league_cells import (
    MISSING,
    RECIPE,
    SETS,
    capital,
    ensemble,
    link,
    main_set,
    percent,
    points,
    ratio,
    rounded,
    scored,
    table,
)

if TYPE_CHECKING:
    from mmseg_ctt.lab.experiments.league import League, Standing
    from mmseg_ctt.lab.experiments.table import Summary

REPORTED = ('supervised', 'ctt', RECIPE)  # of docs/results.md, beside the best others
OTHERS = 3
NO_GAP = 'no gap'


def shares_table(
    league: 'League',
    costs: Mapping[str, float],
    memory: Mapping[str, float],
    base: Mapping[str, float],
) -> str:
    """Share of the gap by question, mean, worst case, cost of a step and memory of a method.

    Args:
        league (League): Mean shares of the validation images stand beside those of the test images.
        costs (Mapping[str, float]): Processor time of a step over that of labels alone, by method.
        memory (Mapping[str, float]): Its peak, likewise.
        base (Mapping[str, float]): ``step``, seconds, and ``memory``, MiB, of labels alone; may be
            empty.
    """
    images = main_set(league)
    lines = []

    def add(name: str, method: str, source: 'League') -> None:
        cells = _shares(league, source.standing(method, images))
        if images == 'test':
            cells.append(percent(source.standing(method, 'val').mean))
        used = [ratio(costs.get(method)), ratio(memory.get(method))]
        lines.append([name, *cells, *used])

    for row in league.standings(images):
        add(link(row.method), row.method, league)
        if row.method in league.with_ensemble:
            add(ensemble(row.method), row.method, league.of_ensembles())
    text = f'Share of the gap on the **{SETS[images]}**, in % (number of seeds).'
    head = ['method', *league.questions, 'mean', 'worst', 'cost of a step', 'memory']
    if images == 'test':
        head.insert(-2, 'mean, validation')
    else:
        text += f' {capital(SETS["test"])}: not yet.'
    if base:
        text += (
            f' Cost of a step and memory: 1.0 is what labels alone take, '
            f'{1000 * base["step"]:.0f} ms of processor time and {base["memory"]:.0f} MiB.'
        )
    return f'{text}\n\n{table(head, lines)}{_unmeasured(league, images)}'


def gains_table(league: 'League', costs: Mapping[str, float]) -> str:
    """Points over the baseline of the first seed, which every method has, and cost of a step.

    The highest mean comes first; methods with missing questions stand behind.
    """
    images = main_set(league)
    one = league.of_first_seed()
    gains = {
        row.method: [one.gain(row.method, question, images) for question in league.questions]
        for row in one.standings(images)
        if row.method != league.baseline
    }
    lines = []
    for method in sorted(gains, key=lambda method: _place(gains[method])):
        mean = fmean(gains[method])
        cells = [points(gain, 1) for gain in (*gains[method], mean)]
        lines.append([link(method, '../..'), *cells, ratio(costs.get(method))])
    return table(['method', *league.questions, 'mean', 'cost of a step'], lines)


def longer_table(league: 'League', longer: 'League') -> str:
    """mIoU with more steps beside that of the league, of its first seed, by method and length.

    Args:
        league (League): With a row of the recipe.
        longer (League): Its splits are ``<question>_x<factor>``, the factor that of the length.
    """
    images, one, longer = main_set(league), league.of_first_seed(), longer.of_first_seed()
    names = [(question, f'{question}_x') for question in league.questions]
    factors = dict.fromkeys(split.rpartition('_x')[2] for split in longer.table.splits)
    base = fmean(one.score(one.baseline, question, images).mean for question in one.questions)
    lines = []

    def add(name: str, score: 'Callable[[League, str], Summary]') -> None:
        for factor in ('', *factors):
            source = longer if factor else one
            means = [
                score(source, long + factor if factor else short).mean for short, long in names
            ]
            if not all(map(math.isnan, means)):
                cells = [*map(points, means), points(fmean(means) - base, 1)]
                lines.append([name, factor or '1', *cells])

    for method in longer.methods:
        add(link(method), lambda source, split, m=method: source.score(m, split, images))
        if method == longer.baseline:
            add('all labels', lambda source, split: source.all_labels(split, images))
        if method in one.with_ensemble:
            add(
                ensemble(method),
                lambda source, split, m=method: source.of_ensembles().score(m, split, images),
            )
    head = ['method', 'length', *league.questions, 'mean gain']
    return f'mIoU of the **{SETS[images]}**, seed {league.first_seed}:\n\n{table(head, lines)}'


def miou_tables(league: 'League') -> str:
    """mIoU of every method on every question, for test images where there are any, and for val."""
    return '\n\n'.join(_miou_table(league, images) for images in SETS if league.standings(images))


def question_table(league: 'League', question: str) -> str:
    """mIoU and share of the baseline, CTT, the best others and all labels, on one question."""
    gaps = {images: league.has_gap(question, images) for images in ('val', 'test')}
    lines: List[List[str]] = []

    def add(name: str, league: 'League', method: str) -> None:
        lines.append([name])
        for images, gap in gaps.items():
            share = league.share(method, question, images)
            lines[-1] += _with_share(league.score(method, question, images), share, gap)

    for method in [*REPORTED, *league.best(OTHERS, REPORTED)]:
        add(link(method), league, method)
        if method in league.with_ensemble and method in REPORTED:
            add(ensemble(method), league.of_ensembles(), method)
    lines.append(['all labels'])
    for images, gap in gaps.items():
        lines[-1] += _with_share(league.all_labels(question, images), 1.0, gap)
    return table(['method', 'val', 'share', 'test', 'share'], lines)


def recipe_table(league: 'League', titles: Mapping[str, str]) -> str:
    """The recipe on every question: mIoU, and its shares of the gap, as of one network and of both.

    Args:
        league (League): With a row of the recipe.
        titles (dict[str, str]): What a question is, by its name.
    """
    images, ensembles = main_set(league), league.of_ensembles()
    lines = []
    for question in league.questions:
        scores = [
            league.score(league.baseline, question, images),
            league.score(RECIPE, question, images),
            ensembles.score(RECIPE, question, images),
            league.all_labels(question, images),
        ]
        lines.append([titles[question], *map(rounded, scores)])
    rows = [one.standing(RECIPE, images) for one in (league, ensembles)]
    for name in ('mean', 'worst'):
        cells = [percent(getattr(row, name), ' %') for row in rows]
        lines.append([f'{name} share of the gap', '0 %', *cells, '100 %'])
    head = ['question', 'labels alone', RECIPE.replace('_', '-'), 'both teachers', 'all labels']
    return f'mIoU of the **{SETS[images]}** (number of seeds):\n\n{table(head, lines)}'


def _place(gains: List[float]) -> Tuple[int, float]:
    known = [gain for gain in gains if not math.isnan(gain)]
    return len(gains) - len(known), -fmean(known) if known else 0.0


def _miou_table(league: 'League', images: str) -> str:
    def line(name: str, score: 'Callable[[str], Summary]') -> List[str]:
        return [name, *(scored(score(question)) for question in league.questions)]

    lines = [line('all labels', lambda question: league.all_labels(question, images))]
    for row in league.standings(images):
        lines.append(
            line(
                link(row.method),
                lambda question, method=row.method: league.score(method, question, images),
            )
        )
    return f'{capital(SETS[images])}:\n\n{table(["method", *league.questions], lines)}'


def _shares(league: 'League', row: 'Standing') -> List[str]:
    """Cells of the questions, of the mean and of the worst case."""
    cells = [_share_cell(row, question) for question in league.questions]
    return [*cells, percent(row.mean), percent(row.worst)]


def _share_cell(row: 'Standing', question: str) -> str:
    if question not in row.shares:
        return NO_GAP
    share = row.shares[question]
    return MISSING if math.isnan(share) else f'{percent(share)} ({row.seeds[question]})'


def _with_share(score: 'Summary', share: float, gap: bool) -> List[str]:
    """Score and share of a row of one question."""
    if not score.number:
        return [MISSING, MISSING]
    return [str(score), percent(share, ' %') if gap else NO_GAP]


def _unmeasured(league: 'League', images: str) -> str:
    """Sentence that names the methods without any row."""
    known = {row.method for row in league.standings(images)}
    missing = [f'`{method}`' for method in sorted(set(league.methods) - known)]
    return f'\n\nNot measured yet: {", ".join(missing)}.' if missing else ''
