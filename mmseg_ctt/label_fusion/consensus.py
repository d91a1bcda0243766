# Copyright (c) mmseg_ctt contributors.
"""Consensus of raters: self-consistency, completion of missing labels, one graph cut.

A re-implementation from the abstract of Mahapatra, "Semi-supervised learning and graph cuts for
consensus based medical image segmentation" (Pattern Recognition 63, 2017, arXiv 1612.02166). No
code was published, and the formulae beyond the abstract are ours:

1. features of every pixel (:mod:`.features`)
2. for each rater a random forest, out of bag (:mod:`.self_consistency`)
3. missing labels by the forest and local consistency (:mod:`.completion`)
4. self-consistency of each rater at each pixel (:mod:`.self_consistency`)
5. weights of the raters (:mod:`.weights`)
6. costs of each class, and of borders (:mod:`.energy`)
7. the mask of lowest energy (:mod:`.min_cut`, :mod:`.alpha_expansion`)

It recognises raters who are inconsistent. It cannot recognise a smooth, systematic error, such as
masks that are always too large: like features then have like labels.
"""

from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from .alpha_expansion import alpha_expansion
from .completion import LOCAL, complete_annotation, locally_consistent
from .energy import margin, neighbour_edges, unary_cost
from .features import image_features
from .grid import NEIGHBOURS, neighbour_pairs
from .min_cut import SCALE, check_fits, graph_cut
from .self_consistency import class_probability, self_consistency
from .votes import MISSING, check_annotations, raters_with_labels
from .weights import RULES, rater_weights

CERTAIN = 0.999  # part of a cost of 1 that rounding leaves


class ConsensusSettings(NamedTuple):
    """Settings of :func:`consensus`.

    Attributes:
        rule (str): ``'pixel'`` or ``'rater'``, see :func:`.weights.rater_weights`.
        power (float): Exponent of the self-consistency; small values are safer against raters with
            a systematic error.
        smoothness (float): Factor of the cost of borders; 0: each pixel for itself.
        neighbours (int, optional): 4 or 8 in images, 6 in volumes. None: 4 or 6.
        sigma (float, optional): Of intensities across a border. None: their standard deviation.
        trees (int): Trees of each forest.
        min_leaf (int): Pixels of a leaf, at the fewest.
        max_pixels (int): Pixels that train a forest; 0: all.
        window (int): Side of the window of the self-consistency, odd.
        local_consistency (str): ``'mean'``, ``'neighbors'`` or ``'none'``, see
            :func:`.completion.locally_consistent`.
        gabor_entropy (bool): Further feature, see :func:`.features.image_features`.
        scale (int): Steps of a cost of 1 in the cut.
        seed (int): Of the forests.
    """

    rule: str = 'pixel'
    power: float = 2.0
    smoothness: float = 0.3
    neighbours: Optional[int] = None
    sigma: Optional[float] = None
    trees: int = 60
    min_leaf: int = 10
    max_pixels: int = 20000
    window: int = 7
    local_consistency: str = 'mean'
    gabor_entropy: bool = False
    scale: int = SCALE
    seed: int = 0

    def check(self, ndim: Optional[int] = None) -> None:
        """Raise a ValueError that names a setting without a meaning.

        Args:
            ndim (int, optional): 2 for images, 3 for volumes. Defaults to None: either.
        """
        known = [k for n, values in NEIGHBOURS.items() if ndim in (None, n) for k in values]
        if self.neighbours is not None and self.neighbours not in known:
            where = {2: ' in images', 3: ' in volumes'}.get(ndim or 0, '')
            raise ValueError(f'neighbours={self.neighbours} must be one of {known}{where}')
        if self.rule not in RULES:
            raise ValueError(f'rule={self.rule!r} must be one of {RULES}')
        if self.local_consistency not in LOCAL:
            raise ValueError(f'local_consistency={self.local_consistency!r} must be one of {LOCAL}')
        for name in ('power', 'smoothness', 'max_pixels', 'seed'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name}={getattr(self, name)} must not be negative')
        for name in ('trees', 'min_leaf', 'window', 'scale'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name}={getattr(self, name)} must be positive')
        if self.window % 2 == 0:
            raise ValueError(f'window={self.window} must be odd, to have a pixel in its middle')
        if self.sigma is not None and not self.sigma > 0:
            raise ValueError(f'sigma={self.sigma} must be positive')


class Consensus(NamedTuple):
    """Result of :func:`consensus`.

    Attributes:
        label (np.ndarray): uint8 mask.
        margin (np.ndarray): float32 in [0, 1], see :func:`.energy.margin`.
        raters (list[int]): Positions of the raters who annotated the image; the entries of the
            fields below.
        completed (np.ndarray): uint8 ``(R, ...)``, their annotations without missing pixels.
        consistency (np.ndarray): float32 ``(R, ...)``, self-consistency of each pixel.
        weights (np.ndarray): float32 ``(R, ...)``.
    """

    label: np.ndarray
    margin: np.ndarray
    raters: List[int]
    completed: np.ndarray
    consistency: np.ndarray
    weights: np.ndarray

    @property
    def scores(self) -> List[float]:
        """Mean self-consistency of each of :attr:`raters`."""
        return [float(part.mean()) for part in self.consistency]


