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
    from matplotlib.figure import Figure

# Text and bars are legible on white and on near black; the background is transparent.
INK, BAR = '#7d7d7d', '#8c8c8c'
COLOURS = ('#3d8fd1', '#d9822b', '#2a9d74', '#c65fa3', '#8f7be0')
MARKS = list(zip('os^DvPX<hp', COLOURS * 2))  # of a question each; all can be hollow
SEEDS = 3  # rows of fewer are hollow
LOWEST, HIGHEST = -100.0, 200.0  # per cent; marks beyond stand at the edge
FIGURES = 'Figures'  # key of the checksum among the texts of the PNG


def save_league(
    path: Path, standings: Sequence[Standing], questions: Sequence[str], label: str
) -> None:
    """Write the picture; it is meant to be shown 800 pixels wide.

    Marks and bar of a row are hollow if one of its questions has fewer seeds than :data:`SEEDS`.

    Args:
        path (Path): PNG to write.
        standings (Sequence[Standing]): In the order of the rows, the first on top.
        questions (Sequence[str]): At most ten, in the order of the legend.
        label (str): What the axis shows.

    Raises:
        ValueError: If there are more questions than marks.
    """
    if len(questions) > len(MARKS):
        raise ValueError(
            f'a picture of a league has marks for {len(MARKS)} questions, got {len(questions)}'
        )
    # not pyplot, which needs a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.27 * len(standings)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_bars(axes, standings)
    for question, (marker, colour) in zip(questions, MARKS):
        _draw_marks(axes, standings, question, marker, colour)
    axes.set_yticks(range(len(standings)), [row.method for row in standings])
    axes.set_ylim(len(standings) - 0.4, -0.6)
    _draw_axes(axes, label)
    _draw_legend(figure, axes, standings)
    checksum = checksum_of(standings, questions, label)
    figure.savefig(path, dpi=150, transparent=True, metadata={FIGURES: checksum})


def checksum_of(standings: Sequence[Standing], questions: Sequence[str], label: str) -> str:
    """Checksum of what a picture shows, see :func:`save_league`: digits of a sha256."""
    shown: List[Any] = [label, *questions]
    for row in standings:
        shares = [row.shares.get(question, math.nan) for question in questions]
        texts = [f'{_shown(share):.2f}' for share in (*shares, row.mean)]
        shown.append([row.method, _hollow(row), *texts])
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:DIGITS]


def saved_checksum(path: Path) -> Optional[str]:
    """Checksum within a picture of :func:`save_league`; None without picture or checksum."""
    from PIL import Image

    if not path.is_file():
        return None
    with Image.open(path) as picture:
        texts: Dict[str, Any] = picture.info
        return texts.get(FIGURES)


def _hollow(row: Standing) -> bool:
    """Whether some question of a row has few seeds, or none."""
    return row.fewest < SEEDS


def _bar_style(hollow: bool) -> Dict[str, Any]:
    from matplotlib.colors import to_rgba

    return dict(
        facecolor=to_rgba(BAR, 0.0 if hollow else 0.45),
        edgecolor=to_rgba(BAR, 1.0 if hollow else 0.0),
        linewidth=0.8,
    )


def _draw_bars(axes: 'Axes', standings: Sequence[Standing]) -> None:
    """A bar for the mean of each row that has all questions."""
    for place, row in enumerate(standings):
        if row.complete:
            axes.barh(place, _shown(row.mean), **_bar_style(_hollow(row)))


def _draw_marks(
    axes: 'Axes', standings: Sequence[Standing], question: str, marker: str, colour: str
) -> None:
    """Marks of a question, and its entry of the legend, which is filled."""
    for hollow in (False, True):
        points = [
            (_shown(row.shares[question]), place)
            for place, row in enumerate(standings)
            if _hollow(row) is hollow and not math.isnan(row.shares.get(question, math.nan))
        ]
        style: Dict[str, Any] = dict(facecolors='none' if hollow else colour, edgecolors=colour)
        if not hollow:
            style['label'] = question  # also without points, for the legend
        axes.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            marker=marker,
            s=26,
            clip_on=False,
            zorder=3,
            **style,
        )


def _draw_legend(figure: 'Figure', axes: 'Axes', standings: Sequence[Standing]) -> None:
    """Questions, the bar, and what hollow rows are if there are any."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles, labels = axes.get_legend_handles_labels()
    entries: List[Any] = [*handles, Patch(**_bar_style(False))]
    labels = [*labels, 'mean']
    if any(map(_hollow, standings)):
        mark = Line2D([], [], marker='o', markersize=5, fillstyle='none', color=INK, linestyle='')
        entries.append((Patch(**_bar_style(True)), mark))  # one over the other, as in a row
        labels.append(f'hollow: fewer than {SEEDS} seeds')
    figure.legend(
        entries, labels, loc='outside upper center', ncols=4, frameon=False, labelcolor=INK,
        fontsize=9, handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip


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
