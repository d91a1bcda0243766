# Copyright (c) mmseg_ctt contributors.
"""Words that depend on a number."""


def counted(number: int, noun: str) -> str:
    """Number and noun: 1 student, 2 students."""
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'
