# Copyright (c) mmseg_ctt contributors.
"""Readers for the labelled lists that semi-supervised papers published.

Every reader gives mmsegmentation stems: ``2007_000032`` for VOC,
``aachen/aachen_000000_000019`` for Cityscapes. Paths become stems below the image folder: the one
that is given, else the folder that all paths of the lists have in common.

Formats, by the repository that uses them:

* ``unimatch``: image path and mask path in one line; ``None`` for the mask of an image without one.
* ``u2pl``: bare ids (VOC) or image paths (Cityscapes), or both paths.
* ``cps``: bare ids (VOC) or image and mask path between tabs (Cityscapes, all
  cities in one folder).
* ``pseudoseg``: bare ids.
* ``permutation``: a pickled order of the indices of a full list, the head of
  which is labelled (ClassMix, CTT).
* ``auto``: any of the text formats, detected line by line, or a CSV table.
"""

import os.path as osp
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .cityscapes_names import cityscapes_stem
from .lists import Entry, PathLike, check_unique, mask_endings, read_entries, without_suffix
from .pickled_order import read_permutation

AUTO = 'auto'
# Numbers of entries that a line may have; the image comes before the mask.
FORMATS: Dict[str, Tuple[int, ...]] = dict(
    auto=(1, 2), unimatch=(1, 2), u2pl=(1, 2), cps=(1, 2), pseudoseg=(1,)
)


class ImportedSplit(NamedTuple):
    """Stems of a published split.

    Attributes:
        labeled (list[str]): Labelled stems in the published order.
        unlabeled (list[str]): Unlabelled stems, none of them labelled.
        num_dropped (int): Stems taken out of the published unlabelled list
            because they are labelled too.
        folder (str): Folder that the paths of the lists have in common; stems are below it. Empty
            where the lists hold ids, or the image folder was given.
        mixed (str): An image path, where paths of the lists have folders and none in common.
        mask_note (str): What to do about masks that are not called as their images; empty where
            the lists name none.
    """

    labeled: List[str]
    unlabeled: List[str]
    num_dropped: int
    folder: str = ''
    mixed: str = ''
    mask_note: str = ''


def common_folder(entries: Iterable[Entry]) -> str:
    """Deepest folder that all image paths have in common; empty without one.

    Args:
        entries (Iterable[Entry]): Images; ids without suffix and ids of Cityscapes do not count.
    """
    paths = [_image_path(entry) for entry in entries]
    folders = {osp.dirname(path) for path in paths if path}
    return osp.commonpath(folders) if folders else ''


def _image_path(entry: Entry) -> str:
    """Path of an image with a suffix; empty for an id, and for images of Cityscapes."""
    path = _path(entry.image)
    return '' if without_suffix(path) == path or cityscapes_stem(path) else path


def entry_to_stem(entry: str, folder: str = '') -> str:
    """Stem of an image path or id of a published list.

    Bare ids are kept; Cityscapes ids get the folder of their city.

    Args:
        entry (str): Such as ``JPEGImages/2007_000032.jpg``.
        folder (str): Folder at the beginning of image paths that is dropped.
            Defaults to ``''``.

    Returns:
        str: The stem below the image folder, without suffix.
    """
    path = _path(entry)
    of_city = cityscapes_stem(path)
    if of_city:
        return of_city
    stem = without_suffix(path)
    return stem if stem == path else osp.relpath(stem, folder or '.')


def _path(entry: str) -> str:
    return osp.normpath(entry.replace('\\', '/').strip('/'))


def read_published(path: PathLike, fmt: str = AUTO) -> List[Entry]:
    """Read a published text list.

    Args:
        path (str | Path): The list.
        fmt (str): A key of :data:`FORMATS`. Defaults to ``'auto'``.

    Returns:
        list[Entry]: Images in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the format is unknown, a line does not fit it, or the list is empty.
    """
    if fmt not in FORMATS:
        raise ValueError(f'unknown list format {fmt!r}; use one of {", ".join(FORMATS)}')
    entries = read_entries(path)
    for entry in entries:
        number = 1 if entry.mask is None else 2
        if number not in FORMATS[fmt]:
            raise ValueError(
                f'{entry.where} has {number} entries, the format {fmt} has '
                f'{" or ".join(map(str, FORMATS[fmt]))}'
            )
    return entries


def read_text_list(path: PathLike, fmt: str = AUTO) -> List[str]:
    """Read a published text list as stems.

    Args:
        path (str | Path): The list.
        fmt (str): A key of :data:`FORMATS`. Defaults to ``'auto'``.

    Returns:
        list[str]: Stems in the order of the file, below the folder that its paths have in common.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the format is unknown, a line does not fit it, the list
            is empty, or names an image twice.
    """
    entries = read_published(path, fmt)
    return _stems(path, entries, common_folder(entries), None)


def _stems(
    path: PathLike, entries: Sequence[Entry], folder: str, images: Optional[Mapping[str, str]]
) -> List[str]:
    """Stems of the entries of a list, below a folder, or among the images of a folder."""
    if images is None:
        stems = [entry_to_stem(entry.image, folder) for entry in entries]
    else:
        found = [_stem_among(entry.image, images) for entry in entries]
        absent = [entry.image for entry, stem in zip(entries, found) if stem is None]
        if absent:
            raise ValueError(
                f'{len(absent)} images of {path} are not in the image folder, such as {absent[0]}'
            )
        stems = [stem for stem in found if stem is not None]
    check_unique(stems, path)
    return stems


