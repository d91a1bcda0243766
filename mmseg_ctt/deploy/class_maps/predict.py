# Copyright (c) mmseg_ctt contributors.
"""Class maps of an image by a network whose head has ``class_maps``."""

from typing import Any, Callable, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from torch import Tensor

from ...functional.class_maps import class_scores, normalized_class_maps
from ...functional.pamr import pamr
from ...weak_labels.class_map_files import ClassMaps
from ..api.load import ENSEMBLE
from ..api.predict import input_pipeline

REFINEMENTS = ('none', 'pamr')
RawMaps = Callable[[Tensor], Tensor]
Partners = Sequence[Sequence[str]]  # files of the other images of each group


class ClassMapSettings(NamedTuple):
    """How class maps are made.

    Attributes:
        scales (Sequence[float]): Factors of the size of the image; the maps are averaged.
        flip (bool): Whether flipped images are averaged in, too.
        refine (str): One of :data:`REFINEMENTS`.
        tag_threshold (float | None): Tags of an image that has none are the classes of a higher
            probability; None: all images must have tags.
        groups (int): Groups of images with common tags that refine the maps of an image, see
            :mod:`.groups`; 0: the image alone.
    """

    scales: Sequence[float] = (0.5, 1.0, 1.5, 2.0)
    flip: bool = True
    refine: str = 'none'
    tag_threshold: Optional[float] = None
    groups: int = 0

    def check(self) -> None:
        """Raise a ValueError that names a setting without a meaning."""
        if not self.scales or min(self.scales) <= 0 or len(set(self.scales)) < len(self.scales):
            raise ValueError(f'scales={list(self.scales)} must be different positive numbers')
        if self.refine not in REFINEMENTS:
            raise ValueError(f'refine={self.refine!r} must be one of {", ".join(REFINEMENTS)}')
        if self.tag_threshold is not None and not 0 <= self.tag_threshold < 1:
            raise ValueError(f'tag_threshold={self.tag_threshold} must be from 0 to below 1')
        if self.groups < 0:
            raise ValueError(f'groups={self.groups} must not be negative')


def class_map_head(model: Any) -> Any:
    """Head of a network that gives class maps.

    Args:
        model (BaseSegmentor): From :func:`mmseg_ctt.deploy.api.load_model`.

    Raises:
        ValueError: If it gives none.
    """
    head = getattr(model, 'decode_head', None)
    ensemble = getattr(model, 'member_name', None) == ENSEMBLE
    if ensemble or not callable(getattr(head, 'class_maps', None)):
        found = 'an ensemble' if ensemble else type(model if head is None else head).__name__
        raise ValueError(
            f'class maps need a single network with a ClassMapHead, and this has {found}: give the '
            'config of a classifier, such as those of configs/cam, and one --member of it'
        )
    return head


@torch.inference_mode()
def scored_maps(
    model: Any,
    image: Tensor,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    raw_maps: Optional[RawMaps] = None,
) -> Tuple[Tensor, Tensor]:
    """Class maps, averaged over scaled and flipped images, and scores of the tags.

    At each scale, negative values are cut and the maps resized to the image before they are
    averaged. Scores are the averages of the raw maps.

    Args:
        model (BaseSegmentor): With a head that has ``class_maps``, in eval mode.
        image (Tensor): ``(B, C, H, W)``, normalised.
        scales (Sequence[float]): Factors of the size of the image.
        flip (bool): Whether flipped images are averaged in, too.
        raw_maps (Callable, optional): Raw maps ``(B, F, h, w)`` of images. Defaults to None: those
            of the head.

    Returns:
        tuple[Tensor, Tensor]: Maps ``(B, F, H, W)`` float32, not negative, and probabilities of the
        tags ``(B, F)`` float32.
    """
    head, size = class_map_head(model), image.shape[2:]
    raw_maps = raw_maps or (lambda scaled: head.class_maps(model.extract_feat(scaled)))
    maps, scores, number = None, None, 0
    for scale in scales:
        scaled_size = [max(1, round(side * scale)) for side in size]
        scaled = F.interpolate(image, scaled_size, mode='bilinear', align_corners=False)
        for flipped in (False, True) if flip else (False,):
            raw = raw_maps(scaled.flip(3) if flipped else scaled).float()
            raw = raw.flip(3) if flipped else raw
            up = F.interpolate(raw.clamp(min=0), size, mode='bilinear', align_corners=False)
            score = class_scores(raw)
            maps = up if maps is None else maps + up
            scores = score if scores is None else scores + score
            number += 1
    assert maps is not None and scores is not None
    return maps / number, (scores / number).sigmoid()


