# Copyright (c) mmseg_ctt contributors.
"""Patch matching: patches of one class lie together, those of two apart (M&M, arXiv 1712.00661).

1. Mix: square patches around random labelled pixels; class of the centre; resized to one size.
2. The deepest map of a patch, pooled to a few cells, as one vector of length 1.
3. Match: a graph over all patches of the batch links each to one of its class and to one of
   another, so that every class is connected.
4. Loss: triplet loss of the squared distances along the links.
"""

from typing import Any, ClassVar, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from ...functional.class_graph import ClassGraph, class_graph, graph_triplets, triplet_loss
from ...functional.patch_sampling import SEEDS, crop_patches, sample_patches
from ...functional.retrieval import retrieval_accuracy
from .. import settings
from ..images import Images
from ..pseudo_label import IGNORE_INDEX
from ..rng import sample_noises
from .student_pass import StudentPass
from .task import TaskResult, Terms, Views, ViewTask

WITHOUT_MASKS = ('unlabeled', 'tagged')
GRAPH_NUMBERS = 3  # random numbers of a node: when it is visited, its positive, its negative
LARGE, SMALL = 2, 8  # patches are an eighth to a half of an image (released code: 64 to 256 of 512)


class PatchTarget(NamedTuple):
    """Target of the patches of a batch.

    Attributes:
        label (Tensor): ``(T,)`` int64, classes.
        image (Tensor): ``(T,)`` int64, number of the image that each is of.
        graph (ClassGraph): Links of the patches.
    """

    label: Tensor
    image: Tensor
    graph: ClassGraph


