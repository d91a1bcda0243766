# Copyright (c) mmseg_ctt contributors.
"""Parts of the page on labels: images to label next, and masks to check."""

from typing import Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.model import BaseModel
from PIL import Image

from ...deploy.api.inputs import Source
from ...deploy.api.predict import Pipeline, input_pipeline
from ...visualization import colorize
from ..label_review.disagreement import (
    POOL,
    Compared,
    Scored,
    choose,
    compare,
    rule_of,
    score_images,
)
from ..label_review.images import ListedImage, MaskedSet, load_image, unlabeled_images
from ..label_review.label_errors import (
    DEFAULTS,
    Contradiction,
    Suspicious,
    class_thresholds,
    find_label_errors,
    names_of,
    precision_recall,
)
from ..label_review.members import MemberPass, all_members, compared_members
from .evaluation import spread
from .parts import Block, Notes, Part, Pictures, Table
from .pictures import WRONG, Picture, marked, picture

NEXT, ERRORS = 'Label these next', 'Look at these labels'
ALPHA = 0.6


class Suggestions(NamedTuple):
    """Images to label next.

    Attributes:
        chosen (list[Scored]): In order.
        scored (list[Scored]): All images that were scored.
        damaged (list[str]): Files that cannot be decoded.
        total (int): Number of images without masks.
    """

    chosen: List[Scored]
    scored: List[Scored]
    damaged: List[str]
    total: int


def suggest(
    model: BaseModel,
    count: int,
    folder: Optional[str] = None,
    max_images: Optional[int] = None,
    progress: bool = False,
) -> Suggestions:
    """Images to label next: see :mod:`mmseg_ctt.lab.label_review.disagreement`.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`, with ``cfg``.
        count (int): Number of images.
        folder (str, optional): Images. Defaults to None: those of the training set.
        max_images (int, optional): Score that many, evenly spread. Defaults to None: all.
        progress (bool): Whether a bar is shown. Defaults to False.
    """
    images = unlabeled_images(model.cfg, folder)
    some = [images[i] for i in spread(len(images), max_images or len(images))]
    bar = _tracked(some, 'unlabelled images', progress)
    scored, damaged = score_images(model, bar, input_pipeline(model))
    return Suggestions(choose(scored, count), scored, damaged, len(images))


def suggestions_part(model: BaseModel, found: Suggestions, meta: dict) -> Part:
    """Gallery of the images to label next.

    Args:
        model (BaseModel): The model that chose them.
        found (Suggestions): The images.
        meta (dict): Classes and palette.
    """
    pipeline = input_pipeline(model)
    passes = MemberPass(model, compared_members(model))
    rows = []
    for scored in found.chosen:
        compared = compare(passes, load_image(scored.image, pipeline))
        rows.append(_suggested(scored, compared, pipeline, meta))
    blocks: List[Block] = [Pictures(rows, _legend(meta))]
    if found.damaged:
        blocks.append(
            Notes([f'{len(found.damaged)} images cannot be read, such as {found.damaged[0]}'])
        )
    number = len(found.scored)
    which = 'all' if number == found.total else f'{number} of the'
    return Part(
        NEXT,
        f'Of {which} {found.total} images without masks, those with the highest scores that are '
        f'unlike one another. Score: {rule_of(model)} over the pixels, from 0 to 1. Of the '
        f'{POOL * len(found.chosen)} highest, each picture is the one whose features differ most '
        'from those before it. All images, and lists: tools/analysis_tools/suggest_labels.py.',
        blocks,
    )


def _suggested(scored: Scored, compared: Compared, pipeline: Pipeline, meta: dict) -> List[Picture]:
    """Image, predictions of two members, and where they differ."""
    divergence = compared.divergence.cpu().numpy()
    image = _image(scored.image, pipeline, divergence.shape)
    differ = f'score {scored.score:.3f}'
    if len(compared.labels) > 1:
        differ += f'; other classes for {scored.differing:.1%} of the pixels'
    return [
        picture(image, scored.image.name),
        *(
            picture(_overlay(image, label.cpu().numpy(), meta), name)
            for name, label in [*compared.labels.items()][:2]
        ),
        picture(_heat(image, divergence), differ),
    ]


def search_errors(
    model: BaseModel,
    count: int,
    settings: Contradiction = DEFAULTS,
    max_images: Optional[int] = None,
    progress: bool = False,
) -> Tuple[List[Suspicious], MaskedSet, int]:
    """Labelled images whose masks all members contradict most, the set, and how many were read.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`, with ``cfg``.
        count (int): At most that many.
        settings (Contradiction): Of the search.
        max_images (int, optional): Search that many, evenly spread. Defaults to None: all.
        progress (bool): Whether a bar is shown. Defaults to False.
    """
    images = MaskedSet(model.cfg, input_pipeline(model))
    some = spread(len(images), max_images or len(images))
    thresholds = None
    if settings.threshold is None:
        thresholds = class_thresholds(model, images, _tracked(some, 'class thresholds', progress))
    bar = _tracked(some, 'labelled images', progress)
    found = find_label_errors(model, images, bar, count, settings, thresholds)
    return found, images, len(some)


