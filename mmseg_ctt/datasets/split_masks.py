# Copyright (c) mmseg_ctt contributors.
"""Split of a folder into images with and without a mask, some of the first kept for validation."""

import shlex
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from .class_cover import hold_out, names_of
from .folder import read_meta
from .image_files import MASK_SUFFIX, find_images, find_masks, other_files
from .label_check import read_mask, scan_presence
from .lists import PathLike
from .scenes import hold_out_scenes, scenes_of
from .splits import SEED, random_ranking

MAX_CLASSES = 255  # ids of an 8 bit mask, without the ignored one
BINARY_READ = 20  # masks in which 255 is searched


class MaskedFolder(NamedTuple):
    """Images of a folder and the masks of some of them.

    Attributes:
        images (dict[str, str]): Files by stem.
        masks (dict[str, str]): Files by the stem of their image, of images that exist.
        note (str): What is wrong with masks of no image; empty if there are none.
    """

    images: Dict[str, str]
    masks: Dict[str, str]
    note: str


def read_folder(img_dir: PathLike, ann_dir: PathLike, suffix: str = MASK_SUFFIX) -> MaskedFolder:
    """Find images and their masks.

    Args:
        img_dir (str | Path): Folder of the images.
        ann_dir (str | Path): Folder of the masks.
        suffix (str): End of the names of masks. Defaults to ``'.png'``.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If no image has a mask, or masks are colour images.
    """
    images, found = find_images(img_dir, suffix), find_masks(ann_dir, suffix)
    masks = {stem: name for stem, name in found.items() if stem in images}
    unmatched = [name for stem, name in found.items() if stem not in images]
    note = (
        f'{len(unmatched)} masks in {ann_dir} belong to no image in {img_dir}, such as '
        f'{unmatched[0]}: {_likely_suffix(unmatched[0], images)}'
        if unmatched
        else ''
    )
    if not masks:
        raise ValueError(
            f'no image in {img_dir} has a mask in {ann_dir}: '
            + (note or f'no file there ends in {suffix}{_endings(ann_dir)}')
        )
    refuse_colours(ann_dir, list(masks.values()), suffix)
    return MaskedFolder(images, masks, note)


def _likely_suffix(name: str, images: Mapping[str, str]) -> str:
    """What to do about a mask of no image."""
    stem = max((stem for stem in images if name.startswith(stem)), key=len, default=None)
    if stem is None:
        return 'a mask has the name of its image, in the same sub-folder'
    return f'if this is the mask of {images[stem]}, give --suffix {name[len(stem) :]}'


def _endings(folder: PathLike) -> str:
    names = [path.name for path in Path(folder).rglob('*') if path.is_file()]
    others = sorted({*other_files(names), *(Path(name).suffix for name in names)} - {''})
    return f', but in {", ".join(others)} (--suffix says how masks end)' if others else ''


def refuse_colours(folder: PathLike, names: Sequence[str], suffix: str = MASK_SUFFIX) -> None:
    """Masks have one channel.

    Args:
        folder (str | Path): Folder of the masks.
        names (Sequence[str]): Paths below it.
        suffix (str): End of their names. Defaults to ``'.png'``.

    Raises:
        ValueError: Names the command that converts colour masks.
    """
    colours = [name for name in names if _is_colour(Path(folder, name))]
    if colours:
        raise ValueError(
            f'{len(colours)} of {len(names)} masks in {folder} are colour images, such as '
            f'{colours[0]}: convert them to class ids with {converter(folder, suffix)}, and use '
            f'{folder}_ids'
        )


def converter(folder: PathLike, suffix: str = MASK_SUFFIX) -> str:
    """Command that converts the masks of a folder to class ids in a folder beside it."""
    words = ['python', 'tools/dataset_converters/colour_masks.py', str(folder), f'{folder}_ids']
    return shlex.join(words if suffix == MASK_SUFFIX else [*words, '--suffix', suffix])


