# Copyright (c) mmseg_ctt contributors.
"""Regional contrast with actively drawn queries and negative keys (ReCo, arXiv 2104.04465).

``tests/parity/test_parity_reco.py`` compares with values of the released code.
"""

import torch
from torch import Tensor

from ...functional.precision import full_precision
from ...functional.unit import unit


@torch.no_grad()
def negative_class_probability(
    prototype: Tensor, present: Tensor, temperature: float = 0.5
) -> Tensor:
    """Probability that a class gives a negative key of another: the more alike, the likelier.

    Softmax over the other classes of the cosine of their mean features, over temperature (active
    key sampling, paper section 3.3).

    Args:
        prototype (Tensor): ``(K, D)``, mean feature of each class.
        present (Tensor): ``(K,)`` bool, classes that have keys; the others give none.
        temperature (float): Defaults to 0.5 (released code).

    Returns:
        Tensor: ``(K, K)``, row ``c`` for queries of class ``c``; zeros where no other is present.
    """
    direction = unit(prototype.detach())
    own = torch.eye(len(prototype), dtype=torch.bool, device=prototype.device)
    able = present & ~own
    with torch.autocast(prototype.device.type, enabled=False):
        score = (direction @ direction.t() / temperature).masked_fill(~able, -torch.inf)
    return score.softmax(dim=1).masked_fill(~able, 0)  # the softmax of a row of -inf is NaN


@torch.no_grad()
def draw_classes(probability: Tensor, noise: Tensor) -> Tensor:
    """Random classes of given probabilities.

    Args:
        probability (Tensor): ``(K, C)``; rows need not sum to exactly 1.
        noise (Tensor): ``(K, n)`` in [0, 1).

    Returns:
        Tensor: ``(K, n)`` int64, classes of positive probability; 0 where a row has none.
    """
    running = probability.cumsum(dim=1)
    drawn = torch.searchsorted(running, noise * running[:, -1:], right=True)
    number = torch.arange(probability.shape[1], device=probability.device)
    last = torch.where(probability > 0, number, 0).amax(dim=1, keepdim=True)
    return drawn.minimum(last)  # a product just below the total may be rounded up to it


def regional_contrast(
    feature: Tensor,
    query: Tensor,
    prototype: Tensor,
    negative: Tensor,
    weight: Tensor,
    temperature: float = 0.5,
) -> Tensor:
    """Regional contrast: queries of a class go to its mean and away from pixels of other classes.

    Softmax cross-entropy of the mean among mean and negative keys, by cosine over temperature
    (paper Eq 1). Mean over the queries of a class, weighted sum over the classes. Keys have no
    gradient. The cosines of all queries with all pixels are formed by one product and the drawn
    ones are read: ``K * Q * N`` numbers, fewer than the ``K * Q * M * D`` of the drawn keys where
    a batch has fewer than ``M * D`` pixels.

    Args:
        feature (Tensor): ``(N, D)`` representation of all pixels. Receives the gradient.
        query (Tensor): ``(K, Q)`` int64, pixels that are the queries of each class.
        prototype (Tensor): ``(K, D)``, mean feature of each class, constant.
        negative (Tensor): ``(K, Q, M)`` int64, pixels that are the negative keys of each query.
        weight (Tensor): ``(K,)``; 0 for classes that do not take part, whose indices are anything
            in ``[0, N)``.
        temperature (float): Defaults to 0.5 (released code).

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no class takes part.
    """
    feature = full_precision(feature)
    with torch.autocast(feature.device.type, enabled=False):
        queries = unit(feature[query])  # (K, Q, D)
        positive = (queries * unit(prototype.detach().to(feature)).unsqueeze(1)).sum(2)
        cosine = queries @ unit(feature.detach()).t()  # (K, Q, N)
        score = torch.cat([positive.unsqueeze(2), cosine.gather(2, negative)], dim=2) / temperature
        loss = score.logsumexp(dim=2) - score[..., 0]
        return (loss.mean(dim=1) * weight).sum()
