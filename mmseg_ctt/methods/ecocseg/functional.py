# Copyright (c) mmseg_ctt contributors.
"""Error-correcting output codes: a word of bits for each class, and classes from bits.

A code is ``(K, M)``, one word of ``M`` bits a class, each bit 1 or -1. A network gives a logit of
each bit; ``p_m`` is the probability that bit ``m`` is 1.
"""

from typing import Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from ...functional.precision import full_precision

CHUNK = 1 << 22  # bits of the codes that are compared at once


def max_min_code(num_classes: int, num_bits: int, trials: int = 1000, seed: int = 0) -> Tensor:
    """Random code with the largest minimum distance between two words that a search finds.

    Among codes of equal distance of words, the one of the largest distance between columns counts:
    a column that is (nearly) another one, its complement or constant makes a bit of no use. After
    ECOCSeg's max-min distance encoding, which maximises both distances; their order is ours.

    Args:
        num_classes (int): ``K``.
        num_bits (int): ``M``.
        trials (int): Random codes that are compared. Defaults to 1000.
        seed (int): Of the random numbers; the same arguments give the same code. Defaults to 0.

    Returns:
        Tensor: ``(K, M)`` int8, 1 or -1.

    Raises:
        ValueError: If no two words of the best code differ, as ``2 ** M < K`` makes sure.

    Example:
        >>> code = max_min_code(4, 6)
        >>> code.shape, code_distance(code)
        (torch.Size([4, 6]), 4)
    """
    generator = torch.Generator().manual_seed(seed)
    best, highest = None, -1
    chunk = max(1, min(trials, CHUNK // (num_bits * max(num_bits, num_classes))))
    for start in range(0, trials, chunk):
        number = min(chunk, trials - start)
        codes = torch.randint(2, (number, num_classes, num_bits), generator=generator) * 2 - 1
        quality = _word_distance(codes) * (num_classes + 1) + _column_distance(codes)
        index = int(quality.argmax())
        if quality[index] > highest:
            best, highest = codes[index].to(torch.int8), int(quality[index])
    if best is None or code_distance(best) == 0:
        raise ValueError(
            f'no code of {num_bits} bits was found in which {num_classes} words differ: take more '
            'bits'
        )
    return best


def code_distance(code: Tensor) -> int:
    """Smallest number of bits in which two words of a code ``(K, M)`` differ."""
    return int(_word_distance(code[None].long())[0])


def _word_distance(codes: Tensor) -> Tensor:
    """``(N,)`` smallest distance of words of ``N`` codes ``(N, K, M)``."""
    num_classes, num_bits = codes.shape[1:]
    codes = codes.float()
    product = codes @ codes.transpose(1, 2) - 2 * num_bits * torch.eye(num_classes)
    return ((num_bits - product.flatten(1).amax(1)) / 2).long().clamp(max=num_bits)


def _column_distance(codes: Tensor) -> Tensor:
    """``(N,)`` smallest distance of a column to another, its complement, or a constant one."""
    columns = F.pad(codes.float(), (0, 1), value=1.0)
    product = (columns.transpose(1, 2) @ columns).abs()
    size = columns.shape[2]
    product = product - 2 * columns.shape[1] * torch.eye(size)
    return ((columns.shape[1] - product.flatten(1).amax(1)) / 2).long()


def distance_scores(bits: Tensor, code: Tensor) -> Tensor:
    """Class logits: the negative soft Hamming distance to each word, ``-sum_m |p_m - c_km|``.

    Words are taken as bits 0 and 1. The nearest word has the largest logit (ECOCSeg).

    Args:
        bits (Tensor): ``(B, M, h, w)`` logits of bits, any floating dtype.
        code (Tensor): ``(K, M)``, 1 or -1.

    Returns:
        Tensor: ``(B, K, h, w)`` float32 (float64 for double input), in ``[-M, 0]``.
    """
    bits = full_precision(bits)
    with torch.autocast(bits.device.type, enabled=False):
        return F.conv2d((bits / 2).tanh(), _kernel(code, bits)) / 2 - code.shape[1] / 2


def likelihood_scores(bits: Tensor, code: Tensor) -> Tensor:
    """Class logits: the log-likelihood of each word, up to a constant, ``sum_m c_km l_m / 2``.

    With independent bits their softmax is the posterior of the classes. They are linear in the
    logits of the bits (ours).

    Args:
        bits (Tensor): ``(B, M, h, w)`` logits ``l`` of bits, any floating dtype.
        code (Tensor): ``(K, M)``, 1 or -1.

    Returns:
        Tensor: ``(B, K, h, w)`` float32 (float64 for double input).
    """
    bits = full_precision(bits)
    with torch.autocast(bits.device.type, enabled=False):
        return F.conv2d(bits, _kernel(code, bits)) / 2


@torch.no_grad()
def bit_certainty(bits: Tensor) -> Tensor:
    """``max(p, 1 - p)`` of logits of bits of any shape, float32 (float64 for double input)."""
    return full_precision(bits).abs().sigmoid()


def reliable_bits(
    bits: Tensor, scores: Tensor, code: Tensor, threshold: Union[float, Tensor], max_words: int = 8
) -> Tuple[Tensor, Tensor]:
    """Bits that the most similar words of a pixel share (reliable bit mining of ECOCSeg).

    The candidates of a pixel are its best word, then its two best ones, and so on. Their shared
    bits are certain where the mean of ``max(p, 1 - p)`` over them reaches the threshold; the
    fewest words whose shared bits are certain count.

    Args:
        bits (Tensor): ``(B, M, H, W)`` logits of bits.
        scores (Tensor): ``(B, K, H, W)`` class logits, which rank the words.
        code (Tensor): ``(K, M)`` int8, 1 or -1.
        threshold (float | Tensor): Scalar or ``(B, H, W)``, in [0, 1].
        max_words (int): Words that are candidates at most. Defaults to 8 (released code).

    Returns:
        tuple[Tensor, Tensor]: ``(B, M, H, W)`` int8, the shared bit, 1 or -1, and 0 for a bit that
        is not reliable; ``(B, H, W)`` int64, number of candidates, 0 where none are certain.
    """
    certainty = bit_certainty(bits)
    ranks = scores.topk(min(max_words, len(code)), dim=1).indices
    words = code.t().contiguous()
    first = F.embedding(ranks[:, 0], code).movedim(-1, 1)
    shared, found = torch.ones_like(first, dtype=torch.bool), torch.zeros_like(first)
    number = torch.zeros_like(ranks[:, 0])
    for rank in range(ranks.shape[1]):
        word = words.index_select(1, ranks[:, rank].flatten()).view(-1, *number.shape)
        shared = shared & (word.movedim(0, 1) == first)
        count = shared.sum(1)
        mean = (certainty * shared).sum(1) / count.clamp(min=1)
        new = (number == 0) & (count > 0) & (mean >= threshold)
        found = torch.where(new[:, None] & shared, first, found)
        number = torch.where(new, rank + 1, number)
    return found, number


def code_loss(
    bits: Tensor,
    target: Tensor,
    code: Tensor,
    label: Tensor,
    weights: Tuple[float, float, float] = (1.0, 5.0, 2.0),
    temperature: float = 0.5,
    all_words: bool = False,
) -> Tensor:
    """Loss of bits of each pixel (ECOCSeg).

    Over the bits with a target: mean binary cross-entropy, plus ``1 - cos(l, t)`` (distance to the
    target), plus ``-log(e^{cos(l, t) / tau} / (e^{cos(l, t) / tau} + sum_{k != y} e^{cos(l, c_k) /
    tau}))`` (contrast with the words of other classes), each times its weight.

    Args:
        bits (Tensor): ``(B, M, H, W)`` logits ``l``. Receives the gradient.
        target (Tensor): ``(B, M, H, W)`` int8, ``t``: 1, -1, or 0 for bits without a target.
        code (Tensor): ``(K, M)``, 1 or -1, words ``c_k``.
        label (Tensor): ``(B, H, W)`` int64 class ``y`` in ``[0, K)``.
        weights (tuple[float, float, float]): Of the three. Defaults to (1, 5, 2) (released code).
        temperature (float): ``tau``. Defaults to 0.5 (released code).
        all_words (bool): The sum in the contrast is over the words of all classes, and the target
            is not in it (released code), so that the term may be negative. Defaults to False.

    Returns:
        Tensor: ``(B, H, W)`` float32 (float64 for double input); 0 for pixels without a target.
    """
    bits = full_precision(bits)
    with torch.autocast(bits.device.type, enabled=False):
        known = (target != 0).to(bits.dtype)
        count = known.sum(1).clamp(min=1)
        sign = target.to(bits.dtype)
        cross_entropy = (F.softplus(-sign * bits) * known).sum(1) / count
        # the norm of the bits with a target, never 0, so that its gradient is finite
        norm = ((bits * known).square().sum(1) + torch.finfo(bits.dtype).eps).sqrt()
        own = (bits * sign).sum(1) / (norm * count.sqrt())
        words = F.conv2d(bits * known, _kernel(code, bits))
        others = words / (norm * count.sqrt())[:, None] / temperature
        if not all_words:
            own_index = label.unsqueeze(1)
            others = others.scatter(1, own_index, (own / temperature)[:, None])
        contrast = others.logsumexp(1) - own / temperature
        terms = cross_entropy, 1 - own, contrast
        total = sum(weight * term for weight, term in zip(weights, terms))
        return total * known.amax(1)


def words_of(label: Tensor, code: Tensor, ignore_index: int = 255) -> Tensor:
    """``(B, M, H, W)`` int8 words of labels ``(B, H, W)``; 0 where there is no label."""
    known = label != ignore_index
    words = F.embedding(label.masked_fill(~known, 0), code).movedim(-1, 1)
    return words * known.unsqueeze(1)


def _kernel(code: Tensor, like: Tensor) -> Tensor:
    """The words as a 1x1 convolution."""
    return code.to(like.dtype)[..., None, None]
