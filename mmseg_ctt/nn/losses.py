# Copyright (c) mmseg_ctt contributors.
from typing import List, Optional, Tuple, Union

import torch
import torch.nn as nn
from mmseg.models.losses.utils import get_class_weight
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import cross_entropy, soft_cross_entropy
from .loss_maps import MapLoss
from .schedule import weighted


def _names(*given: Optional[str]) -> Tuple[str, ...]:
    return tuple(name for name in given if name is not None)


def refuse_sampler(loss: nn.Module, weight: Optional[Tensor]) -> None:
    """Refuse the weights that a pixel sampler of a decode head gives.

    Args:
        loss (nn.Module): Term of ``loss_decode`` that does not take them.
        weight (Tensor, optional): What the head gives.

    Raises:
        ValueError: If there are any.
    """
    if weight is not None:
        raise ValueError(
            f'{type(loss).__name__} takes no pixel weights: remove decode_head.sampler, or use '
            "mmseg's CrossEntropyLoss"
        )


@MODELS.register_module()
class PixelCrossEntropyLoss(MapLoss):
    """Cross-entropy, mean over labelled pixels, for ``decode_head.loss_decode``.

    The value of mmseg's ``CrossEntropyLoss(avg_non_ignore=True)``, without its host
    synchronisation per call, and 0 instead of NaN when every pixel is ignored. With class weights
    it is the weighted mean, as PyTorch's; mmseg's cannot have ignored pixels then. With a weight
    map it is ``sum(w * ce) / sum(w)``: pixels of weight 0 have no gradient, and a map of ones
    changes nothing.

    Args:
        loss_weight (float): Defaults to 1.0.
        loss_name (str): Key in the log; must begin with ``loss_``. Defaults to 'loss_ce'.
        class_weight (list[float] | str, optional): One weight for each class, or a file with such
            a list, as in mmseg. Defaults to None: 1.
        weight_map (str, optional): Map of the samples that weighs each pixel, such as
            ``consensus_margin``; the pipeline of the labelled images packs it by
            ``PackSemiSegInputs``. Works with every head that hands on the labels as they are.
            Defaults to None: 1.
    """

    weight_of_class: Optional[Tensor]

    def __init__(
        self,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
        class_weight: Union[None, str, List[float]] = None,
        weight_map: Optional[str] = None,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.weight_map, self.map_names = weight_map, _names(weight_map)
        self.class_weight = get_class_weight(class_weight)
        given = None if self.class_weight is None else torch.tensor(self.class_weight)
        self.register_buffer('weight_of_class', given, persistent=False)  # not in checkpoints

    def forward(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Optional[Tensor] = None,
        ignore_index: int = 255,
        align_corners: bool = False,
    ) -> Tensor:
        """Loss of ``([P,] B, K, h, w)`` logits against ``(B, H, W)`` int64 labels.

        Logits smaller than the labels are up-sampled bilinearly, at no cost in memory. With a
        leading dimension they are those of ``P`` members, which have a loss each.

        Raises:
            ValueError: If a pixel sampler is configured, whose weights this loss does not take; if
                the weight map is missing.
        """
        refuse_sampler(self, weight)
        loss = cross_entropy(
            logits,
            label,
            ignore_index,
            align_corners,
            self.weight_of_class,
            None if self.weight_map is None else self.map(self.weight_map, label)[:, 0],
        )
        return weighted(loss, self.loss_weight)


@MODELS.register_module()
class SoftCrossEntropyLoss(MapLoss):
    """Cross-entropy with class probabilities, mean over labelled pixels, for ``loss_decode``.

    For labels that raters disagree on: ``LoadMultiRaterAnnotations(strategy='soft')`` gives the
    probabilities, ``PackSemiSegInputs(maps=('class_probability',))`` packs them. Pixels that no
    rater annotated are ignored.

    Args:
        loss_weight (float): Defaults to 1.0.
        loss_name (str): Key in the log; must begin with ``loss_``. Defaults to 'loss_ce'.
        probability_map (str): Map of the samples with the probabilities. Defaults to
            'class_probability'.
        weight_map (str, optional): Map of the samples that weighs each pixel. Defaults to None: 1.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
        probability_map: str = 'class_probability',
        weight_map: Optional[str] = None,
    ) -> None:
        super().__init__()
        self.loss_weight, self.loss_name = loss_weight, loss_name
        self.probability_map, self.weight_map = probability_map, weight_map
        self.map_names = _names(probability_map, weight_map)

    def forward(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Optional[Tensor] = None,
        ignore_index: int = 255,
        align_corners: bool = False,
    ) -> Tensor:
        """Loss of ``(B, K, h, w)`` logits; ``(B, H, W)`` int64 labels say which pixels count.

        Raises:
            ValueError: If a pixel sampler is configured, a map is missing, or it has another
                number of classes.
        """
        refuse_sampler(self, weight)
        probability = self.map(self.probability_map, label)
        classes = max(2, logits.shape[1])  # a single channel is of two classes
        if probability.shape[1] != classes:
            raise ValueError(
                f'the map {self.probability_map} has {probability.shape[1]} classes, the logits '
                f'{classes}: set decode_head.num_classes (sizes.num_classes)'
            )
        weights = None if self.weight_map is None else self.map(self.weight_map, label)[:, 0]
        return self.loss_weight * soft_cross_entropy(
            logits, probability, label, ignore_index, align_corners, weights
        )
