# Copyright (c) mmseg_ctt contributors.
"""Steps of multi-planar co-training between the trainings: predict, fuse, score whole volumes."""

import os
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device

from ..deploy.api import load_model
from ..deploy.volumes import predict_volume
from ..evaluation.volumes import ScoreTable, class_scores
from ..label_fusion.plane_folders import fused_path, probabilities_path, read_class_ids
from ..volumes import open_volume, read_label

Names = Mapping[str, str]  # of the cases, by the paths of their volumes


def predict_missing(
    cfg: Config,
    checkpoint: Path,
    names: Names,
    folder: Path,
    probabilities: bool,
    member: Optional[str] = None,
    before_each: Callable[[], None] = lambda: None,
) -> int:
    """Predict the volumes that a folder lacks, each a label volume ``<case>.nii.gz``.

    Args:
        cfg (Config): Of the training; its test data set says the plane.
        checkpoint (Path): Of the training.
        names (Mapping[str, str]): Names of the cases by the paths of their volumes.
        folder (Path): Of the predictions.
        probabilities (bool): Write the probabilities of the classes beside each label volume.
        member (str, optional): Member that predicts. Defaults to None: that of the config.
        before_each (Callable): Called before every volume; may raise to stop.

    Returns:
        int: Number of volumes predicted by this call.
    """
    missing = [volume for volume, case in names.items() if not fused_path(folder, case).is_file()]
    if not missing:
        return 0
    model = load_model(cfg, checkpoint, member, get_device())
    for volume in missing:
        before_each()
        path = fused_path(folder, names[volume])
        result = predict_volume(model, volume, probabilities=probabilities)
        if result.probabilities is not None:
            _write_array(probabilities_path(path), result.probabilities)
        result.save(path)  # last: a case with labels is complete
    return len(missing)


def _write_array(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}')
    np.save(partial, array)
    os.replace(partial, path)  # atomic


def score_predictions(
    folder: Path, names: Names, labels: Mapping[str, str], classes: Sequence[str]
) -> ScoreTable:
    """Scores of the predictions of a folder.

    Args:
        folder (Path): Of label volumes ``<case>.nii.gz``.
        names (Mapping[str, str]): Names of the cases by the paths of their volumes.
        labels (Mapping[str, str]): True label volumes by the paths of their volumes.
        classes (Sequence[str]): Names of the ``K`` classes; class 0 has no scores.
    """
    ids = range(1, len(classes))
    scores = {}
    for volume, case in names.items():
        spacing = open_volume(volume).spacing
        predicted = read_class_ids(fused_path(folder, case))
        scores[case] = class_scores(predicted, read_label(labels[volume]).array, ids, spacing)
    return ScoreTable.of(scores, tuple(classes[1:]))
