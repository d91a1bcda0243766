# Copyright (c) mmseg_ctt contributors.
"""Lists of volumes, or of slices as images, in which no patient is in two parts."""

import json
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from ..volumes.address import VOLUME_SUFFIXES
from ..volumes.formats import array_path
from ..volumes.reading import read_label
from .image_files import MASK_SUFFIX, find_files, find_images
from .label_check import read_mask
from .lists import PathLike, read_list
from .patients import PatientRule
from .split_files import LIST_NAMES, TEST_NAME, VAL_NAME
from .splits import SEED, make_split, random_ranking

PARTS = tuple(name[: -len('.txt')] for name in (*LIST_NAMES, VAL_NAME, TEST_NAME))
Parts = Dict[str, List[str]]  # names by part


class PatientFolder(NamedTuple):
    """Volumes or images of a folder, by patient.

    Attributes:
        names (dict[str, list[str]]): Names of files, without suffix, by patient.
        labels (dict[str, str]): Files of labels by the name of their volume or image.
    """

    names: Dict[str, List[str]]
    labels: Dict[str, str]


def read_patients(
    images: PathLike,
    labels: Optional[PathLike],
    rule: PatientRule,
    suffix: Optional[str] = None,
    label_suffix: Optional[str] = None,
) -> PatientFolder:
    """Find volumes, or images where there are none, and their labels.

    Args:
        images (str | Path): Folder of volumes or images.
        labels (str | Path, optional): Folder of labels; None: labels are not searched.
        rule (PatientRule): Patient by the name of a file.
        suffix (str, optional): End of the names of volumes or images. Defaults to None: any.
        label_suffix (str, optional): End of the names of labels. Defaults to None: any of volumes,
            ``'.png'`` of images.

    Raises:
        FileNotFoundError: If a folder does not exist, or there is no volume and no image.
        ValueError: If the rule does not match a name, or two files have one.
    """
    volumes = find_files(images, [suffix] if suffix else VOLUME_SUFFIXES)
    found = volumes or find_images(images)
    if not found:
        raise FileNotFoundError(f'no volume and no image was found in {images}')
    endings = [label_suffix] if label_suffix else list(VOLUME_SUFFIXES if volumes else [])
    end = (label_suffix or '').lower()  # upper or lower case, as find_files takes it
    if end and end not in (*VOLUME_SUFFIXES, MASK_SUFFIX):  # beside the images
        found = {k: name for k, name in found.items() if not name.lower().endswith(end)}
    known = {} if labels is None else find_files(labels, endings or [MASK_SUFFIX])
    names: Dict[str, List[str]] = {}
    for name in found:
        patient = rule.of(name)
        assert patient is not None, 'the tools have a rule'
        names.setdefault(patient, []).append(name)
    kept = {} if labels is None else {k: str(Path(labels, v)) for k, v in known.items()}
    return PatientFolder(names, {name: path for name, path in kept.items() if name in found})


def presence_by_patient(
    folder: PatientFolder,
    num_classes: int,
    ignore_index: int = 255,
    label_key: Optional[str] = None,
) -> Dict[str, np.ndarray]:
    """Classes that the labels of each patient show.

    Args:
        folder (PatientFolder): As found.
        num_classes (int): Number of classes, K.
        ignore_index (int): Id that is no class. Defaults to 255.
        label_key (str, optional): Array of labels in ``.npz`` and ``.h5`` files. Defaults to None:
            ``label``, else the only array of three axes.

    Returns:
        dict[str, np.ndarray]: bool ``(K,)`` by patient, of those with a label.

    Raises:
        ValueError: Names the first label with an id that is no class.
    """
    found: Dict[str, np.ndarray] = {}
    for patient, names in folder.names.items():
        for path in (folder.labels[name] for name in names if name in folder.labels):
            shown = found.setdefault(patient, np.zeros(num_classes, dtype=bool))
            volume = path.lower().endswith(VOLUME_SUFFIXES)
            if volume:
                ids = np.unique(read_label(array_path(path, 'label', label_key)).array)
            else:
                ids = np.unique(read_mask(path, ignore_index))
            ids = ids[ids != ignore_index]
            if ids.size and not (0 <= ids[0] and ids[-1] < num_classes):
                wrong = ids[0] if ids[0] < 0 else ids[-1]
                raise ValueError(
                    f'the label {path} holds {wrong}, which is no class: ids are '
                    f'0..{num_classes - 1} and the ignore index {ignore_index}'
                )
            shown[ids] = True
    return found


