# Copyright (c) mmseg_ctt contributors.
"""Pictures with which a run shows itself: curves, and a few validation images."""

import io
from html import escape
from typing import Dict, List, Sequence, Union

import numpy as np
from PIL import Image

from ...deploy.checkpoint import load_network
from ...engine.process_state import process_state_kept
from ...visualization import colorize, save_grid
from ..report.colours import PLAIN_MODEL, member_styles
from ..report.evaluation import evaluate, segments, validation_set
from ..report.runs import Run, config_of_checkpoint
from ..report.scalars import Curve

IMAGES = 3
DASHES = {'solid': '-', 'dash': '--'}  # of plotly, for matplotlib
# Errors that users' folders, files and installations cause.
REASONS = (ValueError, TypeError, OSError, ImportError, KeyError)


def curves(run: Run) -> bytes:
    """PNG of the training loss and the mIoU of every member."""
    from matplotlib.figure import Figure  # not pyplot, which would show it

    figure = Figure(figsize=(9, 3), layout='constrained')
    loss, scores = figure.subplots(1, 2)
    loss.set_title('training loss')
    if 'loss' in run.curves:
        _line(loss, run.curves['loss'])
    scores.set_title('mIoU of the validation')
    styles = member_styles(run.members)
    for name, style in styles.items():
        found = run.score(name)
        if found is not None:
            _line(scores, found, color=style.colour, linestyle=DASHES[style.dash], label=name)
    if scores.lines and list(styles) != [PLAIN_MODEL]:
        scores.legend(fontsize='small')
    for panel in (loss, scores):
        panel.set_xlabel('iteration')
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        if not panel.lines:
            panel.text(0.5, 0.5, 'not recorded', ha='center', transform=panel.transAxes)
    stream = io.BytesIO()
    figure.savefig(stream, format='png', dpi=90)
    return stream.getvalue()


def _line(panel: object, curve: Curve, **style: str) -> None:
    marker = 'o' if len(curve.steps) < 20 else ''
    panel.plot(*curve, marker=marker, markersize=3, **style)  # type: ignore[attr-defined]


def predictions(run: Run) -> Union[bytes, str]:
    """PNG of validation images, their masks and predictions; or a line that says why not."""
    try:
        with process_state_kept():
            return _predictions(run)
    except REASONS as error:
        return f'no predictions: {escape(str(error)[:300])}'


def _predictions(run: Run) -> bytes:
    if run.checkpoint is None or run.config is None:
        raise ValueError('the run has no checkpoint')
    config = config_of_checkpoint(run)
    if not segments(config):
        raise ValueError('the method learns features alone, and has no segmentation')
    dataset = validation_set(config)
    model = load_network(config, run.checkpoint)
    result = evaluate(model, dataset, IMAGES, IMAGES)
    meta: Dict[str, Sequence] = dataset.metainfo
    rows: List[List[np.ndarray]] = []
    for scored in sorted(result.worst, key=lambda found: str(found.result.source.path)):
        size = scored.result.labels.shape[::-1]
        image = np.array(Image.fromarray(scored.result.image).resize(size))
        masks = [scored.truth, scored.result.labels]
        rows.append([image, *(colorize(mask, meta['palette']) for mask in masks)])
    stream = io.BytesIO()
    titles = ['image', 'mask', f'prediction of {result.predicting}']
    save_grid(stream, rows, titles, meta['classes'], meta['palette'])
    return stream.getvalue()


def stacked(pngs: Sequence[bytes]) -> bytes:
    """PNG of pictures below one another, on white."""
    images = [Image.open(io.BytesIO(png)).convert('RGB') for png in pngs]
    size = max(image.width for image in images), sum(image.height for image in images)
    whole, top = Image.new('RGB', size, 'white'), 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    stream = io.BytesIO()
    whole.save(stream, 'PNG')
    return stream.getvalue()