def _is_colour(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return len(image.getbands()) > 1
    except (OSError, Image.DecompressionBombError):
        return False  # named by the reader of masks


def known_classes(ann_dir: PathLike, meta: Optional[PathLike] = None) -> Optional[List[str]]:
    """Class names of a ``meta.json``.

    Args:
        ann_dir (str | Path): Folder of masks; a ``meta.json`` in it or next to it is read.
        meta (str | Path, optional): File that is read instead. Defaults to None.

    Returns:
        list[str] | None: None if there is no such file.

    Raises:
        FileNotFoundError: If ``meta`` does not exist.
        ValueError: If the file has no class names.
    """
    folder = Path(ann_dir)
    files = [Path(meta)] if meta else [folder / 'meta.json', folder.parent / 'meta.json']
    found = next((path for path in files if meta or path.is_file()), None)
    return None if found is None else list(read_meta(found)['classes'])


def presence_of(
    ann_dir: PathLike,
    masks: Mapping[str, str],
    class_names: Optional[Sequence[str]] = None,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
) -> Tuple[np.ndarray, List[str]]:
    """Classes that each mask shows, and their names.

    Args:
        ann_dir (str | Path): Folder of the masks.
        masks (Mapping[str, str]): N files below it, by stem.
        class_names (Sequence[str], optional): K names. Defaults to None: all ids that occur are
            classes, up to the largest.
        ignore_index (int): Id of ignored pixels. Defaults to 255.
        reduce_zero_label (bool): As in mmseg. Defaults to False.

    Returns:
        tuple[np.ndarray, list[str]]: bool ``(N, K)``, and K names.

    Raises:
        ValueError: Naming the first mask with an id that is no class.
    """
    paths = [Path(ann_dir, name) for name in masks.values()]
    number = len(class_names) if class_names else MAX_CLASSES
    presence = scan_presence(paths, number, ignore_index, reduce_zero_label)
    if class_names:
        return presence, list(class_names)
    presence = presence[:, : int(np.flatnonzero(presence.any(0)).max(initial=0)) + 1]
    return presence, names_of(range(presence.shape[1]))


def binary_note(
    ann_dir: PathLike, masks: Mapping[str, str], presence: np.ndarray, suffix: str = MASK_SUFFIX
) -> str:
    """What to do about masks of 0 and 255, of which 255 is ignored; empty for others.

    Args:
        ann_dir (str | Path): Folder of the masks.
        masks (Mapping[str, str]): N files below it, by stem.
        presence (np.ndarray): bool ``(N, K)``, as from :func:`presence_of`.
        suffix (str): End of the names of masks. Defaults to ``'.png'``.
    """
    read = [Path(ann_dir, name) for name in masks.values()][:BINARY_READ]
    if presence[:, 1:].any() or not any((read_mask(path) == 255).any() for path in read):
        return ''
    return (
        f'masks in {ann_dir} hold no id but 0 and 255, and 255 is ignored: nothing but class 0 is '
        f'labelled. If 255 is a class, convert them with {converter(ann_dir, suffix)} '
        '--palette 0 255'
    )


def empty_note(names: Sequence[str], presence: np.ndarray, folder: PathLike) -> str:
    """What to do about masks without a labelled pixel; empty where all have one.

    Args:
        names (Sequence[str]): N masks.
        presence (np.ndarray): ``(N, K)``, whether a mask shows a class, or pixels of it.
        folder (str | Path): Of the masks.
    """
    empty = [name for name, row in zip(names, presence) if not np.any(row)]
    if not empty:
        return ''
    return (
        f'{len(empty)} masks in {folder or "the folder"} have no labelled pixel, such as '
        f'{empty[0]}: nothing is learnt from them and no score counts them; without these masks '
        'their images are unlabelled ones'
    )


def draw_validation(
    stems: Sequence[str], presence: np.ndarray, number: int, seed: int = SEED
) -> Tuple[List[str], List[str]]:
    """Split masked images into training and validation, all classes in both where possible.

    Tiles of a scene stay together where there are several scenes, see :mod:`.scenes`, unless that
    left fewer images to learn from than for validation.

    Args:
        stems (Sequence[str]): N stems.
        presence (np.ndarray): bool ``(N, K)``.
        number (int): Images for validation, 0 to N - 1; of tiles whole scenes of about as many.
        seed (int): Non-negative seed. Defaults to 0.

    Returns:
        tuple[list[str], list[str]]: Stems of both, sorted.

    Raises:
        ValueError: If ``number`` or the seed is out of range.
    """
    if not 0 <= number < len(stems):
        raise ValueError(
            f'cannot keep {number} of {len(stems)} images with a mask for validation: training '
            'needs some too'
        )
    scenes = list(scenes_of(stems).values())
    rows: List[int] = []
    if 1 < len(scenes) < len(stems):
        order = random_ranking(len(scenes), seed)
        rows = hold_out_scenes([scenes[k] for k in order], presence, number)
    if not rows:
        ranking = random_ranking(len(stems), seed)
        rows = ranking[hold_out(presence[ranking], number)].tolist()
    val = {stems[i] for i in rows}
    return sorted(set(stems) - val), sorted(val)


def count_images(
    parts: Mapping[str, Sequence[str]],
    stems: Sequence[str],
    presence: np.ndarray,
    names: Sequence[str],
) -> Dict[str, Dict[str, int]]:
    """Number of images of each part that show each class, for the manifest.

    Args:
        parts (Mapping[str, Sequence[str]]): Stems of each part, by its name.
        stems (Sequence[str]): N stems.
        presence (np.ndarray): bool ``(N, K)``.
        names (Sequence[str]): K names.

    Returns:
        dict: Class name to number of images by part, and of ``all``.
    """
    rows = {part: np.isin(stems, list(chosen)) for part, chosen in parts.items()}
    rows['all'] = np.ones(len(stems), dtype=bool)
    counts = {part: presence[chosen].sum(0) for part, chosen in rows.items()}
    return {name: {part: int(counts[part][k]) for part in counts} for k, name in enumerate(names)}
