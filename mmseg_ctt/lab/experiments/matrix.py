# Copyright (c) mmseg_ctt contributors.
"""The file of an experiment: methods x splits x seeds, read into a list of cells."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import yaml

KEYS = (
    'methods',
    'splits',
    'seeds',
    'cfg_options',
    'eval_sets',
    'out',
    'work_dir',
    'baseline',
    'full_labels',
)
METHOD_KEYS = ('config', 'cfg_options', 'member', 'splits')
SPLIT_KEYS = ('cfg_options', 'methods', 'seeds')
EVAL_SETS = ('val', 'test')


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        method (str): Name of the row in the table.
        split (str): Name of the column.
        seed (int): Of data and network.
        config (str): File it starts from.
        options (dict): Changes of it, ``{'a.b': value}``.
    """

    method: str
    split: str
    seed: int
    config: str
    options: Dict[str, Any]

    def __str__(self) -> str:
        return f'{self.method} {self.split} seed {self.seed}'


@dataclass(frozen=True)
class Matrix:
    """What a matrix file says.

    Attributes:
        cells (list[Cell]): First seeds before second ones, so that a table fills early.
        members (dict[str, str]): Member that stands for a method, where the file names one.
        eval_sets (tuple[str, ...]): Of ``val`` and ``test``.
        out (str): CSV of the results.
        work_dir (str): Folder of the runs.
        baseline (str, optional): Method that gains are counted from.
        full_labels (str, optional): Split on which the baseline has all labels.
    """

    cells: List[Cell]
    members: Dict[str, str]
    eval_sets: Tuple[str, ...]
    out: str
    work_dir: str
    baseline: Optional[str]
    full_labels: Optional[str]


