# Copyright (c) mmseg_ctt contributors.
from typing import Dict, Optional

import torch
import torch.nn.functional as F
from mmengine.dist import broadcast, get_rank
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ...functional import downsample_nearest, pseudo_label
from ...nn import settings
from ...nn.member import PixelOutput
from ...nn.memory_contrast import MemoryContrast
from ...nn.projection import PixelProjection, projected_zero_loss, rows
from ...nn.ranks import sum_over_ranks
from .functional import AVERAGES, anchor_contrast, equiangular_anchors, moving_centroids

MEMORIES = ('own', 'peer')
RANKINGS = ('anchor', 'confidence')


class AnchorContrast(MemoryContrast):
    """Dual contrast of one student with class anchors and a class memory (STPG).

    Buffers, equal on every rank:

    - ``targets`` ``(K, D)`` float32, evenly spread unit vectors, never changed
    - ``assignment`` ``(K,)`` int64, which of them is the anchor of a class; decided on rank 0
    - ``centroids`` ``(K, D)`` float32, moving mean direction of a class, from sums over all ranks
    - ``bank``: the memory, a :class:`ClassMemoryBank`

    Args:
        num_classes (int): ``K``.
        width (int): Width of the embedding.
        bank (dict, optional): Settings of :class:`ClassMemoryBank`; its ``size`` is 256 by
            default.
        dim (int, optional): ``D``, width of the projection. Defaults to None: ``width``.
        train_projection (bool): False leaves the projection at its random start, as the released
            code does, which has it in no optimiser. Defaults to True.
        memory (str): Teacher whose features the memory holds: ``'own'``, that of the contrasted
            student, in the space of its projection, or ``'peer'``, that of the other pair, through
            a random projection of its own (released code). Defaults to 'own'.
        threshold (float): Confidence that a rightly classified pixel must exceed to enter memory
            and centroid. Defaults to 0.95 (released code).
        ranking (str): Which candidates enter: those closest to their ``'anchor'`` (released code
            once the contrast is on) or of the highest ``'confidence'``. Defaults to 'anchor'.
        temperature (float): Of the anchor term. Defaults to 0.5 (released code).
        momentum (float): Of the centroids. Defaults to 0.9 (released code).
        average (str): See :func:`anchor_contrast`. Defaults to 'all' (released code).
        dropout (float): Of the projection. Defaults to 0.1 (released code).
        pool (int): Average pooling of embeddings and logits before the projection, for heads at
            stride 4. Defaults to 1, none.
        seed (int): Of anchors and first centroids. Defaults to 0.
        norm_cfg (dict, optional): See :class:`PixelProjection`; the segmentor gives its head's.
            Defaults to None.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a setting is unknown or out of range, or so many anchors do not fit into
            ``dim``.
    """

    required_hooks = {
        **MemoryContrast.required_hooks,
        'AnchorAssignmentHook': 'matches anchors to classes',
    }
    joint_state = (*MemoryContrast.joint_state, ('targets', 'assignment', 'centroids'))
    targets: Tensor
    assignment: Tensor
    centroids: Tensor

    def __init__(
        self,
        num_classes: int,
        width: int,
        bank: Optional[dict],
        dim: Optional[int] = None,
        train_projection: bool = True,
        memory: str = 'own',
        threshold: float = 0.95,
        ranking: str = 'anchor',
        temperature: float = 0.5,
        momentum: float = 0.9,
        average: str = 'all',
        dropout: float = 0.1,
        pool: int = 1,
        seed: int = 0,
        norm_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__()
        dim = width if dim is None else dim
        settings.check_numbers('model.contrast', dict(dim=dim, pool=pool), 1, whole=True)
        settings.check_number('model.contrast.seed', seed, whole=True)
        ratios = dict(threshold=threshold, momentum=momentum)
        settings.check_numbers('model.contrast', ratios, 0, 1)
        settings.check_number('model.contrast.temperature', temperature, 0, ends='(]')
        settings.check_choice('model.contrast.memory', memory, MEMORIES)
        settings.check_choice('model.contrast.ranking', ranking, RANKINGS)
        settings.check_choice('model.contrast.average', average, AVERAGES)
        self.bank = settings.build_part(
            'bank', bank, 'ClassMemoryBank', dict(size=256, dim=dim), num_classes=num_classes
        )
        self.check_bank_dim(dim, 'projection')
        self.projection = PixelProjection(width, dim, dropout, norm_cfg)
        self.projection.requires_grad_(train_projection)
        # gets no gradient: no feature that it projects is ever a query
        self.peer_projection = (
            None
            if memory == 'own'
            else PixelProjection(width, dim, dropout, norm_cfg).requires_grad_(False)
        )
        self.memory, self.ranking, self.average = memory, ranking, average
        self.threshold, self.temperature, self.momentum = threshold, temperature, momentum
        self.pool = pool
        random = torch.Generator().manual_seed(seed)
        start = F.normalize(torch.randn(num_classes, dim, generator=random), dim=1)
        self.register_buffer('targets', equiangular_anchors(num_classes, dim, seed))
        self.register_buffer('assignment', torch.arange(num_classes))
        self.register_buffer('centroids', start)

    @property
    def anchors(self) -> Tensor:
        """``(K, D)``, the anchor of every class."""
        return self.targets[self.assignment]

    def forward(
        self, labeled: PixelOutput, strong: PixelOutput, label: Tensor, target: Tensor
    ) -> Dict[str, Tensor]:
        """The loss of labelled images and that of the strong view, against the present memory.

        Args:
            labeled (PixelOutput): Of the student, for the labelled images.
            strong (PixelOutput): Of the student, for the strong view.
            label (Tensor): ``(B_l, H, W)`` int64 ground truth.
            target (Tensor): ``(B_u, H, W)`` int64 labels of its teacher, mixed as the view.

        Returns:
            dict[str, Tensor]: ``labeled`` and ``unlabeled``, scalars.
        """
        return dict(labeled=self._loss(labeled, label), unlabeled=self._loss(strong, target))

    def _loss(self, output: PixelOutput, label: Tensor) -> Tensor:
        feature = self.projection(output.pooled(self.pool).embedding)
        label = downsample_nearest(label, feature.shape[2:]).flatten()
        valid = (label >= 0) & (label < self.bank.num_classes)
        return anchor_contrast(
            rows(feature),
            label,
            self.anchors,
            self.bank.features,
            self.temperature,
            valid,
            self.bank.filled,
            average=self.average,
            sum_counts=sum_over_ranks,
        )

    def zero_loss(self, *outputs: PixelOutput) -> Tensor:
        """See :func:`projected_zero_loss`."""
        return projected_zero_loss(self.projection, outputs)

    @torch.no_grad()
    def update(self, output: PixelOutput, label: Tensor) -> None:
        """Confident, correctly classified labelled pixels move centroids and enter the memory.

        Args:
            output (PixelOutput): Of the teacher that the memory belongs to, for labelled images.
            label (Tensor): ``(B_l, H, W)`` int64 ground truth.
        """
        output = output.pooled(self.pool)
        predicted, confidence = pseudo_label(output.logits)
        truth = downsample_nearest(label, (predicted.shape[1], predicted.shape[2]))
        valid = ((predicted == truth) & (confidence > self.threshold)).flatten()
        project = self.peer_projection or self.projection
        feature, truth = rows(project(output.embedding, drop=False)).float(), truth.flatten()
        self.centroids.copy_(
            moving_centroids(self.centroids, feature, truth, valid, self.momentum, sum_over_ranks)
        )
        score = confidence.flatten()
        if self.ranking == 'anchor':
            with torch.autocast(feature.device.type, enabled=False):
                cosine = F.normalize(feature, dim=1) @ self.anchors.t()
            score = cosine.gather(1, truth.masked_fill(~valid, 0).unsqueeze(1)).squeeze(1)
        self.bank.update(feature, truth, score, valid, label.shape[0])

    @torch.no_grad()
    def assign(self) -> None:
        """Assign an anchor to each class by the cosine with its centroid (Hungarian method).

        A step on the host, therefore taken at an interval. Rank 0 decides for all, so that equal
        cosines or another processor cannot make ranks differ.
        """
        found = torch.empty_like(self.assignment)
        if get_rank() == 0:
            cosine = self.centroids @ self.targets.t()
            found.copy_(torch.from_numpy(linear_sum_assignment(cosine.cpu(), maximize=True)[1]))
        broadcast(found)
        self.assignment.copy_(found)
