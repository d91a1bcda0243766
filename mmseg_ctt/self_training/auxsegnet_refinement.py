# Copyright (c) mmseg_ctt contributors.
"""Refined pseudo-labels: class maps and saliency walked along the affinity that was learnt.

For every image at its full size, by the network of the round:

1. Class maps: cut at 0, divided by their maxima, walked along the cross-task affinity, up-sampled.
2. Saliency: the mean of the refined one and the first one; sharpened by dense CRF or PAMR.
3. Pseudo-label: where class map and saliency agree on an object or on the background (rule
   ``auxsegnet`` of :mod:`mmseg_ctt.weak_labels`), with the saliency of step 2.
"""

from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from torch import Tensor

from ..datasets.image_reading import read_image
from ..deploy.api.predict import input_pipeline, read_input
from ..nn.label_map import original_size
from ..weak_labels import fuse
from ..weak_labels.crf import saliency_crf
from ..weak_labels.pseudo_labels import refined_maps

RULE = 'auxsegnet'


class Refined(NamedTuple):
    """Maps of an image at its own size.

    Attributes:
        class_maps (np.ndarray): ``(P, H, W)`` float32 in [0, 1], of the image's tags.
        saliency (np.ndarray): ``(H, W)`` float32 in [0, 1].
    """

    class_maps: np.ndarray
    saliency: np.ndarray


class Refiner:
    """The network of a round, which refines class maps and saliency.

    Args:
        model (BaseSegmentor): From :func:`mmseg_ctt.apis.load_model`, with an ``AuxSegHead``.
        sharpening (str, optional): ``'crf'``, ``'pamr'`` or None, what sharpens the saliency.
    """

    def __init__(self, model: Any, sharpening: Optional[str]) -> None:
        self.model, self.pipeline = model, input_pipeline(model)
        self.sharpen = SHARPENING[sharpening]

    def label(
        self, path: str, tags: Tuple[int, ...], first_saliency: np.ndarray, **levels: float
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Pseudo-label and saliency of an image.

        Args:
            path (str): Of the image.
            tags (tuple[int, ...]): Ids of its classes.
            first_saliency (np.ndarray): ``(H, W)`` in [0, 1], that of round 0.
            levels (float): Settings of the rule.

        Returns:
            tuple[np.ndarray, np.ndarray]: ``(H, W)`` uint8, and ``(H, W)`` float32 in [0, 1].
        """
        refined = self.maps(path, tags)
        mean = (refined.saliency + first_saliency) / 2
        image = np.ascontiguousarray(read_input(self.model, path)).astype(np.uint8)
        saliency = self.sharpen(image, mean.astype(np.float32))
        label = fuse(RULE, refined.class_maps, tags, saliency, **levels)
        return label, saliency

    @torch.inference_mode()
    def maps(self, path: str, tags: Tuple[int, ...]) -> Refined:
        """Refined maps of an image, see :class:`Refined`."""
        loader, rest = self.pipeline
        data = rest(loader.with_pixels(dict(img_path=path), read_image(path), path))
        batch = self.model.data_preprocessor(pseudo_collate([data]), False)
        refined = self.model.decode_head.refined_maps(self.model.extract_feat(batch['inputs']))
        maps = refined.class_maps[:, [tag - 1 for tag in tags]]
        both = torch.cat([maps, refined.saliency], dim=1)
        whole = self._whole(both, batch['inputs'], batch['data_samples'][0].metainfo)
        return Refined(whole[:-1], whole[-1])

    def _whole(self, maps: Tensor, inputs: Tensor, meta: dict) -> np.ndarray:
        """``(C, H, W)`` at the size of the image from ``(1, C, h, w)``."""
        align = self.model.align_corners
        maps = F.interpolate(maps, inputs.shape[2:], mode='bilinear', align_corners=align)
        return original_size(maps, meta, align)[0].cpu().numpy()


def by_pamr(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Saliency sharpened by pixel-adaptive refinement; any saliency in [0, 1] stays in it.

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8, red, green, blue.
        saliency (np.ndarray): ``(H, W)`` float32 in [0, 1].
    """
    return refined_maps(image, saliency[np.newaxis])[0].clip(0, 1)


def by_crf(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Saliency sharpened by dense CRF, with the constants of the released code.

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8, red, green, blue.
        saliency (np.ndarray): ``(H, W)`` float32 in [0, 1].

    Raises:
        ValueError: If the library is not installed.
    """
    return saliency_crf(image, saliency)


def unchanged(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Saliency as it is."""
    return saliency


SHARPENING = {'pamr': by_pamr, 'crf': by_crf, None: unchanged}
