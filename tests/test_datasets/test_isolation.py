# Copyright (c) mmseg_ctt contributors.
import random

import numpy as np
import pytest
import torch

from mmseg_ctt.datasets.isolation import isolated_randomness


def numbers():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_numbers_depend_on_seed_and_draw_alone():
    with isolated_randomness(1, 2):
        first = numbers()
    numbers()
    with isolated_randomness(1, 2):
        assert numbers() == first
    for other in ((1, 3), (2, 2), (2, 1)):
        with isolated_randomness(*other):
            assert all(a != b for a, b in zip(numbers(), first))


def test_global_state_is_given_back():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    expected = [numbers(), numbers()]
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    seen = [numbers()]
    with isolated_randomness(1, 2):
        numbers()
    seen.append(numbers())
    assert seen == expected


def test_generators_of_devices_are_left_alone(monkeypatch):
    """Steps draw with them: dropout of a network on a GPU, for example."""
    seeded = []
    monkeypatch.setattr(torch.cuda, 'manual_seed_all', seeded.append)
    torch.manual_seed(0)
    assert seeded == [0]  # so it would be seen
    with isolated_randomness(1, 2):
        numbers()
    assert seeded == [0]


def test_global_state_is_given_back_after_an_error():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    with pytest.raises(RuntimeError):
        with isolated_randomness(1, 2):
            raise RuntimeError
    assert random.random() == expected


def test_large_seeds():
    with isolated_randomness(2**31 - 1, 10**12):
        assert all(0 <= number < 1 for number in numbers())
