# Copyright (c) mmseg_ctt contributors.
"""Prediction of a whole volume, slice by slice."""

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmseg.models.segmentors import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import Tensor

from ...visualization.html import png_bytes
from ...volumes import (
    SliceAddress,
    Volume,
    num_slices,
    read_volume,
    slice_image,
    value_limits,
    write_volume,
)
from ...volumes.components import clean_labels
from ...volumes.planes import axis_of
from ..api.predict import Pipeline, forward_batch, input_pipeline
from .picture import overlay_slice
from .settings import SliceSettings, input_files, input_path, slice_settings
from .windows import Size, sliding_windows

BATCH_SIZE = 8
SHOWN_SIDE = 800  # pixels of the picture in a notebook


@dataclass(frozen=True)
class VolumeResult:
    """Prediction of a volume; in a notebook the slice with the most labels.

    Attributes:
        labels (np.ndarray): ``(X, Y, Z)`` uint8 class ids, uint16 for more than 256 classes.
        probabilities (np.ndarray | None): ``(K, X, Y, Z)`` float16, where they were wanted.
        classes (tuple[str, ...]): Names of the ``K`` classes.
        volume (Volume): What was predicted.
        settings (SliceSettings): Slices that the network took.
    """

    labels: np.ndarray
    probabilities: Optional[np.ndarray]
    classes: Tuple[str, ...]
    volume: Volume
    settings: SliceSettings

    def _repr_png_(self) -> bytes:
        picture = overlay_slice(self.labels, self.volume, self.settings, self.classes)
        return png_bytes(picture, SHOWN_SIDE)

    def save(self, path: Union[str, Path]) -> Path:
        """Write the labels with the affine and header of the volume.

        Args:
            path (str | Path): ``.nii`` or ``.nii.gz``, or ``.npy`` for a file without geometry;
                an existing file is replaced.

        Raises:
            ValueError: If the suffix is another one.
        """
        path = Path(path)
        if not path.name.lower().endswith('.npy'):
            write_volume(path, self.labels, self.volume)
            return path
        with new_array(path, self.labels.dtype, self.labels.shape) as array:
            array[...] = self.labels
        return path


def predict_volume(
    model: BaseSegmentor,
    volume: Union[str, Path, Volume],
    batch_size: int = BATCH_SIZE,
    crop_size: Size = None,
    stride: Size = None,
    probabilities: Union[bool, np.ndarray] = False,
    largest_component: bool = False,
    **slices: Any,
) -> VolumeResult:
    """Segment a volume by its slices.

    A slice becomes an image as in training: the values by the window or percentiles of the
    config's test data set, then the steps of its test pipeline. In memory are the volume, the
    labels, one batch, and with ``probabilities`` two bytes for each class and voxel.

    Args:
        model (BaseSegmentor): From :func:`load_model`.
        volume (str | Path | Volume): File, see :func:`mmseg_ctt.volumes.read_volume`. Of an
            ``.npz`` or ``.h5`` file the array is taken that the config's test data set names,
            where it has one of that name, else ``image`` or the only array of three axes.
        batch_size (int): Slices in one forward pass. Defaults to 8.
        crop_size (Sequence[int], optional): Height and width of sliding windows inside slices, in
            pixels of the network's input. Defaults to None: as ``test_cfg`` of the network says.
        stride (Sequence[int], optional): Steps of the windows. Defaults to None: half a window.
        probabilities (bool | np.ndarray): Whether to keep the probabilities of the classes; an
            array ``(K, X, Y, Z)``, which may be memory-mapped, is filled. Defaults to False.
        largest_component (bool): Keep the largest connected component of each class other than 0;
            other voxels become class 0. Defaults to False. Probabilities stay.
        **slices: ``plane``, ``context``, ``window`` or ``percentiles`` other than those of the
            config's test data set, see :func:`slice_settings`.

    Returns:
        VolumeResult: With ``save``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the volume cannot be read or has bad values, a setting is none, or the
            network does not take the slices.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be positive, got {batch_size}')
    cfg = getattr(model, 'cfg', None) or {}
    settings = slice_settings(cfg, **slices)
    if not isinstance(volume, Volume):
        volume = read_volume(input_path(str(volume), input_files(cfg).key))
    classes = tuple(model.dataset_meta['classes'])
    labels = np.zeros(volume.shape, np.uint8 if len(classes) <= 256 else np.uint16)
    kept = _kept(probabilities, (len(classes), *volume.shape))
    with sliding_windows(model, crop_size, stride):
        for index, sample in _predicted(model, volume, settings, batch_size):
            _first(labels, settings.plane)[index] = sample.pred_sem_seg.data[0].cpu().numpy()
            if kept is not None:
                of_slice = class_probabilities(sample.seg_logits.data).cpu().numpy()
                np.moveaxis(kept, 1 + axis_of(settings.plane), 1)[:, index] = of_slice
    if largest_component:
        labels = clean_labels(labels)
    return VolumeResult(labels, kept, classes, volume, settings)


@contextmanager
def new_array(path: Path, dtype: Any, shape: Sequence[int]) -> Iterator[np.ndarray]:
    """Array of a ``.npy`` file, which appears under its name when it is complete.

    Args:
        path (Path): File; its folder is made, an existing file is replaced.
        dtype (Any): Of the array.
        shape (Sequence[int]): Of the array.

    Yields:
        np.ndarray: Memory-mapped, so that it need not fit into memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{os.getpid()}_{path.name}')
    try:
        array = np.lib.format.open_memmap(draft, 'w+', dtype, tuple(shape))
        yield array
        array.flush()
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def class_probabilities(logits: Tensor) -> Tensor:
    """Probabilities ``(K, H, W)`` float32 of the classes of an image.

    Args:
        logits (Tensor): ``(K, H, W)`` as mmseg stores them; with one channel the probability of
            class 1 of two.
    """
    logits = logits.float()
    if logits.shape[0] > 1:
        return logits.softmax(dim=0)
    return torch.cat([1 - logits, logits])


def _kept(wanted: Union[bool, np.ndarray], shape: Sequence[int]) -> Optional[np.ndarray]:
    if not isinstance(wanted, np.ndarray):
        return np.zeros(shape, np.float16) if wanted else None
    if wanted.shape != tuple(shape):
        raise ValueError(f'probabilities must have the shape {tuple(shape)}, got {wanted.shape}')
    return wanted


def _predicted(
    model: BaseSegmentor, volume: Volume, settings: SliceSettings, batch_size: int
) -> Iterator[Tuple[int, SegDataSample]]:
    """Predictions of all slices, in order."""
    pipeline = input_pipeline(model)
    limits = value_limits(volume.array, settings.window, settings.percentiles, volume.path)
    number = num_slices(volume.shape, settings.plane)
    for start in range(0, number, batch_size):
        chosen = range(start, min(start + batch_size, number))
        batch: List[Dict[str, Any]] = []
        for index in chosen:
            pixels = slice_image(volume.array, settings.plane, index, settings.context, limits)
            address = SliceAddress(volume.path, settings.plane, index, *settings[1:])
            batch.append(_image(pipeline, pixels, str(address)))
        yield from zip(chosen, forward_batch(model, batch))


def _image(pipeline: Pipeline, pixels: np.ndarray, name: str) -> Dict[str, Any]:
    """Image of a slice after the test pipeline; its name is its address."""
    loader, rest = pipeline
    return rest(loader.with_pixels(dict(img_path=name), pixels, name))


def _first(array: np.ndarray, plane: str) -> np.ndarray:
    return np.moveaxis(array, axis_of(plane), 0)
