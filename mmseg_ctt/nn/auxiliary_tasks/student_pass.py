# Copyright (c) mmseg_ctt contributors.
"""Passes of a student that auxiliary tasks make."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import torch
import torch.nn as nn
from torch import Tensor

from ..deepest_map import deepest_map
from ..feature_maps import as_list, map_of, split_output
from ..images import Images
from ..member import PixelOutput, Segmentor, forward_member
from ..repeated_pass import RandomState, constant_statistics


class StudentPass:
    """What a task may compute with one student in a step.

    Args:
        member (BaseSegmentor): The student.
        images (Mapping[str, Images]): Images of the step, by source.
        preprocessor (nn.Module): Data preprocessor of the model.
    """

    def __init__(
        self, member: Segmentor, images: Mapping[str, Images], preprocessor: nn.Module
    ) -> None:
        self.member, self.images, self.preprocessor = member, images, preprocessor
        self._outputs: Dict[str, PixelOutput] = {}
        self._random: Dict[str, RandomState] = {}

    def features(self, image: Tensor) -> List[Any]:
        """Levels of backbone and neck of images ``(B, C, H, W)``."""
        return as_list(self.member.extract_feat(image))

    def deepest(self, features: Sequence[Any]) -> Tensor:
        """The deepest map that the decode head reads."""
        return deepest_map(self.member, features)

    def output(self, source: str) -> PixelOutput:
        """Output for the unchanged images of a source; all tasks of a step have one pass."""
        if source not in self._outputs:
            image = self.images[source].image
            self._random[source] = RandomState.of(image.device)
            self._outputs[source] = forward_member(self.member, image, embedding=False)
        return self._outputs[source]

    def repeat(self, source: str, image: Tensor) -> PixelOutput:
        """Output for changed images of a source, by the very network of :meth:`output`.

        Dropout keeps and drops the same, so that outputs differ by the images alone. Batch
        normalisation takes the statistics of these images; its running averages stay.

        Args:
            source (str): Source.
            image (Tensor): ``(B, C, H, W)``, changed images of the source.
        """
        self.output(source)
        with self._random[source].restored(), constant_statistics(self.member):
            return forward_member(self.member, image, embedding=False)


class SharedPass:
    """Features of images that went through the backbone together with the student's own.

    Attributes:
        maps (list, optional): Levels of the backbone; None before such a pass.
    """

    def __init__(self) -> None:
        self.maps: Optional[List[Any]] = None

    def features(self, member: Segmentor) -> Optional[List[Any]]:
        """Levels of backbone and neck; None where the student has made no pass."""
        if self.maps is None:
            return None
        return as_list(member.neck(tuple(self.maps))) if member.with_neck else self.maps


@contextmanager
def shared_pass(member: Segmentor, image: Tensor, key: str) -> Iterator[SharedPass]:
    """The first training pass of a backbone in the ``with`` block takes more images as well.

    Whoever makes the pass gets the maps of the own images alone.

    Args:
        member (BaseSegmentor): The student.
        image (Tensor): ``(T, C, H, W)``, the images to add.
        key (str): Setting that asks for it, for the message.

    Raises:
        ValueError: If the student's own images have another size.
    """
    shared = SharedPass()

    def add(backbone: nn.Module, args: tuple) -> Optional[tuple]:
        if shared.maps is not None or not _learns(backbone):
            return None
        own = args[0]
        if own.shape[1:] != image.shape[1:]:
            raise ValueError(
                f'{key}=True joins views of {tuple(image.shape[2:])} pixels with images of '
                f'{tuple(own.shape[2:])}: use square training crops (sizes.crop_size) and views '
                'of that size, or set it to False'
            )
        return (torch.cat([own, image]), *args[1:])

    def take_out(backbone: nn.Module, args: tuple, maps: Any) -> Any:
        if shared.maps is not None or not _learns(backbone):
            return None
        count = len(image)
        parts = split_output(maps, [len(map_of(as_list(maps)[0])) - count, count])
        shared.maps = as_list(parts[1])
        return parts[0]

    handles = [
        member.backbone.register_forward_pre_hook(add),
        member.backbone.register_forward_hook(take_out),
    ]
    try:
        yield shared
    finally:
        for handle in handles:
            handle.remove()


def _learns(backbone: nn.Module) -> bool:
    """Whether a pass gives a gradient to the weights."""
    return torch.is_grad_enabled() and any(w.requires_grad for w in backbone.parameters())
