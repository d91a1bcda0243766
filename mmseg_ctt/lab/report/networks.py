# Copyright (c) mmseg_ctt contributors.
"""Parts of the page that need the checkpoint and the validation images."""

from typing import Callable, Dict, List, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from torch import nn

from . import figures
from .colours import in_order
from .embedding import collect_points, project
from .evaluation import Evaluation, class_iou, evaluate, load_network, validation_set
from .figures import COLUMN
from .parts import Figure, Part, Pictures, Table, attempt
from .pictures import panels
from .runs import Run

TITLES = ('IoU of every class', 'Confusion matrix', 'Worst images', 'Feature embedding')


class Effort(NamedTuple):
    """How much is looked at.

    Attributes:
        model (bool): Whether the networks are used at all.
        max_images (int): Validation images that are read.
        worst (int): Images shown as the worst.
        tsne (bool): Whether features are embedded.
    """

    model: bool = True
    max_images: int = 100
    worst: int = 6
    tsne: bool = True


def network_parts(run: Run, effort: Effort) -> List[Part]:
    """IoU per class, confusion matrix, worst images, feature embedding; or why there are none."""
    made: Dict[str, object] = {}

    def prepare() -> Part:
        _check(run, effort)
        made['set'] = validation_set(run.config)
        made['model'] = load_network(run.config, str(run.checkpoint))
        made['seen'] = evaluate(made['model'], made['set'], effort.max_images, effort.worst)
        return Part('')

    failed = attempt('', prepare).missing
    if failed:
        return [Part(title, missing=failed) for title in TITLES]
    meta = made['set'].metainfo
    builders: List[Callable[[], Part]] = [
        lambda: iou_part(run, made['seen'], meta),
        lambda: confusion_part(made['seen'], meta),
        lambda: worst_part(made['seen'], meta),
        lambda: embedding_part(made['model'], made['set'], effort),
    ]
    return [attempt(title, build) for title, build in zip(TITLES, builders)]


def _check(run: Run, effort: Effort) -> None:
    if not effort.model:
        raise ValueError('left out by --no-model')
    if run.config is None:
        raise ValueError('the folder holds no config')
    if run.checkpoint is None:
        raise ValueError('the folder holds no such checkpoint')


def _words(seen: Evaluation) -> str:
    part = 'all' if seen.images == seen.of else f'{seen.images} evenly spread of the'
    return f'{part} {seen.of} validation images'


def iou_part(run: Run, seen: Evaluation, meta: dict) -> Part:
    """Dots and a table of every class and member."""
    iou = {name: 100 * class_iou(seen.confusion[name]) for name in in_order(list(seen.confusion))}
    rows = [
        [name, *(_number(values[k]) for values in iou.values())]
        for k, name in enumerate(meta['classes'])
    ]
    rows.append(['mean', *(_number(np.nanmean(values)) for values in iou.values())])
    return Part(
        'IoU of every class',
        f'Intersection over union of every class and member, per '
        f'cent, computed from {run.checkpoint.name} on {_words(seen)}.',
        [Figure(figures.class_dots(meta['classes'], iou, 'IoU (%)')), Table(('class', *iou), rows)],
    )


def confusion_part(seen: Evaluation, meta: dict) -> Part:
    """Of the predicting member."""
    html = figures.confusion(meta['classes'], seen.confusion[seen.predicting])
    return Part(
        'Confusion matrix',
        f'Of the pixels that truly are of the class of a row, the '
        f'share (per cent) that {seen.predicting} takes for the class of a column, on '
        f'{_words(seen)}; a perfect model has 100 on the diagonal.',
        [Figure(html, min_width=120 + COLUMN * len(meta['classes']))],
    )


def worst_part(seen: Evaluation, meta: dict) -> Part:
    """Overlays of the worst images."""
    colours = ['rgb({},{},{})'.format(*colour) for colour in meta['palette']]
    return Part(
        'Worst images',
        f'The images with the lowest mean IoU of {seen.predicting} (over '
        f'the classes that their truth has) among {_words(seen)}; pixels without a label '
        'keep the image.',
        [Pictures([panels(one) for one in seen.worst], list(zip(colours, meta['classes'])))],
    )


def embedding_part(model: nn.Module, dataset: BaseDataset, effort: Effort) -> Part:
    """t-SNE of the first pair."""
    if not effort.tsne:
        raise ValueError('left out by --no-tsne')
    points = collect_points(model, dataset, effort.max_images)
    html = figures.scatter_classes(
        project(points),
        points.label.numpy(),
        points.is_bank.numpy(),
        dataset.metainfo['classes'],
        dataset.metainfo['palette'],
    )
    banked = int(points.is_bank.sum())
    return Part(
        'Feature embedding',
        f'{banked} entries of memory bank 0 (discs) and '
        f'{len(points.label) - banked} pixels of validation images seen by student0 '
        '(crosses, true classes), laid out by t-SNE so that like features lie together; '
        'crosses upon the discs of their class are what the contrast aims at. Distances '
        'between clusters mean nothing.',
        [Figure(html)],
    )


def _number(value: float) -> str:
    return '–' if np.isnan(value) else f'{value:.2f}'
