# Copyright (c) mmseg_ctt contributors.
"""The networks of a checkpoint on validation images: confusion of every member, worst images."""

import os.path as osp
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS

from ...datasets.built import set_num_classes
from ...deploy.api import SegResult
from ...deploy.api.inputs import Source
from ...deploy.api.predict import make_result
from ...evaluation.bootstrap import class_iou_of
from ...methods.base import SemiSegmentor
from ...volumes.address import image_stem
from .colours import PLAIN_MODEL


class ScoredImage(NamedTuple):
    """Prediction of the predicting member for an image, and its score.

    Attributes:
        score (float): Mean IoU of the image over the classes in its truth.
        truth (np.ndarray): ``(H, W)`` integer ids.
        result (SegResult): The prediction.
    """

    score: float
    truth: np.ndarray
    result: SegResult


class Evaluation(NamedTuple):
    """What a pass over validation images gives.

    Attributes:
        confusion (dict[str, np.ndarray]): ``(K, K)`` int64 pixels by member; rows are the truth.
        worst (list[ScoredImage]): Images, the worst first.
        images (int): That were looked at.
        of (int): That the validation set has.
        predicting (str): The member whose worst images these are.
        areas (dict[str, np.ndarray]): ``(I, 3, K)`` int64 pixels of each image by member: hit,
            true, predicted.
        paths (list[str]): Files of the images, in order.
        labelled_only (bool): Whether classes that no label shows are in no mean, as the evaluator
            of the config says.
    """

    confusion: Dict[str, np.ndarray]
    worst: List[ScoredImage]
    images: int
    of: int
    predicting: str
    areas: Dict[str, np.ndarray]
    paths: List[str]
    labelled_only: bool = False

    def class_iou(self, member: str) -> np.ndarray:
        """``(K,)`` float64 in [0, 1], NaN for a class that does not count."""
        return class_iou_of(self.areas[member].sum(axis=0), self.labelled_only)


def validation_set(cfg: Config) -> BaseDataset:
    """The data set of ``val_dataloader``.

    Raises:
        ValueError: If the config has none, or it has no labels.
        FileNotFoundError: If its files are not there.
    """
    if not cfg.get('val_dataloader'):
        raise ValueError('the config has no val_dataloader')
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
    set_num_classes(dataset)
    if not len(dataset):
        raise ValueError('the validation set is empty')
    if 'seg_map_path' not in dataset.get_data_info(0):
        raise ValueError('the validation set has no labels')
    return dataset


def segments(config: Optional[Config]) -> bool:
    """Whether the model of a config gives a segmentation; others learn features alone."""
    kind = ((config or {}).get('model') or {}).get('type')
    return getattr(MODELS.get(kind) if kind else None, 'trains_heads', True)


def is_supervised(config: Optional[Config]) -> bool:
    """Whether a config trains a network on labelled images alone; False where it is not known."""
    kind = ((config or {}).get('model') or {}).get('type')
    model = MODELS.get(kind) if kind else None
    return model is not None and not issubclass(model, SemiSegmentor)


def spread(size: int, count: int) -> List[int]:
    """``count`` of ``size`` indices, evenly spread, or all."""
    count = min(size, count)
    return [i * size // count for i in range(count)]


@torch.no_grad()
def evaluate(model: BaseModel, dataset: BaseDataset, max_images: int, num_worst: int) -> Evaluation:
    """Every member on evenly spread images, each read once.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        dataset (BaseDataset): Labelled images.
        max_images (int): At most that many.
        num_worst (int): Images to keep.

    Raises:
        ValueError: If predictions and labels are not of one size.
    """
    num_classes = len(dataset.metainfo['classes'])
    confusion: Dict[str, np.ndarray] = {}
    areas: Dict[str, List[np.ndarray]] = {}
    paths: List[str] = []
    worst: List[ScoredImage] = []
    chosen = spread(len(dataset), max_images)
    predicting = getattr(model, 'predict_on', PLAIN_MODEL)
    for index in chosen:
        batch = model.data_preprocessor(pseudo_collate([dataset[index]]), False)
        (sample,) = batch['data_samples']
        paths.append(sample.img_path)
        truth = sample.gt_sem_seg.data.squeeze(0).cpu().numpy()
        for name, (made,) in _predictions(model, batch).items():
            result = make_result(
                Source(osp.basename(image_stem(sample.img_path)), sample.img_path),
                made,
                dataset.metainfo,
            )
            counts = pixel_confusion(truth, result.labels, num_classes)
            confusion[name] = confusion.get(name, 0) + counts
            areas.setdefault(name, []).append(pixel_areas(counts))
            if name == predicting:
                worst.append(ScoredImage(image_score(counts), truth, result))
        worst = sorted(worst, key=lambda image: image.score)[:num_worst]
    stacked = {name: np.stack(counts) for name, counts in areas.items()}
    return Evaluation(confusion, worst, len(chosen), len(dataset), predicting, stacked, paths)


def _predictions(model: BaseModel, batch: dict) -> Dict[str, Sequence]:
    if isinstance(model, SemiSegmentor):
        return model.predict_members(batch['inputs'], batch['data_samples'])
    return {PLAIN_MODEL: model.predict(batch['inputs'], batch['data_samples'])}


def pixel_confusion(truth: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of every pair of true and predicted class.

    Args:
        truth (np.ndarray): ``(H, W)`` ids; those outside ``[0, K)`` are left out.
        labels (np.ndarray): ``(H, W)`` ids in ``[0, K)``.
        num_classes (int): ``K``.

    Returns:
        np.ndarray: ``(K, K)`` int64, rows are the truth.

    Raises:
        ValueError: If the two are not of one size.
    """
    if truth.shape != labels.shape:
        raise ValueError(
            f'labels of {truth.shape} and predictions of {labels.shape} pixels: put '
            'LoadAnnotations behind Resize in val_dataloader.dataset.pipeline'
        )
    known = (truth >= 0) & (truth < num_classes)
    pairs = truth[known].astype(np.int64) * num_classes + labels[known]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def pixel_areas(confusion: np.ndarray) -> np.ndarray:
    """``(3, K)`` pixels of every class: hit, true, predicted."""
    return np.stack([np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)])


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """``(K,)`` float64 in [0, 1], NaN for a class that neither truth nor prediction has."""
    return class_iou_of(pixel_areas(confusion))


def image_score(confusion: np.ndarray) -> float:
    """Mean IoU over the classes that the truth has; 1 where it has none."""
    present = confusion.sum(axis=1) > 0
    return float(class_iou(confusion)[present].mean()) if present.any() else 1.0
