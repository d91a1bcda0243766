# Copyright (c) mmseg_ctt contributors.
"""Types of the arguments of new_run, which the command line checks and Python does not."""

from numbers import Integral
from pathlib import Path
from typing import Any, List, Optional, Sequence, Union

TEXTS = dict(
    classes="names, such as ['road', 'car']",
    palette="colours, such as ['128,64,128', '255']",
    ignore="colours or values, such as ['255']",
)
NUMBERS = ('val', 'seed', 'iterations')
WORDS = ('method', 'model', 'suffix', 'name')
FOLDERS = ('images', 'masks', 'lists')


def check_types(**given: Any) -> None:
    """Check that arguments are of the types of the command line.

    Args:
        **given (Any): Arguments of ``new_run`` by name; None is one that is not given.

    Raises:
        TypeError: Names the argument and what it takes.
    """
    for name, value in given.items():
        if value is None:
            continue
        if name in TEXTS and not _are_texts(value):
            raise TypeError(f'{name} must be a list of {TEXTS[name]}, got {value!r}')
        if name in NUMBERS and not _is_whole(value):
            raise TypeError(f'{name} must be a whole number, got {value!r}')
        if name in WORDS and not isinstance(value, str):
            raise TypeError(f'{name} must be a text, got {value!r}')
        if name in FOLDERS and not isinstance(value, (str, Path)):
            raise TypeError(f'{name} must be the path of a folder, got {value!r}')


def size_of(size: Union[None, int, Sequence[int]]) -> Optional[List[int]]:
    """The argument ``size`` as a list of one or two numbers.

    Raises:
        TypeError: If it is something else.
    """
    if size is None:
        return None
    sides: Any = [size] if _is_whole(size) else size
    if not isinstance(sides, (list, tuple)) or not all(map(_is_whole, sides)):
        raise TypeError(
            f'size must be the longer side in pixels, or (width, height), whole numbers; got '
            f'{size!r}'
        )
    return [int(side) for side in sides]


def _are_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