@torch.inference_mode()
def predict_class_maps(
    model: Any,
    path: str,
    tags: Optional[Sequence[int]],
    settings: ClassMapSettings,
    partners: Partners = (),
) -> ClassMaps:
    """Normalised class maps of the tagged classes of an image.

    Args:
        model (BaseSegmentor): From :func:`mmseg_ctt.deploy.api.load_model`.
        path (str): Image file.
        tags (Sequence[int], optional): Ids of the classes of the image; None takes those whose
            probability is above ``settings.tag_threshold``.
        settings (ClassMapSettings): How.
        partners (Sequence[Sequence[str]]): Files of the other images of each group; the maps are
            averaged over groups. Defaults to (): maps of the image alone.

    Returns:
        ClassMaps: Of the P classes, at the size of the image.
    """
    first = int(class_map_head(model).background)
    pixels, image = _inputs(model, path)
    maps, scores = _averaged(model, image, settings, partners)
    if tags is None:
        assert settings.tag_threshold is not None
        indices = (scores[0] > settings.tag_threshold).nonzero().flatten().tolist()
    else:
        indices = sorted(tag - first for tag in tags)
    chosen = normalized_class_maps(maps[:, indices])
    chosen = F.interpolate(chosen, pixels.shape[2:], mode='bilinear') if indices else chosen
    if indices and settings.refine == 'pamr':
        chosen = pamr(pixels, chosen)
    found = chosen[0].cpu().numpy() if indices else np.zeros((0, *pixels.shape[2:]), np.float32)
    classes = np.array([index + first for index in indices], np.int64)
    return ClassMaps(found, classes, scores[0].cpu().numpy())


def _averaged(
    model: Any, image: Tensor, settings: ClassMapSettings, partners: Partners
) -> Tuple[Tensor, Tensor]:
    """:func:`scored_maps` of one image, alone or averaged over groups that it is in.

    The other images of a group are resized to the size of this one.
    """
    how = settings.scales, settings.flip
    if not partners:
        return scored_maps(model, image, *how)
    found = []
    for group in partners:
        others = [_inputs(model, path)[1] for path in group]
        resized = [
            F.interpolate(other, image.shape[2:], mode='bilinear', align_corners=False)
            for other in others
        ]
        batch = torch.cat([image, *resized])
        found.append([both[:1] for both in scored_maps(model, batch, *how, model.group_class_maps)])
    maps, scores = (torch.stack(parts).mean(dim=0) for parts in zip(*found))
    return maps, scores


def _inputs(model: Any, path: str) -> Tuple[Tensor, Tensor]:
    """Image at its own size in [0, 1], and as the test pipeline and the model prepare it."""
    loader, rest = input_pipeline(model)
    results: Any = loader.transform(dict(img_path=path))
    plain = np.atleast_3d(results['img']).transpose(2, 0, 1)
    pixels = torch.from_numpy(np.ascontiguousarray(plain)).float().unsqueeze(0) / 255
    data = model.data_preprocessor(pseudo_collate([rest(results)]), False)
    height, width = data['data_samples'][0].img_shape[:2]
    image = data['inputs'][:, :, :height, :width]  # without padding
    return pixels.to(image.device), image
