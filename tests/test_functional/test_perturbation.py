# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import perturbation as reference
from torch import nn

from mmseg_ctt.functional import (
    adaptive_radius,
    adversarial_direction,
    channel_dropout,
    complementary_channel_dropout,
    uniform_feature_noise,
)

B, C, K, SIZE = 4, 6, 3, (3, 5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def features(batch=B, seed=0, dtype=torch.float32):
    feature = torch.randn(batch, C, *SIZE, generator=generator(seed), dtype=dtype)
    return feature.requires_grad_()


def close(got, want, **tolerance):
    np.testing.assert_allclose(
        got.detach().double().numpy(), want, **{'rtol': 1e-5, 'atol': 1e-7, **tolerance}
    )


# ---- channel dropout


@pytest.mark.parametrize('p', [0.0, 0.3, 0.5])
def test_channel_dropout_equals_loops(p):
    feature, noise = features(), torch.rand(B, C, generator=generator(1))
    got = channel_dropout(feature, p, noise)
    close(got, reference.channel_dropout(feature.detach().double().numpy(), p, noise.numpy()))
    got.sum().backward()
    assert torch.equal(
        feature.grad, (noise >= p).float().div(1 - p)[..., None, None].expand_as(got)
    )


def test_channel_dropout_draws_for_each_image():
    feature = torch.ones(200, C, 2, 2)
    got = channel_dropout(feature, 0.3, generator=generator())
    assert torch.equal(got, channel_dropout(feature, 0.3, generator=generator()))
    assert not torch.equal(got, channel_dropout(feature, 0.3, generator=generator(1)))
    dropped = (got == 0).flatten(2).all(2)
    assert dropped.float().mean().item() == pytest.approx(0.3, abs=0.06)
    assert torch.equal(got[~dropped], torch.full_like(got[~dropped], 1 / 0.7))
    torch.manual_seed(0)
    first = channel_dropout(feature)
    torch.manual_seed(0)
    assert torch.equal(first, channel_dropout(feature)) and len(first.unique()) == 2


@pytest.mark.parametrize('p', [-0.1, 1.0])
def test_bad_probability(p):
    with pytest.raises(ValueError, match=r'p must be in \[0, 1\)'):
        channel_dropout(features(), p)


# ---- complementary dropout


@pytest.mark.parametrize('batch', [1, 2, 5])
def test_complementary_dropout_equals_loops(batch):
    feature = features(2 * batch)
    noise = torch.rand(batch, C, generator=generator(1))
    keys = torch.rand(batch, generator=generator(2))
    whole = keys.argsort()[: batch // 2].tolist()
    got = complementary_channel_dropout(feature, noise, keys)
    want = reference.complementary(feature.detach().double().numpy(), noise.numpy(), whole)
    assert torch.equal(got.double(), torch.from_numpy(want))
    # the views of one content together keep every channel
    same = torch.cat([feature[:batch]] * 2)
    halves = complementary_channel_dropout(same, noise, keys)
    torch.testing.assert_close((halves[:batch] + halves[batch:]) / 2, feature[:batch])


def test_levels_share_their_channels():
    noise, keys = torch.rand(2, C, generator=generator(1)), torch.tensor([0.9, 0.1])
    maps = complementary_channel_dropout(torch.ones(4, C, 2, 2), noise, keys)
    tokens = complementary_channel_dropout(torch.ones(4, 7, C), noise, keys, channel_dim=-1)
    assert torch.equal(maps[:, :, 0, 0], tokens[:, 0])
    assert torch.equal(tokens, tokens[:, :1].expand_as(tokens))
    assert (maps[1] == 1).all() and (maps[3] == 1).all() and not (maps[0] == 1).any()


def test_complementary_dropout_draws():
    feature = torch.ones(400, C, 1, 1)
    got = complementary_channel_dropout(feature, generator=generator())[..., 0, 0]
    whole = (got == 1).all(1)
    assert whole[:200].sum() == 100 and torch.equal(whole[:200], whole[200:])
    assert got[:200][~whole[:200]].mean().item() == pytest.approx(1, abs=0.15)
    with pytest.raises(ValueError, match='two views of each image, got 3'):
        complementary_channel_dropout(features(3))


# ---- noise


@pytest.mark.parametrize('shared', [True, False])
def test_feature_noise(shared):
    feature = features()
    noise = torch.rand(feature.shape[shared:], generator=generator(1))
    got = uniform_feature_noise(feature, 0.2, noise)
    factor = 1 + (2 * noise.double().numpy() - 1) * 0.2
    close(got, feature.detach().double().numpy() * factor)
    assert factor.min() < 0.85 and factor.max() > 1.15
    drawn = uniform_feature_noise(feature, generator=generator()) / feature
    assert 0.7 <= drawn.min() < 0.75 and 1.25 < drawn.max() <= 1.3
    assert not torch.equal(drawn[0], drawn[1])


# ---- adversarial direction


def linear(dtype=torch.float32, seed=5):
    """A network whose logits are linear in each pixel, and its weight."""
    weight = torch.randn(K, C, generator=generator(seed), dtype=dtype)
    return (lambda image: torch.einsum('kc,bchw->bkhw', weight, image)), weight


@pytest.mark.parametrize('kind', ['kl', 'squared'])
@pytest.mark.parametrize('iterations', [1, 3])
def test_direction_equals_loops(kind, iterations):
    predict, weight = linear(torch.float64)
    image, noise = features(dtype=torch.float64), features(seed=1, dtype=torch.float64)
    target = predict(features(seed=2, dtype=torch.float64)).softmax(1)
    got = adversarial_direction(
        predict, image, target, noise, 2.0, 0.3, kind, num_iterations=iterations
    )
    for b in range(B):
        d = noise[b].detach().numpy()
        for _ in range(iterations):
            d = reference.direction(
                weight.numpy(), image[b].detach().numpy(), target[b].detach().numpy(), d, 0.3, kind
            )
        close(got[b], 2 * d, rtol=1e-8)
    assert not got.requires_grad and image.grad is None


def test_it_raises_the_distance_more_than_noise():
    """On a network with weights and a batch norm, none of which changes or gets a gradient."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(C, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, K, 1)
    ).eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    image = features().detach()
    with torch.no_grad():
        target = net(image).softmax(1)
        noise = torch.randn(image.shape, generator=generator(3))
        direction = adversarial_direction(net, image, target, noise)

        def distance(step):
            return F.kl_div(net(image + step).log_softmax(1), target, reduction='sum')

        length = noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        assert distance(direction) > 2 * distance(noise / length) > 0
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert direction.flatten(1).norm(dim=1).tolist() == pytest.approx([1] * B, rel=1e-5)


def test_length_of_each_image():
    predict, _ = linear()
    image, target = features().detach(), torch.full((B, K, *SIZE), 1 / K)
    eps = torch.arange(1.0, B + 1).view(-1, 1, 1, 1)
    got = adversarial_direction(predict, image, target, features(seed=1), eps)
    assert got.flatten(1).norm(dim=1).tolist() == pytest.approx([1, 2, 3, 4], rel=1e-5)


@pytest.mark.parametrize('nothing', ['gradient', 'image'])
def test_without_a_gradient_it_is_zero(nothing):
    predict, _ = linear()
    image, target, noise = features().detach(), torch.full((B, K, *SIZE), 1 / K), features(seed=1)
    if nothing == 'image':
        image, target, noise = image[:0], target[:0], noise[:0]
    got = adversarial_direction(lambda x: predict(x) * 0, image, target, noise)
    assert got.shape == image.shape and not got.any()


@pytest.mark.parametrize('scale', [1.0, 0.4])
def test_radius_equals_loops(scale):
    image = features()
    got = adaptive_radius(image, scale)
    assert got.shape == (B, 1, 1, 1) and not got.requires_grad
    want = [reference.radius(map_, scale) for map_ in image.detach().double().numpy()]
    close(got.flatten(), want)
    assert adaptive_radius(torch.ones(1, 1, 2, 2)) == 0
    valid = torch.ones(B, *SIZE, dtype=torch.bool)
    valid[..., 3:] = False
    padded = torch.where(valid.unsqueeze(1), image, 9)
    torch.testing.assert_close(
        adaptive_radius(padded, scale, valid), adaptive_radius(image[..., :3], scale)
    )


# ---- families


def test_half_precision():
    feature, noise = features().detach().bfloat16(), torch.rand(B, C, generator=generator(1))
    predict, _ = linear()
    target = predict(features(seed=2)).softmax(1)
    with torch.autocast('cpu', torch.bfloat16):
        dropped = channel_dropout(feature, 0.5, noise)
        halves = complementary_channel_dropout(feature, noise[:2], noise[:2, 0])
        noisy = uniform_feature_noise(feature, noise=noise[..., None, None])
        direction = adversarial_direction(predict, feature, target, features(seed=1))
        radius = adaptive_radius(feature)
    assert dropped.dtype == halves.dtype == noisy.dtype == torch.bfloat16
    assert torch.equal(dropped.float(), channel_dropout(feature.float(), 0.5, noise))
    assert direction.dtype == radius.dtype == torch.float32
    assert torch.equal(radius, adaptive_radius(feature.float()))
    exact = adversarial_direction(predict, feature.float(), target, features(seed=1))
    assert (direction * exact).flatten(1).sum(1).min() > 0.99


def test_nothing_waits_for_the_device():
    feature = features()
    predict, _ = linear()
    target = predict(features(seed=2)).softmax(1).detach()

    def step():
        dropped = channel_dropout(feature)
        halves = complementary_channel_dropout(dropped)
        noisy = uniform_feature_noise(halves)
        radius = adaptive_radius(noisy)
        step = adversarial_direction(predict, noisy, target, torch.rand_like(noisy), radius)
        (noisy + step).sum().backward()

    assert record(step) == []
