# Copyright (c) mmseg_ctt contributors.
"""Rotation: how often was this image turned by 90 degrees (arXiv 1803.07728; S4L, 1905.03670)?

1. A square crop of each image, at a random position without padding.
2. The crop is turned by 0, 90, 180 or 270 degrees: one of them at random, or all four.
3. A linear classifier on the mean of the deepest feature map says which.
4. Loss: cross-entropy, mean over the images of a source, then over the sources.
5. With ``supervise``, the labelled crops, their masks and all maps that losses read are turned
   alike, and the student's own losses are taken on them.
"""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ...functional.rotation import quarter_turns, square_crops
from .. import settings
from ..feature_maps import on_tensors
from ..images import Images
from ..member import decode, supervised_losses
from ..ranks import mean_over_ranks
from ..rng import sample_noise
from ..sample_maps import pixel_maps, samples_of
from .student_pass import StudentPass
from .task import TaskResult, Terms, Views, ViewTask

TURNS = 4
LABELED = 'labeled'


class Turned(NamedTuple):
    """Target of the turned crops.

    Attributes:
        turns (Tensor): ``(T,)`` int64, quarter turns.
        weight (Tensor): ``(T,)`` float32, 0 where a crop has padding, which would give it away.
        maps (dict[str, Tensor], optional): ``(T_labeled, C, s, s)`` masks of the labelled crops and
            all other maps that their losses may read, by name.
    """

    turns: Tensor
    weight: Tensor
    maps: Optional[Dict[str, Tensor]] = None


