# Copyright (c) mmseg_ctt contributors.
"""Parts of the page and the blocks that they consist of."""

from dataclasses import dataclass, field
from typing import Callable, Optional, Sequence, Tuple, Union

from .pictures import Picture

# Errors that users' folders, files and installations cause; others are faults of this package.
REASONS = (ValueError, TypeError, OSError, ImportError, KeyError)
MAX_REASON = 300


@dataclass(frozen=True)
class Figure:
    """Figure as HTML, with an optional heading; small figures are set side by side."""

    html: str
    title: str = ''
    small: bool = False
    min_width: int = 0  # pixels; a narrower page scrolls the figure


@dataclass(frozen=True)
class Table:
    """Table of text; ``code`` sets it in a fixed-width font."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    code: bool = False


@dataclass(frozen=True)
class Pictures:
    """Rows of pictures, side by side as far as the width allows."""

    rows: Sequence[Sequence[Picture]]
    legend: Sequence[Tuple[str, str]] = ()  # colours and names


@dataclass(frozen=True)
class Text:
    """Long text that the reader unfolds."""

    title: str
    text: str


@dataclass(frozen=True)
class Notes:
    """Sentences as a list."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Command:
    """Command that the reader may copy."""

    text: str


Block = Union[Figure, Table, Pictures, Text, Notes, Command]


@dataclass(frozen=True)
class Part:
    """Part of a chapter: a heading, a description and blocks.

    Attributes:
        title (str): Heading.
        description (str): Meaning of the blocks in one or two sentences.
        blocks (list): Figures, tables, pictures, text.
        missing (str | None): Reason why the part has no blocks.
        left_out (bool): Whether it should have some: the run has what it shows, and the user did
            not switch it off.
        headline (str): The result in one sentence, above the description.
    """

    title: str
    description: str = ''
    blocks: Sequence[Block] = field(default_factory=list)
    missing: Optional[str] = None
    left_out: bool = False
    headline: str = ''


class NothingToShow(ValueError):
    """A part that the method of the run does not have, or that the user has switched off."""


def attempt(title: str, make: Callable[[], Part]) -> Part:
    """Part of the page; if an error of :data:`REASONS` prevents it, a part with the reason."""
    try:
        return make()
    except REASONS as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        left_out = not isinstance(error, NothingToShow)
        return Part(title, missing=reason[:MAX_REASON], left_out=left_out)
