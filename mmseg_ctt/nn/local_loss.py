# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict, List, Optional, Union

import torch
from mmseg.models.losses.utils import get_class_weight
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import locally_adaptive_loss
from . import settings
from .loss_maps import MapLoss

KEY = 'decode_head.loss_decode'


@MODELS.register_module()
class LocallyAdaptiveLoss(MapLoss):
    """Locally adaptive learning loss (LAL), for ``decode_head.loss_decode``.

    Cross-entropy of the mean prediction of each class in each small window, and of these costs the
    Minkowski mean (arXiv 1802.08290; no code is public, built from the abstract). It is a loss like
    any other: alone or in a list, in a plain segmentor or in a method of this package. Heads of one
    channel (``out_channels=1``) are read through a sigmoid, others through a softmax.

    The weights of a pixel sampler (``OHEMPixelSampler(thresh=...)``) and of a weight map choose and
    weigh the pixels that a group is the mean of; a group of small weights alone counts like any
    other, and pixels of weight 0 do not count.

    Args:
        kernel_size (int): Side of the windows, odd. Defaults to 3.
        stride (int): Step between the windows; 1 is a window around every pixel, ``kernel_size``
            is windows side by side and the cheapest. Defaults to 1.
        sigma (float): Of the Gaussian weights around the centre, pixels. Defaults to 1.0.
        k (float): Exponent of the Minkowski mean, 1 (the mean) or more. Defaults to 5.0.
        merge (str): What is averaged: 'logits' or 'probs'. Defaults to 'logits'.
        norm (str): Divisor of the mean: 'weight', the sum of the Gaussian weights, or 'count', the
            number of pixels. Defaults to 'weight'.
        root (bool): Whether to take the ``k``-th root. Defaults to True.
        mode (str): 'all' classes of a window, or 'center', that of its centre alone.
            Defaults to 'all'.
        loss_weight (float): Defaults to 1.0.
        loss_name (str): Key in the log; must begin with ``loss_``. Defaults to 'loss_lal'.
        class_weight (list[float] | str, optional): Weight of each class in the Minkowski mean, or a
            file with such a list, as in mmseg. Defaults to None: 1.
        avg_non_ignore (bool): True alone: ignored pixels are in no group. Defaults to True.
        weight_map (str, optional): Map of the samples that weighs each pixel, such as
            ``consensus_margin``, see :class:`PixelCrossEntropyLoss`. Defaults to None: 1.

    Raises:
        TypeError: If an option is of a wrong type.
        ValueError: If an option is out of range.
    """

    weight_of_class: Optional[Tensor]

    def __init__(
        self,
        kernel_size: int = 3,
        stride: int = 1,
        sigma: float = 1.0,
        k: float = 5.0,
        merge: str = 'logits',
        norm: str = 'weight',
        root: bool = True,
        mode: str = 'all',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_lal',
        class_weight: Union[None, str, List[float]] = None,
        avg_non_ignore: bool = True,
        weight_map: Optional[str] = None,
    ) -> None:
        super().__init__()
        self.options: Dict[str, Any] = dict(
            kernel_size=kernel_size,
            stride=stride,
            sigma=sigma,
            k=k,
            merge=merge,
            norm=norm,
            root=root,
            mode=mode,
        )
        self._check_options()
        settings.check_number(f'{KEY}.loss_weight', loss_weight, low=0)
        if not avg_non_ignore:
            raise ValueError(
                f'{KEY}.avg_non_ignore=False: LocallyAdaptiveLoss is a mean over '
                'groups of labelled pixels, which ignored ones are no part of; remove the setting'
            )
        self.loss_weight, self.loss_name = loss_weight, loss_name
        self.weight_map, self.map_names = weight_map, (weight_map,) if weight_map else ()
        self.class_weight = get_class_weight(class_weight)
        self._check_class_weight()
        given = None if self.class_weight is None else torch.tensor(self.class_weight)
        self.register_buffer('weight_of_class', given, persistent=False)  # not in checkpoints

    def _check_class_weight(self) -> None:
        key, given = f'{KEY}.class_weight', self.class_weight
        if not isinstance(given, (list, tuple, type(None))):
            raise TypeError(f'{key} must be a list of numbers, one a class, got {given!r}')
        for i, weight in enumerate(given or ()):
            settings.check_number(f'{key}[{i}]', weight, low=0)

    def _check_options(self) -> None:
        for name in ('kernel_size', 'stride', 'sigma', 'k'):
            whole = name in ('kernel_size', 'stride')
            settings.check_real(f'{KEY}.{name}', self.options[name], whole)
        settings.check_choice(f'{KEY}.root', self.options['root'], (True, False))
        try:
            label = torch.zeros(1, 1, 1, dtype=torch.long)
            locally_adaptive_loss(label.float().unsqueeze(1), label, **self.options)
        except ValueError as error:
            raise ValueError(f'{KEY}.{error}') from error

    def forward(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Optional[Tensor] = None,
        ignore_index: int = 255,
        reduction_override: Optional[str] = None,
    ) -> Tensor:
        """Loss of ``(B, K, H, W)`` logits against ``(B, H, W)`` int64 labels.

        Args:
            logits (Tensor): Of the head, at the size of the labels.
            label (Tensor): Class of each pixel.
            weight (Tensor, optional): ``(B, H, W)``, of a pixel sampler. Defaults to None: 1.
            ignore_index (int): Label of ignored pixels. Defaults to 255.
            reduction_override (str, optional): What a sampler that needs the loss of each pixel
                gives. Defaults to None, which alone works.

        Raises:
            ValueError: If the loss of each pixel is needed, or a weight map is missing.
        """
        if reduction_override is not None:
            raise ValueError(
                'LocallyAdaptiveLoss has no loss of each pixel, by which decode_head.sampler would '
                'choose: set decode_head.sampler.thresh=0.7, which chooses by probability, or '
                'remove the sampler'
            )
        if self.weight_map is not None:
            given = self.map(self.weight_map, label)[:, 0]
            weight = given if weight is None else weight * given
        return self.loss_weight * locally_adaptive_loss(
            logits,
            label,
            ignore_index=ignore_index,
            pixel_weight=weight,
            class_weight=self.weight_of_class,
            **self.options,
        )
