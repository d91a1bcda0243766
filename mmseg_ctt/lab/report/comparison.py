# Copyright (c) mmseg_ctt contributors.
"""Parts of the page that compare runs."""

import math
from typing import Any, Dict, List, Sequence

from . import figures
from .colours import SYMBOLS, style_of
from .figures import Line
from .parts import Figure, Part, Table
from .recorded import NO_SCALARS, final_scores, median_seconds
from .runs import Run
from .settings import config_differences

DESCRIPTION = (
    'Settings that differ between the runs. A dict that only some runs have is one row; a plain '
    'model is compared with the segmentor of a semi-supervised one.'
)


def scores(runs: Sequence[Run]) -> Part:
    """Scores: curves of the predicting members, and the last score of every member."""
    last = {run.name: final_scores(run) for run in runs}
    if not any(last.values()):
        raise ValueError(NO_SCALARS)
    drawn = [
        Line(
            f'{run.name}: {run.predicting}',
            curve,
            style_of(run.predicting),
            SYMBOLS[i % len(SYMBOLS)],
        )
        for i, run in enumerate(runs)
        if (curve := run.score(run.predicting)) is not None
    ]
    return Part(
        'Scores',
        'Validation mIoU of every run: that of the predicting member over the '
        'training, and that of all members at the last validation.',
        [
            Figure(figures.lines(drawn, 'mIoU (%)')),
            Figure(figures.run_dots(last, 'last mIoU (%)')),
            _table(runs),
        ],
    )


def _table(runs: Sequence[Run]) -> Table:
    rows: List[Sequence[str]] = []
    for run in runs:
        for name in run.members:
            curve = run.score(name)
            if curve is not None:
                rows.append(
                    (
                        run.name,
                        name,
                        f'{curve.last:.2f}',
                        f'{curve.best:.2f}',
                        _steps(run),
                        _seconds(run),
                    )
                )
    return Table(('run', 'member', 'last mIoU', 'best', 'iterations', 's / iteration'), rows)


def _steps(run: Run) -> str:
    return f'{max(curve.steps[-1] for curve in run.curves.values()):,}' if run.curves else '–'


def _seconds(run: Run) -> str:
    seconds = median_seconds(run)
    return '–' if math.isnan(seconds) else f'{seconds:.2f}'


def differences(runs: Sequence[Run]) -> Part:
    """Settings and environment that differ between the runs."""
    configs = [run.config for run in runs if run.config is not None]
    if len(configs) < len(runs):
        lacking = [run.name for run in runs if run.config is None]
        raise ValueError(f'no config in {", ".join(lacking)}')
    blocks = []
    for title, tables in (
        ('setting', [_comparable(config.to_dict()) for config in configs]),
        ('environment', [run.environment for run in runs]),
    ):
        found = config_differences(tables)
        if found:
            blocks.append(
                Table(
                    (title, *(run.name for run in runs)),
                    [[row.key, *row.values] for row in found],
                    code=True,
                )
            )
    return Part(
        'Differences of settings',
        DESCRIPTION if blocks else 'The runs have the same settings and environment.',
        blocks,
    )


def _comparable(config: Dict[str, Any]) -> Dict[str, Any]:
    """Config with a plain model under the key that semi-supervised models have."""
    model = config.get('model') or {}
    return config if 'segmentor' in model else {**config, 'model': dict(segmentor=model)}