@MODELS.register_module()
class RotationTask(ViewTask):
    """Self-supervised rotation prediction.

    It needs images with an up direction: streets and rooms have one, cells and fields have none.
    Crops that do not fit without padding do not count; ``rotation_valid_ratio`` in the log is the
    ratio of those that do.

    Args:
        rotations (str): ``'one'``: one turn of each image, drawn at random; ``'all'``: all four,
            as in the paper, at four times the cost. The loss has the same mean. Defaults to 'one'.
        crop_size (int, optional): Side of the square crop. Defaults to None: the shorter side of
            the images.
        supervise (float): Weight of the supervised loss on the turned labelled crops, with masks
            turned along (paper: each turned copy has the label of its image). Defaults to 0: off.
        kwargs: As in :class:`ViewTask`.

    Raises:
        ValueError: If a setting is unknown or out of range.
    """

    default_name = 'rotation'
    score = 'accuracy'

    def __init__(
        self,
        rotations: str = 'one',
        crop_size: Optional[int] = None,
        supervise: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        settings.check_choice(self.key('rotations'), rotations, ('one', 'all'))
        settings.check_number(self.key('supervise'), supervise, low=0)
        if crop_size is not None:
            settings.check_number(self.key('crop_size'), crop_size, low=1, whole=True)
        self.copies = TURNS if rotations == 'all' else 1
        self.crop_size, self.supervise = crop_size, supervise

    def use_sources(self, known: Sequence[str]) -> None:
        """See :meth:`AuxiliaryTask.use_sources`.

        Raises:
            ValueError: If masks are to be turned and the task reads no labelled images.
        """
        super().use_sources(known)
        if self.supervise and LABELED not in self.sources:
            raise ValueError(
                f'{self.key("supervise")} needs images of the source {LABELED}, but the task reads '
                f'{", ".join(self.sources)}'
            )

    @property
    def reads_predictions(self) -> str:
        """See :attr:`AuxiliaryTask.reads_predictions`."""
        return self.key('supervise') if self.supervise else ''

    @property
    def weights(self) -> Dict[str, float]:
        """Weight of each loss term."""
        turned = {f'{self.name}_supervised': self.supervise} if self.supervise else {}
        return {**super().weights, **turned}

    def build(self, width: int) -> None:
        """The classifier."""
        self.classifier = nn.Linear(width, TURNS)

    def init_weights(self) -> None:
        """Initialise the classifier: zero bias, small weights, so that it begins undecided."""
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def make_views(self, images: Mapping[str, Images], preprocessor: nn.Module) -> Views:
        """Turned square crops."""
        parts = [self._turned(source, found) for source, found in images.items()]
        targets = [target for _, target in parts]
        maps = [target.maps for target in targets if target.maps is not None]
        target = Turned(
            torch.cat([target.turns for target in targets]),
            torch.cat([target.weight for target in targets]),
            maps[0] if maps else None,
        )
        views = [view for view, _ in parts]
        return Views(torch.cat(views), tuple(len(view) for view in views), target)

    def view_terms(self, features: Sequence[Any], views: Views, student: StudentPass) -> Terms:
        """Cross-entropy, accuracy, and with ``supervise`` the loss on turned labelled crops."""
        scores = self._scores(features, student)
        target: Turned = views.target
        values = F.cross_entropy(scores, target.turns, reduction='none') * target.weight
        right = (scores.detach().argmax(1) == target.turns) * target.weight
        sums = torch.cat([_sums(target.weight, views), right.sum().view(1)])
        counts, hits = mean_over_ranks(sums).split([len(views.sizes), 1])  # padding may differ
        terms = {
            self.name: (_sums(values, views) / counts.clamp(min=1e-6)).mean(),
            f'{self.name}_accuracy': hits.sum() / counts.sum().clamp(min=1e-6),
            f'{self.name}_valid_ratio': counts.sum() / len(views.image),
        }
        if self.supervise:
            terms[f'{self.name}_supervised'] = _turned_loss(student, features, views, self.sources)
        return terms

    def evaluate(self, student: StudentPass, images: Images) -> List[TaskResult]:
        """All four turns of the centre square of each image (of ``crop_size``, if it is set)."""
        return [
            dict(right=self._right(student, image, sample).cpu())
            for image, sample in zip(images.image, images.samples)
        ]

    def _right(self, student: StudentPass, image: Tensor, sample: SegDataSample) -> Tensor:
        height, width = sample.metainfo['img_shape'][:2]
        side = min(height, width, self.crop_size or height)
        top, left = (height - side) // 2, (width - side) // 2
        square = image[None, :, top : top + side, left : left + side]
        turns = torch.arange(TURNS, device=image.device)
        views = quarter_turns(square.expand(TURNS, -1, -1, -1), turns)
        return self._scores(student.features(views), student).argmax(1) == turns

    def _scores(self, features: Sequence[Any], student: StudentPass) -> Tensor:
        return self.classifier(student.deepest(features).mean((2, 3)).float())

    def _turned(self, source: str, images: Images) -> 'tuple[Tensor, Turned]':
        """Turned crops of one source."""
        noise = sample_noise(images.draws, 3, f'auxiliary/{self.name}', images.image.device)
        side = self._side(images)
        allowed = _crop_range(images, side)  # (B, 2) and (B,) on the device
        offset = (noise[:, :2] * allowed.offsets).long()
        turns = (noise[:, 2] * TURNS).long()
        if self.copies > 1:
            turns = torch.arange(TURNS, device=noise.device).repeat_interleave(len(noise))

        def turned(maps: Tensor) -> Tensor:
            crop = square_crops(maps, side, offset[:, 0], offset[:, 1])
            return quarter_turns(crop.repeat(self.copies, 1, 1, 1), turns)

        along = None
        if self.supervise and source == LABELED:
            along = {name: turned(map_) for name, map_ in pixel_maps(images).items()}
        return turned(images.image), Turned(turns, allowed.weight.repeat(self.copies), along)

    def _side(self, images: Images) -> int:
        side = self.crop_size or min(images.size)
        if side > min(images.size):
            raise ValueError(
                f'{self.key("crop_size")}={side} is larger than the training images of '
                f'{images.size}: lower it, or leave it out'
            )
        return side


def _sums(values: Tensor, views: Views) -> Tensor:
    """Sum over the views of each source."""
    return torch.stack([part.sum() for part in values.split(list(views.sizes))])


class _CropRange(NamedTuple):
    """Positions of square crops that have no padding.

    Attributes:
        offsets (Tensor): ``(B, 2)`` float32, number of rows and columns that a crop may begin at.
        weight (Tensor): ``(B,)`` float32, 0 where the crop does not fit without padding.
    """

    offsets: Tensor
    weight: Tensor


def _crop_range(images: Images, side: int) -> _CropRange:
    """Positions of square crops in the part of each image that is no padding."""
    free = images.shapes() - side
    found = np.concatenate([np.maximum(free, 0) + 1, (free >= 0).all(1, keepdims=True)], axis=1)
    values = torch.from_numpy(found.astype(np.float32))
    values = values.to(images.image.device, non_blocking=True)
    return _CropRange(values[:, :2], values[:, 2])


def _turned_loss(
    student: StudentPass, features: Sequence[Any], views: Views, sources: Sequence[str]
) -> Tensor:
    """The student's own losses on the turned labelled crops."""
    start = sum(views.sizes[: sources.index(LABELED)])
    own = slice(start, start + views.sizes[sources.index(LABELED)])
    labeled = [on_tensors(lambda tensor: tensor[own], level) for level in features]
    output = decode(student.member, labeled, embedding=False)
    shape = dict(img_shape=tuple(views.image.shape[2:]))
    samples = samples_of(views.target.maps, [shape] * len(output.logits))
    losses = supervised_losses(student.member, output, samples)
    return torch.stack([value for key, value in losses.items() if 'loss' in key]).sum()
