# Copyright (c) mmseg_ctt contributors.
"""Contrast of U2PL on two ranks against one process with the images of both."""

import pytest
import torch
from ranks import on_ranks

from mmseg_ctt.methods.u2pl.contrast import Pixels, UnreliableContrast
from mmseg_ctt.nn.member import PixelOutput

K, D, SIDE, DRAWS = 4, 6, 8, [(7, i) for i in range(4)]


def images(seed=0):
    """Two labelled and two unlabelled images, and what is known of them; halves are ranks."""
    g = torch.Generator().manual_seed(seed)
    shape = 4, SIDE, SIDE
    label = torch.randint(0, K, shape, generator=g)
    known = torch.tensor([True, False, True, False]).view(-1, 1, 1).expand(shape)
    order = torch.rand(shape, generator=g)
    return Pixels(
        torch.randn(*shape, D, generator=g),
        (2 * torch.randn(*shape, K, generator=g)).softmax(-1),
        label,
        known | (order < 0.3),
        known,
        ~known & (order > 0.6),
    )


def part(whole, rows):
    return Pixels(*(map_[rows].flatten(0, 2) for map_ in whole))


def build(**settings):
    torch.manual_seed(0)
    return UnreliableContrast(
        K,
        D,
        dict(size=30, budget=8),
        dim=D,
        dropout=0.0,
        num_anchors=5,
        num_negatives=4,
        ranks=(2, 4),
        **settings,
    )


def queues(rows):
    contrast, state = build(), []
    for step in range(3):
        contrast.update(part(images(step), rows), DRAWS[rows])
        state.append({name: value.clone() for name, value in contrast.bank.state_dict().items()})
    return state


def test_queues_are_those_of_one_process():
    alone = queues(slice(0, 4))
    ranks = on_ranks(lambda rank: queues(slice(2 * rank, 2 * rank + 2)))
    for state, *others in zip(alone, *ranks):
        for name, value in state.items():
            assert all(torch.equal(value, other[name]) for other in others), name
    assert alone[-1]['count'].tolist() == [24] * K


def contrast(rows, case):
    """Value and gradient where the draws do not matter: pixels of a class have equal features."""
    g = torch.Generator().manual_seed(3)
    feature, whole = torch.randn(K, D, 1, 1, generator=g), images()
    if case == 'classes of one rank only':
        first = torch.tensor([1, 1, 0, 0]).view(-1, 1, 1)
        whole = whole._replace(label=whole.label // 2 + 2 * (1 - first))
    elif case == 'nothing on a rank':
        none = torch.zeros_like(whole.low)
        none[:2] = True
        whole = whole._replace(low=whole.low & none)
    model = build()
    model.projection = torch.nn.Identity()
    model.bank.features.copy_(torch.randn(K, 1, D, generator=g).expand(-1, 30, -1))
    model.bank.count.fill_(30)
    embedding = feature[whole.label].squeeze(-1).squeeze(-1).permute(0, 3, 1, 2)[rows]
    embedding = embedding.contiguous().requires_grad_()
    loss = model([PixelOutput(None, embedding, [])], part(whole, rows), DRAWS[rows])
    loss.backward()
    return loss.detach(), embedding.grad.sum((0, 2, 3)), model.bank.count


@pytest.mark.parametrize('case', ['usual', 'classes of one rank only', 'nothing on a rank'])
def test_contrast_is_that_of_one_process(case):
    alone, slope, _ = contrast(slice(0, 4), case)
    ranks = on_ranks(lambda rank: contrast(slice(2 * rank, 2 * rank + 2), case))
    torch.testing.assert_close((ranks[0][0] + ranks[1][0]) / 2, alone, rtol=1e-5, atol=0)
    torch.testing.assert_close((ranks[0][1] + ranks[1][1]) / 2, slope, rtol=1e-4, atol=1e-7)
    assert alone > 0 and slope.abs().sum() > 0
