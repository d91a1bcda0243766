# Copyright (c) mmseg_ctt contributors.
"""How often a benchmark measures."""

from typing import Optional

REPEATS = 10  # the default, and the fewest of a command: for a median


def check_repeats(repeats: Optional[int]) -> None:
    """Raise a ValueError where a command would measure too seldom; None is the default."""
    if repeats is not None and repeats < REPEATS:
        raise ValueError(f'--repeats={repeats}: a median needs at least {REPEATS}')
