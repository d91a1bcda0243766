# Copyright (c) mmseg_ctt contributors.
"""Who teaches whom, as data: one tuple of member names per student."""

from typing import Tuple

TeachingGraph = Tuple[Tuple[str, ...], ...]

GRAPHS = {
    'cross': lambda i, n: [f'teacher{j}' for j in range(n) if j != i],
    'self': lambda i, n: [f'teacher{i}'],
    'mutual': lambda i, n: [f'student{j}' for j in range(n) if j != i],
    'dual': lambda i, n: [f'teacher{j}' for j in range(n)],
    'ensemble': lambda i, n: [f'teacher{i}'],
}
NEEDS_TWO = ('cross', 'mutual', 'dual', 'ensemble')


def teaching_graph(name: str, num_pairs: int) -> TeachingGraph:
    """Members whose pseudo-labels each student learns from.

    - ``cross``: the teachers of all other pairs (CTT)
    - ``self``: the own teacher (mean teacher; one pair is enough)
    - ``mutual``: the other students, no teachers (direct mutual teaching, CPS)
    - ``dual``: all teachers (dual teachers)
    - ``ensemble``: the own teacher; independent pairs, averaged when predicting

    Args:
        name (str): One of the above.
        num_pairs (int): Number of students, and of teachers where there are any.

    Returns:
        tuple[tuple[str, ...], ...]: Sources of each student.

    Raises:
        ValueError: If the name is unknown or the graph needs more pairs.

    Example:
        >>> teaching_graph('cross', 3)[0]
        ('teacher1', 'teacher2')
    """
    if name not in GRAPHS:
        raise ValueError(f'model.teaching must be one of {sorted(GRAPHS)}, got {name!r}')
    if num_pairs < 1 or (name in NEEDS_TWO and num_pairs < 2):
        raise ValueError(
            f'model.teaching={name!r} needs num_pairs >= '
            f'{2 if name in NEEDS_TWO else 1}, got {num_pairs}'
        )
    return tuple(tuple(GRAPHS[name](i, num_pairs)) for i in range(num_pairs))


def has_teachers(graph: TeachingGraph) -> bool:
    """Whether any student learns from a teacher."""
    return any(source.startswith('teacher') for sources in graph for source in sources)
