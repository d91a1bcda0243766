# Copyright (c) mmseg_ctt contributors.
"""Matrix file: methods x splits x seeds as a list of cells."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from ...engine.method_preset import preset_names
from .baseline_cells import with_baselines
from .matrix_file import OUT, check_mapping, known_name, known_names, read_content

EVAL_SETS = ('val', 'test')


@dataclass(frozen=True)
class Cell:
    """Cell of a matrix: one run.

    Attributes:
        method (str): Row of the table.
        split (str): Column of the table.
        seed (int): Seed of data and networks.
        config (str): Config file.
        options (dict): Changes of the config, ``{'a.b': value}``.
        baseline (Cell, optional): The run whose folder is where options have ``'{baseline}'``.
    """

    method: str
    split: str
    seed: int
    config: str
    options: Dict[str, Any]
    baseline: Optional['Cell'] = None

    def __str__(self) -> str:
        return f'{self.method} {self.split} seed {self.seed}'


@dataclass(frozen=True)
class Matrix:
    """Content of a matrix file.

    Attributes:
        cells (list[Cell]): First seeds before second ones, so that a table fills early.
        members (dict[str, str]): Member that represents a method, if the file names one.
        eval_sets (tuple[str, ...]): ``val``, ``test`` or both.
        out (str): CSV of the results.
        work_dir (str): Folder of the runs.
        baseline (str, optional): Method that gains are relative to.
        full_labels (str, optional): Split in which the baseline has all labels.
        full_by_split (dict[str, str]): The same for splits that name one of their own, as those of
            different data sets do.
        per_class (bool): Whether the CSV has the IoU of each class; False where splits are of
            different classes.
    """

    cells: List[Cell]
    members: Dict[str, str]
    eval_sets: Tuple[str, ...]
    out: str
    work_dir: str
    baseline: Optional[str]
    full_labels: Optional[str]
    full_by_split: Dict[str, str] = field(default_factory=dict)
    per_class: bool = True

    def full_of(self, split: str) -> Optional[str]:
        """Split in which the baseline has all labels of the data of a split, if any."""
        return self.full_by_split.get(split, self.full_labels)


def read_matrix(path: Union[str, Path]) -> Matrix:
    """Read a matrix file, see ``configs/matrices``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, or a key or name is unknown or missing.
    """
    path = Path(path)
    content = read_content(path)
    _add_presets(content, path)
    for key in ('methods', 'splits'):
        part = content.get(key)
        if not isinstance(part, dict) or not part:
            raise ValueError(f'{path}: {key} is missing or empty')
        content[key] = {name: {} if entry is None else entry for name, entry in part.items()}
    methods, splits = content['methods'], content['splits']
    return Matrix(
        cells=with_baselines(_cells(content, path), content.get('baseline'), path),
        members={
            name: check_member(entry['member'])
            for name, entry in methods.items()
            if 'member' in entry
        },
        eval_sets=check_eval_sets(content.get('eval_sets', ['val'])),
        out=content.get('out') or OUT,
        work_dir=content.get('work_dir') or f'work_dirs/{path.stem}',
        baseline=known_name(content.get('baseline'), methods, path, 'baseline'),
        full_labels=known_name(content.get('full_labels'), splits, path, 'full_labels'),
        full_by_split={
            name: str(known_name(entry['full_labels'], splits, path, f'splits.{name}.full_labels'))
            for name, entry in splits.items()
            if entry.get('full_labels') is not None
        },
        per_class=_flag(content, path, 'per_class'),
    )


def _add_presets(content: dict, path: Path) -> None:
    """A method for each preset, whose config is that of the split; methods of the file stay."""
    if 'presets' not in content:
        return
    given = {} if content['presets'] is None else content['presets']
    check_mapping(given, path, 'presets.', ('without',))
    names = preset_names()
    without = known_names(given.get('without', []), names, path, 'presets.without')
    methods = content.setdefault('methods', {})
    if isinstance(methods, dict):
        for name in names:
            if name not in without:
                methods.setdefault(name, dict(cfg_options=dict(method=name)))


def _flag(content: dict, path: Path, key: str) -> bool:
    value = content.get(key, True)
    if not isinstance(value, bool):
        raise ValueError(f'{path}: {key} must be true or false, got {value!r}')
    return value


def check_eval_sets(names: Sequence[str]) -> Tuple[str, ...]:
    """Names of evaluation sets, checked.

    Raises:
        ValueError: If a name is unknown or the list is empty.
    """
    if not names or isinstance(names, str):
        raise ValueError(f'eval_sets must be a list of {", ".join(EVAL_SETS)}, got {names!r}')
    for name in names:
        known_name(name, EVAL_SETS, 'matrix', 'eval_sets')
    return tuple(names)


def check_member(name: str) -> str:
    """Name of a member that can represent a method in a table, checked.

    Raises:
        ValueError: If it is no name of a member.
    """
    if not re.fullmatch(r'(student|teacher)(\d+|s)|ensemble|model', name):
        raise ValueError(
            f'member {name!r} is unknown: write student0, teacher1 or so, ensemble, '
            'or students or teachers for their mean'
        )
    return name


def _cells(content: dict, path: Path) -> List[Cell]:
    ranked = []
    for split, entry in content['splits'].items():
        chosen = entry.get('methods', list(content['methods']))
        for method in known_names(chosen, content['methods'], path, f'splits.{split}.methods'):
            if split in _splits(content, method, path):
                ranked += [
                    (rank, _cell(content, method, split, seed, path))
                    for rank, seed in enumerate(_seeds(content, method, split, path))
                ]
    return [cell for _, cell in sorted(ranked, key=lambda pair: pair[0])]


def _seeds(content: dict, method: str, split: str, path: Path) -> List[int]:
    """Seeds of a method on a split: those of the split, else of the method, else of the file."""
    default = content['methods'][method].get('seeds', content.get('seeds', [0]))
    seeds = content['splits'][split].get('seeds', default)
    if isinstance(seeds, dict):  # by method
        check_mapping(seeds, path, f'splits.{split}.seeds.', tuple(content['methods']))
        seeds = seeds.get(method, default)
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise ValueError(
            f'{path}: seeds of {method} on {split} must be a list of numbers, got {seeds!r}'
        )
    return seeds


def _splits(content: dict, method: str, path: Path) -> Sequence[str]:
    """Splits of a method; all if it names none."""
    splits = content['methods'][method].get('splits', list(content['splits']))
    return known_names(splits, content['splits'], path, f'methods.{method}.splits')


def _cell(content: dict, method: str, split: str, seed: int, path: Path) -> Cell:
    entry = content['methods'][method]
    config = _config(content['splits'][split], entry, f'{path}: methods.{method}', split)
    options: Dict[str, Any] = {}
    for prefix, source in (
        ('', content),
        (f'methods.{method}.', entry),
        (f'splits.{split}.', content['splits'][split]),
    ):
        changes = source.get('cfg_options') or {}
        check_mapping(changes, path, f'{prefix}cfg_options')
        options.update({key: _option(value, path, key) for key, value in changes.items()})
    return Cell(method, split, seed, config, {**options, 'randomness.seed': seed})


def _config(of_split: dict, of_method: dict, where: str, split: str) -> str:
    """Config of a run: of the method, or of the split, which `method` in the options changes."""
    if ('config' in of_method) == ('config' in of_split):
        state = 'missing' if 'config' not in of_method else f'also in splits.{split}.config'
        raise ValueError(f'{where}.config is {state}: give one of the two')
    config: str = of_method['config'] if 'config' in of_method else of_split['config']
    return config.replace('{split}', split.replace('_', '-'))


def _option(value: Any, path: Path, key: str) -> Any:
    """Value of an option; text such as ``(128, 176)`` is a tuple, which YAML does not have."""
    if not isinstance(value, str) or not value.startswith('('):
        return value
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        raise ValueError(
            f'{path}: cfg_options.{key}: {value!r} is no tuple of numbers or quoted words'
        ) from None
