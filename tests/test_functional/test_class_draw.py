# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.functional import draw_index, draw_per_class
from mmseg_ctt.methods.u2pl.functional import best_per_class

K, N = 5, 60


def pixels(seed=0):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, K, (N,), generator=g)
    valid = (torch.rand(N, generator=g) < 0.5) & (label != 3)
    return label.masked_fill(~valid, 255), valid


def test_drawn_pixels_are_valid_and_of_their_class():
    label, valid = pixels()
    index, count = draw_per_class(label, valid, K, torch.rand(K, 400))
    for c in range(K):
        own = ((label == c) & valid).nonzero().flatten().tolist()
        assert count[c] == len(own)
        if own:
            assert set(index[c].tolist()) == set(own)  # 400 draws leave out none
    assert count[3] == 0 and (index >= 0).all() and (index < N).all()


def test_drawing_is_uniform():
    label = torch.zeros(10, dtype=torch.long)
    label[::2] = 1
    noise = torch.arange(1000).add(0.5).div(1000).expand(2, -1)
    index, _ = draw_per_class(label, torch.ones(10, dtype=torch.bool), 2, noise)
    for c in (0, 1):
        assert torch.bincount(index[c], minlength=10)[label == c].tolist() == [200] * 5


def test_the_last_pixel_is_the_largest_number():
    label = torch.zeros(3, dtype=torch.long)
    almost = torch.tensor([[0.0, 0.999999], [0.0, 0.999999]])
    index, count = draw_per_class(label, torch.ones(3, dtype=torch.bool), 2, almost)
    assert index[0].tolist() == [0, 2] and count.tolist() == [3, 0]


def test_no_valid_pixel_at_all():
    index, count = draw_per_class(
        torch.full((4,), 255), torch.zeros(4, dtype=torch.bool), K, torch.rand(K, 3)
    )
    assert count.sum() == 0 and (index >= 0).all() and (index < 4).all()


def test_indices_lie_below_the_count():
    count = torch.tensor([0, 1, 7, 30000]).view(-1, 1, 1)
    below_one = torch.tensor(1.0).nextafter(torch.tensor(0.0))
    noise = torch.cat([torch.rand(4, 3, 50), below_one.expand(4, 3, 1), torch.zeros(4, 3, 1)], 2)
    index = draw_index(count, noise)
    assert index.dtype == torch.long and (index >= 0).all()
    assert (index <= (count - 1).clamp(min=0)).all()
    assert index[2].unique().tolist() == list(range(7))
    assert (index[3, :, 50] == 29999).all()


@pytest.mark.parametrize('number', [3, 100])
def test_best_per_class(number):
    g = torch.Generator().manual_seed(0)
    in_class = torch.rand(K, N, generator=g) < 0.4
    in_class[2] = False
    score = torch.rand(N, generator=g)
    index, taken = best_per_class(in_class, score, number)
    for c in range(K):
        own = sorted(in_class[c].nonzero().flatten().tolist(), key=lambda i: -float(score[i]))
        assert index[c][taken[c]].tolist() == own[:number]
        assert taken[c].tolist() == sorted(taken[c].tolist(), reverse=True)
    assert index.shape == (K, min(number, N))
    assert in_class.sum(0).max() > 1  # a pixel of several classes
