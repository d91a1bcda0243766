# Copyright (c) mmseg_ctt contributors.
"""Tables of the league and of the results, in Markdown."""

import math
from typing import TYPE_CHECKING, Callable, List, Mapping

if TYPE_CHECKING:
    from mmseg_ctt.lab.experiments.league import League, Standing
    from mmseg_ctt.lab.experiments.table import Summary

SETS = {'test': 'test images', 'val': 'validation images'}
REPORTED = ('supervised', 'ctt', 'ctt_plus')  # of docs/results.md, beside the best others
OTHERS = 3
MISSING = 'not measured'


def main_set(league: 'League') -> str:
    """Images that the shares are of: test as soon as both ends of every gap are measured."""
    return 'test' if league.has_set('test') else 'val'


def shares_table(league: 'League', costs: Mapping[str, float], memory: Mapping[str, float]) -> str:
    """Share of the gap by question, mean, worst case, cost of a step and memory of a method."""
    images = main_set(league)
    head = ['method', *league.questions, 'mean', 'worst', 'cost of a step', 'memory']
    lines = []
    for row in league.standings(images):
        cells = [_share_cell(row, question) for question in league.questions]
        ends = [_percent(row.mean), _percent(row.worst)]
        used = [_factor(costs.get(row.method)), _factor(memory.get(row.method))]
        lines.append([_link(row.method), *cells, *ends, *used])
    text = f'Share of the gap on the **{SETS[images]}**, in % (number of seeds).'
    if images == 'val':
        text += f' {_capital(SETS["test"])}: not yet.'
    return f'{text}\n\n{_table(head, lines)}{_unmeasured(league, images)}'


def miou_tables(league: 'League') -> str:
    """mIoU of every method on every question, for test images where there are any, and for val."""
    return '\n\n'.join(_miou_table(league, images) for images in SETS if league.standings(images))


def question_table(league: 'League', question: str) -> str:
    """mIoU and share of the baseline, CTT, the best others and all labels, on one question."""
    methods = [*REPORTED, *league.best(OTHERS, REPORTED)]
    lines = []
    for method in methods:
        cells = []
        for images in ('val', 'test'):
            score = league.score(method, question, images)
            cells += [_score(score), _percent(league.share(method, question, images), ' %')]
        lines.append([_link(method), *cells])
    cells = []
    for images in ('val', 'test'):
        score = league.all_labels(question, images)
        gap = 'no gap' if not league.has_gap(question, images) else '100 %'
        cells += [_score(score), gap if score.number else MISSING]
    lines.append(['all labels', *cells])
    return _table(['method', 'val', 'share', 'test', 'share'], lines)


def _miou_table(league: 'League', images: str) -> str:
    def line(name: str, score: 'Callable[[str], Summary]') -> List[str]:
        return [name, *(_score(score(question)) for question in league.questions)]

    lines = [line('all labels', lambda question: league.all_labels(question, images))]
    for row in league.standings(images):
        lines.append(
            line(
                _link(row.method),
                lambda question, method=row.method: league.score(method, question, images),
            )
        )
    return f'{_capital(SETS[images])}:\n\n{_table(["method", *league.questions], lines)}'


def _share_cell(row: 'Standing', question: str) -> str:
    if question not in row.shares:
        return 'no gap'
    share = row.shares[question]
    return MISSING if math.isnan(share) else f'{_percent(share)} ({row.seeds[question]})'


def _percent(share: float, unit: str = '') -> str:
    return MISSING if math.isnan(share) else f'{round(100 * share)}{unit}'


def _factor(value: 'float | None') -> str:
    return MISSING if value is None else f'{value:.1f}'


def _score(score: 'Summary') -> str:
    return str(score) if score.number else MISSING


def _unmeasured(league: 'League', images: str) -> str:
    """Sentence that names the methods without any row."""
    known = {row.method for row in league.standings(images)}
    missing = [f'`{method}`' for method in sorted(set(league.methods) - known)]
    return f'\n\nNot measured yet: {", ".join(missing)}.' if missing else ''


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _link(method: str) -> str:
    return f'[{method}](../configs/{method}/README.md)'


def _table(head: List[str], lines: List[List[str]]) -> str:
    from mmseg_ctt.lab.experiments.table import markdown_table

    return markdown_table(head, lines).rstrip('\n')
