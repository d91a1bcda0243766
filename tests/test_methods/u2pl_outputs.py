# Copyright (c) mmseg_ctt contributors.
"""Outputs of networks and pixels that are made up, for the contrast of U2PL."""

import torch

from mmseg_ctt.methods.u2pl.contrast import Pixels, UnreliableContrast
from mmseg_ctt.nn.member import PixelOutput

K, D, SIDE = 5, 6, 8
LABELED, UNLABELED = 2, 3
N = (LABELED + UNLABELED) * SIDE**2
DRAWS = [(7, i) for i in range(LABELED + UNLABELED)]


def build(seed=0, size=40, budget=None, **settings):
    torch.manual_seed(seed)
    settings = {**dict(num_anchors=8, num_negatives=4, dropout=0.0), **settings}
    bank = dict(size=size) if budget is None else dict(size=size, budget=budget)
    return UnreliableContrast(K, D, bank, dim=D, **settings)


def outputs(seed=0, images=(LABELED, UNLABELED), side=SIDE, scale=2.0):
    g = torch.Generator().manual_seed(seed)
    return [
        PixelOutput(
            scale * torch.randn(b, K, side, side, generator=g),
            torch.randn(b, D, side, side, generator=g).requires_grad_(),
            [],
        )
        for b in images
    ]


def some_pixels(seed=0, classes=range(K)):
    g = torch.Generator().manual_seed(seed)
    choice = torch.tensor(list(classes))
    label = choice[torch.randint(0, len(choice), (N,), generator=g)]
    known = torch.arange(N) < LABELED * SIDE**2
    low = known | (torch.rand(N, generator=g) < 0.3)
    label = label.masked_fill(~low & (torch.rand(N, generator=g) < 0.1), 255)
    return Pixels(
        torch.randn(N, D, generator=g),
        (2 * torch.randn(N, K, generator=g)).softmax(1),
        label,
        low,
        known,
        ~known & ~low & (torch.rand(N, generator=g) < 0.5),
    )
