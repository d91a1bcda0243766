# Copyright (c) mmseg_ctt contributors.
"""Disagreement of members on images without masks, and the choice of images to label next.

Score of an image (query by committee; the mean over the pixels is ours): the Jensen-Shannon
divergence of the members' class probabilities at a pixel,

    d = (H(mean_m p_m) - mean_m H(p_m)) / log(min(M, K))

with H the entropy, M members and K classes, averaged over the pixels of the image. It is 0 where
the members agree, also where all of them are equally unsure, and 1 where each is certain of another
class. A single network has nobody to disagree with: the score is its mean entropy over log K.

The choice (the two steps of Yang et al., MICCAI 2017; the second is the greedy k-centre of Gonzalez
1985, as for core-sets in Sener and Savarese, ICLR 2018): of the 5 N images with the highest scores,
the first is the highest one, and each further one is the image whose embedding is farthest (by the
angle) from all chosen so far.
"""

import math
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from ...datasets.image_reading import damage_of
from ...datasets.nodata import FIELD
from ...deploy.api.predict import Pipeline
from .images import ListedImage, load_image
from .members import MemberPass, compared_members

POOL = 5  # candidates per image that is chosen


class Scored(NamedTuple):
    """Image without a mask, and how much the members disagree on it.

    Attributes:
        image (ListedImage): The image.
        score (float): Mean over the pixels with data of :class:`Compared`'s divergence, in [0, 1].
        differing (float): Fraction of the pixels for which the members predict different classes;
            0 for a single network.
        embedding (np.ndarray): ``(D,)`` float32, of the first member.
    """

    image: ListedImage
    score: float
    differing: float
    embedding: np.ndarray


class Compared(NamedTuple):
    """Members compared on one image.

    Attributes:
        divergence (Tensor): ``(h, w)`` float32, in [0, 1].
        labels (dict[str, Tensor]): ``(h, w)`` int64 predicted classes by member.
    """

    divergence: Tensor
    labels: Dict[str, Tensor]


def compare(passes: MemberPass, data: Dict[str, Any]) -> Compared:
    """Divergence of members on one image; one member's probabilities are in memory at a time.

    Args:
        passes (MemberPass): Of the members.
        data (dict): ``inputs`` and ``data_samples`` of the image.
    """
    labels: Dict[str, Tensor] = {}
    total = entropies = torch.zeros(())
    for name, probability, label in passes.predictions(data):
        labels[name] = label
        entropies = entropies + torch.special.entr(probability).sum(dim=0)
        total = total + probability
    number = len(labels)
    if number == 1:
        return Compared(entropies / math.log(len(total)), labels)
    mixed = torch.special.entr(total / number).sum(dim=0)
    value = (mixed - entropies / number) / math.log(min(number, len(total)))
    return Compared(value.clamp(0, 1), labels)


def score_images(
    model: BaseModel, images: Iterable[ListedImage], pipeline: Pipeline
) -> Tuple[List[Scored], List[str]]:
    """Disagreement on every image; each is read once, and nothing but its score is kept.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        images (Iterable[ListedImage]): The images.
        pipeline (Pipeline): Of :func:`mmseg_ctt.deploy.api.predict.input_pipeline`.

    Returns:
        tuple[list[Scored], list[str]]: Images in their order, and files that cannot be decoded.

    Raises:
        ValueError: If no image can be decoded, or one is of another kind than the model takes.
    """
    passes = MemberPass(model, compared_members(model), embed=True)
    scored: List[Scored] = []
    damaged: List[str] = []
    for image in images:
        try:
            data = load_image(image, pipeline)
        except (OSError, ValueError):
            if damage_of(image.path) is None:
                raise
            damaged.append(image.path)
            continue
        compared = compare(passes, data)
        assert passes.embedding is not None
        shown = _with_data(data, compared.divergence)
        first, *others = compared.labels.values()
        differs = torch.zeros_like(first, dtype=torch.bool)
        for label in others:
            differs |= label != first
        scored.append(
            Scored(
                image,
                float(compared.divergence[shown].double().mean()),
                float(differs[shown].double().mean()),
                passes.embedding.numpy(),
            )
        )
    if not scored:
        raise ValueError('no image can be decoded' + (f', {damaged[0]} for one' if damaged else ''))
    return scored, damaged


def _with_data(data: Dict[str, Any], values: Tensor) -> Tensor:
    """Pixels ``(h, w)`` bool of an image that have data; all where none has."""
    sample = data['data_samples']
    every = torch.ones_like(values, dtype=torch.bool)
    if FIELD not in sample or sample.get(FIELD).data.shape[1:] != values.shape:
        return every
    shown = ~sample.get(FIELD).data[0].to(values.device)
    return shown if shown.any() else every


def choose(scored: Sequence[Scored], count: int, pool: int = POOL) -> List[Scored]:
    """Images to label next: of high disagreement, and unlike one another.

    Args:
        scored (Sequence[Scored]): All images.
        count (int): ``N``, number of images; all, where there are fewer.
        pool (int): Candidates are the ``pool * N`` images with the highest scores. Defaults to 5.

    Returns:
        list[Scored]: In the order in which they were chosen.
    """
    candidates = sorted(scored, key=lambda entry: -entry.score)[: pool * count]
    features = np.stack([entry.embedding for entry in candidates]).astype(np.float64)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    chosen = [0]
    distance = 1 - features @ features[0]
    while len(chosen) < min(count, len(candidates)):
        distance[chosen] = -np.inf
        chosen.append(int(distance.argmax()))  # the higher score among equals
        distance = np.minimum(distance, 1 - features @ features[chosen[-1]])
    return [candidates[i] for i in chosen]


def rule_of(model: BaseModel) -> str:
    """Which networks the score of a model compares, in words."""
    names = compared_members(model)
    if len(names) == 1:
        return f'the mean entropy of {names[0]} (there is no second network to disagree with)'
    return f'the mean Jensen-Shannon divergence of {" and ".join(names)}'
