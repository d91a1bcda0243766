# Copyright (c) mmseg_ctt contributors.
"""Refined pseudo-labels: class maps and saliency walked along the affinity that was learnt.

For every image at its full size, by the network of the round:

1. Class maps: of the network, cut at 0 and divided by their maxima, or of the classifier of round 0
   (ours). They walk along the cross-task affinity, are divided by their maxima again
   (ours) and up-sampled.
2. Saliency: the mean of the refined one and the first one; sharpened by dense CRF or PAMR.
3. Pseudo-label: where class map and saliency agree on an object or on the background (rule
   ``auxsegnet`` of :mod:`mmseg_ctt.weak_labels`), with the saliency of step 2.
"""

from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from torch import Tensor

from ..deploy.api.predict import input_pipeline, read_input
from ..deploy.class_maps import TaggedImage
from ..functional import normalized_class_maps
from ..nn.label_map import original_size
from ..weak_labels import fuse
from ..weak_labels.crf import saliency_crf
from ..weak_labels.pseudo_labels import refined_maps
from .auxsegnet_settings import AuxSegNetSettings

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
        settings (AuxSegNetSettings): Of the recipe.
    """

    def __init__(self, model: Any, settings: AuxSegNetSettings) -> None:
        self.model, self.pipeline = model, input_pipeline(model)
        self.settings, self.sharpen = settings, SHARPENING[settings.saliency_refinement]

    def label(
        self, image: TaggedImage, first_saliency: np.ndarray, class_maps: Optional[np.ndarray]
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Pseudo-label and saliency of an image.

        Args:
            image (TaggedImage): The image.
            first_saliency (np.ndarray): ``(H, W)`` in [0, 1], that of round 0.
            class_maps (np.ndarray, optional): ``(P, H, W)`` in [0, 1], of its tags in ascending
                order, that are refined in the place of the network's own.

        Returns:
            tuple[np.ndarray, np.ndarray]: ``(H, W)`` uint8, and ``(H, W)`` float32 in [0, 1].
        """
        tags = sorted(image.tags or ())
        refined = self.maps(image.path, tags, class_maps)
        mean = (refined.saliency + first_saliency) / 2
        pixels = np.ascontiguousarray(read_input(self.model, image.path)).astype(np.uint8)
        saliency = self.sharpen(pixels, mean.astype(np.float32))
        label = fuse(RULE, refined.class_maps, tags, saliency, **self.settings.levels(refined=True))
        return label, saliency

    @torch.inference_mode()
    def maps(
        self, path: str, tags: Sequence[int], class_maps: Optional[np.ndarray] = None
    ) -> Refined:
        """Refined maps of an image, see :class:`Refined`; arguments as of :meth:`label`."""
        loader, rest = self.pipeline
        data = rest(loader.transform(dict(img_path=path)))
        batch = self.model.data_preprocessor(pseudo_collate([data]), False)
        inputs, meta = batch['inputs'], batch['data_samples'][0].metainfo
        given = None if class_maps is None else self._as_input(class_maps, inputs, meta)
        found = self.model.decode_head.refined_maps(self.model.extract_feat(inputs), given)
        maps = found.class_maps[:, [tag - 1 for tag in tags]] if given is None else found.class_maps
        if self.settings.normalize_refined:
            maps = normalized_class_maps(maps)
        both = torch.cat([maps, found.saliency], dim=1)
        whole = self._whole(both, inputs, meta)
        return Refined(whole[:-1], whole[-1])

    def _as_input(self, maps: np.ndarray, inputs: Tensor, meta: dict) -> Tensor:
        """Maps ``(1, P, H, W)`` resized and padded as the image was for the network."""
        height, width = meta['img_shape'][:2]
        tensor = torch.from_numpy(maps).unsqueeze(0).to(inputs.device)
        if len(maps):
            tensor = F.interpolate(tensor, (height, width), mode='bilinear', align_corners=False)
        bottom, right = inputs.shape[2] - height, inputs.shape[3] - width
        return F.pad(tensor.reshape(1, len(maps), height, width), (0, right, 0, bottom))

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
