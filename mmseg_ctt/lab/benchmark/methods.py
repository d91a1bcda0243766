# Copyright (c) mmseg_ctt contributors.
"""One step of each method beside the others: a table and a chart of benchmarks of steps."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from .chart import FLOOR, STEP
from .report import print_rows

Result = Dict[str, Any]


class Cost(NamedTuple):
    """What a step costs.

    Attributes:
        name (str): Config, without its ending.
        floor (float): Processor seconds of the network passes alone.
        step (float): Processor seconds of the step.
        memory (float): Peak of the step, MiB.
        operations (int): Operations outside the networks, without autograd's.
        synchronisations (int): Waits of the host for the device.
    """

    name: str
    floor: float
    step: float
    memory: float
    operations: int
    synchronisations: int

    @classmethod
    def of(cls, result: Result) -> 'Cost':
        """Of a result of :func:`mmseg_ctt.lab.benchmark.step.benchmark_step`, with ``config``."""
        seconds, waits = result['cpu_seconds'], result['synchronisations']
        return cls(
            Path(result['config']).stem,
            seconds['floor'],
            seconds['step'],
            result['memory']['step_mib'],
            result['operations']['outside'],
            max(waits['counted'], waits['reported_by_cuda']),
        )

    @property
    def beyond(self) -> float:
        """Seconds over the floor."""
        return self.step - self.floor


def short_names(names: Sequence[str]) -> List[str]:
    """Names of configs without the words that all end with: network, data and labels.

    Example:
        >>> short_names(['ctt_fcn_voc_92', 'cps_fcn_voc_92'])
        ['ctt', 'cps']
    """
    words = [name.split('_') for name in names]
    shared = 0
    while shared < min(map(len, words)) - 1 and len({name[-1 - shared] for name in words}) == 1:
        shared += 1
    if len(names) < 2 or not shared:
        return list(names)
    return ['_'.join(name[:-shared]) for name in words]


def print_costs(costs: Sequence[Cost]) -> None:
    """Print a row for each method; the cheapest step first."""
    names = short_names([cost.name for cost in costs])
    rows = [
        [
            name,
            f'{cost.step:.3f}',
            f'{cost.floor:.3f}',
            f'{cost.beyond:.3f}',
            f'{cost.step / cost.floor:.2f}',
            f'{cost.memory:.0f}',
            str(cost.operations),
            str(cost.synchronisations),
        ]
        for name, cost in zip(names, costs)
    ]
    columns = ['config', 'step s', 'floor s', 'over s', 'x floor', 'MiB', 'ops', 'syncs']
    print_rows('a step of each method, processor time', columns, rows)


def save_costs(path: Path, costs: Sequence[Cost], title: str) -> None:
    """Write a chart: seconds with the floor's part, memory, and operations.

    Args:
        path (Path): PNG to write.
        costs (Sequence[Cost]): In the order of the rows.
        title (str): Machine and sizes.
    """
    # not pyplot, which needs a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.2 + 0.3 * len(costs)), layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3, sharey=True)
    names = short_names([cost.name for cost in costs])
    panels[0].barh(names, [cost.floor for cost in costs], color=FLOOR, label='networks alone')
    over: List[float] = [cost.beyond for cost in costs]
    starts = [cost.floor for cost in costs]
    bars = panels[0].barh(names, over, left=starts, color=STEP, label='all else')
    panels[0].bar_label(bars, [f' {cost.step:.2f}' for cost in costs], fontsize=8)
    panels[0].legend(fontsize=8, frameon=False)
    columns = {
        'peak memory, MiB': [cost.memory for cost in costs],
        'operations outside the networks': [float(cost.operations) for cost in costs],
    }
    for panel, values in zip(panels[1:], columns.values()):
        bars = panel.barh(names, values, color=STEP)
        panel.bar_label(bars, [f' {value:.0f}' for value in values], fontsize=8)
    for panel, label in zip(panels, ('processor seconds', *columns)):
        panel.set_xlabel(label)
        panel.margins(x=0.2, y=0.01)
        panel.spines[['top', 'right']].set_visible(False)
    panels[0].invert_yaxis()
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)