def _stem_among(entry: str, images: Mapping[str, str]) -> Optional[str]:
    """The longest end of a path that is the stem of an image; None without one."""
    parts = entry_to_stem(entry).split('/')
    ends = ('/'.join(parts[first:]) for first in range(len(parts)))
    return next((end for end in ends if end in images), None)


def mask_note(entries: Sequence[Entry], stems: Sequence[str]) -> str:
    """What to do about masks that are not called as their images.

    Args:
        entries (Sequence[Entry]): Images of the lists.
        stems (Sequence[str]): Their stems.

    Returns:
        str: One line; empty where nothing is to be done.
    """
    plain = [pair for pair in zip(entries, stems) if not cityscapes_stem(pair[1])]
    found = mask_endings([entry for entry, _ in plain], [stem for _, stem in plain])
    if None in found or len({str(end).lower() for end in found}) > 1:
        other = found.get(None) or list(found.values())[-1]
        return (
            f'masks are not called after their images ({other.where}): FolderSegDataset takes the '
            'mask of a/b.jpg from a/b.png, rename them or use one ending, seg_map_suffix'
        )
    ending = next(iter(found), None) or '.png'
    if ending.lower() == '.png':
        return ''
    return f'masks end in {ending}: set seg_map_suffix={ending!r} in the data sets with masks'


def import_permutation(path: PathLike, full_list: PathLike, num_labeled: int) -> ImportedSplit:
    """Labelled and unlabelled stems of a pickled permutation.

    Args:
        path (str | Path): The pickle, see :func:`read_permutation`.
        full_list (str | Path): The full training list, in the order the
            authors used.
        num_labeled (int): Number of images at the head of the order that are
            labelled.

    Returns:
        ImportedSplit: The stems.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the two do not fit, or ``num_labeled`` is out of range.
    """
    order, stems = read_permutation(path), read_text_list(full_list)
    if len(order) != len(stems):
        raise ValueError(f'{path} orders {len(order)} images, but {full_list} lists {len(stems)}')
    if not 1 <= num_labeled <= len(stems):
        raise ValueError(f'cannot label {num_labeled} of the {len(stems)} images of {full_list}')
    named = [stems[i] for i in order]
    return ImportedSplit(named[:num_labeled], named[num_labeled:], 0)


def import_lists(
    labeled: PathLike,
    unlabeled: Optional[PathLike] = None,
    full_list: Optional[PathLike] = None,
    fmt: str = AUTO,
    images: Optional[Mapping[str, str]] = None,
) -> ImportedSplit:
    """Labelled and unlabelled stems of published text lists.

    Args:
        labeled (str | Path): The labelled list.
        unlabeled (str | Path, optional): The unlabelled list. Labelled images
            it names too (as the CPS lists do) are taken out.
        full_list (str | Path, optional): The full training list. Without an
            unlabelled list its other images are unlabelled; with one it is
            used only to check that it holds both lists.
        fmt (str): A key of :data:`FORMATS`. Defaults to ``'auto'``.
        images (Mapping[str, str], optional): Images by stem, as from ``find_files``, in which every
            path of the lists is searched. Defaults to None: stems are below the folder that all
            paths have in common.

    Returns:
        ImportedSplit: The stems.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If neither second list is given, a list is malformed, a
            stem is missing from the full list, or an image is not among ``images``.
    """
    second = full_list if unlabeled is None else unlabeled
    if second is None:
        raise ValueError('give the unlabelled list, or the full list whose rest is unlabelled')
    formats = {labeled: fmt, unlabeled: fmt, full_list: AUTO}
    entries = {path: read_published(path, formats[path]) for path in formats if path is not None}
    _check_masks(entries[labeled])
    every = [entry for listed in entries.values() for entry in listed]
    folder = common_folder(every) if images is None else ''
    alone = [path for path in map(_image_path, every) if path and osp.dirname(path)]
    stems = {path: _stems(path, listed, folder, images) for path, listed in entries.items()}
    chosen, rest = stems[labeled], stems[second]
    if full_list is not None:
        outside = sorted(set(chosen + rest) - set(stems[full_list]))
        if outside:
            raise ValueError(
                f'{len(outside)} stems are missing from {full_list}, such as {outside[0]}'
            )
    known = set(chosen)
    kept = [stem for stem in rest if stem not in known]
    return ImportedSplit(
        chosen,
        kept,
        0 if unlabeled is None else len(rest) - len(kept),
        folder,
        '' if folder or images is not None or not alone else alone[0],
        mask_note(entries[labeled], chosen),
    )


def _check_masks(entries: Sequence[Entry]) -> None:
    unmasked = [entry.where for entry in entries if entry.unmasked]
    if unmasked:
        raise ValueError(
            f'{unmasked[0]}: an image of the labelled list has no mask: were --labeled and '
            '--unlabeled swapped?'
        )
