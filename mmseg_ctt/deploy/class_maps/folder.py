# Copyright (c) mmseg_ctt contributors.
"""Class maps of many images into a folder, which is continued where it was stopped."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

import numpy as np

from ...evaluation.tag_scores import TagScores, tag_scores
from ...weak_labels.class_map_files import (
    SETTINGS,
    class_map_path,
    read_classes,
    read_scores,
    write_class_maps,
)
from ...weak_labels.input_files import keep_inputs, unknown_line
from ...weak_labels.settings_file import claim_folder
from .groups import partners_of
from .images import TaggedImage
from .predict import ClassMapSettings, class_map_head, predict_class_maps

STEPS = 20  # lines of progress
Report = Callable[[str], None]


class ClassMapJob(NamedTuple):
    """Which maps are made, and where they go.

    Attributes:
        images (Sequence[TaggedImage]): Images, with tags where they are known.
        out (Path): Folder; class maps of the same settings in it stay.
        settings (ClassMapSettings): How they are made.
        origin (dict): What made the network, kept beside the maps: config, checkpoint, and what
            tells them from others of these names.
    """

    images: Sequence[TaggedImage]
    out: Path
    settings: ClassMapSettings
    origin: Dict[str, Any]


def make_class_maps(model: Any, job: ClassMapJob, report: Report) -> int:
    """Write the class maps that the folder lacks.

    Args:
        model (BaseSegmentor): From :func:`mmseg_ctt.deploy.api.load_model`.
        job (ClassMapJob): Which, and where to.
        report (Callable[[str], None]): Gets lines on the progress.

    Returns:
        int: Number of images whose maps were written.

    Raises:
        FileExistsError: If the folder has other files, or maps of other settings, tags or images.
        ValueError: If a setting has no meaning, the network gives no class maps, a tag is no class
            of it, or an image without tags has none to be predicted.
    """
    settings, classes = job.settings, list(model.dataset_meta['classes'])
    settings.check()
    background = bool(class_map_head(model).background)
    _check_tags(job, classes, background)
    partners = partners_of(model, job.images, settings.groups, len(classes))
    kept = dict(settings._asdict(), scales=list(settings.scales))
    if settings.groups:  # maps depend on the other images
        kept['images'] = _checksum(job.images)
    claim_folder(
        job.out, SETTINGS, dict(job.origin, **kept, classes=classes, background=background)
    )
    missing = [image for image in job.images if not class_map_path(job.out, image.stem).is_file()]
    _check_written(job, classes)
    inputs = {image.stem: dict(image=image.path) for image in job.images}
    path = partial(class_map_path, job.out)
    keep_inputs(job.out, inputs, path, lambda stems: report(unknown_line(stems)))
    step = max(1, len(missing) // STEPS)
    for number, image in enumerate(missing, 1):
        found = predict_class_maps(model, image.path, image.tags, settings, partners(image))
        write_class_maps(job.out, image.stem, found)
        if number % step == 0 or number == len(missing):
            report(f'[{number}/{len(missing)}] {image.stem}')
    return len(missing)


def _check_tags(job: ClassMapJob, classes: Sequence[str], background: bool) -> None:
    unknown = [image for image in job.images if image.tags is None]
    if unknown and job.settings.tag_threshold is None:
        raise ValueError(
            f'{len(unknown)} of {len(job.images)} images have no tags, such as {unknown[0].path}: '
            'give a source with tags, or take those that the classifier predicts '
            '(--predict-tags 0.5)'
        )
    if len(unknown) < 1 and job.settings.tag_threshold is not None:
        raise ValueError(
            'all images have tags, so that predicted ones would be unused: leave --predict-tags out'
        )
    for image in job.images:
        wrong = [tag for tag in image.tags or () if not int(background) <= tag < len(classes)]
        if wrong:
            raise ValueError(
                f'{image.path} has the tag {wrong[0]}, and the network has class maps of '
                f'{classes[int(background)]} ({int(background)}) to {classes[-1]} '
                f'({len(classes) - 1}): data set and classifier must have the same classes'
            )


def _check_written(job: ClassMapJob, classes: Sequence[str]) -> None:
    """Maps that are there have the tags of their images."""
    for image in job.images:
        path = class_map_path(job.out, image.stem)
        if image.tags is None or not path.is_file():
            continue
        try:
            written = read_classes(job.out, image.stem).tolist()
        except ValueError:  # damaged; who reads the maps says so
            continue
        if written != sorted(image.tags):
            had, has = (
                ', '.join(classes[tag] for tag in tags) or 'none' for tags in (written, image.tags)
            )
            raise FileExistsError(
                f'{path} has the maps of other tags ({had}) than {image.path} has now ({has}): '
                'remove the file to make it again, or choose another folder'
            )


def _checksum(images: Sequence[TaggedImage]) -> str:
    """Sha256 of stems and tags, in their order, which groups follow from."""
    text = json.dumps([(image.stem, image.tags) for image in images])
    return hashlib.sha256(text.encode()).hexdigest()


def score_tags(job: ClassMapJob, num_classes: int, background: bool) -> Optional[TagScores]:
    """Scores of the classifier on the images that have tags; None without such an image.

    Args:
        job (ClassMapJob): Whose maps have been written.
        num_classes (int): Of the data set.
        background (bool): Whether class 0 has no map.
    """
    known = [image for image in job.images if image.tags is not None]
    if not known:
        return None
    tags = np.zeros((len(known), num_classes), np.uint8)
    for row, image in zip(tags, known):
        row[list(image.tags or ())] = 1
    scores = np.stack([read_scores(job.out, image.stem) for image in known])
    return tag_scores(scores, tags[:, int(background) :])
