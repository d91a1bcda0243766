# Copyright (c) mmseg_ctt contributors.
"""Parts of the page that a run's records give: no network is needed."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Dict, List, Mapping

import numpy as np
from mmengine.config import Config
from torch import Tensor

from ...deploy.export import read_checkpoint
from . import figures
from .colours import ALL, MEMBER, PLAIN_LINES, PLAIN_MODEL, SYMBOLS, Look, in_order, look_of
from .evaluation import validation_set
from .figures import SMALL, Line
from .parts import REASONS, Figure, Part, Pictures, Table, Text
from .pictures import picture_file
from .runs import Run
from .scalars import FILE

NO_SCALARS = f'there is no */vis_data/{FILE}; keep LocalVisBackend in visualizer.vis_backends'
TERMS = {
    'loss': 'all terms together, what the optimiser goes down',
    'decode.loss_ce': 'cross-entropy to the labels',
    'loss_ct': 'cross-entropy to the other teacher’s pseudo-labels (CTT Eq 5)',
    'loss_hc': 'high-level contrast with the memory bank (CTT Eq 6)',
    'loss_lc': 'low-level contrast with the surer student (CTT Eq 8)',
}


def losses(run: Run) -> Part:
    """A small figure for every term, a line for every member."""
    _need(run.curves, NO_SCALARS)
    terms = _by_term(run, 'loss')
    _need(terms, 'no key of the scalars contains "loss"')
    blocks: List[Figure] = []
    for term, drawn in sorted(terms.items(), key=lambda one: (one[0] != 'loss', one[0])):
        title = f'{term}: {TERMS[term]}' if term in TERMS else term
        blocks.append(Figure(figures.lines(drawn, '', legend=False, height=SMALL), title, True))
    for key in ('base_lr', 'lr'):
        if key in run.curves:
            line = Line(key, run.curves[key], Look(PLAIN_LINES[0], 'solid'))
            blocks.append(
                Figure(figures.lines([line], '', legend=False, height=SMALL), 'learning rate', True)
            )
            break
    return Part(
        'Losses',
        'Each term of the training loss, weighted as it is summed and averaged '
        'over the logging window; one line per student, in the colours above.',
        blocks,
    )


def miou(run: Run) -> Part:
    """Validation curves."""
    _need(run.curves, NO_SCALARS)
    drawn = [
        Line(name, curve, look)
        for name, look in in_order(run.members).items()
        if (curve := run.score(name)) is not None
    ]
    _need(drawn, 'the run logged no mIoU: it ended before the first validation')
    return Part(
        'mIoU of every member',
        'Mean intersection over union on the whole validation '
        'set, per cent, as the run itself measured it; solid lines are students, dashed '
        'ones their teachers.',
        [Figure(figures.lines(drawn, 'mIoU (%)'))],
    )


def queue_fill(run: Run) -> Part:
    """Fill of the memory banks over time, and of every class at the checkpoint."""
    blocks = []
    names = dict(queue_fill='mean of all classes', queue_fill_min='emptiest class')
    drawn = [
        Line(words, run.curves[key], Look(colour, 'solid'))
        for (key, words), colour in zip(names.items(), PLAIN_LINES)
        if key in run.curves
    ]
    if drawn:
        blocks.append(Figure(figures.lines(drawn, 'filled share'), 'over the training'))
    fill = bank_fill(read_checkpoint(run.checkpoint)['state_dict']) if run.checkpoint else {}
    if fill:
        classes = _class_names(run, len(next(iter(fill.values()))))
        colours = [look_of(f'student{i}').colour for i in range(len(fill))]
        blocks.append(
            Figure(
                figures.bars(classes, fill, 'filled share', colours),
                f'of every class, in {run.checkpoint.name}',
            )
        )
    _need(blocks, 'the run has no class memory bank')
    return Part(
        'Class memory banks',
        'How full the queues of class features are; contrast against '
        'a class can only start once its queue holds something.',
        blocks,
    )


def pseudo_labels(run: Run) -> Part:
    """Share of confident pixels, and quality where the truth is known."""
    _need(run.curves, NO_SCALARS)
    blocks = []
    confident = _by_term(run, 'confident').get('confident', [])
    if confident:
        blocks.append(
            Figure(
                figures.lines(confident, 'share of pixels'),
                'confident pixels in the training batches, by student taught',
            )
        )
    names = dict(
        used='confident pixels',
        acc='correct pixels',
        acc_used='correct among the confident',
        mIoU='mIoU',
    )
    watched = [
        Line(words, run.curves[f'pseudo/{key}'], Look(colour, 'solid'), symbol)
        for (key, words), colour, symbol in zip(names.items(), PLAIN_LINES, SYMBOLS)
        if f'pseudo/{key}' in run.curves
    ]
    if watched:
        blocks.append(
            Figure(
                figures.lines(watched, 'share'),
                'on the fixed unlabelled images that PseudoLabelHook watches',
            )
        )
    grids = sorted(Path(run.folder, 'pseudo_labels').glob('iter_*.png'), key=_number)
    if grids:
        blocks.append(Pictures([[picture_file(grids[-1], f'pseudo-labels, {grids[-1].stem}')]]))
    _need(blocks, 'the run has no pseudo-labels, or none were logged')
    return Part(
        'Pseudo-labels',
        'How many pixels of the unlabelled images the teachers are sure '
        'of, and how often they are right where the truth is known.',
        blocks,
    )


def settings(run: Run) -> Part:
    """Environment and the complete config."""
    blocks: List[object] = []
    if run.environment:
        blocks.append(Table(('environment', 'value'), list(run.environment.items()), code=True))
    if run.config is not None:
        blocks.append(Text('the whole config', run.config.text or run.config.pretty_text))
    _need(blocks, 'the folder has no log and no config')
    facts = f'Where and with what the run was made. Work folder: {run.folder}.'
    if run.damaged:
        facts += f' {run.damaged} lines of {FILE} could not be read and were left out.'
    return Part('Settings and environment', facts, blocks)


def bank_fill(state_dict: Mapping[str, Tensor]) -> Dict[str, List[float]]:
    """Filled share ``(K,)`` of every class memory bank in a checkpoint.

    Args:
        state_dict (dict[str, Tensor]): Of the whole model.

    Returns:
        dict[str, list[float]]: By bank; empty where the model has none.
    """
    found: List[List[float]] = []
    for key, count in state_dict.items():
        features = state_dict.get(f'{key[: -len("count")]}features')
        if key.endswith('.count') and features is not None:
            share = count.double() / features.shape[-2]
            found += share.reshape(-1, share.shape[-1]).tolist()  # one bank, or one a pair
    return {f'bank {i}': share for i, share in enumerate(found)}


def _by_term(run: Run, word: str) -> Dict[str, List[Line]]:
    """Lines of all keys with a word in them, by what is left without the member's name."""
    terms: Dict[str, List[Line]] = {}
    for key, curve in run.curves.items():
        member, _, term = key.partition('.')
        look = look_of(member)
        if not MEMBER.match(member):
            member, term = PLAIN_MODEL, key
            look = look_of(member) if run.members == [PLAIN_MODEL] else Look(ALL, 'solid')
        if word in term and '/' not in key:
            terms.setdefault(term, []).append(Line(member, curve, look))
    return terms


def _class_names(run: Run, count: int) -> List[str]:
    names: List[str] = []
    with suppress(*REASONS):  # the data may have gone; the names are only for show
        names = list(validation_set(run.config or Config()).metainfo['classes'])
    return names if len(names) == count else [f'class {k}' for k in range(count)]


def _number(path: Path) -> int:
    return int(re.sub(r'\D', '', path.stem) or 0)


def _need(found: object, otherwise: str) -> None:
    if not found:
        raise ValueError(otherwise)


def final_scores(run: Run) -> Dict[str, float]:
    """Last validation mIoU by member."""
    scores = {name: run.score(name) for name in run.members}
    return {name: curve.last for name, curve in scores.items() if curve is not None}


def median_seconds(run: Run) -> float:
    """Per iteration, median of the logged windows; NaN where there is none."""
    curve = run.curves.get('time')
    return float(np.median(curve.values)) if curve else float('nan')
