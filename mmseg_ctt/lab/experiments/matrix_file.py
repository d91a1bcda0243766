# Copyright (c) mmseg_ctt contributors.
"""Content of a matrix file and of the one that it begins from, with known keys."""

import os
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple, Union

import yaml

BASE = 'base'
OPTIONS = 'cfg_options'
OUT = 'docs/results.csv'  # where a file names none
KEYS = (
    'methods',
    'splits',
    'seeds',
    OPTIONS,
    'eval_sets',
    'out',
    'work_dir',
    'baseline',
    'full_labels',
    'per_class',
    'presets',
)
PARTS = dict(
    methods=(BASE, 'config', OPTIONS, 'member', 'splits', 'seeds'),
    splits=(BASE, 'config', OPTIONS, 'methods', 'seeds', 'full_labels'),
)
OWN = ('out', 'work_dir')  # in one CSV two matrices would replace each other's rows


def read_content(path: Path, seen: Tuple[Path, ...] = ()) -> dict:
    """Content of a matrix file; what it does not have is that of the file named by ``base``.

    A key of this file replaces the same key of the other one as a whole; null leaves it out.
    ``out`` and ``work_dir`` are never those of the other one. A method or split with ``base`` takes
    over what it does not have from the method or split of that name in the other file, also single
    ``cfg_options``.

    Args:
        path (Path): YAML.
        seen (tuple[Path, ...]): Files that began from this one, resolved. Defaults to none.

    Returns:
        dict: With known keys alone.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, has an unknown key, begins from itself, or from another
            file without an ``out`` of its own; if a part begins from one that is not there.
    """
    content = _read(path)
    name = content.pop(BASE, None)
    _check_keys(content, path)
    if name is None:
        _take_over(content, {}, path, 'no other file (base is missing)')
        return content
    if not isinstance(name, str):
        raise ValueError(f'{path}: base must be the name of a matrix file, got {name!r}')
    base, seen = path.parent / name, (*seen, path.resolve())
    if base.resolve() in seen:
        raise ValueError(f'{path}: base names {name}, which begins from this file')
    inherited = read_content(base, seen)
    if content.get('out') is None:
        raise ValueError(
            f'{path}: out is missing beside base: in the CSV of {name} this matrix could replace '
            f'rows of that one; add "out: docs/results_{path.stem}.csv" or so'
        )
    if os.path.abspath(content['out']) == os.path.abspath(inherited.get('out') or OUT):
        raise ValueError(
            f'{path}: out={content["out"]} is that of {name}, whose rows this matrix would '
            'replace: name another file'
        )
    _take_over(content, inherited, path, str(name))
    merged = {**{key: inherited[key] for key in inherited if key not in OWN}, **content}
    return {
        key: value for key, value in merged.items() if value is not None or key not in inherited
    }


def _take_over(content: dict, inherited: dict, path: Path, where: str) -> None:
    """Complete methods and splits with a ``base`` by those of the other file, in place."""
    for key in PARTS:
        part, known = content.get(key), inherited.get(key)
        if not isinstance(part, dict):
            continue
        known = known if isinstance(known, dict) else {}
        for name, entry in part.items():
            if not entry or BASE not in entry:
                continue
            entry = dict(entry)  # an anchor of YAML may stand in several places
            origin = entry.pop(BASE)
            if not isinstance(origin, str) or origin not in known:
                raise ValueError(
                    f'{path}: {key}.{name}.base {origin!r} is unknown; '
                    f'known are those of {where}: {", ".join(known) or "none"}'
                )
            part[name] = _over(known[origin] or {}, entry, path, f'{key}.{name}.')


def _over(theirs: dict, own: dict, path: Path, key: str) -> dict:
    """An entry over the one that it begins from; null leaves a key out."""
    merged = {**theirs, **own}
    if own.get(OPTIONS) is not None and theirs.get(OPTIONS) is not None:
        for options in (theirs[OPTIONS], own[OPTIONS]):
            check_mapping(options, path, f'{key}{OPTIONS}')
        merged[OPTIONS] = {**theirs[OPTIONS], **own[OPTIONS]}
    return {name: value for name, value in merged.items() if value is not None}


def _read(path: Path) -> dict:
    """Content of one file."""
    if not path.is_file():
        raise FileNotFoundError(f'the matrix file {path} does not exist')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not YAML: {error}') from None
    check_mapping(content, path, '')
    return content


def _check_keys(content: dict, path: Path) -> None:
    """Raise for keys of one file, of its methods and of its splits that are unknown."""
    check_mapping(content, path, '', KEYS)
    for key, known in PARTS.items():
        part = content.get(key)
        for name, entry in part.items() if isinstance(part, dict) else ():
            if not isinstance(name, str):  # YAML reads 1_16 as the number 116
                raise ValueError(
                    f'{path}: {key} has the number {name!r}: write names that begin '
                    'with a digit in quotes, such as "1_16"'
                )
            if entry is not None:
                check_mapping(entry, path, f'{key}.{name}.', known)


def check_mapping(
    part: Any, path: Union[str, Path], key: str, known: Optional[Sequence[str]] = None
) -> None:
    """Raise unless a part of a file is a mapping, of known keys.

    Args:
        part (Any): The part.
        path (str | Path): The file.
        key (str): Place of the part there, with a dot at its end; '': the whole file.
        known (Sequence[str], optional): Keys that there are. Defaults to None: any.

    Raises:
        ValueError: If it is something else, or has another key.
    """
    if not isinstance(part, dict):
        raise ValueError(f'{path}: {key or "the file"} must be a mapping, got {part!r}')
    for name in part if known else ():
        known_name(name, known, path, key + 'key')


def known_name(name: Optional[str], known: Any, path: Union[str, Path], key: str) -> Optional[str]:
    """A name, checked.

    Args:
        name (str, optional): The name; None is always known.
        known (Iterable[str]): The names that there are.
        path (str | Path): File or argument that has it.
        key (str): Its place there.

    Raises:
        ValueError: If it is unknown.
    """
    if name is not None and name not in known:
        raise ValueError(f'{path}: {key} {name!r} is unknown; known are {", ".join(known)}')
    return name


def known_names(names: Any, known: Any, path: Union[str, Path], key: str) -> List[str]:
    """A list of names, each checked as by :func:`known_name`.

    Raises:
        ValueError: If it is no list, or a name is unknown.
    """
    if not isinstance(names, list):
        raise ValueError(f'{path}: {key} must be a list of names, got {names!r}')
    for name in names:
        known_name(name, known, path, key)
    return names
