# Copyright (c) mmseg_ctt contributors.
"""What a part of the page is made of."""

from dataclasses import dataclass, field
from typing import Any, Callable, List, Optional, Sequence, Tuple

from .pictures import Picture

# What users' folders, files and installations give rise to; anything else is our own fault.
REASONS = (ValueError, TypeError, OSError, ImportError, KeyError)
MAX_REASON = 300


@dataclass(frozen=True)
class Figure:
    """A figure in HTML, below a heading of its own where it has one of several."""

    html: str
    title: str = ''
    small: bool = False
    min_width: int = 0  # pixels, below which the figure scrolls


@dataclass(frozen=True)
class Table:
    """Text in rows; ``code`` sets it in a fixed-width type."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    code: bool = False


@dataclass(frozen=True)
class Pictures:
    """Rows of pictures, side by side as far as there is room."""

    rows: Sequence[Sequence[Picture]]
    legend: Sequence[Tuple[str, str]] = ()  # colour and name


@dataclass(frozen=True)
class Text:
    """Long text that is folded away."""

    title: str
    text: str


@dataclass(frozen=True)
class Part:
    """A heading, one sentence of explanation, and what there is to see.

    Attributes:
        title (str): Heading.
        why (str): What it shows, for someone who did not write it.
        blocks (list): Figures, tables, pictures, text.
        missing (str | None): Why there is nothing to see.
    """

    title: str
    why: str = ''
    blocks: List[Any] = field(default_factory=list)
    missing: Optional[str] = None


def attempt(title: str, make: Callable[[], Part]) -> Part:
    """A part, or the one line that says why the folder does not give it."""
    try:
        return make()
    except REASONS as error:
        words = ' '.join(str(error).split()) or type(error).__name__
        return Part(title, missing=words[:MAX_REASON])
