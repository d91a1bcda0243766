# Copyright (c) mmseg_ctt contributors.
"""Scores of AuxSegNet's rounds: of the pseudo-labels, against masks held back, and of networks."""

import csv
import io
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope

from ..datasets.checks import check_files
from ..datasets.transforms import CheckedLoadAnnotations
from ..datasets.wrappers import build_lazily, distinct_infos, with_pipeline
from ..deploy.api import load_model, predict_iter
from ..deploy.class_maps import TaggedImage
from ..engine.files import write_whole
from ..methods.auxsegnet.segmentor import LABEL
from ..weak_labels.label_quality import label_counts, label_quality
from .auxsegnet_labels import LabelFolder, read_ids

FILE = 'scores.json'
COLUMNS = ('round', 'scored', 'images', 'mIoU', 'labelled', 'mIoU of labelled pixels')
Scores = Dict[str, Any]


class MaskSet:
    """Masks of a data set, by the resolved paths of their images.

    Args:
        settings (Mapping): Config of the data set.
        key (str): Its key in the config.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If it has no masks.
    """

    def __init__(self, settings: Mapping[str, Any], key: str) -> None:
        with DefaultScope.overwrite_default_scope('mmseg'):
            dataset = build_lazily(with_pipeline(settings, []))
            dataset.full_init()
        self.classes: Sequence[str] = dataset.metainfo['classes']
        self._infos = {_resolved(info['img_path']): info for info in distinct_infos(dataset)}
        check_files('', list(self._infos.values()), masks=True, key=key)
        self._load = CheckedLoadAnnotations(len(self.classes))

    @property
    def images(self) -> List[str]:
        """Paths of the images."""
        return list(self._infos)

    def __contains__(self, path: str) -> bool:
        return _resolved(path) in self._infos

    def mask(self, path: str) -> np.ndarray:
        """``(H, W)`` class ids of an image; 255 is ignored."""
        return self._load(dict(self._infos[_resolved(path)], seg_fields=[]))['gt_seg_map']


def _resolved(path: str) -> str:
    return str(Path(path).resolve())


def label_scores(labels: LabelFolder, images: Sequence[TaggedImage], truth: MaskSet) -> Scores:
    """Scores of pseudo-labels against masks that were held back.

    Args:
        labels (LabelFolder): Of all images.
        images (Sequence[TaggedImage]): Those without a mask are left out.
        truth (MaskSet): The masks.
    """
    known = ((image, truth.mask(image.path)) for image in images if image.path in truth)
    folder = labels.folders[LABEL]
    pairs = ((read_ids(folder, image.stem, mask.shape), mask) for image, mask in known)
    return _scores(pairs, truth.classes)


def network_scores(
    cfg: Config, checkpoint: Path, truth: MaskSet, before_each: Callable[[], None]
) -> Scores:
    """Scores of a network on a data set with masks, each image at its own size.

    Args:
        cfg (Config): Of the training.
        checkpoint (Path): Of the training.
        truth (MaskSet): The data set.
        before_each (Callable): Called before every image; may raise to stop.
    """
    model = load_model(cfg, checkpoint, device=get_device())

    def predicted(path: str) -> np.ndarray:
        before_each()
        (result,) = predict_iter(model, path)
        return result.labels

    return _scores(((predicted(path), truth.mask(path)) for path in truth.images), truth.classes)


def _scores(pairs: Iterator[Tuple[np.ndarray, np.ndarray]], classes: Sequence[str]) -> Scores:
    """Scores of labels and masks; a pixel without a label is a miss of ``mIoU``."""
    number, counts = 0, np.zeros((len(classes), len(classes) + 1), np.int64)
    for label, mask in pairs:
        counts += label_counts(mask, label, len(classes))
        number += 1
    quality = label_quality(counts)
    mean, labelled_mean = quality.means
    return {
        'images': number,
        'mIoU': _percent(mean),
        'labelled': _percent(counts[:, :-1].sum() / max(counts.sum(), 1)),
        'mIoU of labelled pixels': _percent(labelled_mean),
        'IoU': dict(zip(classes, map(_percent, quality.iou))),
    }


def _percent(ratio: float) -> Optional[float]:
    """Rounded; None for a class that neither labels nor masks have."""
    return None if np.isnan(ratio) else round(100 * float(ratio), 2)


def write_scores(folder: Path, scored: str, number: int, scores: Scores) -> None:
    """Write the scores of a step.

    Args:
        folder (Path): Of the step.
        scored (str): ``'pseudo-labels'`` or ``'network'``.
        number (int): Of the round.
        scores (dict): From :func:`label_scores` or :func:`network_scores`.
    """
    content = dict(round=number, scored=scored, **scores)
    write_whole(folder / FILE, json.dumps(content, indent=1) + '\n')


def collect_scores(folders: Sequence[Path]) -> List[Scores]:
    """Scores of the steps that are done.

    Args:
        folders (Sequence[Path]): Of all steps; those without scores are left out.
    """
    files = [folder / FILE for folder in folders]
    return [json.loads(file.read_text()) for file in files if file.is_file()]


def as_csv(rows: Sequence[Scores]) -> str:
    """Content of the table of results."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction='ignore', lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
