# Copyright (c) mmseg_ctt contributors.
"""Parts of the page from the records of a run; no network is run."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Dict, List, Mapping, Sequence

import numpy as np
from mmengine.config import Config
from torch import Tensor

from ...deploy.checkpoint import read_checkpoint
from . import figures
from .colours import (
    ALL,
    EVERY_MEMBER,
    MEMBER,
    PLAIN_LINES,
    PLAIN_MODEL,
    SYMBOLS,
    Style,
    member_styles,
    style_of,
)
from .evaluation import segments, validation_set
from .figures import SMALL, Line
from .parts import REASONS, Block, Figure, NothingToShow, Part, Pictures, Table, Text
from .pictures import picture_file
from .runs import Run
from .scalars import FILE

NO_SCALARS = f'the folder has no */vis_data/{FILE}; keep LocalVisBackend in visualizer.vis_backends'
MEAN = 'mean of the students'
SCORES_OF_TASKS = ('/accuracy', '/retrieval')
TERMS = {
    'loss': 'sum of all terms, which the optimiser minimises',
    'decode.loss_ce': 'cross-entropy to the labels',
    'loss_ct': 'cross-entropy to the other teacher’s pseudo-labels (CTT Eq 5)',
    'loss_hc': 'high-level contrast with the memory bank (CTT Eq 6)',
    'loss_lc': 'low-level contrast with the more confident student (CTT Eq 8)',
}


def losses(run: Run) -> Part:
    """Losses: a figure for every term, a line for every member."""
    _need(run.curves, NO_SCALARS)
    terms = _by_term(run, 'loss')
    _need(terms, 'no key of the scalars contains "loss"')
    blocks: List[Figure] = []
    for term, drawn in sorted(terms.items(), key=lambda item: (item[0] != 'loss', item[0])):
        title = f'{term}: {TERMS[term]}' if term in TERMS else term
        blocks.append(Figure(figures.lines(drawn, '', legend=False, height=SMALL), title, True))
    for key in ('base_lr', 'lr'):
        if key in run.curves:
            line = Line(key, run.curves[key], Style(PLAIN_LINES[0], 'solid'))
            blocks.append(
                Figure(figures.lines([line], '', legend=False, height=SMALL), 'learning rate', True)
            )
            break
    return Part(
        'Losses',
        'Each term of the training loss, with its weight, averaged over the '
        'logging window; one line per student, in the colours above.',
        blocks,
    )


def miou(run: Run) -> Part:
    """Validation curves."""
    _need(run.curves, NO_SCALARS)
    drawn = [
        Line(name, curve, style)
        for name, style in member_styles(run.members).items()
        if (curve := run.score(name)) is not None
    ]
    if not drawn and not segments(run.config):
        return task_scores(run)
    _need(drawn, 'the run logged no mIoU: it ended before the first validation')
    blocks = [Figure(figures.lines(drawn, 'mIoU (%)'))]
    groups = [key for key in run.curves if key.startswith('mIoU_')]  # of IncrementalIoUMetric
    if groups:
        styles = [Style(colour, 'solid') for colour in PLAIN_LINES]
        lines = [
            Line(key[len('mIoU_') :], run.curves[key], styles[i % len(styles)], SYMBOLS[i % 8])
            for i, key in enumerate(groups)
        ]
        title = f'groups of classes, {run.predicting}'
        blocks.append(Figure(figures.lines(lines, 'mIoU (%)'), title))
    return Part(
        'mIoU of every member',
        'Mean intersection over union on the whole validation '
        'set, per cent, as the run itself measured it; solid lines are students, dashed '
        'ones their teachers.',
        blocks,
    )


def task_scores(run: Run) -> Part:
    """Validation curves of a method that learns features alone."""
    keys = [
        key
        for key in run.curves
        if key.endswith(SCORES_OF_TASKS) and not MEMBER.match(key.partition('/')[0])
    ]
    _need(keys, 'the run logged no score of its tasks: it ended before the first validation')
    styles = [Style(colour, 'solid') for colour in PLAIN_LINES]
    lines = [
        Line(key, run.curves[key], styles[i % len(styles)], SYMBOLS[i % 8])
        for i, key in enumerate(keys)
    ]
    return Part(
        'Scores of the tasks',
        'Right answers of each auxiliary task on the validation set, per cent, as the run itself '
        'measured them. The method learns features alone and has no segmentation.',
        [Figure(figures.lines(lines, 'score (%)'))],
    )


def queue_fill(run: Run) -> Part:
    """Fill ratio of the memory banks over the training, and of every class in the checkpoint."""
    blocks: List[Block] = []
    names = dict(queue_fill='mean of all classes', queue_fill_min='emptiest class')
    drawn = [
        Line(name, run.curves[key], Style(colour, 'solid'))
        for (key, name), colour in zip(names.items(), PLAIN_LINES)
        if key in run.curves
    ]
    if drawn:
        blocks.append(Figure(figures.lines(drawn, 'fill ratio'), 'over the training'))
    if run.checkpoint is not None:
        blocks += _checkpoint_fill(run, run.checkpoint)
    if not blocks:
        raise NothingToShow('the run has no class memory bank')
    return Part(
        'Class memory banks',
        'How full the queues of the classes are; a queue is read only once it has entries.',
        blocks,
    )


def _checkpoint_fill(run: Run, checkpoint: Path) -> List[Figure]:
    fill = bank_fill(read_checkpoint(checkpoint)['state_dict'])
    if not fill:
        return []
    classes = _class_names(run, len(next(iter(fill.values()))))
    colours = [style_of(f'student{i}').colour for i in range(len(fill))]
    html = figures.bars(classes, fill, 'fill ratio', colours)
    return [Figure(html, f'of every class, in {checkpoint.name}')]


def pseudo_labels(run: Run) -> Part:
    """Ratio of confident pixels, and accuracy where the truth is known."""
    _need(run.curves, NO_SCALARS)
    blocks: List[Block] = []
    named = _by_term(run, 'confident')
    confident = named.get('confident_ratio') or named.get('confident')  # in version 0.1
    if confident:
        blocks.append(
            Figure(
                figures.lines(_with_mean(confident), 'ratio of pixels'),
                'confident pixels in the training batches, by student',
            )
        )
    names = dict(
        used='confident pixels',
        acc='correct pixels',
        acc_used='correct among the confident',
        mIoU='mIoU',
    )
    fixed = [
        Line(name, run.curves[f'pseudo/{key}'], Style(colour, 'solid'), symbol)
        for (key, name), colour, symbol in zip(names.items(), PLAIN_LINES, SYMBOLS)
        if f'pseudo/{key}' in run.curves
    ]
    if fixed:
        blocks.append(
            Figure(
                figures.lines(fixed, 'ratio'), 'on the fixed unlabelled images of PseudoLabelHook'
            )
        )
    grids = sorted(Path(run.folder, 'pseudo_labels').glob('iter_*.png'), key=_number)
    if grids:
        blocks.append(Pictures([[picture_file(grids[-1], f'pseudo-labels, {grids[-1].stem}')]]))
    if not blocks:
        raise NothingToShow('the run has no pseudo-labels, or none were logged')
    return Part(
        'Pseudo-labels',
        'How many pixels of the unlabelled images have a confident '
        'pseudo-label, and how many labels are correct where the truth is known.',
        blocks,
    )


def _with_mean(lines: Sequence[Line]) -> List[Line]:
    """Lines of the students, and of several their mean, which the log has without a member."""
    students = [line for line in lines if line.name != EVERY_MEMBER]
    mean = [line._replace(name=MEAN) for line in lines if line.name == EVERY_MEMBER]
    return students if len(students) == 1 else [*students, *mean]


def settings(run: Run) -> Part:
    """Environment and the complete config."""
    blocks: List[Block] = []
    if run.environment:
        blocks.append(Table(('environment', 'value'), list(run.environment.items()), code=True))
    if run.config is not None:
        blocks.append(Text('complete config', run.config.text or run.config.pretty_text))
    _need(blocks, 'the folder has no log and no config')
    facts = f'Environment and config of the run. Work folder: {run.folder}.'
    if run.damaged:
        facts += f' {run.damaged} lines of {FILE} could not be read and were left out.'
    return Part('Settings and environment', facts, blocks)


def bank_fill(state_dict: Mapping[str, Tensor]) -> Dict[str, List[float]]:
    """Fill ratio per class of every memory bank in a checkpoint.

    Args:
        state_dict (dict[str, Tensor]): State of the whole model.

    Returns:
        dict[str, list[float]]: ``K`` ratios by bank; empty without banks.
    """
    ratios: List[List[float]] = []
    for key, count in state_dict.items():
        features = state_dict.get(f'{key[: -len("count")]}features')
        if key.endswith('.count') and features is not None:
            ratio = count.double() / features.shape[-2]
            ratios += ratio.reshape(-1, ratio.shape[-1]).tolist()  # a bank, or a bank per pair
    return {f'bank {i}': ratio for i, ratio in enumerate(ratios)}


def _by_term(run: Run, word: str) -> Dict[str, List[Line]]:
    """Lines of all keys that contain a word, by the key without the name of the member."""
    terms: Dict[str, List[Line]] = {}
    for key, curve in run.curves.items():
        member, _, term = key.partition('.')
        style = style_of(member)
        if not MEMBER.match(member):
            plain, term = run.members == [PLAIN_MODEL], key
            member = PLAIN_MODEL if plain else EVERY_MEMBER
            style = style_of(member) if plain else Style(ALL, 'solid')
        if word in term and '/' not in key:
            terms.setdefault(term, []).append(Line(member, curve, style))
    return terms


def _class_names(run: Run, count: int) -> List[str]:
    names: List[str] = []
    with suppress(*REASONS):  # without the data the classes are numbered
        names = list(validation_set(run.config or Config()).metainfo['classes'])
    return names if len(names) == count else [f'class {k}' for k in range(count)]


def _number(path: Path) -> int:
    return int(re.sub(r'\D', '', path.stem) or 0)


def _need(found: object, reason: str) -> None:
    if not found:
        raise ValueError(reason)


def final_scores(run: Run) -> Dict[str, float]:
    """Last validation mIoU of each member."""
    scores = {name: run.score(name) for name in run.members}
    return {name: curve.last for name, curve in scores.items() if curve is not None}


def median_seconds(run: Run) -> float:
    """Seconds per iteration, median over the logged windows; NaN without any."""
    curve = run.curves.get('time')
    return float(np.median(curve.values)) if curve else float('nan')
