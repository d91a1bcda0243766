# Copyright (c) mmseg_ctt contributors.
"""Table of scores by case and class, with mean and standard deviation over the cases."""

import csv
import io
import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from prettytable import PrettyTable

from .scores import RATIOS, SCORES

ALL_CLASSES = 'all classes'  # name of the mean over the classes of a case
MARK = '*'
LEGEND = (
    f'{MARK} not measured alone: where prediction or label has no voxel of the class, the distance '
    'is a penalty (setting empty)'
)


class Summary(NamedTuple):
    """Mean over the cases of each class, and of the mean over the classes; ``(K + 1, 4)`` each.

    Attributes:
        mean (np.ndarray): NaN where no case has the score.
        std (np.ndarray): Standard deviation, the sum of squares divided by the number of cases.
        cases (np.ndarray): Number of cases that have the score.
    """

    mean: np.ndarray
    std: np.ndarray
    cases: np.ndarray


class ScoreTable(NamedTuple):
    """Scores of ``C`` cases and ``K`` classes.

    A score that is NaN (``empty='nan'``) is left out of all means; ``cases`` of a summary says how
    many have it. The mean over the classes is taken in each case first.

    Attributes:
        cases (tuple[str, ...]): Names.
        classes (tuple[str, ...]): Names.
        values (np.ndarray): ``(C, K, 4)`` float64, in the order of ``SCORES``.
        one_empty (np.ndarray | None): ``(C, K)`` bool, where one of prediction and label lacks the
            class, so that the distances are penalties. None: not known, nothing is marked.
    """

    cases: Tuple[str, ...]
    classes: Tuple[str, ...]
    values: np.ndarray
    one_empty: Optional[np.ndarray] = None

    @classmethod
    def of(
        cls,
        scores: Mapping[str, np.ndarray],
        classes: Tuple[str, ...],
        one_empty: Optional[Mapping[str, np.ndarray]] = None,
    ) -> 'ScoreTable':
        """Table of :func:`class_scores` and :func:`one_empty` by case, sorted by name."""
        cases = tuple(sorted(scores))
        penalties = None if one_empty is None else np.stack([one_empty[case] for case in cases])
        return cls(cases, tuple(classes), np.stack([scores[case] for case in cases]), penalties)

    @property
    def penalties(self) -> np.ndarray:
        """Scores that are penalties, ``(C, K, 4)`` bool; distances that are left out are none."""
        found = np.zeros(self.values.shape, bool)
        if self.one_empty is not None:
            found[..., SCORES.index('HD95') :] = self.one_empty[..., None]
        return found & np.isfinite(self.values)

    @property
    def rows(self) -> Tuple[str, ...]:
        """Names of the ``K + 1`` rows of a summary."""
        return (*self.classes, ALL_CLASSES)

    def summary(self) -> Summary:
        """Mean and standard deviation over the cases."""
        of_case = _mean(self.values, axis=1)[:, None]
        values = np.concatenate([self.values, of_case], axis=1)
        mean = _mean(values, axis=0)
        std = np.sqrt(_mean((values - mean) ** 2, axis=0))
        return Summary(mean, std, np.isfinite(values).sum(axis=0))

    def means(self) -> Dict[str, float]:
        """Means by their names in a log: ``mDice`` over all classes, ``Dice_<class>`` of one."""
        rows = np.roll(self.summary().mean, 1, axis=0)  # the last one is that over all classes
        return dict(zip(mean_names(self.classes), rows.ravel().tolist()))

    def as_dict(self) -> Dict[str, Any]:
        """Content of a JSON file; NaN is None."""
        found = self.summary()
        return dict(
            number_of_cases=len(self.cases),
            mean=self._named(found.mean),
            std=self._named(found.std),
            cases_counted=self._named(found.cases),
            cases={case: self._named(self.values[c]) for c, case in enumerate(self.cases)},
            penalties=self._classes_with_penalty(),
        )

    def _classes_with_penalty(self) -> Optional[Dict[str, List[str]]]:
        """Classes whose distances are penalties, by case; cases without one are left out."""
        if self.one_empty is None:
            return None
        marked = np.asarray(self.penalties.any(axis=2))
        return {
            case: [label for label, mark in zip(self.classes, marks) if mark]
            for case, marks in zip(self.cases, marked)
            if marks.any()
        }

    def _named(self, values: np.ndarray) -> Dict[str, Dict[str, Optional[float]]]:
        return {
            row: {name: _plain(value) for name, value in zip(SCORES, scores)}
            for row, scores in zip(self.rows, values)
        }

    def as_csv(self) -> str:
        """Content of a CSV file: a line for each case and class; NaN is empty.

        The last column is 1 where the distances are penalties, else 0; empty where not known.
        """
        text = io.StringIO()
        unknown = self.one_empty is None
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(['case', 'class', *SCORES, 'penalty'])
        marks_of = np.asarray(self.penalties.any(axis=2))
        for case, of_case, marked in zip(self.cases, self.values, marks_of):
            for label, scores, mark in zip(self.classes, of_case, marked):
                plain = (_plain(value) for value in scores)
                cells = ('' if value is None else repr(value) for value in plain)
                writer.writerow([case, label, *cells, '' if unknown else int(mark)])
        return text.getvalue()

    def as_text(self) -> str:
        """Table to print: each case and class, then mean and deviation."""
        table = PrettyTable(['case', 'class', *_units()], align='r')
        table.align['case'] = table.align['class'] = 'l'
        for case, of_case, marked in zip(self.cases, self.values, self.penalties):
            for label, scores, marks in zip(self.classes, of_case, marked):
                table.add_row([case, label, *map(_printed, SCORES, scores, marks)])
        table.add_divider()
        for row, label in enumerate(self._printed_rows()):
            table.add_row([f'mean of {len(self.cases)}', label, *_deviations(self, row)])
        return _with_legend(table, self)

    def _printed_rows(self) -> Tuple[str, ...]:
        return self.rows if len(self.classes) > 1 else self.classes


