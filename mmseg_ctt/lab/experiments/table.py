# Copyright (c) mmseg_ctt contributors.
"""Results as markdown: mean and spread over seeds, and the fraction of the gap that is closed."""

import math
from statistics import fmean, stdev
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence

from .matrix import Matrix
from .results import IOU, Row

DEFAULT_MEMBERS = ('model', 'teacher0', 'student0')
GROUPS = ('students', 'teachers')


class Summary(NamedTuple):
    """Mean over seeds, sample standard deviation (NaN for one seed) and number of seeds."""

    mean: float
    spread: float
    number: int

    def __str__(self) -> str:
        if self.number == 0:
            return '-'
        spread = '' if math.isnan(self.spread) else f' ± {self.spread:.2f}'
        return f'{self.mean:.2f}{spread} ({self.number})'


def summarize(values: Sequence[float]) -> Summary:
    """Mean, spread and number of some values.

    Example:
        >>> str(summarize([1.0, 2.0, 3.0])), str(summarize([4.5])), str(summarize([]))
        ('2.00 ± 1.00 (3)', '4.50 (1)', '-')
    """
    mean = fmean(values) if values else math.nan
    return Summary(mean, stdev(values) if len(values) > 1 else math.nan, len(values))


def gap_ratio(value: float, baseline: float, full: float) -> float:
    """Fraction of the gap from the baseline to full labels that a method closes; NaN without a gap.

    Example:
        >>> gap_ratio(45.0, 40.0, 50.0)
        0.5
    """
    return (value - baseline) / (full - baseline) if full > baseline else math.nan


def scores(
    rows: Iterable[Row],
    method: str,
    split: str,
    eval_set: str,
    member: Optional[str] = None,
    column: str = 'miou',
) -> Dict[int, float]:
    """Score of a method by seed.

    Args:
        rows (Iterable[Row]): Rows of the CSV.
        method (str): The method.
        split (str): The split.
        eval_set (str): ``val`` or ``test``.
        member (str, optional): Member that represents the method; ``students`` or ``teachers``
            is the mean over these. A plain model has one member only. Defaults to None:
            ``teacher0``, else ``student0``.
        column (str): Column of the score. Defaults to ``miou``.

    Returns:
        dict[int, float]: Scores in per cent. Seeds without the member are left out.
    """
    by_seed: Dict[int, Dict[str, float]] = {}
    for row in rows:
        if (row['method'], row['split'], row['eval_set']) == (method, split, eval_set):
            by_seed.setdefault(int(row['seed']), {})[row['member']] = float(row[column])
    chosen = {seed: _member_score(values, member) for seed, values in sorted(by_seed.items())}
    return {seed: value for seed, value in chosen.items() if value is not None}


def _member_score(values: Dict[str, float], member: Optional[str]) -> Optional[float]:
    if 'model' in values:
        return values['model']
    if member is not None and member in GROUPS:
        group = [value for name, value in values.items() if name.startswith(member[:-1])]
        return fmean(group) if group else None
    names = DEFAULT_MEMBERS if member is None else (member,)
    return next((values[name] for name in names if name in values), None)


