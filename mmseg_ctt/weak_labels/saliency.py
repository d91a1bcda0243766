# Copyright (c) mmseg_ctt contributors.
"""Saliency maps that need no network and no download: stand-ins for those of a trained detector.

The published figures of AuxSegNet and Group-WSSS are with detectors that have learnt from masks of
salient objects (DSS and others). What is here is weaker, and named a stand-in wherever it is
offered. Maps of such a detector are used by their folder (``map_files.py``).
"""

from typing import Callable, Dict

import cv2
import numpy as np

SEED = 0


def grabcut_saliency(
    image: np.ndarray,
    iterations: int = 5,
    centre: float = 0.7,
    border: float = 0.04,
    max_side: int = 320,
) -> np.ndarray:
    """Foreground of GrabCut (OpenCV) that starts from an ellipse in the centre; a stand-in.

    The border is background for certain; colours of the ellipse and of the rest are modelled and
    cut in turn. A result of a graph cut is 0 or 1; values between lie at edges where the image was
    made smaller for the cut. Equal images have equal maps.

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8, blue first.
        iterations (int): Of GrabCut. Defaults to 5.
        centre (float): Axes of the ellipse as a part of the sides of the image. Defaults to 0.7.
        border (float): Width of the border as a part of the shorter side. Defaults to 0.04.
        max_side (int): Longer images are made smaller for the cut. Defaults to 320.

    Returns:
        np.ndarray: ``(H, W)`` float32 in [0, 1]; 0 where an image is too small or has one colour.
    """
    height, width = image.shape[:2]
    factor = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if factor < 1 else image
    start = _centre_prior(small.shape[0], small.shape[1], centre, border)
    foreground: np.ndarray = np.zeros(start.shape, np.float32)
    if (start == cv2.GC_PR_FGD).any() and np.ptp(small) > 0:
        models = [np.zeros((1, 65)) for _ in range(2)]
        whole = (0, 0, 0, 0)  # not used: the start says where
        cv2.setRNGSeed(SEED)  # of the clusters of colours
        cv2.grabCut(small, start, whole, models[0], models[1], iterations, cv2.GC_INIT_WITH_MASK)
        foreground = np.isin(start, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    if factor < 1:
        foreground = cv2.resize(foreground, (width, height), interpolation=cv2.INTER_LINEAR)
    return foreground.clip(0, 1)


def _centre_prior(height: int, width: int, centre: float, border: float) -> np.ndarray:
    """Start of GrabCut: certain background, probable background and probable foreground."""
    rows, columns = np.ogrid[:height, :width]
    down = (rows - (height - 1) / 2) / (centre * height / 2)
    right = (columns - (width - 1) / 2) / (centre * width / 2)
    start = np.where(down**2 + right**2 <= 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    rim = max(1, round(border * min(height, width)))
    start[:rim], start[-rim:], start[:, :rim], start[:, -rim:] = (cv2.GC_BGD,) * 4
    return start


METHODS: Dict[str, Callable[[np.ndarray], np.ndarray]] = {'grabcut': grabcut_saliency}
