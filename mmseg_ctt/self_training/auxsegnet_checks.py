# Copyright (c) mmseg_ctt contributors.
"""Checks of AuxSegNet's rounds before the first training, with untrained networks."""

from functools import partial
from pathlib import Path
from typing import Optional, Sequence

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

from ..datasets.image_reading import image_size
from ..deploy.api import load_model
from ..deploy.class_maps import ClassMapSettings, TaggedImage
from ..weak_labels.class_map_files import read_class_maps
from ..weak_labels.crf import check_library
from ..weak_labels.map_files import check_maps
from ..weak_labels.saliency import METHODS
from .auxsegnet_configs import set_map_folders
from .auxsegnet_initial import FirstLabels, class_maps_of, make_stand_in
from .auxsegnet_labels import SALIENCY_MAP, LabelFolder, read_saliency
from .auxsegnet_refinement import Refiner
from .auxsegnet_settings import AuxSegNetSettings
from .round_checks import save_untrained, try_step
from .round_settings import KEY


def check_files(images: Sequence[TaggedImage], settings: AuxSegNetSettings) -> None:
    """Check folders of the user's for every image, and the library that is named.

    Args:
        images (Sequence[TaggedImage]): All tagged images.
        settings (AuxSegNetSettings): Of the recipe.

    Raises:
        FileNotFoundError: If a folder, or the map of an image, is missing.
        ValueError: If a map is of another size or kind, or the library is not installed.
    """
    sizes = {image.stem: image_size(image.path) for image in images}
    if settings.saliency not in METHODS:
        if not Path(settings.saliency).is_dir():
            raise FileNotFoundError(
                f'{KEY}.saliency={settings.saliency!r} is no folder and no stand-in '
                f'({", ".join(METHODS)}): name a folder of saliency maps, or a stand-in'
            )
        check_maps(settings.saliency, sizes, SALIENCY_MAP)
    if settings.initial is not None:
        check_maps(settings.initial, sizes, 'pseudo-label')
    if settings.saliency_refinement == 'crf':
        try:
            check_library()
        except ValueError as error:
            raise ValueError(f'{KEY}.saliency_refinement="crf": {error}') from None


def check_steps(
    cfg: Config,
    classifier: Optional[Config],
    image: TaggedImage,
    settings: AuxSegNetSettings,
    num_classes: int,
    folder: Path,
) -> None:
    """Do all steps between the trainings with an image and untrained networks.

    Args:
        cfg (Config): Of round 0.
        classifier (Config, optional): Of the classifier; None where pseudo-labels are given.
        image (TaggedImage): The first of the tagged source.
        settings (AuxSegNetSettings): Of the recipe.
        num_classes (int): Of the data set.
        folder (Path): Does not exist; files are written to it.

    Raises:
        ValueError: Names the step that would fail, and why.
    """
    folder.mkdir(parents=True)
    saliency, class_maps, labels = folder / 'saliency', folder / 'maps', LabelFolder(folder)
    if settings.saliency in METHODS:
        make_stand_in(settings.saliency, [image], saliency)
    else:
        saliency = Path(settings.saliency)
    if classifier is not None:
        classify = partial(_class_maps, classifier, image, class_maps)
        try_step('after the classifier', 'making its class maps', classify)
    first = FirstLabels(settings, saliency, class_maps, num_classes)
    first.write(labels, [image])
    try_step('in its turn', 'training on pseudo-labels', partial(_load, cfg, labels))
    given = class_maps if settings.refines == 'classifier' else None
    refine = partial(_refine, cfg, image, folder, saliency, given, settings)
    try_step('after round 0', 'refining the pseudo-labels', refine)


def _class_maps(cfg: Config, image: TaggedImage, out: Path) -> None:
    checkpoint = out.with_name('classifier.pth')
    save_untrained(cfg, checkpoint)
    with DefaultScope.overwrite_default_scope('mmseg'):
        DATASETS.build(cfg.train_dataloader.dataset)[0]
    class_maps_of(cfg, checkpoint, [image], out, ClassMapSettings((1.0,), False), lambda line: None)


def _load(cfg: Config, labels: LabelFolder) -> None:
    """The sample of the first tagged image with its labels, through the pipeline."""
    set_map_folders(cfg, labels.folders)
    with DefaultScope.overwrite_default_scope('mmseg'):
        sample = DATASETS.build(cfg.train_dataloader.dataset)[0]['data_samples']
    for name in labels.folders:
        if name not in sample:
            raise ValueError(
                f'the tagged images are packed without {name}: end their pipeline with dict('
                f'type="PackSemiSegInputs", maps={tuple(labels.folders)})'
            )


def _refine(
    cfg: Config,
    image: TaggedImage,
    folder: Path,
    saliency: Path,
    class_maps: Optional[Path],
    settings: AuxSegNetSettings,
) -> None:
    checkpoint = folder / 'untrained.pth'
    save_untrained(cfg, checkpoint)
    maps = None if class_maps is None else read_class_maps(class_maps, image.stem).maps
    Refiner(load_model(cfg, checkpoint), settings).label(
        image, read_saliency(saliency, image), maps
    )