def draw_patients(
    presence: Mapping[str, np.ndarray],
    unlabeled: Sequence[str],
    num_labeled: Optional[int],
    num_val: int = 0,
    num_test: int = 0,
    seed: int = SEED,
    class_names: Optional[Sequence[str]] = None,
) -> Parts:
    """Draw patients of each part: test first, then validation, then the labelled ones.

    With one seed the test and validation parts do not depend on the number of labelled patients,
    and the labelled part shows every class (see :func:`.splits.make_split`).

    Args:
        presence (Mapping[str, np.ndarray]): bool ``(K,)`` of each patient with labels.
        unlabeled (Sequence[str]): Patients without any label.
        num_labeled (int, optional): Labelled patients; None: all that are left.
        num_val (int): Patients kept for validation. Defaults to 0.
        num_test (int): Patients kept for the test. Defaults to 0.
        seed (int): Non-negative seed. Defaults to 0.
        class_names (Sequence[str], optional): K names for messages.

    Returns:
        dict[str, list[str]]: Patients by part, sorted; the rest is unlabelled.

    Raises:
        ValueError: If ``num_labeled`` is below 1 or another number below 0, there are too few
            patients with labels, or none is left to label.
    """
    patients = sorted(presence)
    kept, wanted = num_val + num_test, 1 if num_labeled is None else num_labeled
    if wanted < 1 or min(num_val, num_test) < 0:
        raise ValueError(
            f'{wanted} labelled, {num_val} for validation and {num_test} for the test are no '
            'numbers of patients: label one or more (--num-labeled), the others from 0 on'
        )
    if kept + wanted > len(patients):
        raise ValueError(
            f'{len(patients)} patients have labels, fewer than {wanted} labelled, {num_val} for '
            f'validation and {num_test} for the test'
        )
    order = [patients[k] for k in random_ranking(len(patients), seed)]
    test, val, rest = order[:num_test], order[num_test:kept], sorted(order[kept:])
    shown = np.stack([presence[patient] for patient in rest])
    chosen, others = make_split(
        shown, len(rest) if num_labeled is None else num_labeled, seed, class_names
    )
    labeled = [rest[k] for k in chosen]
    return dict(
        labeled=labeled,
        unlabeled=sorted([*unlabeled, *(rest[k] for k in others)]),
        val=sorted(val),
        test=sorted(test),
    )


def names_of_parts(
    parts: Mapping[str, Sequence[str]], folder: PatientFolder, labels_needed: bool
) -> Parts:
    """Names of files of each part, sorted.

    Args:
        parts (Mapping[str, Sequence[str]]): Patients by part.
        folder (PatientFolder): As found.
        labels_needed (bool): Whether a volume without label stays out of all parts but the
            unlabelled one.

    Raises:
        ValueError: If a patient is in two parts, has no file, or none with the label it needs.
    """
    owner: Dict[str, str] = {}
    for part, patients in parts.items():
        for patient in patients:
            if owner.setdefault(patient, part) != part:
                raise ValueError(
                    f'the patient {patient} is both in {owner[patient]} and in {part}: take it off '
                    'one list'
                )
    found: Parts = {}
    for part, patients in parts.items():
        found[part] = []
        for patient in patients:
            names = folder.names.get(patient, [])
            if labels_needed and part != 'unlabeled':
                names = [name for name in names if name in folder.labels]
            if not names:
                what = 'volume or image' if patient not in folder.names else 'label'
                raise ValueError(f'the patient {patient} of {part} has no {what}')
            found[part] += names
        found[part].sort()
    return found


def patients_of_meta(path: PathLike) -> Parts:
    """Patients of each part that a JSON file names.

    Args:
        path (str | Path): With lists ``labeled`` and ``unlabeled``, and ``val``, ``test`` where
            they exist; other keys are not read.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is no JSON of this form.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist')
    try:
        meta = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is no valid JSON: {error}') from None
    found = {part: meta.get(part) for part in PARTS} if isinstance(meta, dict) else {}
    if not all(
        names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names))
        for names in found.values()
    ) or not (found.get('labeled') and found.get('unlabeled') is not None):
        raise ValueError(
            f'{path} must hold the lists "labeled" and "unlabeled" of names of patients, and may '
            'hold "val" and "test"'
        )
    return {part: names for part, names in found.items() if names is not None}


def patients_of_lists(lists: Mapping[str, Optional[PathLike]]) -> Parts:
    """Patients of each part that a text file names, one a line.

    Args:
        lists (Mapping[str, str | Path | None]): Files by part.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If it is no text, or names a patient twice.
    """
    return {part: read_list(path) for part, path in lists.items() if path is not None}
