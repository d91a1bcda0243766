# Copyright (c) mmseg_ctt contributors.
import pytest

from mmseg_ctt.datasets.permutation import keyed_permutation, mixed


def shuffled(length, key):
    return [keyed_permutation(i, length, key) for i in range(length)]


@pytest.mark.parametrize('length', [*range(1, 71), 1000])
def test_every_value_once(length):
    for key in (0, 1, mixed(5, 7)):
        assert sorted(shuffled(length, key)) == list(range(length))


def test_another_key_is_another_order():
    orders = {tuple(shuffled(50, key)) for key in range(100)}
    assert len(orders) == 100


def test_every_value_comes_first_for_some_key():
    first = [keyed_permutation(0, 10, mixed(key, 0)) for key in range(2000)]
    counts = [first.count(value) for value in range(10)]
    assert min(counts) > 140 and max(counts) < 260  # 200 each, four standard deviations of 13.4


@pytest.mark.parametrize('length', [100, 367, 1000])
def test_no_runs(length):
    """Neighbours stay together about as often as in a fair shuffle: twice in a list."""
    for key in range(20):
        order = shuffled(length, mixed(key, 1))
        steps = [b - a for a, b in zip(order, order[1:])]
        assert sum(abs(step) == 1 for step in steps) < 12
        assert max(steps.count(step) for step in set(steps)) < 12
        kept = sum(i == value for i, value in enumerate(order))
        assert kept < 10


def test_huge_set():
    length = 10**9
    positions = range(0, length, 10**4)  # 100,000 of them
    values = {keyed_permutation(i, length, 3) for i in positions}
    assert len(values) == len(positions)
    assert min(values) >= 0 and max(values) < length
    assert max(values) > 0.99 * length and min(values) < 0.01 * length


def test_positions_beyond_32_bits():
    length = 5 * 10**9
    values = [keyed_permutation(i, length, 3) for i in range(2**31 - 50, 2**31 + 50)]
    values += [keyed_permutation(i, length, 3) for i in range(2**32 - 50, 2**32 + 50)]
    assert len(set(values)) == 200
    assert any(value > 2**32 for value in values) and all(value < length for value in values)


def test_mixed_is_64_bits_and_keyed():
    values = {mixed(value, key) for value in range(100) for key in range(100)}
    assert len(values) == 10**4
    assert all(0 <= value < 2**64 for value in values)
    ones = sum(bin(value).count('1') for value in values) / 64 / len(values)
    assert abs(ones - 0.5) < 0.005  # eight standard deviations
    assert mixed(1, 2) != mixed(2, 1)
