# Copyright (c) mmseg_ctt contributors.
"""A permutation that is computed, not stored."""

MASK = (1 << 64) - 1
ROUNDS = 4


def keyed_permutation(position: int, length: int, key: int) -> int:
    """Image of ``position`` under the permutation of ``range(length)`` that belongs to ``key``.

    A Feistel network permutes the numbers of an even count of bits, the smallest that holds
    ``length``. It is applied again until the value is below ``length`` (cycle walking), which
    gives a permutation of ``range(length)``. Memory and time do not depend on ``length``.

    Args:
        position (int): In ``[0, length)``.
        length (int): Size of the set, at least 1.
        key (int): Chooses the permutation.

    Returns:
        int: In ``[0, length)``; different positions give different values.

    Example:
        >>> sorted(keyed_permutation(i, 5, key=7) for i in range(5))
        [0, 1, 2, 3, 4]
    """
    assert 0 <= position < length
    half = max(1, ((length - 1).bit_length() + 1) // 2)
    value = position
    while True:
        value = _feistel(value, half, key)
        if value < length:
            return value


def _feistel(value: int, half: int, key: int) -> int:
    low_bits = (1 << half) - 1
    left, right = value >> half, value & low_bits
    for number in range(ROUNDS):
        left, right = right, left ^ (mixed(right, key + number) & low_bits)
    return left << half | right


def mixed(value: int, key: int) -> int:
    """64-bit hash of two integers (the finaliser of SplitMix64, applied twice)."""
    for word in (key, value):
        value = (value + 0x9E3779B97F4A7C15 * (word + 1)) & MASK
        value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK
        value ^= value >> 31
    return value
