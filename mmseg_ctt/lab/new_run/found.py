# Copyright (c) mmseg_ctt contributors.
"""What a folder holds: images, masks, classes, tags, volumes."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np

from ...datasets.alpha_masks import WITH_ALPHA, alpha_lines
from ...datasets.image_files import other_files
from ...datasets.split_masks import empty_note
from ...volumes.address import VOLUME_SUFFIXES
from .class_names import CVAT, known_classes, unread_names
from .images import Images, inspect
from .labels import Labels, labels_of
from .layout import Files, Pair, find_pairs, list_files
from .mask_files import MaskFile, read_masks
from .matching import Matched, looks_like, match, names_in
from .words import TEST, TRAIN, UNLABELED, VAL

TAGS = ('tags.json', 'tags.csv')
DICOM = ('.dcm',)
MANY_CLASSES = 30  # shown in the table of classes


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        root (Path): The folder.
        parts (dict[str, Matched]): Images and masks of ``train`` and, where they have folders of
            their own, ``val``, ``test``, ``unlabeled``.
        images (Images): Sizes, formats and values of all images.
        labels (Labels): Classes, and what the values of masks mean.
        masks (dict[str, list[MaskFile]]): Counted masks by part, in the order of their images.
        files (Files): All files.
        notes (list[str]): Lines for the user.
    """

    root: Path
    parts: Dict[str, Matched]
    images: Images
    labels: Labels
    masks: Dict[str, List[MaskFile]]
    files: Files
    notes: List[str] = field(default_factory=list)

    @property
    def train(self) -> Matched:
        """Images and masks of training."""
        return self.parts[TRAIN]

    def presence(self, part: str) -> List[List[int]]:
        """Pixels of each class of each mask of a part."""
        return [self.labels.pixels(mask) for mask in self.masks[part]]

    def lines(self) -> List[str]:
        """What was found, in words."""
        lines = self.images.lines()
        for part, matched in self.parts.items():
            where = matched.images_dir or '.'
            text = f'{part}: {len(matched.images)} images in {where}'
            if matched.masks:
                ending = matched.suffix if matched.suffix not in (None, '.png') else ''
                text += f', {len(matched.masks)} with a mask in {matched.masks_dir or "."}'
                text += f' (*{ending})' if ending else ''
            lines.append(text)
        return [*lines, f'masks: {self.labels.kind}', *self._classes(), *self._notes()]

    def _classes(self) -> List[str]:
        rows = [row for part in self.masks for row in self.presence(part)]
        pixels = [sum(column) for column in zip(*rows)]
        images = [sum(value > 0 for value in column) for column in zip(*rows)]
        files = [mask for masks in self.masks.values() for mask in masks]
        every = sum(sum(mask.colours.values()) + mask.empty for mask in files)
        lines = [f'classes: {len(self.labels.names)}']
        for k, name in list(enumerate(self.labels.names))[:MANY_CLASSES]:
            lines.append(f'  {k:3} {name:20} {pixels[k] / every:7.2%} in {images[k]} masks')
        if len(self.labels.names) > MANY_CLASSES:
            lines.append(f'  and {len(self.labels.names) - MANY_CLASSES} more')
        lines.append(f'      no label (255)       {1 - sum(pixels) / every:7.2%}')
        if self.labels.unnamed and self.labels.by == 'colour':
            lines.append(
                f'names: {CVAT} in the folder, with a line name:red,green,blue:: for each class '
                '(or --classes and --palette)'
            )
        absent = [name for name, number in zip(self.labels.names, images) if not number]
        if absent:
            lines.append(f'WARNING: no mask shows {", ".join(absent)}')
        return lines

    def _notes(self) -> List[str]:
        notes = [note for matched in self.parts.values() for note in matched.notes]
        for part, masks in self.masks.items():
            names = [mask.name for mask in masks]
            note = empty_note(names, np.array(self.presence(part)), self.parts[part].masks_dir)
            notes += [f'WARNING: {note}'] if note else []
        return [*self.labels.notes, *notes, *self.notes]


def look(
    root: Path,
    images: Optional[str] = None,
    masks: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    palette: Optional[Sequence[str]] = None,
    ignore: Sequence[str] = (),
    suffix: Optional[str] = None,
) -> Found:
    """Find out what a folder holds; nothing is written.

    Args:
        root (Path): The folder.
        images (str, optional): Folder of the images, below ``root``.
        masks (str, optional): Folder of the masks.
        classes (Sequence[str], optional): Names of the classes.
        palette (Sequence[str], optional): Colour of each class.
        ignore (Sequence[str]): Colours or values of pixels without a label.
        suffix (str, optional): Ending of the masks, such as ``'_GT.png'``.

    Raises:
        FileNotFoundError: If there is no such folder, or nothing to train on.
        ValueError: If something cannot be found out, naming the option that settles it.
    """
    files = list_files(root)
    _refuse_volumes(root, files)
    pairs, notes = find_pairs(files, images, masks)
    if TRAIN not in pairs:
        where = ' for training' if pairs else ''
        raise FileNotFoundError(
            f'no image{where} was found in {root}: images end in .jpg, .png, .tif and so on; '
            '--images names their folder'
        )
    pairs, more = _by_content(root, files, pairs)
    parts = {part: match(files, pair, suffix) for part, pair in pairs.items()}
    _masks_of_train(files, parts, suffix)
    found = {
        part: read_masks(root, _paths(matched)) for part, matched in parts.items() if matched.masks
    }
    if TRAIN not in found:
        raise FileNotFoundError(_no_masks(root, files, parts[TRAIN]))
    labels = labels_of(
        [mask for masks in found.values() for mask in masks],
        known_classes(root, classes),
        palette,
        ignore,
    )
    labels.convert |= any(matched.suffix is None for matched in parts.values() if matched.masks)
    every = [
        '/'.join(filter(None, [matched.images_dir, name]))
        for matched in parts.values()
        for name in matched.images.values()
    ]
    result = Found(root, parts, inspect(root, every), labels, found, files, [*notes, *more])
    result.notes += _others(files) + _tags(result) + _bare(result) + unread_names(root)
    with_alpha = [mask.name for read in found.values() for mask in read if mask.mode in WITH_ALPHA]
    result.notes += alpha_lines({name: root / name for name in with_alpha})
    return result


