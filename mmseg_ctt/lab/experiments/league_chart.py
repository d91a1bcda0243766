# Copyright (c) mmseg_ctt contributors.
"""Picture of a league: a row per method, a mark per question, and a bar for the mean."""

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from ...engine.fingerprint import DIGITS
from .league import Standing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Text and bars are legible on white and on near black; the background is transparent.
INK, BAR = '#7d7d7d', '#8c8c8c'
MARKS = (('o', '#3d8fd1'), ('s', '#d9822b'), ('^', '#2a9d74'), ('D', '#c65fa3'), ('v', '#8f7be0'))
STYLES = [
    *(dict(marker=marker, color=colour) for marker, colour in MARKS),
    # questions beyond the fifth have the same marks, hollow
    *(dict(marker=marker, facecolors='none', edgecolors=colour) for marker, colour in MARKS),
]
LOWEST, HIGHEST = -100.0, 200.0  # per cent; marks beyond stand at the edge
FIGURES = 'Figures'  # key of the checksum among the texts of the PNG


def save_league(
    path: Path, standings: Sequence[Standing], questions: Sequence[str], label: str
) -> None:
    """Write the picture; it is meant to be shown 800 pixels wide.

    Args:
        path (Path): PNG to write.
        standings (Sequence[Standing]): In the order of the rows, the first on top.
        questions (Sequence[str]): At most ten, in the order of the legend.
        label (str): What the axis shows.

    Raises:
        ValueError: If there are more questions than marks.
    """
    if len(questions) > len(STYLES):
        raise ValueError(
            f'a picture of a league has marks for {len(STYLES)} questions, got {len(questions)}'
        )
    # not pyplot, which needs a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.27 * len(standings)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rows = range(len(standings))
    axes.barh(
        rows,
        [_shown(row.mean) if row.complete else 0.0 for row in standings],
        color=BAR,
        alpha=0.45,
        label='mean',
    )
    for question, style in zip(questions, STYLES):
        points = [
            (_shown(row.shares[question]), place)
            for place, row in enumerate(standings)
            if not math.isnan(row.shares.get(question, math.nan))
        ]
        given: Any = dict(style, s=26, label=question, zorder=3)
        axes.scatter([x for x, _ in points], [y for _, y in points], clip_on=False, **given)
    axes.set_yticks(rows, [row.method for row in standings])
    axes.set_ylim(len(standings) - 0.4, -0.6)
    _draw_axes(axes, label)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc='outside upper center', ncols=6, frameon=False, labelcolor=INK,
        fontsize=9, handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip
    checksum = checksum_of(standings, questions, label)
    figure.savefig(path, dpi=150, transparent=True, metadata={FIGURES: checksum})


def checksum_of(standings: Sequence[Standing], questions: Sequence[str], label: str) -> str:
    """Checksum of what a picture shows, see :func:`save_league`: digits of a sha256."""
    shown: List[Any] = [label, *questions]
    for row in standings:
        shares = [row.shares.get(question, math.nan) for question in questions]
        shown.append([row.method, *(f'{_shown(share):.2f}' for share in (*shares, row.mean))])
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:DIGITS]


def saved_checksum(path: Path) -> Optional[str]:
    """Checksum within a picture of :func:`save_league`; None without picture or checksum."""
    from PIL import Image

    if not path.is_file():
        return None
    with Image.open(path) as picture:
        texts: Dict[str, Any] = picture.info
        return texts.get(FIGURES)


def _draw_axes(axes: 'Axes', label: str) -> None:
    """Lines at labels alone and at all labels, and what the axis shows."""
    axes.set_xlabel(label, color=INK)
    for share, style in ((0.0, '-'), (100.0, '--')):
        axes.axvline(share, color=INK, linewidth=1, linestyle=style)
    axes.grid(axis='y', color=INK, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.03)
    axes.tick_params(colors=INK, labelsize=10)
    axes.tick_params(axis='y', length=0)
    axes.spines[['top', 'right', 'left']].set_visible(False)
    axes.spines['bottom'].set_color(INK)


def _shown(share: float) -> float:
    """A share in per cent, within the picture."""
    return min(max(100 * share, LOWEST), HIGHEST)
