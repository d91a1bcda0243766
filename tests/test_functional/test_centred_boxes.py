# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record
from reference.augseg import centred_box

from mmseg_ctt.functional import centred_box_mask, random_centres

SIZE = (9, 14)


@pytest.mark.parametrize('fraction', [0.0, 0.3, 0.5, 1.0])
def test_boxes_around_centres(fraction):
    centre = torch.tensor([[0, 0], [4, 7], [8, 13], [5, 1]])
    fractions = torch.full((4,), fraction)
    mask = centred_box_mask(SIZE, fractions, centre)
    for got, at in zip(mask, centre.tolist()):
        want = centred_box(SIZE, fraction, at)
        assert [tuple(pixel) for pixel in got.nonzero().tolist()] == want
    assert mask.any() == (fraction > 0)
    assert record(lambda: centred_box_mask(SIZE, fractions, centre)) == []


@pytest.mark.parametrize('lowest,first', [(0.0, (0, 0)), (1 / 4, (2, 3))])
def test_centres_are_everywhere_and_nowhere_else(lowest, first):
    uniform = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0))
    uniform[0], uniform[1] = 0, 1 - 1e-7
    rows, columns = random_centres(SIZE, uniform, lowest).unbind(1)
    assert sorted(set(rows.tolist())) == list(range(first[0], SIZE[0]))
    assert sorted(set(columns.tolist())) == list(range(first[1], SIZE[1]))
    counts = torch.bincount(rows.long())[first[0] :]
    assert counts.min() > 0.75 * counts.max()
