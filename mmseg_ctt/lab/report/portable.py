# Copyright (c) mmseg_ctt contributors.
"""Text without absolute paths: a page is sent to people whom the folders here do not concern."""

import os
import re
from pathlib import Path
from typing import Any, Union

from markupsafe import Markup

MAX_UP = 2  # folders above the current one
QUOTED = re.compile(r"""(?P<quote>['"])(?P<path>/[^'"\n/]+(?:/[^'"\n/]+)+/?)(?P=quote)""")
PLAIN = re.compile(r"""(?<![\w.~<>:/'"*-])(?P<path>/[\w.+@-]+(?:/[\w.+@-]+)+/?)""")


def portable(value: Any) -> Any:
    """Text with relative paths or names for absolute paths; anything else as it is.

    Args:
        value (Any): Text for the page. Markup, which holds figures and code, and ``data:`` URIs
            are left alone.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or value.startswith('data:'):
        return value
    value = QUOTED.sub(
        lambda found: f'{found["quote"]}{short_path(found["path"])}{found[1]}', value
    )
    return PLAIN.sub(lambda found: short_path(found['path']), value)


def short_path(path: Union[str, Path]) -> str:
    """Path from the current folder; the name alone, after ``.../``, of one that is far from it."""
    relative = relative_path(path)
    far = Path(relative).parts[: MAX_UP + 1] == ('..',) * (MAX_UP + 1)
    above_root = Path(os.path.commonpath([Path.cwd(), os.path.abspath(path)])) == Path('/')
    return f'.../{Path(path).name}' if far or above_root else relative


def relative_path(path: Union[str, Path]) -> str:
    """Path from the current folder, for a command that works there."""
    path = Path(path)
    return os.path.relpath(path) if path.is_absolute() else str(path)
