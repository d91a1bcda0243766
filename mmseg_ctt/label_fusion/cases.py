# Copyright (c) mmseg_ctt contributors.
"""Images and the masks of their raters in folders: found by name, read, checked, written."""

import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image

from ..datasets.image_files import IMAGE_SUFFIXES, MASK_SUFFIX, find_files
from ..datasets.image_reading import read_image
from ..datasets.label_check import check_size, read_checked
from ..volumes import VOLUME_SUFFIXES, check_pair, open_volume, read_label, read_volume
from ..volumes.formats import array_path
from ..volumes.writing import write_volume
from .votes import MISSING

PathLike = Union[str, Path]
NIFTI = '.nii.gz'


class Case(NamedTuple):
    """An image or volume and the masks of its raters.

    Attributes:
        name (str): Path below the folder of images without suffix.
        image (str): File of the image.
        masks (tuple[str | None]): File of the mask of each rater; None where it is missing.
    """

    name: str
    image: str
    masks: Tuple[Optional[str], ...]

    @property
    def is_volume(self) -> bool:
        """Whether it is a volume."""
        return self.image.lower().endswith(VOLUME_SUFFIXES)

    @property
    def suffix(self) -> str:
        """End of the files that are written for it."""
        return NIFTI if self.is_volume else MASK_SUFFIX


def find_cases(
    images: PathLike, rater_dirs: Sequence[PathLike], mask_suffix: Optional[str] = None
) -> List[Case]:
    """Images of a folder with the masks that each rater has of them.

    Args:
        images (str | Path): Folder of images, or of volumes, with its sub-folders.
        rater_dirs (Sequence[str | Path]): One folder of masks a rater; the mask of ``a/b.jpg`` is
            ``a/b.png``. Masks may be missing.
        mask_suffix (str, optional): End of their names. Defaults to None: ``.png`` for images, any
            format of volumes for volumes.

    Returns:
        list[Case]: Sorted by name; images that no rater has a mask of are errors.

    Raises:
        FileNotFoundError: If a folder does not exist or there is no image.
        ValueError: If images and volumes are mixed, two files have one name, no rater has a mask
            of an image, or a folder of a rater has a mask of none of them.
    """
    files = find_files(images, (*IMAGE_SUFFIXES, *VOLUME_SUFFIXES))
    kinds = {name.lower().endswith(VOLUME_SUFFIXES) for name in files.values()}
    if not files:
        raise FileNotFoundError(f'no image or volume was found in {images}')
    if len(kinds) > 1:
        raise ValueError(f'{images} holds images and volumes: put them in a folder each')
    suffixes = [mask_suffix] if mask_suffix else VOLUME_SUFFIXES if True in kinds else [MASK_SUFFIX]
    found = [find_files(folder, suffixes) for folder in rater_dirs]
    for folder, masks in zip(rater_dirs, found):
        if not set(masks) & set(files):
            raise ValueError(
                f'{folder} has no mask of an image in {images}: masks are named like the image and '
                f'end in {" or ".join(suffixes)}'
            )
    cases = []
    for name, file in files.items():
        paths = [
            str(Path(folder, masks[name])) if name in masks else None
            for folder, masks in zip(rater_dirs, found)
        ]
        cases.append(Case(name, str(Path(images, file)), tuple(paths)))
    _check_drawn(cases)
    return cases


def _check_drawn(cases: Sequence[Case]) -> None:
    alone = [case.image for case in cases if not any(case.masks)]
    if alone:
        raise ValueError(
            f'no rater has a mask of {", ".join(alone[:3])} ({len(alone)} of {len(cases)} images): '
            'move them out of the folder of images, or add a mask'
        )


