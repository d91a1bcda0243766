# Copyright (c) mmseg_ctt contributors.
from pathlib import Path
from typing import Any, Dict, List

FLOOR, STEP, SECTION = '#8c8c8c', '#1f4e79', '#4c9fd1'


def save_chart(path: Path, result: Dict[str, Any], title: str) -> None:
    """Write a bar chart of the floor, the whole step and its sections.

    Args:
        path (Path): PNG to write.
        result (dict): Result of :func:`mmseg_ctt.lab.benchmark.step.benchmark_step`.
        title (str): Config and machine.
    """
    # not pyplot, which needs a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    seconds, floor = _bars(result), result['seconds']['floor']
    figure = Figure(figsize=(8, 1 + 0.32 * len(seconds)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = [FLOOR, STEP] + [SECTION] * (len(seconds) - 2)
    bars = axes.barh(list(seconds), [1e3 * value for value in seconds.values()], color=colours)
    axes.bar_label(
        bars,
        [f' {1e3 * value:.1f} ms, {value / floor:.1%}' for value in seconds.values()],
        fontsize=8,
    )
    axes.axvline(1e3 * floor, color=FLOOR, linewidth=1, linestyle='--')
    axes.invert_yaxis()
    axes.margins(x=0.25, y=0.02)
    axes.set_xlabel('ms (median); per cent of the floor')
    axes.set_title(f'{title}\nstep = {result["floor_ratio"]:.3f} x floor', fontsize=10)
    axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=150)


def _bars(result: Dict[str, Any]) -> Dict[str, float]:
    names: List[str] = list(result['sections'])
    return {
        'floor (networks only)': result['seconds']['floor'],
        'step': result['seconds']['step'],
        **{name: result['sections'][name]['seconds'] for name in names},
    }
