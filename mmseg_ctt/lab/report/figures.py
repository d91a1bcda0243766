# Copyright (c) mmseg_ctt contributors.
"""Plotly figures as HTML; the page includes plotly.js once."""

from html import escape
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import plotly.graph_objects as go

from .colours import SYMBOLS, Style, member_styles
from .scalars import Curve

HEIGHT, SMALL = 360, 240
GRID, INK = '#e5e7eb', '#1f2937'
AXIS = dict(gridcolor=GRID, zeroline=False, automargin=True, linecolor=GRID)
CONFIG = dict(responsive=True, displayModeBar=False)  # one of its buttons uploads the figure
ROW, COLUMN = 24, 20  # smallest height and width of a cell in a confusion matrix, pixels
SHOWN = 0.005  # fraction from which a cell has a number
BACKGROUND = '#dfe3e8'  # grey, so that white classes are visible

Numbers = Union[Sequence[float], np.ndarray]


class Line(NamedTuple):
    """Line of a figure: a curve and its style."""

    name: str
    curve: Curve
    style: Style
    symbol: Optional[str] = None


def html_of(figure: go.Figure) -> str:
    """HTML of a figure: a ``div`` of the width of the page, and its script."""
    return figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config=CONFIG,
        default_width='100%',
        default_height=f'{figure.layout.height}px',
    )


def lines(drawn: Sequence[Line], unit: str, legend: bool = True, height: int = HEIGHT) -> str:
    """Curves over the iterations.

    Args:
        drawn (Sequence[Line]): The lines.
        unit (str): Title of the vertical axis.
        legend (bool): Whether names are shown above the figure. Defaults to True.
        height (int): Height in pixels. Defaults to 360.

    Returns:
        str: HTML.
    """
    figure = _figure(height, showlegend=legend)
    for line in drawn:
        few = len(line.curve.steps) < 30
        figure.add_scatter(
            x=line.curve.steps,
            y=line.curve.values,
            name=escape(line.name),
            mode='lines+markers' if few or line.symbol else 'lines',
            line=dict(color=line.style.colour, dash=line.style.dash, width=2),
            marker=dict(size=8 if line.symbol else 5, symbol=line.symbol or 'circle'),
        )
    figure.update_xaxes(title='iteration', rangemode='tozero')
    negative = any(value < 0 for line in drawn for value in line.curve.values)
    figure.update_yaxes(
        title=unit, exponentformat='power', rangemode='normal' if negative else 'nonnegative'
    )
    return html_of(figure)


def class_dots(classes: Sequence[str], values: Mapping[str, Numbers], unit: str) -> str:
    """Dot plot of a row per class and a dot per member.

    Args:
        classes (Sequence[str]): Names of the ``K`` classes.
        values (Mapping[str, Sequence[float] | np.ndarray]): ``K`` values of each member; NaN gives
            no dot.
        unit (str): Title of the horizontal axis.

    Returns:
        str: HTML.
    """
    return _dots(
        classes,
        {name: list(values[name]) for name in member_styles(list(values))},
        unit,
        range=[-2, 102],
    )


