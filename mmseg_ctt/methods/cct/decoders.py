# Copyright (c) mmseg_ctt contributors.
"""Auxiliary decoders of CCT, each with a perturbation of the features that it reads."""

import math
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...functional import downsample_nearest, pixel_noise
from ...nn.adversarial import AdversarialFeatures
from ...nn.member import constant_weights
from ...nn.perturbation import ChannelDropout, FeatureDropout, FeatureNoise
from ...nn.rng import Draw, sample_noise
from .functional import component_boxes, erased_windows

KINDS = ('vat', 'dropout', 'cutout', 'context', 'object', 'feature_drop', 'feature_noise')
# numbers of decoders by name
SETS: Mapping[str, Dict[str, int]] = dict(
    published=dict(zip(KINDS, (2, 6, 6, 2, 2, 6, 6))), one_each=dict.fromkeys(KINDS, 1)
)


class ShuffleDecoder(nn.Module):
    """Decoder of CCT: a 1x1 convolution to the classes, then sub-pixel convolutions by 2.

    A ReLU follows each sub-pixel convolution, so that logits are not negative (released code).

    Args:
        in_channels (int): Channels of the features.
        num_classes (int): ``K``.
        upscale (int): Power of 2, size of the logits over that of the features.
    """

    def __init__(self, in_channels: int, num_classes: int, upscale: int) -> None:
        super().__init__()
        self.classify = nn.Conv2d(in_channels, num_classes, 1, bias=False)
        self.enlarge = nn.ModuleList(
            nn.Conv2d(num_classes, 4 * num_classes, 1) for _ in range(int(math.log2(upscale)))
        )

    def init_weights(self) -> None:
        """He initialisation; the four neighbours of a sub-pixel convolution begin as equals.

        Biases are random: where features are masked, a ReLU of 0 would never give a gradient.
        """
        nn.init.kaiming_normal_(self.classify.weight, nonlinearity='relu')
        layers: List[Any] = list(self.enlarge)
        for layer in layers:
            weight, bound = layer.weight.data[::4].clone(), layer.in_channels**-0.5
            bias = layer.bias.data[::4].clone()
            nn.init.kaiming_normal_(weight)
            nn.init.uniform_(bias, -bound, bound)
            layer.weight.data.copy_(weight.repeat_interleave(4, dim=0))
            layer.bias.data.copy_(bias.repeat_interleave(4))

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, C, h, w)`` to logits ``(B, K, upscale h, upscale w)``."""
        logits = self.classify(feature)
        for layer in self.enlarge:
            logits = F.pixel_shuffle(layer(logits).relu(), 2)
        return logits


class DecoderInput(NamedTuple):
    """What the auxiliary decoders read for a batch.

    Attributes:
        feature (Tensor): ``(B, C, h, w)``.
        foreground (Tensor): ``(B, H', W')`` bool, objects that the main decoder predicts.
        draws (list): ``(seed, draw number)`` of each image.
        valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding.
    """

    feature: Tensor
    foreground: Tensor
    draws: Sequence[Draw]
    valid: Optional[Tensor]


class AuxiliaryDecoders(nn.Module):
    """Decoders of perturbed features.

    Args:
        in_channels (int): Channels of the features.
        num_classes (int): ``K``.
        numbers (Mapping[str, int]): Number of decoders by kind.
        upscale (int): See :class:`ShuffleDecoder`.
        adversary (AdversarialFeatures): Changes for ``vat``.
        drop_rate (float): Probability of a channel to be dropped in ``dropout``.
        erase (float): Sides of the windows of ``cutout`` over those of objects.
        smallest_object (float): Smallest object of ``cutout``, as a ratio of the image.
        drop_range (tuple[float, float]): ``factor`` of ``feature_drop``.
        noise_limit (float): ``limit`` of ``feature_noise``.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        numbers: Mapping[str, int],
        upscale: int,
        adversary: AdversarialFeatures,
        drop_rate: float,
        erase: float,
        smallest_object: float,
        drop_range: Sequence[float],
        noise_limit: float,
    ) -> None:
        super().__init__()
        self.kinds = [kind for kind in KINDS for _ in range(numbers.get(kind, 0))]
        self.decoders = nn.ModuleList(
            ShuffleDecoder(in_channels, num_classes, upscale) for _ in self.kinds
        )
        self.adversary, self.erase, self.smallest_object = adversary, erase, smallest_object
        self.random = nn.ModuleDict(
            dict(
                dropout=ChannelDropout(drop_rate),
                feature_drop=FeatureDropout(tuple(drop_range)),  # type: ignore[arg-type]
                feature_noise=FeatureNoise(noise_limit),
            )
        )

    def init_weights(self) -> None:
        """See :meth:`ShuffleDecoder.init_weights`."""
        for module in self.modules():
            if isinstance(module, ShuffleDecoder):
                module.init_weights()

    def forward(self, given: DecoderInput) -> Tensor:
        """``(P, B, K, h', w')`` logits of all ``P`` decoders."""
        perturb = {kind: self._perturbation(kind, given) for kind in dict.fromkeys(self.kinds)}
        return torch.stack(
            [
                decoder(perturb[kind](decoder, f'cct/{kind}{i}'))
                for i, (kind, decoder) in enumerate(zip(self.kinds, self.decoders))
            ]
        )

    def _perturbation(self, kind: str, given: DecoderInput) -> Callable[[nn.Module, str], Tensor]:
        """From a decoder and the name of its random numbers to the features that it reads."""
        feature = given.feature
        if kind in self.random:
            step: Any = self.random[kind]
            if kind == 'feature_drop' and given.valid is not None:
                cells = downsample_nearest(given.valid, feature.shape[2:])
                return lambda decoder, stream: step.perturb(feature, given.draws, stream, cells)
            return lambda decoder, stream: step.perturb(feature, given.draws, stream)
        if kind == 'vat':
            return lambda decoder, stream: self._adversarial(decoder, given, stream)
        if kind == 'cutout':
            boxes = component_boxes(
                given.foreground, self.smallest_object * given.foreground[0].numel()
            )
            return lambda decoder, stream: self._cut(boxes, given, stream)
        objects = downsample_nearest(given.foreground, feature.shape[2:]).unsqueeze(1)
        masked = feature * (objects if kind == 'context' else ~objects)
        return lambda decoder, stream: masked

    def _adversarial(self, decoder: nn.Module, given: DecoderInput, stream: str) -> Tensor:
        with constant_weights(decoder):
            changed = self.adversary(decoder, given.feature, given.draws, given.valid, stream)
        torch.clear_autocast_cache()  # of weights without a gradient
        return changed

    def _cut(self, boxes: Tuple[Tensor, Tensor], given: DecoderInput, stream: str) -> Tensor:
        """Features without a window of each object."""
        feature, size = given.feature, given.foreground.shape[1:]
        key = sample_noise(given.draws, 1, stream, feature.device).flatten()
        noise = pixel_noise(key, size.numel(), 2)
        cut = erased_windows(*boxes, noise, self.erase, (size[0], size[1]))
        return feature * ~downsample_nearest(cut, feature.shape[2:]).unsqueeze(1)
