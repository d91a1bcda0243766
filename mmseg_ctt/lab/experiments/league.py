# Copyright (c) mmseg_ctt contributors.
"""A league: what share of the gap to all labels each method wins back, over several questions."""

import math
from dataclasses import replace
from statistics import fmean
from typing import Collection, Dict, List, NamedTuple, Sequence, Set

from .matrix import Matrix
from .results import Row
from .table import Summary, Table

ENSEMBLE, SECOND_TEACHER = 'ensemble', 'teacher1'


class Standing(NamedTuple):
    """Shares of the gap that a method wins back; a question without a gap is not among them.

    Attributes:
        method (str): Name in the matrix.
        shares (dict[str, float]): By question, mean over the seeds: 0 is labels alone, 1 is all
            labels; NaN where it was not measured.
        seeds (dict[str, int]): Number of seeds by question.
    """

    method: str
    shares: Dict[str, float]
    seeds: Dict[str, int]

    @property
    def measured(self) -> List[float]:
        """Shares without those that are missing."""
        return [share for share in self.shares.values() if not math.isnan(share)]

    @property
    def complete(self) -> bool:
        """Whether every question was measured."""
        return bool(self.shares) and len(self.measured) == len(self.shares)

    @property
    def mean(self) -> float:
        """Mean share over the questions; NaN if one is missing."""
        return fmean(self.measured) if self.complete else math.nan

    @property
    def worst(self) -> float:
        """Lowest share of the questions; NaN if one is missing."""
        return min(self.measured) if self.complete else math.nan

    @property
    def fewest(self) -> int:
        """Number of seeds of the question that has the fewest; 0 if one was not measured."""
        return min(self.seeds.values(), default=0)


class League:
    """Standings of the methods of a matrix whose splits are questions.

    A question is a split that names another one as its ``full_labels``.

    Args:
        matrix (Matrix): With a baseline, and the member that represents each method.
        rows (Sequence[Row]): Rows of its CSV; it may be filled in part.

    Raises:
        ValueError: If the matrix has no baseline or no question.
    """

    def __init__(self, matrix: Matrix, rows: Sequence[Row]) -> None:
        self.matrix, self.rows = matrix, rows
        self.table = Table(matrix, rows)
        self.full = {
            split: full
            for split in self.table.splits
            if (full := matrix.full_of(split)) not in (None, split)
        }
        if matrix.baseline is None or not self.full:
            raise ValueError('a league needs a baseline and splits with full_labels in its matrix')
        self.baseline = matrix.baseline
        self.methods, self.questions = self.table.methods, list(self.full)

    @property
    def with_ensemble(self) -> Set[str]:
        """Methods with several teachers, whose ensemble is more than one network."""
        return {row['method'] for row in self.rows if row['member'] == SECOND_TEACHER}

    def of_ensembles(self) -> 'League':
        """The same league, methods of :attr:`with_ensemble` represented by it."""
        members = {**self.matrix.members, **dict.fromkeys(self.with_ensemble, ENSEMBLE)}
        return League(replace(self.matrix, members=members), self.rows)

    @property
    def first_seed(self) -> int:
        """The lowest seed, which every method has."""
        return min(cell.seed for cell in self.matrix.cells)

    def of_first_seed(self) -> 'League':
        """The same league with the rows of one seed alone, in which all methods are alike."""
        rows = [row for row in self.rows if int(row['seed']) == self.first_seed]
        return League(self.matrix, rows)

    def gain(self, method: str, question: str, eval_set: str) -> float:
        """Points over the baseline, each the mean over its seeds; NaN where one is missing."""
        few = self.score(self.baseline, question, eval_set).mean
        return self.score(method, question, eval_set).mean - few

    def gains(self, method: str, question: str, eval_set: str) -> Dict[int, float]:
        """Points over the baseline of the same seed, by seed."""
        return self.table.gains(method, question, eval_set)

    def score(self, method: str, question: str, eval_set: str) -> Summary:
        """Score of a method on a question, mIoU in per cent."""
        return self.table.summary(method, question, eval_set)

    def all_labels(self, question: str, eval_set: str) -> Summary:
        """Score of the baseline with all labels, mIoU in per cent; no score for another split."""
        return self.table.summary(self.baseline, str(self.full.get(question)), eval_set)

    def share(self, method: str, question: str, eval_set: str) -> float:
        """Share of the gap, 0 for the baseline; NaN without rows or gap."""
        return self.table.share(method, question, eval_set)

    def has_gap(self, question: str, eval_set: str) -> bool:
        """Whether all labels are better than the few; True as long as this was not measured."""
        few = self.score(self.baseline, question, eval_set).mean
        return not self.all_labels(question, eval_set).mean <= few  # a comparison with NaN is False

    def has_set(self, eval_set: str) -> bool:
        """Whether both ends of the gap were measured for every question."""
        return all(
            self.score(self.baseline, question, eval_set).number
            and self.all_labels(question, eval_set).number
            for question in self.questions
        )

    def standing(self, method: str, eval_set: str) -> Standing:
        """Shares of one method."""
        questions = [name for name in self.questions if self.has_gap(name, eval_set)]
        return Standing(
            method,
            {name: self.share(method, name, eval_set) for name in questions},
            {name: self.score(method, name, eval_set).number for name in questions},
        )

    def standings(self, eval_set: str) -> List[Standing]:
        """Methods that have a row: the highest mean first, those with missing questions behind."""
        found = [
            self.standing(method, eval_set)
            for method in self.methods
            if any(self.score(method, name, eval_set).number for name in self.questions)
        ]
        return sorted(found, key=_place)

    def best(self, number: int, without: Collection[str]) -> List[str]:
        """Best methods on the validation images, those with the most seeds first.

        Args:
            number (int): How many; fewer if fewer were measured.
            without (Collection[str]): Methods that are not asked for.
        """
        others = [row for row in self.standings('val') if row.method not in without]
        others.sort(key=lambda row: -row.fewest)  # stable
        return [row.method for row in others[:number]]


def _place(row: Standing) -> tuple:
    missing = len(row.shares) - len(row.measured)
    return missing, -fmean(row.measured) if row.measured else 0.0, row.method