class Table:
    """Tables of one matrix.

    Args:
        matrix (Matrix): Methods, splits, baseline.
        rows (Sequence[Row]): Rows of the CSV.
        member (str, optional): Member of all methods, as in :func:`scores`. Defaults to None:
            that of the matrix file, else the default.
    """

    def __init__(self, matrix: Matrix, rows: Sequence[Row], member: Optional[str] = None) -> None:
        self.matrix, self.rows, self.member = matrix, rows, member
        self.methods = list(dict.fromkeys(cell.method for cell in matrix.cells))
        self.splits = list(dict.fromkeys(cell.split for cell in matrix.cells))

    def summary(self, method: str, split: str, eval_set: str, column: str = 'miou') -> Summary:
        """Mean and spread over the seeds that have a row; of one column of the CSV."""
        return summarize(list(self._scores(method, split, eval_set, column).values()))

    def _scores(
        self, method: str, split: str, eval_set: str, column: str = 'miou'
    ) -> Dict[int, float]:
        member = self.member or self.matrix.members.get(method)
        return scores(self.rows, method, split, eval_set, member, column)

    def gains(self, method: str, split: str, eval_set: str) -> Dict[int, float]:
        """Points over the baseline of the same seed, by seed; empty without a baseline."""
        if self.matrix.baseline is None:
            return {}
        few = self._scores(self.matrix.baseline, split, eval_set)
        own = self._scores(method, split, eval_set)
        return {seed: own[seed] - few[seed] for seed in own if seed in few}

    def share(self, method: str, split: str, eval_set: str) -> float:
        """Fraction of the gap to full labels, 0 for the baseline; NaN without rows or gap.

        The gain is over the baseline of the seeds that both have, so that a lucky seed of the
        baseline does not count against some methods only. The gap is that of the means over all
        seeds: that of one seed may be next to nothing.
        """
        baseline, full = self.matrix.baseline, self.matrix.full_of(split)
        if baseline is None or full is None:
            return math.nan
        gains = list(self.gains(method, split, eval_set).values())
        below = self.summary(baseline, split, eval_set).mean
        top = self.summary(baseline, full, eval_set).mean
        return gap_ratio(below + summarize(gains).mean, below, top)

    def closed_gap(self, method: str, split: str, eval_set: str) -> float:
        """As :meth:`share`; NaN for baseline and full labels, which are the ends of the gap."""
        ends = method == self.matrix.baseline or split == self.matrix.full_of(split)
        return math.nan if ends else self.share(method, split, eval_set)

    def miou(self, eval_set: str) -> str:
        """Table of methods x splits: mIoU, and the fraction of the gap that is closed."""
        lines, any_gap = [], False
        for method in self.methods:
            entry = [method]
            for split in self.splits:
                closed = self.closed_gap(method, split, eval_set)
                gap = '' if math.isnan(closed) else f', {closed:.0%}'
                any_gap |= bool(gap)
                entry.append(f'{self.summary(method, split, eval_set)}{gap}')
            lines.append(entry)
        text = (
            f'mIoU on the {eval_set} set, mean ± sample standard deviation (number of seeds); '
            f'{self._members()}.'
        )
        if any_gap:
            full = dict.fromkeys(filter(None, map(self.matrix.full_of, self.splits)))
            text += (
                f' Percentages: fraction that is closed of the gap between {self.matrix.baseline} '
                f'on the split and on {" or ".join(full)}; the gain is that of the same seeds.'
            )
        return f'{text}\n\n{markdown_table(["method", *self.splits], lines)}'

    def classes(self, split: str, eval_set: str) -> str:
        """Table of methods x classes: mean IoU over seeds, on one split.

        Raises:
            ValueError: If the matrix has no such split.
        """
        if split not in self.splits:
            raise ValueError(
                f'--classes {split}: the matrix has no such split; known are '
                f'{", ".join(self.splits)}'
            )
        columns = [key for key in self.rows[0] if key.startswith(IOU)] if self.rows else []
        lines = []
        for method in self.methods:
            values = [self.summary(method, split, eval_set, column) for column in columns]
            if any(value.number for value in values):
                lines.append([method, *(f'{value.mean:.1f}' for value in values)])
        names = [column[len(IOU) :] for column in columns]
        return (
            f'IoU per class on the {eval_set} set, split {split}, mean over seeds; '
            f'{self._members()}\n\n{markdown_table(["method", *names], lines)}'
        )

    def _members(self) -> str:
        if self.member:
            return f'member: {self.member}'
        methods: Dict[str, List[str]] = {}
        for method, member in self.matrix.members.items():
            if method not in self.methods:
                continue
            methods.setdefault(member, []).append(method)
        named = [f'{member} for {", ".join(names)}' for member, names in methods.items()]
        unnamed = set(self.methods) - set(self.matrix.members)
        rest = ['else teacher0 (student0 without teachers)'] if unnamed else []
        return 'member: ' + '; '.join([*named, *rest])


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Table in Markdown, with a line break at its end."""
    table: List[Sequence[str]] = [head, ['---'] * len(head), *lines]
    return '\n'.join(f'| {" | ".join(line)} |' for line in table) + '\n'
