# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from torch import nn

from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.projection import PixelProjection, projected_zero_loss, rows

WIDTH, DIM = 6, 4


def build(**settings):
    torch.manual_seed(0)
    return PixelProjection(WIDTH, DIM, **settings)


def test_layers_by_hand():
    part, z = build(dropout=0.0), torch.randn(2, WIDTH, 5, 5)
    hidden = part.inner(z)
    mean, var = hidden.mean((0, 2, 3), keepdim=True), hidden.var((0, 2, 3), False, keepdim=True)
    want = part.outer(((hidden - mean) / (var + part.norm.eps).sqrt()).relu())
    torch.testing.assert_close(part(z), want)
    assert part(z).shape == (2, DIM, 5, 5)


def test_statistics_of_the_batch_in_every_mode_and_no_state_of_them():
    part, z = build(dropout=0.0), torch.randn(2, WIDTH, 5, 5)
    assert torch.equal(part.train()(z), part.eval()(z))
    assert {name.split('.')[0] for name, _ in part.named_buffers()} == set()


def test_dropout_drops_channels_and_can_be_left_out():
    part, z = build(dropout=0.5).train(), torch.randn(2, WIDTH, 5, 5)
    torch.manual_seed(1)
    assert not torch.equal(part(z), part(z))
    assert torch.equal(part(z, drop=False), part(z, drop=False))
    assert torch.equal(part(z, drop=False), build(dropout=0.0)(z))


@pytest.mark.parametrize(
    'norm,kind',
    [
        (None, nn.BatchNorm2d),
        (dict(type='BN'), nn.BatchNorm2d),
        (dict(type='SyncBN'), nn.SyncBatchNorm),
    ],
)
def test_norm_over_all_ranks_where_the_head_has_it(norm, kind):
    assert isinstance(build(norm_cfg=norm).norm, kind)


def test_zero_loss_is_attached_to_embeddings_and_weights():
    part = build()
    outputs = [
        PixelOutput(torch.zeros(1, 3, 2, 2), torch.randn(1, WIDTH, 2, 2, requires_grad=True), [])
        for _ in range(2)
    ]
    zero = projected_zero_loss(part, outputs)
    zero.backward()
    leaves = [*part.parameters(), *(output.embedding for output in outputs)]
    assert zero == 0
    assert all(leaf.grad is not None and leaf.grad.abs().sum() == 0 for leaf in leaves)


def test_rows():
    z = torch.randn(2, 3, 4, 5)
    assert torch.equal(rows(z)[1 * 20 + 2 * 5 + 3], z[1, :, 2, 3]) and rows(z).shape == (40, 3)
