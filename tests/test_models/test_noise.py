# Copyright (c) mmseg_ctt contributors.
import torch

from mmseg_ctt.nn.rng import counter_noise


def test_numbers_belong_to_the_sample():
    draws = [(0, 3), (0, 4), (1, 3), (5, 10**12)]
    noise = counter_noise(draws, 7)
    assert noise.shape == (4, 7) and noise.dtype == torch.float32
    assert noise.min() >= 0 and noise.max() < 1
    for row, draw in zip(noise, draws):
        assert torch.equal(counter_noise([draw], 7)[0], row)
    order = [2, 0, 3, 1]
    assert torch.equal(counter_noise([draws[i] for i in order], 7), noise[order])


def test_samples_seeds_and_streams_differ():
    rows = [
        counter_noise([draw], 4, stream)[0]
        for stream in (0, 1, 2)
        for draw in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 3))
    ]
    assert len({tuple(row.tolist()) for row in rows}) == 15


def test_a_wider_draw_begins_with_the_narrow_one():
    assert torch.equal(counter_noise([(1, 2)], 40)[:, :9], counter_noise([(1, 2)], 9))


def test_neighbouring_draws_do_not_overlap():
    """Long rows of consecutive counters must not be shifted copies of each other."""
    rows = counter_noise([(0, i) for i in range(20)], 300)
    values = [set(row.tolist()) for row in rows]
    assert all(len(a & b) < 3 for i, a in enumerate(values) for b in values[:i])


def test_numbers_are_uniform():
    noise = counter_noise([(9, i) for i in range(2000)], 10)
    assert (noise.mean(0) - 0.5).abs().max() < 0.033  # five standard deviations
    assert (noise.var(0) - 1 / 12).abs().max() < 0.01
    assert torch.corrcoef(noise.t()).fill_diagonal_(0).abs().max() < 0.12
    shifted = torch.corrcoef(torch.stack([noise[:-1].flatten(), noise[1:].flatten()]))[0, 1]
    assert shifted.abs() < 0.04


def test_global_generators_play_no_part():
    torch.manual_seed(0)
    first, after = counter_noise([(1, 1)], 3), torch.rand(1)
    torch.manual_seed(0)
    assert torch.rand(1) == after
    assert torch.equal(counter_noise([(1, 1)], 3), first)