def _paths(matched: Matched) -> Dict[str, str]:
    """Path of each mask by that of its image, below the root."""
    return {
        '/'.join(filter(None, [matched.images_dir, matched.images[stem]])): '/'.join(
            filter(None, [matched.masks_dir, mask])
        )
        for stem, mask in matched.masks.items()
    }


def _by_content(root: Path, files: Files, pairs: Dict[str, Pair]) -> tuple:
    """Folders whose names say nothing: masks hold few colours, and are called after the images."""
    pair = pairs[TRAIN]
    inside = names_in(files.images, pair.images)
    groups = Counter(name.split('/')[0] for name in inside if '/' in name)
    if pair.masks is not None or len(groups) != 2 or sum(groups.values()) < len(inside):
        return pairs, []
    folders = ['/'.join(filter(None, [pair.images, name])) for name in groups]
    masks = [
        folder
        for folder in folders
        if looks_like(root / folder, names_in(files.images, folder)) and folder
    ]
    if len(masks) != 1:
        return pairs, []
    (images,) = set(folders) - set(masks)
    if not match(files, Pair(images, masks[0])).masks:
        return pairs, []
    line = (
        f'{masks[0]} is taken as the masks of {images}: its files hold few colours (--images and '
        '--masks name others)'
    )
    return {**pairs, TRAIN: Pair(images, masks[0])}, [line]


def _masks_of_train(files: Files, parts: Dict[str, Matched], suffix: Optional[str]) -> None:
    """Masks of the validation and test images that lie with those of training.

    Images that are numbered anew in each folder have names of training images, and no masks here.
    """
    train = parts[TRAIN]
    taken = set(train.masks.values())
    for part in (VAL, TEST):
        if part in parts and not parts[part].masks and train.masks_dir != train.images_dir:
            other = match(files, Pair(parts[part].images_dir, train.masks_dir), suffix)
            other.masks = {stem: mask for stem, mask in other.masks.items() if mask not in taken}
            if other.masks:
                other.notes = []
                parts[part] = other


def _refuse_volumes(root: Path, files: Files) -> None:
    volumes = [name for name in files.others if name.lower().endswith((*VOLUME_SUFFIXES, *DICOM))]
    volumes = [name for name in volumes if not name.lower().endswith(('.npy', '.npz'))]
    if not volumes or len(files.images) >= len(volumes):
        return
    dicom = volumes[0].lower().endswith(DICOM)
    command = (
        f'python tools/dataset_converters/dicom.py {root} NEW_FOLDER/images'
        if dicom
        else f'python tools/dataset_converters/patient_lists.py make --images {root}/images '
        f'--labels {root}/labels --num-labeled N --num-val N --num-test N --out {root}/splits/mine'
    )
    raise ValueError(
        f'{root} holds {len(volumes)} volumes, such as {volumes[0]}, which are trained slice by '
        f'slice, with lists by patient: {command} and then docs/guide/volumes.md'
    )


def _no_masks(root: Path, files: Files, train: Matched) -> str:
    """What to do about a folder without masks."""
    text = f'none of the {len(train.images)} images in {root / train.images_dir} has a mask'
    folders = sorted({name.split('/')[0] for name in train.images.values() if '/' in name})
    if any(name in files.others for name in TAGS):
        return f'{text}, but there are tags: docs/guide/tags.md trains on tags alone'
    if 1 < len(folders):
        return (
            f'{text}. If its sub-folders {", ".join(folders[:5])} are classes, they are tags: '
            f'docs/guide/tags.md. Else label some images: PNG masks in {root}/masks, of equal names'
        )
    return (
        f'{text}: label some, 10 to 20 to begin with: PNG masks of class ids or colours in '
        f'{root}/masks, with the names of the images (--masks names another folder). Without any, '
        'docs/guide/pretraining.md learns from images alone'
    )


def _others(files: Files) -> List[str]:
    counts = other_files(files.others)
    text = ', '.join(f'{number} {end}' for end, number in counts.items())
    return [f'left out: {text}, which are no images here'] if counts else []


def _tags(found: Found) -> List[str]:
    """Lines about tags of images."""
    names = [name for name in TAGS if name in found.files.others]
    folders = {name.split('/')[0] for name in found.train.images.values() if '/' in name}
    tagged = folders & set(found.labels.names)
    if tagged:
        names.append(f'sub-folders called after classes ({", ".join(sorted(tagged)[:5])})')
    if not names:
        return []
    return [f'tags: {", ".join(names)}; this run does not learn from tags, docs/guide/tags.md does']


def _bare(found: Found) -> List[str]:
    """Lines about images that are not used."""
    notes = []
    if UNLABELED in found.parts and len(found.train.images) > len(found.train.masks):
        notes.append(
            f'{len(found.train.images) - len(found.train.masks)} images without a mask in '
            f'{found.train.images_dir or "."} are not used: move them to '
            f'{found.parts[UNLABELED].images_dir}'
        )
    for part in (VAL, TEST):
        matched = found.parts.get(part)
        if matched and len(matched.masks) < len(matched.images):
            notes.append(
                f'{len(matched.images) - len(matched.masks)} images of {part} have no mask and are '
                'not used'
            )
    return notes
