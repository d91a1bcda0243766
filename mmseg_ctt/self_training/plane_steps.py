# Copyright (c) mmseg_ctt contributors.
"""Steps of multi-planar co-training between the trainings: predict and score whole volumes."""

from pathlib import Path
from typing import Callable, Mapping, Optional

from mmengine.config import Config
from mmengine.device import get_device

from ..deploy.api import load_model
from ..deploy.volumes import (
    Case,
    PredictionFolder,
    PredictionOptions,
    predict_cases,
    prediction_settings,
    slice_settings,
)
from ..evaluation.volumes import ScoreTable, VolumeMetric, class_scores
from ..evaluation.volumes.folders import spacing_of
from ..evaluation.volumes.scores import one_empty
from ..label_fusion.plane_files import read_class_ids, volumes_in
from ..volumes import open_volume, read_label

Names = Mapping[str, str]  # of the cases, by the paths of their volumes


def predict_missing(
    cfg: Config,
    checkpoint: Path,
    names: Names,
    folder: Path,
    probabilities: Optional[Path] = None,
    member: Optional[str] = None,
    check_stop: Callable[[], None] = lambda: None,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Predict the volumes that a folder lacks, each a label volume.

    Args:
        cfg (Config): Of the training; its test data set says the plane.
        checkpoint (Path): Of the training.
        names (Mapping[str, str]): Names of the cases by the paths of their volumes.
        folder (Path): Of the predictions.
        probabilities (Path, optional): Folder of the probabilities. Defaults to None: not kept.
        member (str, optional): Member that predicts. Defaults to None: that of the config.
        check_stop (Callable): Called before every volume; may raise to stop.
        report (Callable): Receives a line for every volume. Defaults to nothing.
    """

    def predicted(line: str) -> None:
        report(line)
        check_stop()

    options = PredictionOptions(slice_settings(cfg))
    kept = probabilities is not None
    settings = prediction_settings(cfg, str(checkpoint), member, options, kept)
    cases = [Case(name, volume) for volume, name in names.items()]
    outputs = PredictionFolder(folder, settings, cases, probabilities)
    outputs.check()
    if not outputs.pending:
        return
    check_stop()
    model = load_model(cfg, checkpoint, member, get_device())
    outputs.start(model.dataset_meta['classes'])
    predict_cases(model, outputs, options, predicted)


def score_predictions(
    folder: Path, names: Names, labels: Mapping[str, str], metric: VolumeMetric
) -> ScoreTable:
    """Scores of the predictions of a folder.

    Args:
        folder (Path): Of label volumes, by the names of the cases.
        names (Mapping[str, str]): Names of the cases by the paths of their volumes.
        labels (Mapping[str, str]): True label volumes by the paths of their volumes.
        metric (VolumeMetric): Settings of the scores; its ``dataset_meta`` has the classes.
    """
    classes = metric.dataset_meta['classes']
    ids = [k for k in range(len(classes)) if k != metric.background]
    found, scores, penalties = volumes_in(folder), {}, {}
    for volume, case in names.items():
        spacing = spacing_of([open_volume(volume)], metric.spacing, 'spacing')
        pair = read_class_ids(found[case]), read_label(labels[volume]).array
        scores[case] = class_scores(*pair, ids, spacing, metric.ignore_index, metric.empty)
        penalties[case] = one_empty(*pair, ids, metric.ignore_index)
    return ScoreTable.of(scores, tuple(classes[k] for k in ids), penalties)
