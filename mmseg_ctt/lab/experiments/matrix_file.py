# Copyright (c) mmseg_ctt contributors.
"""Content of a matrix file and of the one that it begins from."""

from pathlib import Path
from typing import Any, Tuple

import yaml

BASE = 'base'


def read_content(path: Path, seen: Tuple[Path, ...] = ()) -> Any:
    """Content of a matrix file; what it does not have is that of the file named by ``base``.

    A key of this file replaces the same key of the other one as a whole; null leaves it out.

    Args:
        path (Path): YAML.
        seen (tuple[Path, ...]): Files that began from this one. Defaults to none.

    Returns:
        Any: A dict, unless the file is something else.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, or begins from itself.
    """
    if path.resolve() in seen:
        raise ValueError(f'{path}: base names a file that begins from this one')
    if not path.is_file():
        raise FileNotFoundError(f'the matrix file {path} does not exist')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not YAML: {error}') from None
    if not isinstance(content, dict) or BASE not in content:
        return content
    name = content.pop(BASE)
    if not isinstance(name, str):
        raise ValueError(f'{path}: base must be the name of a matrix file, got {name!r}')
    inherited = read_content(path.parent / name, (*seen, path.resolve()))
    if not isinstance(inherited, dict):
        raise ValueError(f'{path.parent / name} must be a mapping')
    merged = {**inherited, **content}
    return {
        key: value for key, value in merged.items() if value is not None or key not in inherited
    }
