# Copyright (c) mmseg_ctt contributors.
"""Files of a split: reading, writing and verifying them.

A split is a folder with ``labeled.txt`` and ``unlabeled.txt`` (stems, one a
line, as an mmsegmentation ``ann_file``), ``val.txt`` and ``test.txt`` where
images are kept for validation and for the test, and a ``manifest.json`` with
the checksums of the lists and how they were made.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .lists import PathLike, check_names, check_unique, read_list
from .whole_files import write_together

# Version of the rule by which lists are drawn; raise it when a seed gives other lists.
RULE_VERSION = '1.1'
LIST_NAMES = ('labeled.txt', 'unlabeled.txt')
VAL_NAME, TEST_NAME = 'val.txt', 'test.txt'
ALL_NAMES = (*LIST_NAMES, VAL_NAME, TEST_NAME)
MANIFEST_NAME = 'manifest.json'


class DrawnSplit(NamedTuple):
    """Split that is not written yet.

    Attributes:
        folder (str): Where it belongs.
        labeled (list[str]): Labelled stems.
        unlabeled (list[str]): Unlabelled stems.
        facts (dict): For its manifest.
    """

    folder: str
    labeled: List[str]
    unlabeled: List[str]
    facts: Dict[str, Any]


def file_sha256(path: PathLike) -> str:
    """Checksum of the bytes of a file.

    Args:
        path (str | Path): The file.

    Returns:
        str: Hexadecimal sha256.
    """
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def stems_sha256(stems: Sequence[str]) -> str:
    """Checksum of a set of stems; it does not depend on order and line ends.

    Args:
        stems (Sequence[str]): The stems.

    Returns:
        str: Hexadecimal sha256.
    """
    return hashlib.sha256(_list_bytes(sorted(stems))).hexdigest()


def _list_bytes(stems: Sequence[str]) -> bytes:
    # Bytes, so that line ends and checksums agree on every system.
    return ''.join(f'{stem}\n' for stem in stems).encode('utf-8')


def write_split(
    folder: PathLike,
    labeled: Sequence[str],
    unlabeled: Sequence[str],
    facts: Optional[Dict[str, Any]] = None,
    overwrite: bool = False,
    val: Optional[Sequence[str]] = None,
    test: Optional[Sequence[str]] = None,
) -> Path:
    """Write the lists and their manifest; a kill in between leaves no manifest.

    Args:
        folder (str | Path): Made where it does not exist.
        labeled (Sequence[str]): Labelled stems.
        unlabeled (Sequence[str]): Unlabelled stems.
        facts (dict, optional): Further entries of the manifest, such as seed,
            fraction, origin and class presence.
        overwrite (bool): Whether to replace lists that are already in the
            folder. Defaults to False.
        val (Sequence[str], optional): Stems of a third list, kept for
            validation. Defaults to None: no such list.
        test (Sequence[str], optional): The same for the test. Defaults to None.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If a stem occurs twice or cannot stand in a list, or the folder has other lists;
            if it has a list of validation or test images, no other is given, and images on it are
            in this split.
    """
    folder = Path(folder)
    lists = check_split(folder, labeled, unlabeled, overwrite, val, test)
    manifest = dict(
        facts or {},
        rule_version=RULE_VERSION,
        num_labeled=len(labeled),
        num_unlabeled=len(unlabeled),
        stems_sha256=stems_sha256([*labeled, *unlabeled]),
        files={name: hashlib.sha256(content).hexdigest() for name, content in lists.items()},
    )
    text = json.dumps(manifest, indent=1, sort_keys=True) + '\n'
    contents = {folder / name: content for name, content in lists.items()}
    write_together(contents, folder / MANIFEST_NAME, text.encode('utf-8'))
    return folder


def check_split(
    folder: PathLike,
    labeled: Sequence[str],
    unlabeled: Sequence[str],
    overwrite: bool = False,
    val: Optional[Sequence[str]] = None,
    test: Optional[Sequence[str]] = None,
) -> Dict[str, bytes]:
    """Check that :func:`write_split` can write a split, before anything is written.

    Args:
        folder (str | Path): As of :func:`write_split`, as all of these.
        labeled (Sequence[str]): Labelled stems.
        unlabeled (Sequence[str]): Unlabelled stems.
        overwrite (bool): Whether other lists may be there. Defaults to False.
        val (Sequence[str], optional): Stems of validation. Defaults to None.
        test (Sequence[str], optional): Of the test. Defaults to None.

    Returns:
        dict[str, bytes]: Content of the lists, by their names.

    Raises:
        ValueError: See :func:`write_split`.
    """
    folder = Path(folder)
    stems = [*labeled, *unlabeled, *(val or ()), *(test or ())]
    check_unique(stems, f'the split for {folder}')
    check_names(stems, folder)
    lists = {
        name: _list_bytes(stems)
        for name, stems in zip(ALL_NAMES, (labeled, unlabeled, val, test))
        if stems is not None
    }
    if not overwrite:
        _check_same(folder, lists)
    for name in ALL_NAMES[2:]:
        if name not in lists:
            _check_old_list(folder / name, [*labeled, *unlabeled])
    return lists


def _check_same(folder: Path, lists: Dict[str, bytes]) -> None:
    """A folder holds no list that would be changed."""
    for name, content in lists.items():
        path = folder / name
        if path.is_file() and path.read_bytes() != content:
            raise ValueError(
                f'{path} already holds another list: write elsewhere, or replace it (--overwrite)'
            )


def _check_old_list(path: Path, stems: Sequence[str]) -> None:
    """A list of validation or test images that stays in a folder names no image of new lists."""
    trained = sorted(set(stems).intersection(read_list(path))) if path.is_file() else []
    if trained:
        raise ValueError(
            f'{path} of an earlier split names {len(trained)} of these images, such as '
            f'{trained[0]}: remove it, or write elsewhere'
        )


def missing_classes(counts: Dict[str, Dict[str, int]]) -> List[str]:
    """Classes that the data show and the labelled part does not.

    Args:
        counts (dict): As from :func:`presence_counts`.

    Returns:
        list[str]: Their names.
    """
    return [name for name, n in counts.items() if n['all'] and not n['labeled']]


def write_drawn(splits: Sequence[DrawnSplit], overwrite: bool = False) -> List[Dict[str, Any]]:
    """Write splits, all of which are checked before the first is written.

    Args:
        splits (Sequence[DrawnSplit]): The splits.
        overwrite (bool): As in :func:`write_split`. Defaults to False.

    Returns:
        list[dict]: ``folder``, ``num_labeled``, ``num_unlabeled`` and ``missing`` (classes without
        a labelled image) of each.

    Raises:
        ValueError: See :func:`write_split`.
    """
    for split in splits:
        check_split(*split[:3], overwrite)
    for split in splits:
        write_split(*split, overwrite)
    return [
        dict(
            folder=split.folder,
            num_labeled=len(split.labeled),
            num_unlabeled=len(split.unlabeled),
            missing=missing_classes(split.facts['class_images']),
        )
        for split in splits
    ]


def verify_split(folder: PathLike) -> Dict[str, Any]:
    """Check the lists of a folder against its manifest.

    Args:
        folder (str | Path): Folder written by :func:`write_split`.

    Returns:
        dict: The manifest.

    Raises:
        FileNotFoundError: If the manifest or a list is missing.
        ValueError: If the manifest is no JSON of the right form, a list was
            changed, or a stem is in two of them.
    """
    folder = Path(folder)
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: no split to verify')
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
        names = [*LIST_NAMES, *(name for name in ALL_NAMES[2:] if name in manifest['files'])]
        expected = {name: manifest['files'][name] for name in names}
        content = manifest['stems_sha256']
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is not a split manifest: {error!r}') from None
    lists = {}
    for name, checksum in expected.items():
        lists[name] = read_list(folder / name)
        if file_sha256(folder / name) != checksum:
            raise ValueError(
                f'{folder / name} differs from its manifest: it was changed after it was written'
            )
    check_unique([stem for stems in lists.values() for stem in stems], f'the split {folder}')
    if stems_sha256([stem for name in LIST_NAMES for stem in lists[name]]) != content:
        raise ValueError(f'{path}: stems_sha256 does not fit the lists')
    return manifest