def read_matrix(path: Union[str, Path]) -> Matrix:
    """Read a matrix file, see ``configs/matrices``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML, or a key or a name in it is unknown or missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the matrix file {path} does not exist')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not YAML: {error}') from None
    _check_mapping(content, path, '', KEYS)
    methods, splits = content.get('methods'), content.get('splits')
    for key, part, known in (('methods', methods, METHOD_KEYS), ('splits', splits, SPLIT_KEYS)):
        if not isinstance(part, dict) or not part:
            raise ValueError(f'{path}: {key} is missing or empty')
        for name, entry in part.items():
            if not isinstance(name, str):  # YAML reads 1_16 as the number 116
                raise ValueError(
                    f'{path}: {key} has the number {name!r}: write names that begin '
                    'with a digit in quotes, such as "1_16"'
                )
            part[name] = entry = {} if entry is None else entry
            _check_mapping(entry, path, f'{key}.{name}.', known)
    return Matrix(
        cells=_cells(content, path),
        members={
            name: check_member(entry['member'])
            for name, entry in methods.items()
            if 'member' in entry
        },
        eval_sets=check_eval_sets(content.get('eval_sets', ['val'])),
        out=content.get('out', 'docs/results.csv'),
        work_dir=content.get('work_dir', f'work_dirs/{path.stem}'),
        baseline=_known(content.get('baseline'), methods, path, 'baseline'),
        full_labels=_known(content.get('full_labels'), splits, path, 'full_labels'),
    )


def check_eval_sets(names: Sequence[str]) -> Tuple[str, ...]:
    """Names of evaluation sets as a tuple.

    Raises:
        ValueError: If one is unknown or there is none.
    """
    if not names or isinstance(names, str):
        raise ValueError(f'eval_sets must be a list of {", ".join(EVAL_SETS)}, got {names!r}')
    for name in names:
        _known(name, EVAL_SETS, 'matrix', 'eval_sets')
    return tuple(names)


def check_member(name: str) -> str:
    """A member that can stand for a method in a table.

    Raises:
        ValueError: If no member is called so.
    """
    if not re.fullmatch(r'(student|teacher)(\d+|s)|ensemble|model', name):
        raise ValueError(
            f'member {name!r} is unknown: write student0, teacher1 or so, ensemble, '
            'or students or teachers for their mean'
        )
    return name


def select(cells: Sequence[Cell], conditions: Sequence[str]) -> List[Cell]:
    """Cells that fit at least one condition, in their order.

    Args:
        cells (Sequence[Cell]): All cells.
        conditions (Sequence[str]): Such as ``method=ctt,seed=0``: a cell fits if it has a named
            value of each named key, so ``method=ct,method=ctt,seed=0`` is seed 0 of both.
            Without a condition all cells fit.

    Raises:
        ValueError: If a condition has another form, names nothing in the file, or no cell fits.
    """
    wanted = [_parse_condition(condition, cells) for condition in conditions]
    found = [
        cell
        for cell in cells
        if not wanted
        or any(
            all(str(getattr(cell, key)) in values for key, values in one.items()) for one in wanted
        )
    ]
    if not found:
        raise ValueError(f'--only {" ".join(conditions)}: the matrix has no such run')
    return found


def _parse_condition(condition: str, cells: Sequence[Cell]) -> Dict[str, set]:
    wanted: Dict[str, set] = {}
    for part in condition.split(','):
        key, _, value = part.partition('=')
        if key not in ('method', 'split', 'seed') or not value:
            raise ValueError(
                f'--only {condition}: write method=NAME, split=NAME or seed=NUMBER, '
                'joined by commas without spaces'
            )
        known = dict.fromkeys(str(getattr(cell, key)) for cell in cells)
        wanted.setdefault(key, set()).add(_known(value, known, '--only', key))
    return wanted


def _cells(content: dict, path: Path) -> List[Cell]:
    ranked = []
    for split, entry in content['splits'].items():
        for method in entry.get('methods', content['methods']):
            _known(method, content['methods'], path, f'splits.{split}.methods')
            if split in _splits(content, method, path):
                ranked += [
                    (rank, _cell(content, method, split, seed, path))
                    for rank, seed in enumerate(_seeds(content, method, split, path))
                ]
    return [cell for _, cell in sorted(ranked, key=lambda pair: pair[0])]


def _seeds(content: dict, method: str, split: str, path: Path) -> List[int]:
    """Seeds of a method on a split: as the split says, else as the file does."""
    usual = content.get('seeds', [0])
    seeds = content['splits'][split].get('seeds', usual)
    if isinstance(seeds, dict):  # of some methods only
        _check_mapping(seeds, path, f'splits.{split}.seeds.', tuple(content['methods']))
        seeds = seeds.get(method, usual)
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise ValueError(
            f'{path}: seeds of {method} on {split} must be a list of numbers, got {seeds!r}'
        )
    return seeds


def _splits(content: dict, method: str, path: Path) -> Sequence[str]:
    """Splits of a method; all where it names none."""
    found = content['methods'][method].get('splits', content['splits'])
    for split in found:
        _known(split, content['splits'], path, f'methods.{method}.splits')
    return found


def _cell(content: dict, method: str, split: str, seed: int, path: Path) -> Cell:
    entry = content['methods'][method]
    if 'config' not in entry:
        raise ValueError(f'{path}: methods.{method}.config is missing')
    options: Dict[str, Any] = {}
    for where, source in (
        ('', content),
        (f'methods.{method}.', entry),
        (f'splits.{split}.', content['splits'][split]),
    ):
        changes = source.get('cfg_options') or {}
        _check_mapping(changes, path, f'{where}cfg_options')
        options.update({key: _option(value, path, key) for key, value in changes.items()})
    config = entry['config'].replace('{split}', split.replace('_', '-'))
    return Cell(method, split, seed, config, {**options, 'randomness.seed': seed})


def _option(value: Any, path: Path, key: str) -> Any:
    """YAML has no tuples, which crop sizes must be: ``(128, 176)`` is read as on a command line."""
    if not isinstance(value, str) or not value.startswith('('):
        return value
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        raise ValueError(
            f'{path}: cfg_options.{key}: {value!r} is no tuple of numbers or quoted words'
        ) from None


def _check_mapping(
    part: Any, path: Union[str, Path], where: str, known: Optional[Sequence[str]] = None
) -> None:
    if not isinstance(part, dict):
        raise ValueError(f'{path}: {where or "the file"} must be a mapping, got {part!r}')
    for key in part if known else ():
        _known(key, known, path, where + 'key')


def _known(name: Optional[str], known: Any, path: Union[str, Path], where: str) -> Optional[str]:
    if name is not None and name not in known:
        raise ValueError(f'{path}: {where} {name!r} is unknown; known are {", ".join(known)}')
    return name