def run_dots(scores: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """Dot plot of a row per run and a dot per member, from scores by run and member."""
    members = member_styles([name for run in scores.values() for name in run])
    return _dots(
        list(scores),
        {name: [run.get(name, float('nan')) for run in scores.values()] for name in members},
        unit,
    )


def _dots(rows: Sequence[str], values: Mapping[str, Numbers], unit: str, **axis: Any) -> str:
    figure = _figure(150 + 26 * len(rows))
    for i, (name, style) in enumerate(member_styles(list(values)).items()):
        figure.add_scatter(
            x=_plain(values[name]),
            y=[escape(row) for row in rows],
            name=escape(name),
            mode='markers',
            marker=dict(
                size=10,
                color=style.colour,
                symbol=SYMBOLS[i % len(SYMBOLS)],
                line=dict(width=1, color='white'),
            ),
        )
    figure.update_xaxes(title=unit, **axis)
    figure.update_yaxes(autorange='reversed', type='category')
    return html_of(figure)


def bars(
    classes: Sequence[str], values: Mapping[str, Sequence[float]], unit: str, colours: Sequence[str]
) -> str:
    """Horizontal bars, a group per class and a bar per name."""
    figure = _figure(110 + (10 + 14 * len(values)) * len(classes), barmode='group')
    for (name, lengths), colour in zip(values.items(), colours):
        figure.add_bar(
            x=_plain(lengths),
            y=[escape(row) for row in classes],
            name=escape(name),
            orientation='h',
            marker=dict(color=colour),
        )
    figure.update_xaxes(title=unit, range=[0, 1], tickformat='.0%')
    figure.update_yaxes(autorange='reversed', type='category')
    return html_of(figure)


def class_differences(
    classes: Sequence[str], values: Numbers, low: Numbers, high: Numbers, unit: str
) -> str:
    """Horizontal bars from 0, a row a class, with an interval; blue above 0, orange below.

    Args:
        classes (Sequence[str]): Names of the ``K`` classes.
        values (Sequence[float]): ``K`` differences; NaN gives no bar.
        low (Sequence[float]): Lower ends of their intervals.
        high (Sequence[float]): Upper ends.
        unit (str): Title of the horizontal axis.
    """
    figure = _figure(110 + 26 * len(classes))
    figure.add_bar(
        x=_plain(values),
        y=[escape(row) for row in classes],
        orientation='h',
        showlegend=False,
        marker=dict(color=['#d55e00' if value < 0 else '#0072b2' for value in values]),
        error_x=dict(
            type='data',
            symmetric=False,
            array=_plain([end - value for end, value in zip(high, values)]),
            arrayminus=_plain([value - end for end, value in zip(low, values)]),
            color=INK,
            thickness=1.2,
            width=3,
        ),
    )
    figure.update_xaxes(title=unit, zeroline=True, zerolinecolor=INK)
    figure.update_yaxes(autorange='reversed', type='category')
    return html_of(figure)


def confusion(classes: Sequence[str], counts: np.ndarray) -> str:
    """Confusion matrix with rows of the truth that sum to 1.

    Args:
        classes (Sequence[str]): Names of the ``K`` classes.
        counts (np.ndarray): ``(K, K)`` pixels, rows are the truth.

    Returns:
        str: HTML.
    """
    total = counts.sum(axis=1, keepdims=True)
    fractions = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    names = [escape(name) for name in classes]
    figure = _figure(130 + ROW * len(names))
    figure.add_heatmap(
        z=[_plain(row) for row in fractions],
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        colorscale='Blues',
        showscale=False,
        texttemplate='%{text}',
        text=[
            [f'{100 * value:.0f}' if value >= SHOWN else '' for value in row] for row in fractions
        ],
        hovertemplate='%{y} taken for %{x}: %{z:.1%}<extra></extra>',
    )
    figure.update_xaxes(title='prediction', type='category', tickangle=-90, dtick=1)
    figure.update_yaxes(title='truth', autorange='reversed', type='category', dtick=1)
    return html_of(figure)


def scatter_classes(
    points: np.ndarray,
    label: np.ndarray,
    is_bank: np.ndarray,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> str:
    """Scatter plot in the colours of the classes, bank entries as discs, queries as crosses.

    Args:
        points (np.ndarray): ``(N, 2)``.
        label (np.ndarray): ``(N,)`` integer classes.
        is_bank (np.ndarray): ``(N,)`` bool.
        classes (Sequence[str]): Names.
        palette (Sequence[Sequence[int]]): RGB in 0-255 of each class.

    Returns:
        str: HTML.
    """
    figure = _figure(620, plot_bgcolor=BACKGROUND)
    labels: List[Tuple[float, float, str]] = []
    for k in np.unique(label):
        colour = 'rgb({},{},{})'.format(*palette[k])
        for bank, symbol, size in ((True, 'circle', 5), (False, 'x-thin', 6)):
            chosen = points[(label == k) & (is_bank == bank)]
            if len(chosen):
                figure.add_scatter(
                    x=_plain(chosen[:, 0]),
                    y=_plain(chosen[:, 1]),
                    mode='markers',
                    name=f'{escape(classes[k])}, {"bank" if bank else "query"}',
                    showlegend=False,
                    hovertemplate='%{fullData.name}<extra></extra>',
                    marker=dict(
                        symbol=symbol,
                        size=size,
                        color=colour,
                        line=dict(width=0 if bank else 1.5, color=colour),
                    ),
                )
        labels.append((*np.median(points[label == k], axis=0).tolist(), classes[k]))
    for x, y, name in labels:
        figure.add_annotation(
            x=x,
            y=y,
            text=escape(name),
            showarrow=False,
            bgcolor='rgba(255,255,255,0.75)',
            font=dict(size=12),
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return html_of(figure)


def _figure(height: int, **layout: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template='none',
        height=height,
        autosize=True,
        hovermode='closest',
        margin=dict(l=8, r=8, t=8, b=8),
        paper_bgcolor='white',
        plot_bgcolor='white',
        font=dict(family='system-ui, sans-serif', size=13, color=INK),
        legend=dict(orientation='h', x=0, xanchor='left', y=1.02, yanchor='bottom'),
    )
    figure.update_layout(**layout)
    figure.update_xaxes(**AXIS)
    figure.update_yaxes(**AXIS)
    return figure


def _plain(values: Numbers) -> List[Optional[float]]:
    """List of Python numbers, None for NaN: older plotly.js cannot read binary arrays."""
    return [None if value != value else float(value) for value in values]
