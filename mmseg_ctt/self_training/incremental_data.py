# Copyright (c) mmseg_ctt contributors.
"""Images of the steps of class-incremental learning."""

from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from mmengine.config import Config
from prettytable import PrettyTable

from ..datasets.frequency import source
from ..datasets.incremental import images_of_step
from ..datasets.sources import TAGGED
from ..datasets.tagged import tag_matrix
from ..datasets.wrappers import distinct_infos
from .incremental_settings import IncrementalSettings
from .round_settings import KEY


class StepImages(NamedTuple):
    """Images of all steps.

    Attributes:
        stems (list[str]): Names of all tagged images.
        tags (np.ndarray): ``(N, C)``, 1 where image n shows class c.
        classes (tuple[str, ...]): Names of the C classes; class 0 is the background.
        steps (tuple[np.ndarray, ...]): Indices of the images of each step.
    """

    stems: List[str]
    tags: np.ndarray
    classes: Tuple[str, ...]
    steps: Tuple[np.ndarray, ...]

    @property
    def background(self) -> str:
        """Name of class 0."""
        return self.classes[0]

    def counts(self, step: int) -> Dict[str, int]:
        """Images of a step that show each class."""
        sums = self.tags[self.steps[step]].sum(axis=0, dtype=int).tolist()
        return dict(zip(self.classes, sums))


def read_images(cfg: Config, settings: IncrementalSettings) -> StepImages:
    """Read the tags of all images, and choose those of each step.

    Args:
        cfg (Config): Complete config.
        settings (IncrementalSettings): Of the recipe.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is no tagged source or no background, a class is unknown, or a step or
            a class of it has no image.
    """
    data = source(cfg, TAGGED)
    classes = tuple(data.metainfo['classes'])
    infos = distinct_infos(data)
    if any('tags' not in info for info in infos):
        raise ValueError(
            'train_dataloader.dataset.tagged has no tags, from which the images of each step '
            'follow: set type="TaggedImageDataset"'
        )
    for number, step in enumerate(settings.steps):
        for name in step:
            if name not in classes[1:]:
                raise ValueError(
                    f'{KEY}.steps[{number}] has {name!r}, which is no class of '
                    f'train_dataloader.dataset.tagged besides {classes[0]!r}, the background: '
                    f'known are {", ".join(classes[1:])}'
                )
    tags = tag_matrix(infos, data.metainfo)
    ids = [[classes.index(name) for name in step] for step in settings.steps]
    steps = tuple(images_of_step(tags, ids, i, settings.setting) for i in range(len(ids)))
    made = StepImages([info['stem'] for info in infos], tags, classes, steps)
    _check_counts(made, settings)
    return made


def _check_counts(images: StepImages, settings: IncrementalSettings) -> None:
    for number, step in enumerate(settings.steps):
        counts = images.counts(number)
        missing = [name for name in step if not counts[name]]
        if missing:
            of = f'with the classes {", ".join(missing)}' if len(missing) < len(step) else 'at all'
            raise ValueError(
                f'{KEY}.steps[{number}] has no image {of} in the {settings.setting} setting: '
                'choose other classes'
                + (f", or {KEY}.setting='overlap'" if settings.setting == 'disjoint' else '')
            )


def table_of(images: StepImages, steps: Sequence[Sequence[str]]) -> str:
    """Images of each step by class, as a table to print; new classes are marked."""
    table = PrettyTable(['images that show', *(f'step {i}' for i in range(len(steps)))], align='r')
    table.align['images that show'] = 'l'
    counts = [images.counts(i) for i in range(len(steps))]
    for number, step in enumerate(steps):
        for name in step:
            cells = [f'{count[name]}{"*" * (i == number)}' for i, count in enumerate(counts)]
            table.add_row([name, *cells])
    table.add_row(['all', *(len(chosen) for chosen in images.steps)])
    return f'{table.get_string()}\n* new in this step'
