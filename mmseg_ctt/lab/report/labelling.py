# Copyright (c) mmseg_ctt contributors.
"""Part of the page on images to label next."""

from typing import List, NamedTuple, Optional

from mmengine.model import BaseModel

from ...deploy.api.predict import Pipeline, input_pipeline
from ..label_review.disagreement import (
    POOL,
    Compared,
    Scored,
    choose,
    compare,
    rule_of,
    score_images,
)
from ..label_review.images import load_image, unlabeled_images
from ..label_review.members import MemberPass, compared_members
from ..label_review.scarce import scarce_classes
from .evaluation import spread
from .label_pictures import heat, legend, overlay, source_image, tracked
from .parts import Block, Notes, Part, Pictures
from .pictures import Picture, picture

NEXT = 'Label these next'
ORDER = 'in the order of the choice, not of the scores'


class Suggestions(NamedTuple):
    """Images to label next.

    Attributes:
        chosen (list[Scored]): In order.
        scored (list[Scored]): All images that were scored.
        damaged (list[str]): Files that cannot be decoded.
        total (int): Number of images without masks.
        scarce (str): Classes that few masks show, in words; empty if none is.
    """

    chosen: List[Scored]
    scored: List[Scored]
    damaged: List[str]
    total: int
    scarce: str


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
    bar, pipeline = tracked(some, 'unlabelled images', progress), input_pipeline(model)
    scored, damaged = score_images(model, bar, pipeline)
    scarce = scarce_classes(model.cfg, pipeline)
    return Suggestions(choose(scored, count), scored, damaged, len(images), scarce)


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
    lines = [found.scarce] if found.scarce else []
    if found.damaged:
        lines.append(f'{len(found.damaged)} images cannot be read, such as {found.damaged[0]}')
    blocks: List[Block] = [Notes(lines)] if lines else []
    number = len(found.scored) + len(found.damaged)
    which = f'Of all {found.total} images without masks'
    if number < found.total:
        which = f'A preview: of {number} of the {found.total} images without masks, evenly spread'
    return Part(
        NEXT,
        f'{which}, those with the highest scores that are unlike one another. Score: '
        f'{rule_of(model)} over the pixels, from 0 to 1. Of the {POOL * len(found.chosen)} '
        'highest, each picture is the one whose features differ most from those before it: they '
        f'are {ORDER}. The choice among all images, with lists: '
        'tools/analysis_tools/suggest_labels.py.',
        [*blocks, Pictures(rows, legend(meta))],
    )


def _suggested(scored: Scored, compared: Compared, pipeline: Pipeline, meta: dict) -> List[Picture]:
    """Image, predictions of two members, and where they differ."""
    divergence = compared.divergence.cpu().numpy()
    image = source_image(scored.image, pipeline, divergence.shape)
    differ = f'score {scored.score:.3f}'
    if len(compared.labels) > 1:
        differ += f'; other classes for {scored.differing:.1%} of the pixels'
    return [
        picture(image, scored.image.name),
        *(
            picture(overlay(image, label.cpu().numpy(), meta), name)
            for name, label in [*compared.labels.items()][:2]
        ),
        picture(heat(image, divergence), differ),
    ]
