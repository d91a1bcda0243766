# Copyright (c) mmseg_ctt contributors.
"""Cells of a matrix whose options name the run of the baseline, of the same split and seed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional, Union

if TYPE_CHECKING:
    from .matrix import Cell

BASELINE = '{baseline}'  # in the value of an option: work folder of that run


def with_baselines(
    cells: 'List[Cell]', baseline: Optional[str], path: Union[str, Path]
) -> 'List[Cell]':
    """The cells, each with the cell that its options name.

    Args:
        cells (list[Cell]): Of a matrix.
        baseline (str, optional): Method of the baseline.
        path (str | Path): The matrix file, for errors.

    Raises:
        ValueError: If an option names it, and the matrix has no such run, or the run is its own.
    """
    of_baseline = {(cell.split, cell.seed): cell for cell in cells if cell.method == baseline}
    found = []
    for cell in cells:
        if not names_baseline(cell.options):
            found.append(cell)
            continue
        other = of_baseline.get((cell.split, cell.seed))
        if other is None or other is cell:
            raise ValueError(
                f'{path}: {cell} has the option {BASELINE}, which is the run of the same split and '
                f'seed of another method, that of the key `baseline` ({baseline}): add it there'
            )
        found.append(replace(cell, baseline=other))
    return found


def with_folder(value: Any, folder: Path) -> Any:
    """An option, or all options, with a folder where they name the baseline.

    Args:
        value (Any): Text, number, list or dict.
        folder (Path): Work folder of the baseline.
    """
    if isinstance(value, dict):
        return {key: with_folder(item, folder) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_folder(item, folder) for item in value)
    return value.replace(BASELINE, str(folder)) if isinstance(value, str) else value


def names_baseline(value: Any) -> bool:
    """Whether an option, or one of several, names the baseline; also as a part of a path."""
    if isinstance(value, dict):
        return any(map(names_baseline, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(names_baseline, value))
    return isinstance(value, str) and BASELINE in value
