# Copyright (c) mmseg_ctt contributors.
"""Files of the pseudo-labels and the saliency that a round of AuxSegNet is trained on."""

import os
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
from PIL import Image

from ..methods.auxsegnet.segmentor import LABEL, SALIENCY
from .auxsegnet_configs import TaggedImage


class LabelFolder:
    """Pseudo-labels and saliency of all tagged images: ``pseudo_label/``, ``saliency/``.

    Each file is written at once or not at all, the pseudo-label last: where it is, both are.

    Args:
        folder (Path): Made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def folders(self) -> Dict[str, Path]:
        """Folder of each map, by its name in the samples."""
        return {name: self.folder / name for name in (LABEL, SALIENCY)}

    def label_file(self, stem: str) -> Path:
        """File of the pseudo-label of an image: class ids, 255 without a label."""
        return self.folder / LABEL / f'{stem}.png'

    def saliency_file(self, stem: str) -> Path:
        """File of the saliency of an image: 8 bits."""
        return self.folder / SALIENCY / f'{stem}.png'

    def missing(self, images: Sequence[TaggedImage]) -> List[TaggedImage]:
        """Images that have no pseudo-label yet."""
        return [image for image in images if not self.label_file(image.stem).is_file()]

    def write(self, stem: str, label: np.ndarray, saliency: np.ndarray) -> None:
        """Write the maps of an image.

        Args:
            stem (str): Of the image.
            label (np.ndarray): ``(H, W)`` uint8.
            saliency (np.ndarray): ``(H, W)`` in [0, 1].
        """
        write_png(self.saliency_file(stem), np.round(saliency * 255).astype(np.uint8))
        write_png(self.label_file(stem), label)


def write_png(path: Path, array: np.ndarray) -> None:
    """Write an image of one channel of 8 bits atomically.

    Args:
        path (Path): Of the file; its folder is made.
        array (np.ndarray): ``(H, W)`` uint8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{os.getpid()}.{path.name}')
    Image.fromarray(array).save(temporary)
    os.replace(temporary, path)


def read_png(path: Path) -> np.ndarray:
    """``(H, W)`` uint8 of an image of one channel of 8 bits.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another kind.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    with Image.open(path) as file:
        array = np.asarray(file)
    if array.ndim != 2 or array.dtype != np.uint8:
        raise ValueError(f'{path} is not one channel of 8 bits')
    return array
