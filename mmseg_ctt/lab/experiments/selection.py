# Copyright (c) mmseg_ctt contributors.
"""Selection of some runs of a matrix."""

from typing import Dict, List, Sequence

from .matrix import Cell, Matrix
from .matrix_file import known_name


def select(cells: Sequence[Cell], conditions: Sequence[str]) -> List[Cell]:
    """Cells that match at least one condition, in their order.

    Args:
        cells (Sequence[Cell]): All cells.
        conditions (Sequence[str]): Conditions such as ``method=ctt,seed=0``. A cell matches if for
            each key it has one of the values: ``method=ct,method=ctt,seed=0`` is seed 0 of both.
            Without conditions all cells match.

    Raises:
        ValueError: If a condition is malformed or has an unknown value, or no cell matches.
    """
    parsed = [_parse_condition(condition, cells) for condition in conditions]
    selected = [
        cell
        for cell in cells
        if not parsed
        or any(
            all(str(getattr(cell, key)) in values for key, values in condition.items())
            for condition in parsed
        )
    ]
    if not selected:
        raise ValueError(f'--only {" ".join(conditions)}: the matrix has no such run')
    return selected


def with_ends(matrix: Matrix, cells: Sequence[Cell]) -> List[Cell]:
    """Selected cells, and those that their shares of the gap need: baseline and full labels.

    Args:
        matrix (Matrix): All cells.
        cells (Sequence[Cell]): Selected ones; where they hold runs of an end, these alone count.
    """
    shown = {(cell.method, cell.split) for cell in cells}
    splits = {cell.split for cell in cells}
    splits |= {full for full in map(matrix.full_of, splits) if full is not None}
    ends = [
        cell
        for cell in matrix.cells
        if cell.method == matrix.baseline
        and cell.split in splits
        and (cell.method, cell.split) not in shown
    ]
    return [*cells, *ends]


def _parse_condition(condition: str, cells: Sequence[Cell]) -> Dict[str, set]:
    values: Dict[str, set] = {}
    for part in condition.split(','):
        key, _, value = part.partition('=')
        if key not in ('method', 'split', 'seed') or not value:
            raise ValueError(
                f'--only {condition}: write method=NAME, split=NAME or seed=NUMBER, '
                'joined by commas without spaces'
            )
        known = dict.fromkeys(str(getattr(cell, key)) for cell in cells)
        values.setdefault(key, set()).add(known_name(value, known, '--only', key))
    return values
