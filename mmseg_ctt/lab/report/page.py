# Copyright (c) mmseg_ctt contributors.
"""Parts to one HTML file that holds everything it shows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from .colours import Look
from .parts import Part

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Chapter:
    """A run, or the comparison of all.

    Attributes:
        title (str): Heading.
        parts (list[Part]): In order.
        members (dict[str, Look]): For the key of colours; empty: no key.
    """

    title: str
    parts: List[Part]
    members: Dict[str, Look] = field(default_factory=dict)


def render(title: str, made: str, chapters: Sequence[Chapter]) -> str:
    """The page. Everything but our own figures and style is escaped.

    Args:
        title (str): Of the page.
        made (str): A line on when and with what it was made.
        chapters (Sequence[Chapter]): In order.

    Returns:
        str: HTML, which asks for no file and no network.
    """
    templates = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined
    )
    return templates.get_template('page.html').render(
        title=title,
        made=made,
        chapters=chapters,
        css=(FOLDER / 'page.css').read_text(),
        plotly_js=get_plotlyjs(),
    )
