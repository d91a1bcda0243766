# Copyright (c) mmseg_ctt contributors.
"""Scores of a folder of predicted volumes against a folder of labels."""

from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from ...datasets.volume_files import listed_names, named_volumes
from ...volumes import Volume, check_geometry, check_pair, open_volume, read_label
from ...volumes.names import pair_names
from .scores import Empty, check_background, check_empty, checked_spacing, class_scores, one_empty
from .table import ScoreTable

PathLike = Union[str, Path]
TOLERANCE = 1e-3  # mm
LABEL_ARRAY = 'label'  # of .npz and .h5 files with several arrays


class Pair(NamedTuple):
    """Predicted volume and its label, unread.

    Attributes:
        name (str): Of the case.
        prediction (str): Path.
        label (str): Path.
        spacing (tuple[float, ...]): mm along x, y and z.
    """

    name: str
    prediction: str
    label: str
    spacing: Tuple[float, ...]


class FolderScores:
    """Evaluation of a folder; headers are checked when it is made, values when it is scored.

    Args:
        predictions (str | Path): Folder of predicted volumes.
        labels (str | Path): Folder of labels. A label has the path below it that the prediction has
            below its own folder; one of the two may have further folders in front, if it is clear
            which files belong together.
        classes (Sequence[str]): Names of the classes 0, 1, ....
        listed (str | Path, optional): List of the cases to score, one a line. Defaults to None:
            all that are predicted.
        spacing (Sequence[float], optional): mm of a voxel along x, y and z, where neither file
            says it. Defaults to None: such a case is an error.
        background (int, optional): Class that has no scores. Defaults to 0; None or -1: all have.
        ignore_index (int): Label of voxels that count in no class. Defaults to 255.
        empty (str | float): See :func:`mask_scores`. Defaults to 'diagonal'.
        label_suffix (str, optional): End of the names of labels, such as ``'_gt.nii.gz'``.
            Defaults to None: any of volumes.
        label_key (str, optional): Array of labels in ``.npz`` and ``.h5`` files. Defaults to None:
            ``label``, else the only array of three axes.
        img_suffix (str, optional): End of the names of the volumes that were predicted, such as
            ``'_0000.nii.gz'``, which lines of the list may have. Defaults to None: any of volumes.

    Attributes:
        pairs (list[Pair]): The cases, in order.
        not_predicted (list[str]): Cases that have a label and no prediction.

    Raises:
        FileNotFoundError: If a folder or list does not exist, a folder has no volume, or a case
            has no prediction or no label.
        ValueError: If a setting is none, a prediction and its label do not fit, or it is not clear
            which files belong together.
    """

    def __init__(
        self,
        predictions: PathLike,
        labels: PathLike,
        classes: Sequence[str],
        listed: Optional[PathLike] = None,
        spacing: Optional[Sequence[float]] = None,
        background: Optional[int] = 0,
        ignore_index: int = 255,
        empty: Empty = 'diagonal',
        label_suffix: Optional[str] = None,
        label_key: Optional[str] = None,
        img_suffix: Optional[str] = None,
    ) -> None:
        check_empty(empty)
        check_background(background, classes)
        self.classes, self.ignore_index, self.empty = tuple(classes), ignore_index, empty
        self.background = background
        self.scored = [k for k in range(len(classes)) if k != background]
        if not self.scored:
            raise ValueError(f'no class has scores: classes are {", ".join(classes)}')
        given = None if spacing is None else checked_spacing(spacing, 3)
        predicted = named_volumes(predictions, LABEL_ARRAY)
        labelled = named_volumes(labels, LABEL_ARRAY, label_suffix, label_key)
        own = pair_names(predicted, labelled)
        chosen = list(predicted)
        if listed is not None:
            stems = {
                name: [str(Path(predictions, name)), *(str(Path(labels, k)) for k in own[name])]
                for name in predicted
            }
            chosen = listed_names(listed, stems, str(predictions), img_suffix)
        _check_labelled(chosen, own, f'in {predictions}', str(labels))
        known = {label for found in own.values() for label in found}
        self.not_predicted = [name for name in labelled if name not in known]
        self.pairs = _pairs(
            {name: (predicted[name], labelled[own[name][0]]) for name in chosen}, given
        )

    def score(self) -> ScoreTable:
        """Read all volumes, one case at a time, and score them.

        Raises:
            ValueError: If a file cannot be read, or holds a value that is no class.
        """
        found = {pair.name: self._score(pair) for pair in self.pairs}
        return ScoreTable.of(
            {name: scores for name, (scores, _) in found.items()},
            tuple(self.classes[k] for k in self.scored),
            {name: penalties for name, (_, penalties) in found.items()},
        )

    def _score(self, pair: Pair) -> Tuple[np.ndarray, np.ndarray]:
        prediction, label = read_label(pair.prediction), read_label(pair.label)
        check_pair(prediction, label, len(self.classes), self.ignore_index)
        wrong = np.setdiff1d(prediction.array, range(len(self.classes)))
        if len(wrong):
            raise ValueError(
                f'the prediction {pair.prediction} holds {wrong[0]}, which is no class: ids are '
                f'0..{len(self.classes) - 1} ({", ".join(self.classes)})'
            )
        arrays = prediction.array, label.array
        scores = class_scores(*arrays, self.scored, pair.spacing, self.ignore_index, self.empty)
        return scores, one_empty(*arrays, self.scored, self.ignore_index)


