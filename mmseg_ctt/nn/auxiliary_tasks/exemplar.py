# Copyright (c) mmseg_ctt contributors.
"""Exemplar: which crops are of the same image (arXiv 1406.6909; with triplets S4L, 1905.03670)?

1. Several random crops of each image, without its padding, are resized to squares.
2. Each crop gets a hue, saturation and value of its own, and is mirrored or not.
3. A linear layer on the mean of the deepest feature map gives an embedding of length 1.
4. Loss: batch-hard triplets with a soft margin, crops of one image being positives; mean over the
   crops of a source, then over the sources.
"""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from ...functional import batch_hard_triplet, hsv_noise, random_crop_boxes, resized_crops
from ...functional.colour import is_rgb
from .. import settings
from ..augmentation.view import denormalize, normalize
from ..images import Images
from ..rng import sample_noises
from .student_pass import StudentPass
from .task import TaskResult, Terms, Views, ViewTask


@MODELS.register_module()
class ExemplarTask(ViewTask):
    """Exemplar learning: crops of one image are near, crops of different images are far.

    A source needs two images on each rank: fewer give a loss of 0 and ``exemplar_triplets`` of 0 in
    the log. ``exemplar_accuracy`` is the ratio of crops whose nearest other crop is of the same
    image. Images of other than three channels keep their values.

    Args:
        views (int): Crops of each image, 2 to 8. Defaults to 4 (released code: 8).
        view_size (int, optional): Side of the resized crops. Defaults to None: the shorter side of
            the training images.
        embedding_dim (int): Channels of the embedding. Defaults to 256 (released code: 1000).
        area (tuple[float, float]): Range of the ratio of an image that a crop covers. Defaults to
            (0.1, 1), see :func:`random_crop_boxes`.
        aspect (tuple[float, float]): Range of width over height of a crop. Defaults to
            (0.75, 1.33) (released code).
        released_ids (bool): Positives as in the released code: ``V`` groups of ``B`` consecutive
            crops, instead of ``B`` groups of the ``V`` crops of an image. The two are the same
            only where ``B = V``. Defaults to False: as in the paper.
        kwargs: As in :class:`ViewTask`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is out of range.
    """

    default_name = 'exemplar'
    score = 'retrieval'

    def __init__(
        self,
        views: int = 4,
        view_size: Optional[int] = None,
        embedding_dim: int = 256,
        area: Tuple[float, float] = (0.1, 1.0),
        aspect: Tuple[float, float] = (0.75, 1.33),
        released_ids: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        settings.check_number(self.key('views'), views, 2, 8, whole=True)
        if view_size is not None:
            settings.check_number(self.key('view_size'), view_size, 1, whole=True)
        settings.check_number(self.key('embedding_dim'), embedding_dim, 1, whole=True)
        settings.check_range(self.key('area'), area)
        settings.check_range(self.key('area'), area, 0, 1)
        settings.check_range(self.key('aspect'), aspect)
        settings.check_choice(self.key('released_ids'), released_ids, (True, False))
        self.views, self.view_size, self.embedding_dim = views, view_size, embedding_dim
        self.area, self.aspect = (area[0], area[1]), (aspect[0], aspect[1])
        self.released_ids = released_ids

    def build(self, width: int) -> None:
        """The embedding."""
        self.embedding = nn.Linear(width, self.embedding_dim)

    def make_views(self, images: Mapping[str, Images], preprocessor: nn.Module) -> Views:
        """Crops ``(B * V, C, s, s)`` of each source, those of an image next to one another."""
        side = self.view_size or min(min(found.size) for found in images.values())
        crops = [self._crops(found, side, preprocessor) for found in images.values()]
        return Views(torch.cat(crops), tuple(len(crop) for crop in crops))

    def view_terms(self, features: Sequence[Any], views: Views, student: StudentPass) -> Terms:
        """Triplet loss, accuracy and number of triplets."""
        parts = self.embed(student.deepest(features)).split(views.sizes)
        found = [batch_hard_triplet(part, self.ids(len(part), part.device)) for part in parts]
        triplets = torch.stack([part.triplets for part in found])
        hits = torch.stack([part.accuracy for part in found]) * triplets
        return {
            self.name: torch.stack([part.loss for part in found]).mean(),
            f'{self.name}_accuracy': hits.sum() / triplets.sum().clamp(min=1),
            f'{self.name}_triplets': triplets.sum(),
        }

    def evaluate(self, student: StudentPass, images: Images) -> List[TaskResult]:
        """Embeddings of crops of each image; they are the same crops in every validation."""
        side = self.view_size or min(images.size)
        crops = self._crops(images, side, student.preprocessor)
        embedding = self.embed(student.deepest(student.features(crops))).cpu()
        return [dict(embedding=vectors) for vectors in embedding.split(self.views)]

    def embed(self, deepest: Tensor) -> Tensor:
        """Unit vectors ``(T, E)`` float32 of maps ``(T, D, h, w)``."""
        embedding = self.embedding(deepest.mean((2, 3)).float())
        return F.normalize(embedding.float(), dim=1)

    def ids(self, number: int, device: torch.device) -> Tensor:
        """``(number,)`` int64, equal for the crops of a source that are positives."""
        crops = torch.arange(number, device=device)
        group = max(number // self.views, 1) if self.released_ids else self.views
        return crops.div(group, rounding_mode='floor')

    def _crops(self, images: Images, side: int, preprocessor: nn.Module) -> Tensor:
        """Crops of one source, normalised."""
        noise = self._noise(images)
        boxes = random_crop_boxes(noise['boxes'], _sizes(images), self.area, self.aspect)
        flip = noise['flip'][..., 0] < 0.5
        crops = resized_crops(images.image, boxes, (side, side), flip).flatten(0, 1)
        if not is_rgb(crops):
            return crops
        plain = denormalize(crops, preprocessor)
        return normalize(hsv_noise(plain, noise['colours'].flatten(0, 1)), preprocessor)

    def _noise(self, images: Images) -> Dict[str, Tensor]:
        """``(B, V, n)`` random numbers of each crop, by purpose."""
        widths = dict(boxes=4, flip=1, colours=7)
        streams = {f'auxiliary/{self.name}/{key}': n * self.views for key, n in widths.items()}
        drawn = sample_noises(images.draws, streams, images.image.device)
        shaped: List[Tensor] = [
            values.reshape(len(values), self.views, -1) for values in drawn.values()
        ]
        return dict(zip(widths, shaped))


def _sizes(images: Images) -> Tensor:
    """``(B, 2)`` float32 height and width of each image without padding, on its device."""
    sizes = torch.from_numpy(images.shapes().astype(np.float32))
    return sizes.to(images.image.device, non_blocking=True)
