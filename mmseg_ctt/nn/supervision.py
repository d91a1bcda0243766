# Copyright (c) mmseg_ctt contributors.
"""Who teaches whom, as data: one tuple of member names per student."""

from typing import Callable, Dict, List, Tuple

from .settings import check_number

SupervisionGraph = Tuple[Tuple[str, ...], ...]

GRAPHS: Dict[str, Callable[[int, int], List[str]]] = {
    'cross': lambda i, n: [f'teacher{j}' for j in range(n) if j != i],
    'self': lambda i, n: [f'teacher{i}'],
    'own': lambda i, n: [f'student{i}'],
    'mutual': lambda i, n: [f'student{j}' for j in range(n) if j != i],
    'dual': lambda i, n: [f'teacher{j}' for j in range(n)],
    'ensemble': lambda i, n: [f'teacher{i}'],
}
NEED_TWO = ('cross', 'mutual', 'dual', 'ensemble')


def supervision_graph(name: str, num_pairs: int) -> SupervisionGraph:
    """Members whose pseudo-labels each student learns from.

    - ``cross``: the teachers of all other pairs (CTT)
    - ``self``: the own teacher (mean teacher; one pair is enough)
    - ``own``: the student itself, from its weak view (FixMatch)
    - ``mutual``: the other students, no teachers (direct mutual teaching, CPS)
    - ``dual``: all teachers (dual teachers)
    - ``ensemble``: the own teacher; independent pairs, averaged when predicting

    Args:
        name (str): One of the above.
        num_pairs (int): Number of students, and of teachers where there are any.

    Returns:
        tuple[tuple[str, ...], ...]: Teaching members of each student.

    Raises:
        TypeError: If ``num_pairs`` is no integer.
        ValueError: If the name is unknown or the graph needs more pairs.

    Example:
        >>> supervision_graph('cross', 3)[0]
        ('teacher1', 'teacher2')
    """
    if name not in GRAPHS:
        raise ValueError(f'model.supervision must be one of {sorted(GRAPHS)}, got {name!r}')
    check_number('model.num_pairs', num_pairs, whole=True)
    needed = 2 if name in NEED_TWO else 1
    if num_pairs < needed:
        raise ValueError(f'model.supervision={name!r} needs num_pairs >= {needed}, got {num_pairs}')
    return tuple(tuple(GRAPHS[name](i, num_pairs)) for i in range(num_pairs))


def has_teachers(graph: SupervisionGraph) -> bool:
    """Whether any student learns from a teacher."""
    return any(member.startswith('teacher') for members in graph for member in members)
