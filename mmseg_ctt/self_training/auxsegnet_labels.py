# Copyright (c) mmseg_ctt contributors.
"""Files of the pseudo-labels and the saliency that a round of AuxSegNet is trained on."""

import json
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np

from ..datasets.image_reading import image_size
from ..datasets.pseudo_labeled import MASKS, META
from ..deploy.class_maps import TaggedImage
from ..engine.files import write_whole
from ..methods.auxsegnet.segmentor import LABEL, SALIENCY
from ..weak_labels import map_files
from ..weak_labels.map_files import map_path, read_map, write_map

SALIENCY_MAP = 'saliency map'


class LabelFolder:
    """Pseudo-labels and saliency of all tagged images: ``masks/``, ``saliency/``, ``meta.json``.

    Each file is written at once or not at all, the pseudo-label last: where it is, both are. A
    :class:`~mmseg_ctt.datasets.PseudoLabelDataset` reads the folder.

    Args:
        folder (Path): Made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def folders(self) -> Dict[str, Path]:
        """Folder of each map, by its name in the samples."""
        return {LABEL: self.folder / MASKS, SALIENCY: self.folder / SALIENCY}

    def label_file(self, stem: str) -> Path:
        """File of the pseudo-label of an image: class ids, 255 without a label."""
        return map_path(self.folders[LABEL], stem)

    def missing(self, images: Sequence[TaggedImage]) -> List[TaggedImage]:
        """Images that have no pseudo-label yet."""
        return [image for image in images if not self.label_file(image.stem).is_file()]

    def write_classes(self, classes: Sequence[str]) -> None:
        """Write the names of the classes.

        Args:
            classes (Sequence[str]): By id.
        """
        write_whole(self.folder / META, json.dumps(dict(classes=list(classes))) + '\n')

    def write(self, stem: str, label: np.ndarray, saliency: np.ndarray) -> None:
        """Write the maps of an image.

        Args:
            stem (str): Of the image.
            label (np.ndarray): ``(H, W)`` uint8.
            saliency (np.ndarray): ``(H, W)`` in [0, 1].
        """
        write_map(self.folders[SALIENCY], stem, saliency)
        write_map(self.folders[LABEL], stem, label)


def read_saliency(folder: Path, image: TaggedImage) -> np.ndarray:
    """Saliency ``(H, W)`` float32 in [0, 1] of an image, from a folder.

    Raises:
        ValueError: If it cannot be read, or is of another size than the image.
    """
    return read_map(folder, image.stem, image_size(image.path), SALIENCY_MAP)


def read_ids(folder: Path, stem: str, size: Tuple[int, int]) -> np.ndarray:
    """Class ids ``(H, W)`` uint8 of an image, from a folder.

    Raises:
        ValueError: If they cannot be read, or are of another size than the image.
    """
    return map_files.read_ids(folder, stem, size, 'pseudo-label')