class Examined(NamedTuple):
    """Raters whose missing labels and self-consistency are known.

    Attributes:
        raters (list[int]): Positions of the raters who annotated the image.
        completed (np.ndarray): See :class:`Consensus`.
        consistency (np.ndarray): See :class:`Consensus`.
    """

    raters: List[int]
    completed: np.ndarray
    consistency: np.ndarray


def consensus(
    image: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    settings: Optional[ConsensusSettings] = None,
    spacing: Optional[Sequence[float]] = None,
) -> Consensus:
    """Fuse the annotations of one image.

    Args:
        image (np.ndarray): ``(H, W)`` or ``(X, Y, Z)``, or with channels behind.
        labels (np.ndarray): ``(R, H, W)`` or ``(R, X, Y, Z)`` class ids; 255: not annotated.
        num_classes (int): Number of classes.
        settings (ConsensusSettings, optional): Defaults to None: the defaults.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.

    Returns:
        Consensus: Mask, margin, completed annotations, self-consistency, weights.

    Raises:
        ValueError: If nobody annotated the image, sizes differ, or a setting has no meaning.
    """
    examined = examine_raters(image, labels, num_classes, settings, spacing)
    return fuse_examined(image, examined, num_classes, settings, spacing)


def examine_raters(
    image: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    settings: Optional[ConsensusSettings] = None,
    spacing: Optional[Sequence[float]] = None,
) -> Examined:
    """Steps 1 to 4: complete the annotations, and measure the self-consistency of each rater.

    Args: as of :func:`consensus`.

    Raises:
        ValueError: See :func:`consensus`.
    """
    settings = settings or ConsensusSettings()
    settings.check()
    labels = check_annotations(labels, num_classes)
    shape = labels.shape[1:]
    if tuple(image.shape[: len(shape)]) != shape:
        raise ValueError(f'an image of {image.shape} does not fit annotations of {shape}')
    raters = raters_with_labels(labels)
    if not raters:
        raise ValueError('no rater annotated any pixel of the image')
    features = image_features(image, len(shape), spacing, settings.gabor_entropy)
    forest = settings.trees, settings.min_leaf, settings.max_pixels, settings.seed
    completed, consistency = [], []
    for label in labels[raters]:
        probability = class_probability(features, label, num_classes, *forest)
        probability = locally_consistent(
            probability, label, image, settings.local_consistency, features, spacing
        )
        full = complete_annotation(label, probability)
        own = self_consistency(probability, full, label != MISSING, settings.window, spacing)
        completed.append(full)
        consistency.append(own)
    return Examined(raters, np.stack(completed), np.stack(consistency))


def check_cut(labels: np.ndarray, num_classes: int, settings: ConsensusSettings) -> None:
    """Find a cut that cannot fit into 32 bit, before the forests are grown.

    Where all raters agree, the costs are 0 and 1, whatever the weights; other pixels are left out,
    so that a cut may turn out to be too large later.

    Args:
        labels (np.ndarray): ``(R, ...)`` class ids; 255: not annotated.
        num_classes (int): Number of classes.
        settings (ConsensusSettings): Those of the cut are used.

    Raises:
        ValueError: If it does not fit.
    """
    present = labels[raters_with_labels(labels)]
    pairs = neighbour_pairs(labels.shape[1:], settings.neighbours)
    arcs = sum(present[0][first].size for first, _, _ in pairs)
    agreed = present[0][(present == present[0]).all(axis=0)]
    agreed = agreed[agreed != MISSING]
    largest = int(settings.scale * CERTAIN) if agreed.size else 0
    flow = 0
    if num_classes == 2:
        arcs *= 2
        flow = largest * min(int((agreed == k).sum()) for k in (0, 1))
    check_fits(present[0].size, arcs, largest, flow)


def fuse_examined(
    image: np.ndarray,
    examined: Examined,
    num_classes: int,
    settings: Optional[ConsensusSettings] = None,
    spacing: Optional[Sequence[float]] = None,
) -> Consensus:
    """Steps 5 to 7: weigh the raters, and find the mask of lowest energy.

    Args:
        image (np.ndarray): See :func:`consensus`.
        examined (Examined): Of :func:`examine_raters`.
        num_classes (int): Number of classes.
        settings (ConsensusSettings, optional): Those of the weights and of the cut are used.
        spacing (Sequence[float], optional): Of the pixels along each axis. Defaults to None: 1.

    Raises:
        ValueError: If a setting has no meaning.
    """
    settings = settings or ConsensusSettings()
    settings.check()
    weights = rater_weights(examined.consistency, settings.rule, settings.power)
    unary = unary_cost(examined.completed, weights, num_classes)
    ndim = unary.ndim - 1
    edges = neighbour_edges(image, ndim, settings.neighbours, settings.sigma, spacing)
    cut = graph_cut if num_classes == 2 else alpha_expansion
    fused = cut(unary, edges, settings.smoothness, settings.scale)
    return Consensus(fused, margin(unary), *examined, weights)
