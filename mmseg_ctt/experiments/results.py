# Copyright (c) mmseg_ctt contributors.
"""The CSV of results: one row a run, member and evaluation set."""
import csv
import io
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Sequence

from .files import locked, write_whole
from .matrix import Cell

Row = Dict[str, str]

RUN = ('method', 'split', 'seed')
BEGIN = (*RUN, 'member', 'eval_set', 'miou')
END = ('config_hash', 'split_checksum', 'git_commit', 'torch', 'mmengine', 'mmseg', 'mmseg_ctt',
       'iterations', 'seconds', 'device')
IOU = 'iou_'


def read_rows(path: Path) -> List[Row]:
    """All rows, values as text; none if there is no file."""
    if not path.is_file():
        return []
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def put_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows; earlier rows of the same runs and evaluation sets go.

    Several processes may do so at once.

    Args:
        path (Path): CSV file, made where it does not exist.
        rows (Sequence[Mapping]): With the columns ``BEGIN``, one ``iou_<class>`` a class, and
            ``END``.

    Raises:
        ValueError: If the file holds results of other classes.
    """
    if not rows:
        return
    columns = list(rows[0])
    with locked(path.with_name(f'.{path.name}.lock')):
        old = read_rows(path)
        if old and list(old[0]) != columns:
            different = sorted(set(old[0]) ^ set(columns))
            raise ValueError(f'{path} has other columns ({", ".join(different)}): choose another '
                             'file with --out for other classes')
        replaced = {_place(row) for row in rows}
        kept = [row for row in old if _place(row) not in replaced]
        write_whole(path, _csv(columns, [*kept, *rows]))


def make_rows(cell: Cell, eval_set: str, scores: Mapping[str, Mapping[str, float]],
              facts: Mapping[str, object]) -> List[Dict[str, object]]:
    """Rows of one run and evaluation set.

    Args:
        cell (Cell): The run.
        eval_set (str): ``val`` or ``test``.
        scores (Mapping): By member: ``mIoU`` and one value a class, in percent.
        facts (Mapping): Values of the columns ``END``.

    Returns:
        list[dict]: One a member.
    """
    rows = []
    for member, values in scores.items():
        row = dict(method=cell.method, split=cell.split, seed=cell.seed, member=member,
                   eval_set=eval_set, miou=f'{values["mIoU"]:.2f}')
        row.update({f'{IOU}{name}': f'{value:.2f}' for name, value in values.items()
                    if name != 'mIoU'})
        row.update({key: facts[key] for key in END})
        rows.append(row)
    return rows


def missing_sets(rows: Iterable[Row], cell: Cell, config_hash: str,
                 eval_sets: Iterable[str]) -> List[str]:
    """Evaluation sets that no row of this run with this config is about."""
    have = {row['eval_set'] for row in rows
            if of_cell(row, cell) and row['config_hash'] == config_hash}
    return [name for name in eval_sets if name not in have]


def of_cell(row: Row, cell: Cell) -> bool:
    """Whether a row is about a run, with whatever config."""
    return all(row[key] == str(getattr(cell, key)) for key in RUN)


def _place(row: Mapping[str, object]) -> tuple:
    return tuple(str(row[key]) for key in (*RUN, 'eval_set'))


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
