# Copyright (c) mmseg_ctt contributors.
"""Pseudo-labels and saliency of round 0 of AuxSegNet."""

from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device

from ..datasets.image_reading import image_size, read_image
from ..datasets.image_values import picture_of
from ..deploy.api import load_model
from ..deploy.class_maps import ClassMapJob, ClassMapSettings, TaggedImage, make_class_maps
from ..weak_labels import fuse
from ..weak_labels.class_map_files import SETTINGS, ClassMaps, class_map_path, read_class_maps
from ..weak_labels.map_files import map_path, write_map
from ..weak_labels.saliency import METHODS
from ..weak_labels.settings_file import read_settings
from .auxsegnet_labels import LabelFolder, read_ids, read_saliency
from .auxsegnet_settings import AuxSegNetSettings
from .round_settings import KEY

RULE, IGNORED = 'auxsegnet', 255
Check = Callable[[], None]


def class_maps_of(
    cfg: Config,
    checkpoint: Path,
    images: Sequence[TaggedImage],
    out: Path,
    settings: ClassMapSettings,
    report: Callable[[str], None],
) -> None:
    """Write the class maps of a classifier that a folder lacks.

    Args:
        cfg (Config): Of the classifier.
        checkpoint (Path): Of the classifier.
        images (Sequence[TaggedImage]): With tags.
        out (Path): Folder of the maps.
        settings (ClassMapSettings): How they are made.
        report (Callable): Receives lines of progress; may raise to stop.
    """
    model = load_model(cfg, checkpoint, device=get_device())
    job = ClassMapJob(images, out, settings, dict(checkpoint=_origin(checkpoint, out)))
    make_class_maps(model, job, report)


def _origin(checkpoint: Path, out: Path) -> str:
    """Name of the checkpoint, without its folder, since that of the run may be moved.

    Class maps that version 0.10.0 began say its path.
    """
    kept = read_settings(out / SETTINGS) if (out / SETTINGS).is_file() else {}
    known = str(kept.get('checkpoint', ''))
    return known if Path(known).name == checkpoint.name else checkpoint.name


def maps_of_tags(folder: Path, image: TaggedImage) -> ClassMaps:
    """Class maps of an image, which are those of its tags.

    Args:
        folder (Path): Of class maps.
        image (TaggedImage): The image.

    Raises:
        ValueError: If they are of other classes, or the file is damaged.
    """
    found, tags = read_class_maps(folder, image.stem), sorted(image.tags or ())
    if found.classes.tolist() != tags:
        raise ValueError(
            f'{class_map_path(folder, image.stem)} has the maps of the class ids '
            f'{found.classes.tolist()}, and the tags of {image.path} are {tags}: the tags have '
            'changed since; restore them, or choose another --work-dir'
        )
    return found


def saliency_folder(saliency: str, run: Path) -> Path:
    """Folder of the first saliency: the user's, or that of a stand-in in the run.

    Args:
        saliency (str): ``self_training.saliency``.
        run (Path): Folder of the run.
    """
    return run / 'saliency' if saliency in METHODS else Path(saliency)


def make_stand_in(
    method: str, images: Sequence[TaggedImage], out: Path, before_each: Check = lambda: None
) -> None:
    """Write the saliency maps of a stand-in that a folder lacks.

    Args:
        method (str): A name of :data:`mmseg_ctt.weak_labels.saliency.METHODS`.
        images (Sequence[TaggedImage]): Images.
        out (Path): Folder of the maps.
        before_each (Callable): Called before every image; may raise to stop.
    """
    for image in images:
        if map_path(out, image.stem).is_file():
            continue
        before_each()
        blue_first = picture_of(read_image(image.path), None, image.path)[..., ::-1].copy()
        write_map(out, image.stem, METHODS[method](blue_first))


class FirstLabels:
    """Pseudo-labels of round 0, from class maps or as given.

    Args:
        settings (AuxSegNetSettings): Of the recipe.
        saliency (Path): Folder of the saliency.
        class_maps (Path): Folder of the class maps; not read where pseudo-labels are given.
        num_classes (int): Of the data set.
    """

    def __init__(
        self, settings: AuxSegNetSettings, saliency: Path, class_maps: Path, num_classes: int
    ) -> None:
        self.settings, self.num_classes = settings, num_classes
        self.saliency, self.class_maps = saliency, class_maps

    def write(
        self, labels: LabelFolder, images: Sequence[TaggedImage], before_each: Check = lambda: None
    ) -> None:
        """Write the labels of images.

        Args:
            labels (LabelFolder): Where to.
            images (Sequence[TaggedImage]): Those without labels.
            before_each (Callable): Called before every image; may raise to stop.
        """
        for image in images:
            before_each()
            saliency = read_saliency(self.saliency, image)
            given = self.settings.initial
            label = self._fused(image, saliency) if given is None else self._given(image, given)
            labels.write(image.stem, label, saliency)

    def _fused(self, image: TaggedImage, saliency: np.ndarray) -> np.ndarray:
        found = maps_of_tags(self.class_maps, image)
        levels: Any = self.settings.levels(refined=False)
        return fuse(RULE, found.maps, list(found.classes), saliency, **levels)

    def _given(self, image: TaggedImage, folder: str) -> np.ndarray:
        label = read_ids(Path(folder), image.stem, image_size(image.path))
        wrong = label[(label >= self.num_classes) & (label != IGNORED)]
        if len(wrong):
            raise ValueError(
                f'{KEY}.initial: {map_path(folder, image.stem)} has the id {wrong[0]}, and the '
                f'data set has {self.num_classes} classes: pseudo-labels hold class ids, and '
                f'{IGNORED} where there is none'
            )
        return label
