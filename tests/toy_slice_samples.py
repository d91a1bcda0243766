# Copyright (c) mmseg_ctt contributors.
"""Samples of the slices of toy volumes, as a loop gives them to a metric."""

from pathlib import Path
from typing import Dict, List

import numpy as np
import torch
from toy_volumes import AFFINE, SHAPE, toy_image, toy_label, write_nifti

from mmseg_ctt.evaluation.volumes import class_scores
from mmseg_ctt.volumes import SliceAddress, num_slices, take_slice

CLASSES = ('background', 'heart', 'vessel')
CASES = ('b', 'a')
SPACING = tuple(np.abs(np.diag(AFFINE))[:3])


def case_label(seed: int) -> np.ndarray:
    """The box, a part of it class 2, another part ignored."""
    label = toy_label()
    label[4:6, 3 + seed : 5 + seed][label[4:6, 3 + seed : 5 + seed] > 0] = 2
    label[8, 3] = 255
    return label


def prediction_of(label: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(label.shape) < 0.8, label % 255, rng.integers(0, 3, label.shape))


def case_samples(path: Path, plane: str, seed: int) -> List[dict]:
    label = case_label(seed)
    prediction = prediction_of(label, seed)

    def data(array: np.ndarray, index: int) -> dict:
        return dict(data=torch.from_numpy(take_slice(array, plane, index).copy())[None].long())

    return [
        dict(
            img_path=str(SliceAddress(str(path), plane, k, context=3)),
            pred_sem_seg=data(prediction, k),
            gt_sem_seg=data(label, k),
        )
        for k in range(num_slices(SHAPE, plane))
    ]


def write_cases(folder: Path) -> List[Path]:
    return [
        write_nifti(folder / f'{name}.nii.gz', toy_image(seed)) for seed, name in enumerate(CASES)
    ]


def expected_scores() -> Dict[str, np.ndarray]:
    return {
        name: class_scores(prediction_of(label, seed), label, (1, 2), SPACING)
        for seed, name in enumerate(CASES)
        for label in [case_label(seed)]
    }