def rater_names(rater_dirs: Sequence[PathLike], names: Optional[Sequence[str]] = None) -> List[str]:
    """Names of the raters, for files and tables.

    Args:
        rater_dirs (Sequence[str | Path]): Their folders.
        names (Sequence[str], optional): As given. Defaults to None: names of the folders, with
            those above where they are equal.

    Raises:
        ValueError: If two are equal, one is no name of a folder, or there are too few.
    """
    paths = [osp.abspath(folder) for folder in rater_dirs]
    if len(set(paths)) < len(paths):
        raise ValueError('a folder is given for two raters: give each rater one of its own')
    if names is None:
        names = [osp.basename(path) for path in paths]
        if len(set(names)) < len(names):
            above = osp.commonpath(paths)
            names = [osp.relpath(path, above).replace(osp.sep, '_') for path in paths]
    if len(names) != len(paths):
        raise ValueError(f'{len(names)} names for {len(paths)} raters: give one each')
    for name in names:
        if names.count(name) > 1 or not name or {'/', osp.sep} & set(name) or name.startswith('.'):
            raise ValueError(f'{name!r} is no name of one rater: give different names of files')
    return list(names)


# ---- reading


class Loaded(NamedTuple):
    """What is read of a case.

    Attributes:
        image (np.ndarray): ``(H, W)``, ``(H, W, C)`` or ``(X, Y, Z)``.
        labels (np.ndarray): uint8 ``(R, ...)``; 255 where a rater did not annotate.
        spacing (tuple[float, ...] | None): Of a volume whose format has it.
    """

    image: np.ndarray
    labels: np.ndarray
    spacing: Optional[Tuple[float, ...]]


def load_case(case: Case, num_classes: int) -> Loaded:
    """Read and check an image and its masks.

    Args:
        case (Case): From :func:`find_cases`.
        num_classes (int): Number of classes.

    Raises:
        ValueError: If a file is damaged, a mask is of another size, spacing or position than its
            image, an id is no class, or no rater annotated any pixel.
    """
    if case.is_volume:
        volume = read_volume(array_path(case.image, 'image'))
        image, spacing = volume.array, volume.spacing
        masks = [_volume_mask(volume, path, num_classes) for path in case.masks]
    else:
        image, spacing = read_image(case.image), None
        masks = [_image_mask(case.image, image, path, num_classes) for path in case.masks]
    shape = image.shape[: 3 if case.is_volume else 2]
    absent = np.full(shape, MISSING, np.uint8)
    labels = np.stack([absent if mask is None else mask.astype(np.uint8) for mask in masks])
    if (labels == MISSING).all():
        raise ValueError(
            f'no rater annotated any pixel of {case.image}: every pixel of its masks is {MISSING}'
        )
    return Loaded(image, labels, spacing)


def _volume_mask(volume: Any, path: Optional[str], num_classes: int) -> Optional[np.ndarray]:
    if path is None:
        return None
    label = read_label(array_path(path, 'label'))
    check_pair(volume, label, num_classes, MISSING)
    return label.array


def _image_mask(
    image_path: str, image: np.ndarray, path: Optional[str], num_classes: int
) -> Optional[np.ndarray]:
    if path is None:
        return None
    mask = read_checked(path, None, num_classes, MISSING)
    check_size(mask, image.shape[:2], f'the mask {path}', image_path)
    return mask


# ---- writing


def write_map(path: Path, values: np.ndarray, case: Case) -> None:
    """Write a map of a case: PNG of 8 bit for an image, NIfTI with its header for a volume.

    Args:
        path (Path): Ends in :attr:`Case.suffix`.
        values (np.ndarray): uint8 ids, or float32 in [0, 1], which a PNG holds as 0 to 255.
        case (Case): Whose map it is.
    """
    if case.is_volume:
        write_volume(path, values, open_volume(array_path(case.image, 'image')))
        return
    if values.dtype != np.uint8:
        values = np.rint(values * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def masks_by_rater(cases: Sequence[Case], names: Sequence[str]) -> Dict[str, int]:
    """Number of masks of each rater."""
    return {name: sum(case.masks[r] is not None for case in cases) for r, name in enumerate(names)}
