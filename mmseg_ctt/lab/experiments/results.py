# Copyright (c) mmseg_ctt contributors.
"""CSV of results: one row per run, member and evaluation set."""

import csv
import io
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Sequence, Set, Tuple

from ...engine.files import locked, write_whole
from .matrix import Cell

Row = Dict[str, str]
Run = Tuple[str, ...]  # method, split and seed as text

RUN = ('method', 'split', 'seed')
BEGIN = (*RUN, 'member', 'eval_set', 'miou')
END = (
    'config_hash',
    'split_checksum',
    'git_commit',
    'torch',
    'mmengine',
    'mmseg',
    'mmseg_ctt',
    'iterations',
    'seconds',
    'device',
)
TRAINING = ('config_hash', 'split_checksum', 'git_commit', 'seconds')  # equal in rows of one
IOU = 'iou_'


def read_rows(path: Path) -> List[Row]:
    """All rows, values as text; empty if the file does not exist.

    Raises:
        ValueError: If it is no file of results.
    """
    if not path.is_file():
        return []
    with open(path, encoding='utf-8', newline='') as file:
        reader = csv.DictReader(file)
        columns = BEGIN + END
        lacking = [name for name in columns if name not in (reader.fieldnames or columns)]
        if lacking:
            raise ValueError(
                f'{path} is no file of results: it lacks the columns {", ".join(lacking)}'
            )
        return list(reader)


def put_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows in place of earlier ones of the same runs and evaluation sets.

    Rows of other trainings of the same runs are removed too, for any evaluation set: rows of
    ``val`` and ``test`` always come from one training. Several processes may add rows at once.

    Args:
        path (Path): CSV file, created if missing.
        rows (Sequence[Mapping]): With the columns ``BEGIN``, ``iou_<class>`` of each class, and
            ``END``.

    Raises:
        ValueError: If the file holds results of other classes, or no results.
    """
    if not rows:
        return
    columns = list(rows[0])
    with locked(path.with_name(f'.{path.name}.lock')):
        old = read_rows(path)
        _check_columns(path, old, rows)
        replaced = {_key(row) for row in rows}
        trainings = {run_of(row): _training(row) for row in rows}
        kept = [
            row
            for row in old
            if _key(row) not in replaced
            and trainings.get(run_of(row), _training(row)) == _training(row)
        ]
        write_whole(path, _csv(columns, [*kept, *rows]))


def merge_rows(path: Path, rows: Sequence[Row], current: Mapping[Run, str]) -> None:
    """Add rows of another file, unless they would replace rows of the current config by older ones.

    Args:
        path (Path): CSV file, as in :func:`put_rows`.
        rows (Sequence[Row]): Rows of the other file.
        current (Mapping[tuple, str]): Hash of the current config by method, split and seed.

    Raises:
        ValueError: As in :func:`put_rows`.
    """
    measured = {
        run_of(row) for row in read_rows(path) if row['config_hash'] == current.get(run_of(row))
    }
    put_rows(
        path,
        [
            row
            for row in rows
            if run_of(row) not in measured or row['config_hash'] == current[run_of(row)]
        ],
    )


def merge_files(path: Path, others: Sequence[Path], current: Mapping[Run, str]) -> None:
    """Merge all rows of some files, or none: all are read and checked before the first is merged.

    Args:
        path (Path): CSV file, as in :func:`put_rows`.
        others (Sequence[Path]): Other CSV files.
        current (Mapping[tuple, str]): As for :func:`merge_rows`.

    Raises:
        FileNotFoundError: If one does not exist.
        ValueError: As in :func:`put_rows`.
    """
    for other in others:
        if not other.is_file():
            raise FileNotFoundError(f'--merge: {other} does not exist')
    tables = [read_rows(other) for other in others]
    known = read_rows(path)
    for other, rows in zip(others, tables):
        _check_columns(other, known, rows)
        known = known or rows
    for rows in tables:
        merge_rows(path, rows, current)


def make_rows(
    cell: Cell,
    eval_set: str,
    scores: Mapping[str, Mapping[str, float]],
    facts: Mapping[str, object],
    per_class: bool = True,
) -> List[Dict[str, object]]:
    """Rows of one run and evaluation set.

    Args:
        cell (Cell): The run.
        eval_set (str): ``val`` or ``test``.
        scores (Mapping): By member: ``mIoU`` and the IoU of each class, in per cent.
        facts (Mapping): Values of the columns ``END``.
        per_class (bool): Whether the IoU of each class is among them. Defaults to True.

    Returns:
        list[dict]: One row per member.
    """
    rows = []
    for member, values in scores.items():
        row = dict(
            method=cell.method,
            split=cell.split,
            seed=cell.seed,
            member=member,
            eval_set=eval_set,
            miou=f'{values["mIoU"]:.2f}',
        )
        row.update(
            {
                f'{IOU}{name}': f'{value:.2f}'
                for name, value in values.items()
                if per_class and name != 'mIoU'
            }
        )
        row.update({key: facts[key] for key in END})
        rows.append(row)
    return rows


def missing_sets(
    rows: Iterable[Row], cell: Cell, config_hash: str, eval_sets: Iterable[str]
) -> List[str]:
    """Evaluation sets without a row of this run with this config."""
    measured = {
        row['eval_set']
        for row in rows
        if run_of(row) == run_of(vars(cell)) and row['config_hash'] == config_hash
    }
    return [name for name in eval_sets if name not in measured]


def outdated(rows: Iterable[Row], current: Mapping[Run, str]) -> List[str]:
    """Methods with rows of another config than the current one, as in :func:`merge_rows`."""
    return list(
        dict.fromkeys(
            row['method']
            for row in rows
            if row['config_hash'] != current.get(run_of(row), row['config_hash'])
        )
    )


def rows_of(rows: Iterable[Row], cells: Iterable[Cell]) -> List[Row]:
    """Rows of some runs alone; a file may have others, such as those of a former seed."""
    runs = {run_of(vars(cell)) for cell in cells}
    return [row for row in rows if run_of(row) in runs]


def mixed_lists(rows: Iterable[Row]) -> List[str]:
    """Splits whose runs were trained on different lists of images, by ``split_checksum``."""
    checksums: Dict[str, Set[str]] = {}
    for row in rows:
        checksums.setdefault(row['split'], set()).add(row['split_checksum'])
    return [split for split, found in checksums.items() if len(found) > 1]


def run_of(row: Mapping[str, object]) -> Run:
    """Method, split and seed of a row."""
    return tuple(str(row[key]) for key in RUN)


def _check_columns(path: Path, old: Sequence[Row], new: Sequence[Mapping[str, object]]) -> None:
    """Raise a ValueError that names a file where two tables differ in their columns."""
    if old and new and list(old[0]) != list(new[0]):
        different = sorted(set(old[0]) ^ set(new[0]))
        which = ', '.join(different) or 'the same in another order'
        raise ValueError(
            f'{path} has other columns ({which}): choose another '
            'file with --out for other classes, or set per_class: false in the matrix'
        )


def _training(row: Mapping[str, object]) -> Tuple[str, ...]:
    return tuple(str(row[name]) for name in TRAINING)


def _key(row: Mapping[str, object]) -> tuple:
    return (*run_of(row), row['eval_set'])


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