def errors_part(
    model: BaseModel,
    found: Sequence[Suspicious],
    images: MaskedSet,
    searched: int,
    settings: Contradiction = DEFAULTS,
    spoilt: Optional[Sequence[str]] = None,
) -> Part:
    """Gallery of masks that all members contradict.

    Args:
        model (BaseModel): The model that contradicts them.
        found (Sequence[Suspicious]): The images, the worst first.
        images (MaskedSet): The set that they are from.
        searched (int): Number of images that were searched.
        settings (Contradiction): Of the search.
        spoilt (Sequence[str], optional): Names of masks that are known to be wrong. Defaults to
            None: not known.
    """
    names = all_members(model)
    members = f'{names[0]} predicts' if len(names) == 1 else f'{" and ".join(names)} predict'
    which = 'all' if searched == len(images) else f'{searched} of the'
    confidence = (
        'more than the mean probability of that class where masks say it'
        if settings.threshold is None
        else f'a probability of at least {settings.threshold:g}'
    )
    description = (
        f'Among {which} {len(images)} labelled training images, those in whose masks most pixels '
        f'are contradicted: {members} one other class with {confidence}, away from '
        'borders. A network that has seen a wrong mask for long '
        'repeats it, so a mask that is not here may still be wrong; and what all members confuse '
        'is here although the mask is right.'
    )
    if not found:
        return Part(ERRORS, f'{description} There are none.')
    pipeline, meta = images.pipeline, dict(images.metainfo)
    blocks: List[Block] = []
    if spoilt is not None:
        blocks.append(recall_table([entry.image.name for entry in found], spoilt))
    rows = [_suspicious(entry, pipeline, meta) for entry in found]
    return Part(ERRORS, description, [*blocks, Pictures(rows, _legend(meta))])


def recall_table(ranked: Sequence[str], spoilt: Sequence[str]) -> Table:
    """Precision and recall after 5, 10, ... images, and after as many as are spoilt."""
    ks = sorted({5, 10, 20, 50, len(spoilt), len(ranked)})
    rows = []
    for k in [k for k in ks if k <= len(ranked)]:
        made = precision_recall(ranked, set(spoilt), k)
        rows.append((str(k), f'{made["precision"]:.0%}', f'{made["recall"]:.0%}'))
    return Table(('first images', 'precision', f'recall of {len(spoilt)}'), rows)


def _suspicious(found: Suspicious, pipeline: Pipeline, meta: dict) -> List[Picture]:
    """Image, mask, prediction, and the contradicted regions."""
    image = _image(found.image, pipeline, found.mask.shape)
    known = (found.mask >= 0) & (found.mask < len(meta['classes']))
    mask = np.where(known[..., None], _overlay(image, np.where(known, found.mask, 0), meta), image)
    return [
        picture(image, found.image.name),
        picture(mask, 'mask'),
        picture(_overlay(image, found.predicted, meta), 'prediction'),
        picture(
            marked(image, found.contradicted),
            f'{found.score:.1%} contradicted: {names_of(found.regions, meta)}',
        ),
    ]


def _image(image: ListedImage, pipeline: Pipeline, shape: Tuple[int, int]) -> np.ndarray:
    """Picture ``(h, w, 3)`` uint8 of an image at the size of the maps."""
    source = Source(image.name, image.path, value_range=pipeline[0].value_range)
    return np.array(Image.fromarray(source.rgb()).resize(shape[::-1]))


def _overlay(image: np.ndarray, label: np.ndarray, meta: dict) -> np.ndarray:
    mixed = image * (1 - ALPHA) + colorize(label, meta['palette']) * ALPHA
    return mixed.round().astype(np.uint8)


def _heat(image: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Pale grey image, the more coloured the higher the value in [0, 1]."""
    pale = marked(image, np.zeros(value.shape, bool)).astype(np.float32)
    weight = np.sqrt(value.clip(0, 1))[..., None]  # small values are visible too
    return (pale * (1 - weight) + np.array(WRONG) * weight).round().astype(np.uint8)


def _legend(meta: dict) -> List[Tuple[str, str]]:
    return [
        ('rgb({},{},{})'.format(*colour), name)
        for colour, name in zip(meta['palette'], meta['classes'])
    ]


def _tracked(items: Sequence, what: str, shown: bool) -> Iterable:
    if not shown:
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, what, console=Console(stderr=True))
