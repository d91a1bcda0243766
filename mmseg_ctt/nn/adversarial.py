# Copyright (c) mmseg_ctt contributors.
"""Adversarial changes of images and features whose random numbers belong to the samples."""

from typing import Callable, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from ..functional import adversarial_direction, pixel_noise, two_class_logits
from .padding import valid_at
from .rng import Draw, sample_noise
from .settings import check_number

Length = Union[float, Tensor]


def adversarial_change(
    predict: Callable[[Tensor], Tensor],
    values: Tensor,
    target: Tensor,
    length: Length,
    draws: Sequence[Draw],
    rng_stream: str,
    xi: Optional[Length] = None,
    kind: str = 'kl',
    num_iterations: int = 1,
    weight: Optional[Tensor] = None,
    inside: Optional[Tensor] = None,
) -> Tensor:
    """Change of images or features that moves a prediction most (VAT, arXiv 1704.03976).

    The weights of the predicting network must be constants, see :func:`constant_weights`, and its
    batch normalisation must not move, see :func:`constant_statistics`.

    Args:
        predict (Callable): From ``(B, C, h, w)`` to logits ``(B, K, H, W)``.
        values (Tensor): ``(B, C, h, w)``, images or features.
        target (Tensor): ``(B, K, H, W)`` probabilities of the unchanged ones, constant.
        length (float | Tensor): Length of each sample's change, also ``(B, 1, 1, 1)``.
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each sample.
        rng_stream (str): Name of the random numbers of the first direction.
        xi (float | Tensor, optional): Length of the change at which the gradient is taken. Defaults
            to None: a tenth of ``length``.
        kind (str): Distance, see :func:`adversarial_direction`. Defaults to 'kl'.
        num_iterations (int): Gradients that the direction takes. Defaults to 1.
        weight (Tensor, optional): ``(B, H, W)`` of each pixel's distance. Defaults to None: 1.
        inside (Tensor, optional): ``(B, 1, h, w)`` bool, where values may change. Defaults to None:
            everywhere.

    Returns:
        Tensor: ``(B, C, h, w)`` float32, without a graph; 0 outside of ``inside``.
    """

    def predict_inside(changed: Tensor) -> Tensor:
        return predict(changed if inside is None else torch.where(inside, changed, values))

    noise = normal_noise(draws, values, rng_stream)
    return adversarial_direction(
        predict_inside,
        values,
        target,
        noise if inside is None else noise * inside,
        length,
        length / 10 if xi is None else xi,
        kind,
        num_iterations,
        weight=weight,
    )


def normal_noise(draws: Sequence[Draw], like: Tensor, rng_stream: str) -> Tensor:
    """Normal numbers of each sample, float32 of the shape of ``like`` ``(B, C, h, w)``."""
    channels, height, width = like.shape[1:]
    key = sample_noise(draws, 1, rng_stream, like.device).flatten()
    uniform = pixel_noise(key, channels * height, width).view(like.shape)
    return torch.special.ndtri(uniform.clamp(min=2**-25))


def check_lengths(key: str, **lengths: Optional[float]) -> None:
    """Refuse lengths of changes that are not positive; None is none.

    Args:
        key (str): Place in the config, with a ``{}`` for the name of the setting.
        lengths (float, optional): By the name of their setting.

    Raises:
        TypeError: If one is no number.
        ValueError: If one is not above 0.
    """
    for name, value in lengths.items():
        if value is not None:
            check_number(key.format(name), value, 0, ends='(]')


class AdversarialFeatures(nn.Module):
    """Adversarial changes of features by the decoders that read them (CCT, PS-MT).

    The setting ``model.adversarial`` of methods. They are computed in float32.

    Args:
        eps (float): Length of the change of an image's features. Defaults to 2 (released code of
            CCT and PS-MT).
        xi (float): Length at which the gradient is taken. Defaults to 0.1: at the 1e-6 of the
            released code it is rounding noise.
        num_iterations (int): Gradients that the direction takes. Defaults to 1 (released code).

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is out of range.
    """

    def __init__(self, eps: float = 2.0, xi: float = 0.1, num_iterations: int = 1) -> None:
        super().__init__()
        check_lengths('model.adversarial.{}', eps=eps, xi=xi)
        check_number('model.adversarial.num_iterations', num_iterations, 1, whole=True)
        self.eps, self.xi, self.num_iterations = eps, xi, num_iterations

    def forward(
        self,
        predict: Callable[[Tensor], Tensor],
        feature: Tensor,
        draws: Sequence[Draw],
        valid: Optional[Tensor] = None,
        rng_stream: str = 'adversarial',
    ) -> Tensor:
        """The changed features.

        Args:
            predict (Callable): From ``(B, C, h, w)`` float32 to logits ``(B, K, h', w')``; see
                :func:`adversarial_change`.
            feature (Tensor): ``(B, C, h, w)``. Receives the gradient of what reads the result.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image.
            valid (Tensor, optional): ``(B, H, W)`` bool, pixels of the images that are no padding.
                Defaults to None: all.
            rng_stream (str): Name of the random numbers. Defaults to 'adversarial'.

        Returns:
            Tensor: ``(B, C, h, w)`` of the precision of ``feature``.
        """
        with torch.autocast(feature.device.type, enabled=False):
            clean = feature.detach().float()
            with torch.no_grad():
                target = two_class_logits(predict(clean)).softmax(1)
            change = adversarial_change(
                lambda changed: two_class_logits(predict(changed)),
                clean,
                target,
                self.eps,
                draws,
                rng_stream,
                self.xi,
                num_iterations=self.num_iterations,
                weight=valid_at(valid, target.shape[2:]),
            )
        return feature + change.to(feature.dtype)