@MODELS.register_module()
class PatchMatchingTask(ViewTask):
    """Mix-and-match tuning as a task: a triplet loss between patches, by their class.

    Maps behind a ReLU have no negative values. Squared distances of their unit vectors lie in
    [0, 2], so that with the published margin of 2.1 every triplet is active in every step: the
    loss is linear in the distances, and pushes patches of two classes apart without an end. With
    ``embedding_dim``, or with a backbone whose deepest map has both signs (MobileNetV2), the
    distances lie in [0, 4] and triplets can be satisfied.

    The graph is of the patches of one process (as in the release). A batch of a single class has
    the loss 0.

    Args:
        num_patches (int): Patches of each image. Defaults to 9 (released code, VGG).
        min_size (int, optional): Smallest side of a patch in pixels of the training crop, even.
            Defaults to None: an eighth of the shorter side of the crop (released code: 64 of 512).
        max_size (int, optional): Largest side. Defaults to None: half of the shorter side
            (released code: 256 of 512).
        patch_size (int): Side that all patches are resized to. Defaults to 128 (released code).
        pool (int, optional): Rows and columns that the map of a patch is averaged to. Defaults to
            4, the last map of VGG in the release, which a maximum makes there. None: as it is.
        embedding_dim (int, optional): Channels of a linear layer on the map, before the pooling.
            Defaults to None: none (released code).
        margin (float): Of the triplet loss. Defaults to 2.1 (released code).
        background (int, optional): Class of the background, which a tenth of the patches are of.
            Defaults to 0 (released code, for Cityscapes too, where it is the road). None: there is
            none, all classes are objects.
        by_overlap (bool): Prefer patches of which most pixels are of their class. Defaults to
            False (all released settings).
        released_classes (bool): Count patches that replace missing ones of the background as
            background, whatever they show (released code). Defaults to False.
        kwargs: As in :class:`ViewTask`; ``sources`` defaults to the labelled images.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is out of range or without effect, or a source has no masks.
    """

    default_name = 'patches'
    default_sources: ClassVar[Optional[Tuple[str, ...]]] = ('labeled',)
    score = 'retrieval'
    evaluates_masks = True

    def __init__(
        self,
        num_patches: int = 9,
        min_size: Optional[int] = None,
        max_size: Optional[int] = None,
        patch_size: int = 128,
        pool: Optional[int] = 4,
        embedding_dim: Optional[int] = None,
        margin: float = 2.1,
        background: Optional[int] = 0,
        by_overlap: bool = False,
        released_classes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_patches, self.patch_size, self.pool = num_patches, patch_size, pool
        self.min_size, self.max_size, self.background = min_size, max_size, background
        self.embedding_dim, self.margin = embedding_dim, margin
        self.by_overlap, self.released_classes = by_overlap, released_classes
        self._check_settings()

    def use_sources(self, known: Sequence[str]) -> None:
        """See :meth:`AuxiliaryTask.use_sources`.

        Raises:
            ValueError: If a source has no masks.
        """
        super().use_sources(known)
        for source in set(self.sources) & set(WITHOUT_MASKS):
            raise ValueError(
                f'{self.key("sources")}: the task reads masks, which images of the source {source} '
                'do not have; remove it'
            )

    def build(self, width: int) -> None:
        """The linear layer, if there is one."""
        self.projection = (
            nn.Identity() if self.embedding_dim is None else nn.Conv2d(width, self.embedding_dim, 1)
        )

    def make_views(self, images: Mapping[str, Images], preprocessor: nn.Module) -> Views:
        """Patches of all images, and the graph over them.

        Raises:
            ValueError: If every patch would reach out of the images.
        """
        side = min(min(found.size) for found in images.values())
        if self.min_size and self.min_size > side:
            raise ValueError(
                f'{self.key("min_size")}={self.min_size} is larger than training images of a side '
                f'of {side}: lower it, or leave it out'
            )
        parts = [self.patches(found) for found in images.values()]
        label, noise = (torch.cat([part[i] for part in parts]) for i in (1, 2))
        number = torch.arange(len(label) // self.num_patches, device=label.device)
        target = PatchTarget(
            label,
            number.repeat_interleave(self.num_patches),
            class_graph(label, noise[:, 0], noise[:, 1:], IGNORE_INDEX),
        )
        crops = [part[0] for part in parts]
        return Views(torch.cat(crops), tuple(len(crop) for crop in crops), target)

    def patches(self, images: Images) -> 'tuple[Tensor, Tensor, Tensor]':
        """Patches of the images of one source, drawn with the random numbers of the samples.

        Returns:
            tuple[Tensor, Tensor, Tensor]: ``(B * n, C, s, s)`` patches; ``(B * n,)`` int64
            classes, 255 of a patch without one; ``(B * n, 3)`` random numbers for the graph.
        """
        patches, graph = (f'auxiliary/{self.name}/{purpose}' for purpose in ('patches', 'graph'))
        widths = {patches: 2 * SEEDS * self.num_patches, graph: GRAPH_NUMBERS * self.num_patches}
        noises = sample_noises(images.draws, widths, images.image.device)
        low, high = self._sizes(images)
        box, label = sample_patches(
            images.labels,
            noises[patches],
            self.num_patches,
            low,
            high,
            self.background,
            IGNORE_INDEX,
            self.by_overlap,
            self.released_classes,
        )
        crops = crop_patches(images.image, box, self.patch_size)
        return crops, label.flatten(), noises[graph].reshape(-1, GRAPH_NUMBERS)

    def embed(self, deepest: Tensor) -> Tensor:
        """Unit vectors of patches.

        Args:
            deepest (Tensor): ``(T, D, h, w)``, the deepest map that the decode head reads.

        Returns:
            Tensor: ``(T, E)`` float32.
        """
        maps = self.projection(deepest).float()
        if self.pool is not None:
            maps = F.adaptive_avg_pool2d(maps, self.pool)
        return F.normalize(maps.flatten(1), dim=1)

    def view_terms(self, features: Sequence[Any], views: Views, student: StudentPass) -> Terms:
        """Triplet loss; accuracy of retrieval, mean distances, and patches without partners."""
        target: PatchTarget = views.target
        embedding = self.embed(student.deepest(features))
        linked = target.graph.negative >= 0
        loss, near, far = triplet_loss(
            *graph_triplets(embedding, target.graph), margin=self.margin, valid=linked
        )
        several = len(embedding) > self.num_patches  # images
        accuracy, _ = retrieval_accuracy(
            embedding, target.label, target.image if several else None, IGNORE_INDEX
        )
        logged: Dict[str, Tensor] = dict(
            accuracy=accuracy,
            positive_distance=near,
            negative_distance=far,
            singletons=target.graph.singletons.float(),
            without_negative=target.graph.without_negative.float(),
        )
        return {self.name: loss, **{f'{self.name}_{key}': value for key, value in logged.items()}}

    def evaluate(self, student: StudentPass, images: Images) -> List[TaskResult]:
        """Embeddings of patches of each image, with their classes; the same in every validation."""
        crops, label, _ = self.patches(images)
        embedding = self.embed(student.deepest(student.features(crops)))
        return [
            dict(embedding=vectors, label=classes)
            for vectors, classes in zip(
                embedding.cpu().split(self.num_patches), label.cpu().split(self.num_patches)
            )
        ]

    def _sizes(self, images: Images) -> Tuple[int, int]:
        """Smallest and largest side of the patches."""
        side = min(images.size)
        most = self.max_size or side // LARGE
        low = self.min_size or max(2, min(side // SMALL, most) // 2 * 2)
        return low, max(low, most)

    def _check_settings(self) -> None:
        whole: List[Tuple[str, int]] = [('num_patches', 1), ('patch_size', 1)]
        optional = [('min_size', 2), ('max_size', 2), ('pool', 1), ('embedding_dim', 1)]
        whole += [(name, low) for name, low in optional if getattr(self, name) is not None]
        for name, low in [*whole, *([] if self.background is None else [('background', 0)])]:
            settings.check_number(self.key(name), getattr(self, name), low=low, whole=True)
        settings.check_number(self.key('margin'), self.margin, low=0)
        for name in ('by_overlap', 'released_classes'):
            settings.check_choice(self.key(name), getattr(self, name), (True, False))
        if self.background == IGNORE_INDEX:
            raise ValueError(
                f'{self.key("background")}={IGNORE_INDEX} is the label of pixels without a class: '
                'give a class, or None'
            )
        if self.background is not None and self.num_patches < 2:
            raise ValueError(
                f'{self.key("num_patches")}={self.num_patches}: one patch at least is of the '
                'background; set 2 or more, or background=None'
            )
        if self.min_size and (
            self.min_size % 2 or self.min_size > (self.max_size or self.min_size)
        ):
            raise ValueError(
                f'{self.key("min_size")}={self.min_size} must be even and at most max_size='
                f'{self.max_size}'
            )
        if self.released_classes and self.background is None:
            raise ValueError(
                f'{self.key("released_classes")} is of the background, which background=None '
                'leaves out: remove one of them'
            )
