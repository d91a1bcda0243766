# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.nn.rng import draws_of, sample_generator, sample_noise, sample_noises


def test_numbers_belong_to_the_sample():
    draws = [(0, 3), (0, 4), (1, 3), (5, 10**12)]
    noise = sample_noise(draws, 7, 'a')
    assert noise.shape == (4, 7) and noise.dtype == torch.float32
    assert noise.min() >= 0 and noise.max() < 1
    for row, draw in zip(noise, draws):
        assert torch.equal(sample_noise([draw], 7, 'a')[0], row)
    order = [2, 0, 3, 1]
    assert torch.equal(sample_noise([draws[i] for i in order], 7, 'a'), noise[order])


def test_samples_seeds_and_streams_differ():
    rows = [
        sample_noise([draw], 4, stream)[0]
        for stream in ('strong0/0/ColorJitter', 'strong1/0/ColorJitter', 'u2pl/keys')
        for draw in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 3))
    ]
    assert len({tuple(row.tolist()) for row in rows}) == 15


def test_several_streams_are_each_as_if_alone():
    draws, widths = [(3, 1), (3, 2)], dict(a=4, b=1, c=9)
    noise = sample_noises(draws, widths)
    assert list(noise) == list(widths)
    for name, width in widths.items():
        assert torch.equal(noise[name], sample_noise(draws, width, name))


def test_a_wider_draw_begins_with_the_narrow_one():
    wide, narrow = (sample_noise([(1, 2)], width, 'a') for width in (40, 9))
    assert torch.equal(wide[:, :9], narrow)


def test_neighbouring_draws_do_not_overlap():
    """Long rows of consecutive counters must not be shifted copies of each other."""
    rows = sample_noise([(0, i) for i in range(20)], 300, 'a')
    values = [set(row.tolist()) for row in rows]
    assert all(len(a & b) < 3 for i, a in enumerate(values) for b in values[:i])


def test_numbers_are_uniform():
    noise = sample_noise([(9, i) for i in range(2000)], 10, 'a')
    assert (noise.mean(0) - 0.5).abs().max() < 0.033  # five standard deviations
    assert (noise.var(0) - 1 / 12).abs().max() < 0.01
    assert torch.corrcoef(noise.t()).fill_diagonal_(0).abs().max() < 0.12
    shifted = torch.corrcoef(torch.stack([noise[:-1].flatten(), noise[1:].flatten()]))[0, 1]
    assert shifted.abs() < 0.04


def test_global_generators_play_no_part():
    torch.manual_seed(0)
    first, after = sample_noise([(1, 1)], 3, 'a'), torch.rand(1)
    torch.manual_seed(0)
    assert torch.rand(1) == after
    assert torch.equal(sample_noise([(1, 1)], 3, 'a'), first)


def test_the_generator_is_that_of_the_numbers():
    row = sample_noise([(1, 5)], 3, 'a')[0]
    assert row.tolist() == sample_generator((1, 5), 'a').random(3, dtype='float32').tolist()


@pytest.mark.parametrize('number', [0, 2**40])
def test_draws_of_a_batch(number):
    from toy import sample

    assert draws_of([sample('unlabeled', number), sample('labeled', 3)]) == [(7, number), (7, 3)]
