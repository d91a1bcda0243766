# Copyright (c) mmseg_ctt contributors.
"""The networks of a method as a table: who follows whom, how often, and what they are for."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

GROUPS = dict(student='students', teacher='teachers')  # attributes with another name than members


class Member(NamedTuple):
    """One network of a method.

    Attributes:
        follows (str, optional): Member whose weights it averages (EMA); None: none.
        interval (int): Updates of the followed member between two updates of this one.
        offset (int): Number of the first of them, for members that are updated in turn.
        trains (bool): Whether it receives gradients.
        predicts (bool): Whether ``test_cfg.predict_on`` may name it.
        copy_of (str, optional): Member that it is a copy of at first; None: the followed one.
        override (dict, optional): Merged into ``model.segmentor`` to build it, such as another
            number of classes; None: built like the member it is a copy of.
        shift (int, optional): Its position among members that are updated for a period each, while
            the others rest, see :class:`Shifts`; None: it is updated all the time.
    """

    follows: Optional[str] = None
    interval: int = 1
    offset: int = 0
    trains: bool = False
    predicts: bool = True
    copy_of: Optional[str] = None
    override: Optional[dict] = None
    shift: Optional[int] = None


Members = Dict[str, Member]


def students_and_teachers(num_pairs: int, with_teachers: bool, frozen: bool = False) -> Members:
    """The usual table: students, and an EMA teacher of each.

    Args:
        num_pairs (int): Number of students.
        with_teachers (bool): Whether there are teachers.
        frozen (bool): Whether teachers stay as they were loaded.
    """
    table = {f'student{i}': Member(trains=True) for i in range(num_pairs)}
    for i in range(num_pairs if with_teachers else 0):
        student = f'student{i}'
        table[f'teacher{i}'] = Member(follows=None if frozen else student, copy_of=student)
    return table


def teachers_in_turns(number: int, frozen: bool = False) -> Members:
    """Table of one student and several EMA teachers that are updated for a period each.

    Args:
        number (int): Number of teachers.
        frozen (bool): Whether they stay as they were loaded.
    """
    student = 'student0'
    table = {student: Member(trains=True)}
    for i in range(number):
        follows = None if frozen else student
        table[f'teacher{i}'] = Member(follows, shift=i, copy_of=student)
    return table


def module_path(member: str) -> Tuple[str, Optional[int]]:
    """Attribute of the model that holds a member, and its index there.

    Args:
        member (str): ``teacher1``, ``past0``, ``old``.

    Returns:
        tuple[str, int | None]: ``('teachers', 1)``, ``('past', 0)``, ``('old', None)``.

    Raises:
        ValueError: If it is no name of a member.

    Example:
        >>> module_path('teacher1'), module_path('old')
        (('teachers', 1), ('old', None))
    """
    found = re.fullmatch(r'([a-z_]+?)(\d*)', member)
    if found is None:
        raise ValueError(f'{member!r} is no name of a member: use letters and a number')
    stem, number = found.groups()
    return GROUPS.get(stem, stem), int(number) if number else None


def dotted(name: str) -> str:
    """Path of a member's module, such as ``students.0``."""
    return '.'.join(str(part) for part in module_path(name) if part is not None)


def check_names(members: Iterable[str]) -> None:
    """Refuse names whose numbers are not the positions of the members in their lists.

    Args:
        members (Iterable[str]): Names in the order of the table, in which the lists are filled.

    Raises:
        ValueError: If the numbers of a group are not 0, 1, 2, ... in this order, or one of several
            members has no number.
    """
    groups: Dict[str, List[str]] = {}
    for name in members:
        groups.setdefault(module_path(name)[0], []).append(name)
    for group, names in groups.items():
        numbers = [module_path(name)[1] for name in names]
        if numbers not in ([None], list(range(len(names)))):
            raise ValueError(
                f'the members {names} of model.{group} must be numbered 0, 1, 2, ... in the order '
                'of member_table, or be one without a number'
            )
