# Copyright (c) mmseg_ctt contributors.
"""A model that predicts pixels of any origin through its own test pipeline."""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmseg.models.segmentors import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import Tensor

from ...datasets.label_ids import id_type
from ...nn.heads import main_head
from ..api.inputs import image_pipeline
from ..api.predict import forward_batch, input_pipeline

RESIZING = ('Resize', 'ResizeShortestEdge', 'ResizeToMultiple')


class Given(NamedTuple):
    """Pixels to predict.

    Attributes:
        pixels (np.ndarray): ``(H, W)`` or ``(H, W, C)``, see
            :func:`mmseg_ctt.datasets.image_reading.decode_image`.
        name (str): What messages call them.
        missing (np.ndarray | None): ``(H, W, C)`` bool, where bands have no data.
    """

    pixels: np.ndarray
    name: str
    missing: Optional[np.ndarray] = None


class Network:
    """A loaded model with its test pipeline.

    Args:
        model (BaseSegmentor): From :func:`load_model`.
    """

    def __init__(self, model: BaseSegmentor) -> None:
        self.model = model
        self.loader, self.steps = input_pipeline(model)
        self.classes: Tuple[str, ...] = tuple(model.dataset_meta['classes'])
        self.palette: List[Sequence[int]] = list(model.dataset_meta['palette'])
        members = getattr(model, 'predicting_members', None)
        head: Any = main_head(model if members is None else members()[0])
        threshold = getattr(head, 'threshold', None)
        self.threshold: float = 0.5 if threshold is None else threshold
        self.channels: int = head.out_channels

    @property
    def dtype(self) -> str:
        """Type of the ids in files: 8 bit where there is an id for pixels without data."""
        return id_type(len(self.classes))

    @property
    def no_data(self) -> int:
        """Id of pixels without data."""
        return int(np.iinfo(self.dtype).max)

    def samples(self, batch: Sequence[Given]) -> List[SegDataSample]:
        """Predictions of images of one size; the size of each is that of its pixels."""
        return forward_batch(self.model, [self.prepared(given) for given in batch])

    def prepared(self, given: Given) -> Dict[str, Any]:
        """Pixels as the model takes them.

        Raises:
            ValueError: If they have bands or values that it does not take.
        """
        loaded = dict(img_path=given.name)
        return self.steps(self.loader.with_pixels(loaded, given.pixels, given.name, given.missing))

    def logits(self, batch: Sequence[Given]) -> List[np.ndarray]:
        """``(K, H, W)`` float32 logits; of one channel the probability, as in mmseg."""
        return [sample.seg_logits.data.float().cpu().numpy() for sample in self.samples(batch)]

    def labels(self, logits: np.ndarray) -> np.ndarray:
        """``(H, W)`` int64 class ids of :meth:`logits`."""
        if len(logits) == 1:
            return (logits[0] > self.threshold).astype(np.int64)
        return logits.argmax(0)

    @staticmethod
    def probabilities(logits: np.ndarray) -> np.ndarray:
        """``(K, H, W)`` float32 class probabilities of :meth:`logits`."""
        if len(logits) == 1:
            return np.concatenate([1 - logits, logits])
        given: Tensor = torch.from_numpy(np.ascontiguousarray(logits))
        return given.softmax(0).numpy()


def resized_to(cfg: Mapping[str, Any]) -> Optional[Tuple[int, int]]:
    """Height and width that the test pipeline of a config resizes images to; None if it does not.

    Args:
        cfg (Mapping): Of the model.
    """
    for step in image_pipeline(cfg) or []:
        if str(step['type']).rpartition('.')[2] in RESIZING:
            scale = step.get('scale')
            if isinstance(scale, (list, tuple)) and len(scale) == 2:
                return int(scale[1]), int(scale[0])
    return None
