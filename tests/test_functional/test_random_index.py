# Copyright (c) mmseg_ctt contributors.
"""Random choice among the true elements of a mask."""

import torch
from no_sync import record

from mmseg_ctt.functional.random_index import random_index

MASK = torch.tensor([[False, True, False, True, True], [False] * 5])


def test_candidates_are_counted_by_index():
    uniform = torch.tensor([[0.0, 0.3, 0.4, 0.6, 0.7, 0.9]]).expand(2, -1)
    assert random_index(MASK, uniform).tolist() == [[1, 1, 3, 3, 4, 4], [0] * 6]


def test_all_have_an_equal_chance():
    uniform = torch.rand(2, 30000, generator=torch.Generator().manual_seed(0))
    counts = random_index(MASK, uniform)[0].bincount(minlength=5)
    assert counts[~MASK[0]].sum() == 0
    assert (counts[MASK[0]] / 30000 - 1 / 3).abs().max() < 0.02


def test_numbers_just_below_one():
    mask = torch.ones(1, 2**20 + 1, dtype=torch.bool)
    assert random_index(mask, torch.tensor([[1 - 2**-24]])).item() == 2**20


def test_nothing_waits_for_the_device():
    uniform = torch.rand(2, 3)
    assert record(lambda: random_index(MASK, uniform)) == []