def mean_names(classes: Sequence[str]) -> List[str]:
    """Names of means in a log: ``mDice`` over all classes, ``Dice_<class>`` of one."""
    of_classes = [f'{name}_{label}' for label in classes for name in SCORES]
    return [*(f'm{name}' for name in SCORES), *of_classes]


def member_table(members: Mapping[str, ScoreTable]) -> str:
    """Means of several members: a row for each class and score, a column for each member.

    Args:
        members (Mapping[str, ScoreTable]): By name, of equal classes and cases.
    """
    table = PrettyTable(['volumes', 'class', *members], align='r')
    table.align['volumes'] = table.align['class'] = 'l'
    first = next(iter(members.values()))
    cells = {
        name: [_deviations(found, row) for row in range(len(found.rows))]
        for name, found in members.items()
    }
    for row, label in enumerate(first._printed_rows()):
        for i, score in enumerate(_units()):
            table.add_row([score, label, *(cells[name][row][i] for name in members)])
    return _with_legend(table, *members.values())


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean without NaN; NaN where nothing else is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=axis)
    count = known.sum(axis=axis)
    return np.divide(total, count, out=np.full(total.shape, math.nan), where=count > 0)


def _plain(value: np.generic) -> Any:
    return None if math.isnan(value) else value.item()


def _units() -> List[str]:
    return [name if name in RATIOS else f'{name} in mm' for name in SCORES]


def _printed(name: str, value: float, mark: bool = False) -> str:
    text = f'{value:.4f}' if name in RATIOS else f'{value:.2f}'
    return f'{text}{MARK}' if mark else text


def _with_legend(table: PrettyTable, *printed: ScoreTable) -> str:
    marked = any(found.penalties.any() for found in printed)
    return f'{table.get_string()}\n{LEGEND}' if marked else str(table.get_string())


def _deviations(found: ScoreTable, row: int) -> List[str]:
    """Mean and deviation of each score, with the number of cases where some were left out."""
    mean, std, count = (part[row] for part in found.summary())
    of_class = np.asarray(found.penalties.any(axis=0))  # in a mean of any case
    marks = [*of_class, np.asarray(of_class.any(axis=0))][row]
    cells = []
    for i, name in enumerate(SCORES):
        text = f'{_printed(name, mean[i])} ± {_printed(name, std[i], marks[i])}'
        cells.append(text if count[i] == len(found.cases) else f'{text} (of {count[i]})')
    return cells
