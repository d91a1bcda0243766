# Copyright (c) mmseg_ctt contributors.
"""Part of the page on masks to check."""

from typing import List, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.model import BaseModel

from ...deploy.api.predict import Pipeline, input_pipeline
from ..label_review.images import MaskedSet
from ..label_review.known_classes import ClassKnowledge, class_knowledge
from ..label_review.label_errors import (
    DEFAULTS,
    FLOOR,
    Contradiction,
    Suspicious,
    find_label_errors,
    names_of,
    precision_recall,
    unknown_classes,
)
from ..label_review.members import all_members
from .evaluation import spread
from .label_pictures import legend, overlay, source_image, tracked
from .parts import Block, Notes, Part, Pictures, Table
from .pictures import Picture, marked, picture

ERRORS = 'Look at these labels'
BEHIND = (
    'Below, the networks do not know one of the two classes yet, and most masks will be right: '
    'networks that do not know cats call them dogs.'
)


class ErrorSearch(NamedTuple):
    """Masks that all members contradict, and how they were searched.

    Attributes:
        found (list[Suspicious]): The images, in the order of
            :func:`~mmseg_ctt.lab.label_review.label_errors.find_label_errors`.
        images (MaskedSet): The set that they are from.
        searched (int): Number of its images that were searched.
        knowledge (ClassKnowledge): What the members know of the classes, from the same images.
        settings (Contradiction): Of the search.
    """

    found: List[Suspicious]
    images: MaskedSet
    searched: int
    knowledge: ClassKnowledge
    settings: Contradiction

    @property
    def unknown(self) -> str:
        """Classes that the members do not know yet, in words; empty if none is."""
        return unknown_classes(self.knowledge, self.settings, self.images.metainfo)


def search_errors(
    model: BaseModel,
    count: int,
    settings: Contradiction = DEFAULTS,
    max_images: Optional[int] = None,
    progress: bool = False,
) -> ErrorSearch:
    """Labelled images whose masks all members contradict most; each is read twice.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`, with ``cfg``.
        count (int): At most that many.
        settings (Contradiction): Of the search.
        max_images (int, optional): Search that many, evenly spread. Defaults to None: all.
        progress (bool): Whether a bar is shown. Defaults to False.
    """
    images = MaskedSet(model.cfg, input_pipeline(model))
    some = spread(len(images), max_images or len(images))
    knowledge = class_knowledge(model, images, tracked(some, 'known classes', progress))
    bar = tracked(some, 'labelled images', progress)
    found = find_label_errors(model, images, bar, count, knowledge, settings)
    return ErrorSearch(found, images, len(some), knowledge, settings)


def errors_part(
    model: BaseModel, search: ErrorSearch, spoilt: Optional[Sequence[str]] = None
) -> Part:
    """Gallery of masks that all members contradict.

    Args:
        model (BaseModel): The model that contradicts them.
        search (ErrorSearch): What it found.
        spoilt (Sequence[str], optional): Names of masks that are known to be wrong. Defaults to
            None: not known.
    """
    found, images = search.found, search.images
    description = _description(model, search)
    if not found:
        return Part(ERRORS, f'{description} There are none.')
    blocks: List[Block] = []
    if spoilt is not None:
        blocks.append(recall_table([entry.image.name for entry in found], spoilt))
    meta = dict(images.metainfo)
    first, behind = ([entry for entry in found if entry.known is known] for known in (True, False))
    if first:
        rows = [_suspicious(entry, images.pipeline, meta) for entry in first]
        blocks.append(Pictures(rows, legend(meta)))
    if search.unknown:
        blocks.append(Notes([search.unknown]))
    if behind:
        blocks.append(Notes([BEHIND]))
        rows = [_suspicious(entry, images.pipeline, meta) for entry in behind]
        blocks.append(Pictures(rows, () if first else legend(meta)))
    return Part(ERRORS, description, blocks)


def _description(model: BaseModel, search: ErrorSearch) -> str:
    names, settings = all_members(model), search.settings
    members = f'{names[0]} predicts' if len(names) == 1 else f'{" and ".join(names)} predict'
    number = len(search.images)
    which = 'all' if search.searched == number else f'{search.searched} of the'
    floor = FLOOR if settings.floor is None else settings.floor
    confidence = (
        f'more than the mean probability of that class where masks say it, and at least {floor:g}'
        if settings.threshold is None
        else f'a probability of at least {settings.threshold:g}'
    )
    return (
        f'Among {which} {number} labelled training images, those in whose masks most pixels '
        f'are contradicted: {members} one other class with {confidence}, away from borders. '
        'Images in which the networks know both classes come first. A network that has seen a '
        'wrong mask for long repeats it, so a mask that is not here may still be wrong; and what '
        'all members confuse is here although the mask is right.'
    )


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
    image = source_image(found.image, pipeline, found.mask.shape)
    known = (found.mask >= 0) & (found.mask < len(meta['classes']))
    mask = np.where(known[..., None], overlay(image, np.where(known, found.mask, 0), meta), image)
    return [
        picture(image, found.image.name),
        picture(mask, 'mask'),
        picture(overlay(image, found.predicted, meta), 'prediction'),
        picture(
            marked(image, found.contradicted),
            f'{found.score:.1%} contradicted: {names_of(found.regions, meta)}',
        ),
    ]
