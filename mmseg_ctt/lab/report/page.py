# Copyright (c) mmseg_ctt contributors.
"""HTML page of a report, self-contained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .colours import Style
from .parts import Figure, Part
from .portable import portable

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Chapter:
    """Chapter of the page: a run, or the comparison of all runs.

    Attributes:
        title (str): Heading.
        parts (list[Part]): Parts in order.
        members (dict[str, Style]): Styles for the legend; empty for no legend.
    """

    title: str
    parts: List[Part]
    members: Dict[str, Style] = field(default_factory=dict)

    @property
    def left_out(self) -> List[Part]:
        """Parts that are missing and should not be."""
        return [part for part in self.parts if part.left_out]


def render(title: str, made: str, chapters: Sequence[Chapter]) -> str:
    """HTML of the page; everything but figures and style sheet is escaped, paths are relative.

    Args:
        title (str): Title of the page.
        made (str): Line with date and version.
        chapters (Sequence[Chapter]): Chapters in order.

    Returns:
        str: HTML that loads no other file.
    """
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=portable,  # of every text, before it is escaped
    )
    return templates.get_template('page.html').render(
        title=title,
        made=made,
        chapters=chapters,
        css=(FOLDER / 'page.css').read_text(),
        plotly_js=_plotly_js(chapters),
    )


def _plotly_js(chapters: Sequence[Chapter]) -> str:
    """The library of the figures; empty for a page without any, which needs no plotly."""
    blocks = [block for chapter in chapters for part in chapter.parts for block in part.blocks]
    if not any(isinstance(block, Figure) for block in blocks):
        return ''
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