def check_comparable(members: Mapping[str, FolderScores]) -> None:
    """All members have the same classes and cases, so that their means can be compared.

    Args:
        members (Mapping[str, FolderScores]): By name.

    Raises:
        ValueError: Names two members and a case that one lacks, or their classes.
    """
    cases = {name: [pair.name for pair in member.pairs] for name, member in members.items()}
    most = max(cases, key=lambda name: len(cases[name]))
    for name, member in members.items():
        absent = sorted(set(cases[most]) - set(cases[name])) or sorted(
            set(cases[name]) - set(cases[most])
        )
        if absent:
            lacks = name if absent[0] in cases[most] else most
            raise ValueError(
                f'the members {most} ({len(cases[most])} cases) and {name} ({len(cases[name])}) '
                f'have predicted other cases, {lacks} lacks {absent[0]}: predict the rest by the '
                'same command of tools/volumes/predict_volume.py, or name cases of both by --list'
            )
        if member.classes != members[most].classes:
            raise ValueError(
                f'{most} has the classes {", ".join(members[most].classes)}, {name} '
                f'{", ".join(member.classes)}: give both the same by --classes'
            )


def spacing_of(
    volumes: Sequence[Volume], given: Optional[Sequence[float]], setting: str
) -> Tuple[float, ...]:
    """Spacing of a case: that of its files, else that of a setting.

    Args:
        volumes (Sequence[Volume]): Files of the case; the first that says its spacing counts.
        given (Sequence[float], optional): Setting, mm along x, y and z.
        setting (str): What messages call it.

    Raises:
        ValueError: If it is not known, or file and setting differ.
    """
    known = next((volume for volume in volumes if volume.spacing is not None), None)
    if known is None and given is None:
        raise ValueError(
            f'the volume {volumes[0].path} does not say its spacing, which distances in mm need: '
            f'set {setting} to the mm of a voxel along x, y and z'
        )
    if known is None:
        return checked_spacing(given or (), 3)
    if given is not None and not np.allclose(known.spacing, given, rtol=0, atol=TOLERANCE):
        raise ValueError(
            f'the volume {known.path} has a spacing of {tuple(known.spacing)} mm, {setting} is '
            f'{tuple(given)}: leave {setting} out, or correct the header of the file'
        )
    return checked_spacing(known.spacing, 3)


def _check_labelled(
    chosen: Sequence[str], own: Mapping[str, Sequence[str]], where: str, labels: str
) -> None:
    """Every prediction has one label, of which it is the only prediction."""
    absent = [name for name in chosen if not own[name]]
    if absent:
        raise FileNotFoundError(
            f'{len(absent)} predictions {where} have no label in {labels}, such as {absent[0]}'
        )
    for name in chosen:
        rivals = [other for other in own if set(own[other]) & set(own[name])]
        if len(own[name]) > 1 or len(rivals) > 1:
            raise ValueError(
                f'it is not clear which of the labels {", ".join(own[name])} of {labels} belongs '
                f'to which of the predictions {", ".join(rivals)} {where}: put predictions and '
                'labels into the same sub-folders'
            )


def _pairs(paths: Dict[str, Tuple[str, str]], spacing: Optional[Sequence[float]]) -> List[Pair]:
    """Pairs whose headers fit; the error names the first that does not."""
    found, problems = [], []
    for name, (prediction, label) in paths.items():
        try:
            opened = open_volume(prediction), open_volume(label)
            check_geometry(*opened)
            found.append(
                Pair(name, prediction, label, spacing_of(opened[::-1], spacing, 'spacing'))
            )
        except ValueError as error:
            problems.append(str(error))
    if problems:
        more = f' ({len(problems) - 1} other cases have errors too)' if len(problems) > 1 else ''
        raise ValueError(f'{problems[0]}{more}')
    return found
