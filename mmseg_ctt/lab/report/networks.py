# Copyright (c) mmseg_ctt contributors.
"""Parts of the page that need the checkpoint and the validation images."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel

from ...deploy.checkpoint import load_network
from ...evaluation.evaluators import labelled_only
from ...nn.settings import check_number
from ..label_review.images import NoSuchImages
from . import figures
from .colours import member_styles
from .embedding import collect_points, project
from .evaluation import Evaluation, evaluate, segments, validation_set
from .figures import COLUMN
from .label_errors import ERRORS, errors_part, search_errors
from .labelling import NEXT, suggest, suggestions_part
from .parts import Figure, NothingToShow, Part, Pictures, Table, attempt
from .pictures import panels
from .runs import Run, config_of_checkpoint

WORST, EMBEDDING = 'Worst images', 'Feature embedding'
IOU, CONFUSION = 'IoU of every class', 'Confusion matrix'
TITLES = (WORST, NEXT, ERRORS, IOU, CONFUSION, EMBEDDING)


class NetworkOptions(NamedTuple):
    """Options of the parts that run the networks.

    Attributes:
        model (bool): Whether the networks are run at all.
        max_images (int): Number of validation, of unlabelled and of labelled images.
        worst (int): Number of worst images that are shown.
        tsne (bool): Whether features are embedded.
        suggested (int): Number of images to label next; 0 for none.
        suspicious (int): Number of masks to check; 0 for none.
    """

    model: bool = True
    max_images: int = 100
    worst: int = 6
    tsne: bool = True
    suggested: int = 6
    suspicious: int = 6

    def check(self) -> None:
        """Raise a ValueError that names a number without a meaning."""
        check_number('max_images (--max-images)', self.max_images, 1, whole=True)
        check_number('worst (--worst)', self.worst, 1, whole=True)
        check_number('suggested (--suggest)', self.suggested, 0, whole=True)
        check_number('suspicious (--label-errors)', self.suspicious, 0, whole=True)


class Evaluated(NamedTuple):
    """Networks of a run, the validation set, and their evaluation on it."""

    model: Optional[BaseModel]  # None once the parts are made
    dataset: BaseDataset
    result: Evaluation
    checkpoint: Path


def network_parts(
    run: Run, options: NetworkOptions, labels: bool = True
) -> Tuple[Dict[str, Part], Optional[Evaluated]]:
    """Parts by title, each with the reason where it is missing, and the evaluation, if any.

    Args:
        run (Run): The run.
        options (NetworkOptions): What is made.
        labels (bool): Whether the parts on labels are. Defaults to True.
    """
    evaluated: Optional[Evaluated] = None

    def prepare() -> Part:
        nonlocal evaluated
        evaluated = _evaluate(run, options)
        return Part('')

    tried = attempt('', prepare)
    if evaluated is None:
        return {title: replace(tried, title=title) for title in TITLES}, None
    model, dataset, result, checkpoint = evaluated
    assert model is not None
    builders: List[Callable[[], Part]] = [
        lambda: worst_part(result, dataset.metainfo),
        lambda: next_part(model, options, labels),
        lambda: suspicious_part(model, options, labels),
        lambda: iou_part(checkpoint, result, dataset.metainfo),
        lambda: confusion_part(result, dataset.metainfo),
        lambda: embedding_part(model, dataset, options),
    ]
    parts = {title: attempt(title, build) for title, build in zip(TITLES, builders)}
    return parts, evaluated._replace(model=None)


def _evaluate(run: Run, options: NetworkOptions) -> Evaluated:
    if not options.model:
        raise NothingToShow('switched off by --no-model')
    if run.config is None:
        raise ValueError('the folder holds no config')
    if run.checkpoint is None:
        raise ValueError('the folder holds no such checkpoint')
    config = config_of_checkpoint(run)
    if not segments(config):
        raise NothingToShow('the method learns features alone, and has no segmentation')
    dataset = validation_set(config)
    model = load_network(config, run.checkpoint)
    model.cfg, model.dataset_meta = config, dataset.metainfo
    result = evaluate(model, dataset, options.max_images, options.worst)
    result = result._replace(labelled_only=labelled_only(config.get('val_evaluator')))
    return Evaluated(model, dataset, result, run.checkpoint)


def by_one_rule(evaluated: Sequence[Optional[Evaluated]]) -> List[Optional[Evaluated]]:
    """Classes that no label shows are in no mean of any run, if the evaluator of one says so."""
    rule = any(made is not None and made.result.labelled_only for made in evaluated)
    return [
        made and made._replace(result=made.result._replace(labelled_only=rule))
        for made in evaluated
    ]


def next_part(model: BaseModel, options: NetworkOptions, labels: bool) -> Part:
    """Unlabelled images to label next."""
    _check_labels(labels, options.suggested, '--suggest')
    with _nothing_without_images():
        found = suggest(model, options.suggested, max_images=options.max_images)
    return suggestions_part(model, found, model.dataset_meta)


def suspicious_part(model: BaseModel, options: NetworkOptions, labels: bool) -> Part:
    """Training masks to check."""
    _check_labels(labels, options.suspicious, '--label-errors')
    with _nothing_without_images():
        search = search_errors(model, options.suspicious, max_images=options.max_images)
    return errors_part(model, search)


@contextmanager
def _nothing_without_images() -> Iterator[None]:
    """A part whose images the training set does not have is none, and not left out."""
    try:
        yield
    except NoSuchImages as error:
        raise NothingToShow(str(error)) from None


def _check_labels(labels: bool, count: int, option: str) -> None:
    if not labels:
        raise NothingToShow('made for the other run, not for the baseline')
    if count < 1:
        raise NothingToShow(f'switched off by {option} 0')


def _images(result: Evaluation) -> str:
    part = 'all' if result.images == result.of else f'{result.images} evenly spread of the'
    return f'{part} {result.of} validation images'


def iou_part(checkpoint: Path, result: Evaluation, meta: dict) -> Part:
    """IoU of every class and member, as dots and as a table."""
    members = member_styles(list(result.confusion))
    iou = {name: 100 * result.class_iou(name) for name in members}
    rows = [
        [name, *(_number(values[k]) for values in iou.values())]
        for k, name in enumerate(meta['classes'])
    ]
    rows.append(['mean', *(_number(np.nanmean(values)) for values in iou.values())])
    return Part(
        'IoU of every class',
        f'Intersection over union of every class and member, per '
        f'cent, computed from {checkpoint.name} on {_images(result)}.',
        [Figure(figures.class_dots(meta['classes'], iou, 'IoU (%)')), Table(('class', *iou), rows)],
    )


def confusion_part(result: Evaluation, meta: dict) -> Part:
    """Confusion matrix of the predicting member."""
    html = figures.confusion(meta['classes'], result.confusion[result.predicting])
    return Part(
        'Confusion matrix',
        f'Pixels of the true class of a row that {result.predicting} '
        f'predicts as the class of a column, in per cent of the row, on {_images(result)}; a '
        'perfect model has 100 on the diagonal.',
        [Figure(html, min_width=120 + COLUMN * len(meta['classes']))],
    )


def worst_part(result: Evaluation, meta: dict) -> Part:
    """Overlays of the worst images."""
    colours = ['rgb({},{},{})'.format(*colour) for colour in meta['palette']]
    return Part(
        'Worst images',
        f'The images with the lowest mean IoU of {result.predicting} (over '
        f'the classes in their truth) among {_images(result)}; pixels without a label '
        'show the image.',
        [Pictures([panels(image) for image in result.worst], list(zip(colours, meta['classes'])))],
    )


def embedding_part(model: BaseModel, dataset: BaseDataset, options: NetworkOptions) -> Part:
    """Feature embedding of the first pair by t-SNE."""
    if not options.tsne:
        raise NothingToShow('switched off by --no-tsne')
    points = collect_points(model, dataset, options.max_images)
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
        f'{len(points.label) - banked} features of student0 at pixels of validation images '
        '(crosses, true classes), embedded by t-SNE so that similar features are close; the '
        'contrast moves crosses to the discs of their class. Distances between clusters have no '
        'meaning.',
        [Figure(html)],
    )


def _number(value: float) -> str:
    return '–' if np.isnan(value) else f'{value:.2f}'
