# Copyright (c) mmseg_ctt contributors.
"""Products by which pixels, channels and images are chosen: in float32 under any autocast."""

import pytest
import torch

from mmseg_ctt.methods.allspark.functional import channel_classes
from mmseg_ctt.methods.guidedmix.functional import most_similar
from mmseg_ctt.methods.stpg.contrast import AnchorContrast
from mmseg_ctt.nn.member import PixelOutput

K, WIDTH = 4, 8


def numbers(*shape, spread=1.0, seed=0):
    """Numbers near 1; with a small spread half precision confuses the order of their products."""
    return 1 + spread * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def anchored():
    """Memory after an update by the cosine with anchors."""
    torch.manual_seed(0)
    made = AnchorContrast(K, WIDTH, dict(size=40, budget=3), threshold=0.0, ranking='anchor')
    logits = torch.zeros(2, K, 8, 8)
    logits[:, 1] = 9.0
    output = PixelOutput(logits, numbers(2, WIDTH, 8, 8, spread=1e-3), [])
    made.projection, made.peer_projection = Same(), None
    made.update(output, torch.ones(2, 8, 8, dtype=torch.long))
    return made.bank.features


class Same(torch.nn.Module):
    def forward(self, embedding, drop=True):
        return embedding


CHOICES = {
    'STPG': anchored,
    'AllSpark': lambda: channel_classes(
        numbers(2, K, 8, 8, spread=1e-3), numbers(2, 32, 8, 8, seed=1)
    ),
    'GuidedMix-Net': lambda: most_similar(
        numbers(16, WIDTH, seed=1), numbers(8, WIDTH, spread=1e-3)
    ),
}


@pytest.mark.parametrize('name', CHOICES)
def test_choices_do_not_depend_on_the_precision(name):
    wanted = CHOICES[name]()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(CHOICES[name](), wanted)
