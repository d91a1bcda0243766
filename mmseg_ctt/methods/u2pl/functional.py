# Copyright (c) mmseg_ctt contributors.
"""Loss on reliable pseudo-labels, and contrast with unreliable ones (U2PL, arXiv 2203.03884).

Formulae that paper and released code have in common are compared with values of that code in
``tests/parity/test_parity_u2pl.py``.
"""

from typing import Callable, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.precision import full_precision
from ...functional.unit import length, unit

NEGATIVES = ('paper', 'released')


def reliable_cross_entropy(
    logits: Tensor,
    pseudo_label: Tensor,
    reliable: Tensor,
    ignore_index: int = 255,
    mean_count: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Cross-entropy of the reliable pixels, over their ratio in the batch (U2PL, ``L_u``).

    ``(n / kept) * sum_kept CE / kept`` with ``n`` all pixels of the batch; the first factor is the
    paper's ``lambda_u``, which the released code has in this loss too.

    Args:
        logits (Tensor): ``(B, K, H, W)``.
        pseudo_label (Tensor): ``(B, H, W)`` int64.
        reliable (Tensor): ``(B, H, W)`` bool.
        ignore_index (int): Label that does not count. Defaults to 255.
        mean_count (Callable, optional): Takes the number of kept pixels to its mean over all
            processes; the mean of the processes' losses is then that of one process with all
            their pixels. Defaults to None: one process.

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if nothing is kept.
    """
    logits = full_precision(logits)
    label = pseudo_label.masked_fill(~reliable, ignore_index)
    kept = (label != ignore_index).sum().to(logits.dtype)
    if mean_count is not None:
        kept = mean_count(kept)
    with torch.autocast(logits.device.type, enabled=False):
        total = F.cross_entropy(logits, label, ignore_index=ignore_index, reduction='sum')
    return total * label.numel() / kept.clamp(min=1).square()


@torch.no_grad()
def negative_candidates(
    prob: Tensor,
    label: Tensor,
    known: Tensor,
    unreliable: Tensor,
    ranks: Tuple[int, int] = (3, 20),
    below: float = 1.0,
    rule: str = 'paper',
) -> Tensor:
    """Negative keys of every class among the pixels of a batch (U2PL, ``n_ij(c)``).

    By the paper's rule a labelled pixel is a negative of the classes among the teacher's first
    ``ranks[0]``, its own label excepted. An unreliable unlabelled pixel is a negative of the
    classes ranked in ``ranks``: improbable, and still likely to be confused with it. The
    released code admits a pixel only for the class of its own (pseudo-)label. That leaves no
    labelled pixel, and unlabelled ones only where two passes of the teacher disagree.

    Args:
        prob (Tensor): ``(N, K)`` probabilities of the teacher.
        label (Tensor): ``(N,)`` int64, truth or pseudo-label; anything elsewhere.
        known (Tensor): ``(N,)`` bool, labelled pixels.
        unreliable (Tensor): ``(N,)`` bool, unlabelled pixels of high entropy.
        ranks (tuple[int, int]): ``r_l`` and ``r_h``, 0 being the likeliest class.
            Defaults to (3, 20).
        below (float): Probability of the class that a key stays under (released code's
            ``delta_n``). Defaults to 1: no condition.
        rule (str): ``'paper'`` or ``'released'``. Defaults to 'paper'.

    Returns:
        Tensor: ``(K, N)`` bool.

    Raises:
        ValueError: If the rule is unknown.
    """
    if rule not in NEGATIVES:
        raise ValueError(f'rule must be one of {NEGATIVES}, got {rule!r}')
    rank = prob.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    own = label.unsqueeze(1) == torch.arange(prob.shape[1], device=prob.device)
    likely = rank < ranks[0]
    is_negative = known.unsqueeze(1) & likely & ~own
    is_negative = is_negative | (unreliable.unsqueeze(1) & ~likely & (rank < ranks[1]))
    if rule == 'released':
        is_negative = is_negative & own
    return (is_negative & (prob < below)).t()


def unreliable_contrast(
    query: Tensor,
    anchor: Tensor,
    prototype: Tensor,
    bank: Tensor,
    negative: Tensor,
    weight: Tensor,
    temperature: float = 0.5,
) -> Tensor:
    """U2PL contrastive loss with negative queues per class (``L_c``).

    Softmax cross-entropy of an anchor's prototype among prototype and negatives, by cosine over
    temperature. Mean over the anchors of a class, weighted sum over the classes. Only the keys
    that are drawn are read; ``K * A * M * D`` numbers are kept for the gradient.

    Args:
        query (Tensor): ``(N, D)`` features of the student. Receives the gradient.
        anchor (Tensor): ``(K, A)`` int64, pixels that are the anchors of each class.
        prototype (Tensor): ``(K, D)`` positive of each class, constant.
        bank (Tensor): ``(K, V, D)`` queues, constant; entry ``c`` holds pixels that are not of
            class ``c``.
        negative (Tensor): ``(K, A, M)`` int64, entries of the queue of the class.
        weight (Tensor): ``(K,)``; 0 for classes that do not take part.
        temperature (float): Defaults to 0.5 (released code).

    Returns:
        Tensor: Scalar, float32 (float64 for double input); 0 with a graph if no class takes part.

    Raises:
        ValueError: If the feature widths of query and bank differ.
    """
    if query.shape[1] != bank.shape[2]:
        raise ValueError(
            f'the features are {query.shape[1]} wide and the memory bank '
            f'{bank.shape[2]}: set bank.dim to the width of the representation'
        )
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    queue = torch.arange(bank.shape[0], device=bank.device).view(-1, 1, 1)
    with torch.autocast(query.device.type, enabled=False):
        feature = unit(query.to(dtype)[anchor])  # (K, A, D)
        keys = bank.detach()[queue, negative].to(dtype)  # (K, A, M, D)
        positive = (feature * unit(prototype.detach().to(dtype)).unsqueeze(1)).sum(2)
        away = torch.einsum('kad,kamd->kam', feature, keys) / length(keys).squeeze(3)
        score = torch.cat([positive.unsqueeze(2), away], dim=2) / temperature
        loss = score.logsumexp(dim=2) - score[..., 0]
        return (loss.mean(dim=1) * weight).sum()


@torch.no_grad()
def best_per_class(in_class: Tensor, score: Tensor, number: int) -> Tuple[Tensor, Tensor]:
    """Highest scores of every class, where a pixel may belong to several classes.

    Args:
        in_class (Tensor): ``(K, N)`` bool.
        score (Tensor): ``(N,)`` float.
        number (int): Kept per class.

    Returns:
        tuple[Tensor, Tensor]: ``index`` ``(K, n)`` int64 into the pixels, by falling score, with
        ``n = min(number, N)``, and ``taken`` ``(K, n)`` bool, False behind the last of a class.
    """
    score = torch.where(in_class, score, -torch.inf)
    value, index = score.topk(min(number, score.shape[1]), dim=1)
    return index, value > -torch.inf
