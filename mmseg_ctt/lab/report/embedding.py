# Copyright (c) mmseg_ctt contributors.
"""Features of the memory banks and of validation pixels in one plane."""

from typing import NamedTuple, Tuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn import functional as F

from ...functional import downsample_nearest, select_per_class
from ...methods.ctt.contrast import CrossContrast
from .evaluation import spread
from .parts import NothingToShow

MAX_POINTS = 2000
MIN_ENTRIES = 5  # of a bank, below which there is nothing to see
PER_IMAGE = 8  # pixels of a class from one image, so that many images contribute


class Points(NamedTuple):
    """Features of one pair.

    Attributes:
        features (Tensor): ``(N, D)`` float32, of length 1.
        label (Tensor): ``(N,)`` int64 classes.
        is_bank (Tensor): ``(N,)`` bool, False for pixels of images.
    """

    features: Tensor
    label: Tensor
    is_bank: Tensor


@torch.no_grad()
def collect_points(
    model: BaseModel, dataset: BaseDataset, max_images: int, pair: int = 0, seed: int = 0
) -> Points:
    """Bank entries of a pair and as many features of its student, class by class.

    Args:
        model (BaseModel): In eval mode, with the banks of :class:`CrossContrast`.
        dataset (BaseDataset): Labelled images.
        max_images (int): Images that queries are drawn from.
        pair (int): Which bank, and which student. Defaults to 0.
        seed (int): Of the draws. Defaults to 0.

    Raises:
        ValueError: If the model has no bank, or too little is in it.
    """
    contrast = getattr(model, 'contrast', None)
    if not isinstance(contrast, CrossContrast):
        raise NothingToShow('the model has no class memory bank')
    g = torch.Generator().manual_seed(seed)
    bank = contrast.bank
    per_class = max(2, MAX_POINTS // (2 * bank.num_classes))
    kept, kept_label = _some_per_class(
        bank.features[pair].flatten(0, 1).cpu(),
        torch.arange(bank.num_classes).repeat_interleave(bank.size),
        bank.filled[pair].flatten().cpu(),
        bank.num_classes,
        per_class,
        g,
    )
    if len(kept) < MIN_ENTRIES:
        raise ValueError(f'the bank holds {len(kept)} entries only')
    queries = [
        _queries(model, contrast, pair, dataset[i], g) for i in spread(len(dataset), max_images)
    ]
    query, label = (torch.cat(part) for part in zip(*queries))
    query, label = _some_per_class(
        query, label, torch.ones_like(label, dtype=torch.bool), bank.num_classes, per_class, g
    )
    features = F.normalize(torch.cat([kept, query]).float(), dim=1)
    is_bank = torch.arange(len(features)) < len(kept)
    return Points(features, torch.cat([kept_label, label]), is_bank)


def project(points: Points, seed: int = 0) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of features of length 1, started from their PCA.

    Between such features the squared distance is 2 minus twice the cosine similarity, by which the
    contrast compares them.

    Args:
        points (Points): ``N`` features.
        seed (int): Defaults to 0.

    Returns:
        np.ndarray: ``(N, 2)`` float32.

    Raises:
        ImportError: Without scikit-learn.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise ImportError('t-SNE needs scikit-learn: pip install "mmseg_ctt[report]"') from None
    perplexity = min(30.0, (len(points.features) - 1) / 3)
    return TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(
        points.features.numpy()
    )


def _queries(
    model: BaseModel, contrast: CrossContrast, pair: int, sample: dict, g: torch.Generator
) -> Tuple[Tensor, Tensor]:
    """Features of the student and true classes of some pixels of one image."""
    batch = model.data_preprocessor(pseudo_collate([sample]), False)
    truth = batch['data_samples'][0].gt_sem_seg.data.cpu()
    (output,) = model.forward_member(f'student{pair}', batch['inputs'])
    embedding = _without_padding(
        contrast._pooled(output.embedding).cpu(),
        batch['inputs'],
        batch['data_samples'][0].metainfo['img_shape'],
    )
    height, width = embedding.shape[2:]
    label = downsample_nearest(truth, (height, width)).flatten()
    known = (label >= 0) & (label < model.num_classes)
    rows = embedding.permute(0, 2, 3, 1).flatten(0, 2)
    return _some_per_class(rows, label, known, model.num_classes, PER_IMAGE, g)


def _without_padding(embedding: Tensor, inputs: Tensor, shape: Tuple[int, int]) -> Tensor:
    """The part ``(1, D, h, w)`` that shows the image; padding is to the right and below."""
    height, width = (
        max(1, round(side * real / padded))
        for side, real, padded in zip(embedding.shape[2:], shape, inputs.shape[2:])
    )
    return embedding[:, :, :height, :width]


def _some_per_class(
    rows: Tensor, label: Tensor, valid: Tensor, num_classes: int, count: int, g: torch.Generator
) -> Tuple[Tensor, Tensor]:
    """At most ``count`` random rows of every class, and their classes."""
    score = torch.rand(len(label), generator=g)
    index, taken = select_per_class(label, score, valid, num_classes, count)
    chosen = index[taken]
    return rows[chosen], label[chosen]
