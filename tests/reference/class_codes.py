# Copyright (c) mmseg_ctt contributors.
"""ECOCSeg pixel by pixel: distances of words, classes, reliable bits, the loss."""

import math
from itertools import combinations
from typing import List, Sequence, Tuple


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def hamming(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x != y for x, y in zip(a, b))


def word_distance(code: Sequence[Sequence[int]]) -> int:
    return min(hamming(a, b) for a, b in combinations(code, 2))


def column_distance(code: Sequence[Sequence[int]]) -> int:
    """To another column, its complement, or a constant one."""
    columns = [*zip(*code), [1] * len(code)]
    pairs = [hamming(a, b) for a, b in combinations(columns, 2)]
    return min(min(d, len(code) - d) for d in pairs)


def soft_distance(bits: Sequence[float], word: Sequence[int]) -> float:
    return sum(abs(sigmoid(x) - (c > 0)) for x, c in zip(bits, word))


def log_likelihood(bits: Sequence[float], word: Sequence[int]) -> float:
    return sum(math.log(sigmoid(c * x)) for x, c in zip(bits, word))


def reliable(
    bits: Sequence[float], scores: Sequence[float], code, threshold: float, max_words: int
) -> Tuple[List[int], int]:
    """Shared bits of the fewest words that are certain, and their number."""
    order = sorted(range(len(code)), key=lambda k: -scores[k])
    for number in range(1, min(max_words, len(code)) + 1):
        words = [code[k] for k in order[:number]]
        shared = [m for m in range(len(bits)) if len({word[m] for word in words}) == 1]
        if not shared:
            continue
        certainty = sum(max(sigmoid(bits[m]), 1 - sigmoid(bits[m])) for m in shared) / len(shared)
        if certainty >= threshold:
            return [words[0][m] if m in shared else 0 for m in range(len(bits))], number
    return [0] * len(bits), 0


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    norm = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b)) / norm


def loss(
    bits: Sequence[float], target: Sequence[int], code, label: int, temperature: float, all_words
) -> Tuple[float, float, float]:
    """Cross-entropy, distance and contrast of a pixel over its bits with a target."""
    known = [m for m, t in enumerate(target) if t]
    if not known:
        return 0.0, 0.0, 0.0
    cross_entropy = -sum(math.log(sigmoid(target[m] * bits[m])) for m in known) / len(known)
    logits, own = [bits[m] for m in known], [target[m] for m in known]
    positive = math.exp(cosine(logits, own) / temperature)
    words = [[word[m] for m in known] for word in code]
    others = [
        math.exp(cosine(logits, word) / temperature)
        for k, word in enumerate(words)
        if all_words or k != label
    ]
    total = sum(others) + (0 if all_words else positive)
    return cross_entropy, 1 - cosine(logits, own), math.log(total / positive)
