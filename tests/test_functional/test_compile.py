# Copyright (c) mmseg_ctt contributors.
"""The functional core under ``torch.compile``: one graph each, the values of eager execution.

``aot_eager`` captures and differentiates the graphs without a C++ compiler, in a moment. Inductor
also generates their code, whose first build alone takes some 20 seconds: ``-m slow``.
"""

import functools

import pytest
import torch
from versions import COMPILE

from mmseg_ctt import functional
from mmseg_ctt.methods.ctt import bank_contrast as contrast

N, K, V, D = 30, 4, 3, 6
TOPICS = (  # files that a step calls
    'batch_hard_triplet',
    'class_graph',
    'confidence',
    'consistency',
    'dice',
    'distances',
    'ema',
    'locally_adaptive',
    'mixing',
    'pamr',
    'patch_sampling',
    'perturbation',
    'prediction_entropy',
    'probability',
    'pseudo_label',
    'random_views',
    'retrieval',
    'selection',
    'supervised',
)
CUDA = pytest.param(
    'cuda',
    marks=pytest.mark.skipif(
        not torch.cuda.is_available(), reason='this machine has no CUDA device'
    ),
)


def cases(device='cpu'):
    """By name: the function of floating point tensors alone, those tensors, and whether it has a
    gradient. Their values are exact in bfloat16."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape, scale=1):
        return (scale * torch.randn(shape, generator=g)).bfloat16().float().to(device)

    def chance(*shape):
        return (torch.rand(shape, generator=g) * 256).floor().div(256).to(device)

    label = torch.randint(0, K, (N,), generator=g).to(device)
    maps = torch.randint(0, K, (2, 8, 8), generator=g).to(device)
    valid, filled = chance(N) < 0.7, chance(K, V) < 0.8
    label, maps = label.masked_fill(~valid, 255), maps.masked_fill(chance(2, 8, 8) < 0.1, 255)
    score = torch.randperm(N, generator=g).div(32).to(device)  # no ties

    def weight(of):
        return functional.class_balanced_weight(label, of < 0.5, K)

    def ema(old, new):
        teacher = old.clone()
        functional.ema_update_([teacher], [new], functional.ema_decay(3))
        return teacher

    return {
        'high_level_contrast': (
            lambda q, bank: functional.high_level_contrast(q, label, bank, 0.1, valid, filled),
            (normal(N, D), normal(K, V, D)),
            True,
        ),
        'low_level_contrast': (
            lambda q, peer, bank: functional.low_level_contrast(
                q, peer, label, bank, 0.5, valid, filled
            ),
            (normal(N, D), normal(N, D), normal(K, V, D)),
            True,
        ),
        'cross_entropy': (
            lambda o: functional.cross_entropy(o, maps),
            (normal(2, K, 8, 8, scale=3),),
            True,
        ),
        'confident_fraction_cross_entropy': (
            lambda o, c: functional.confident_fraction_cross_entropy(o, maps, c, 0.5),
            (normal(2, K, 8, 8, scale=3), chance(2, 8, 8)),
            True,
        ),
        'pseudo_label': (
            lambda o: functional.pseudo_label(o, (16, 16)),
            (normal(2, K, 8, 8, scale=3),),
            False,
        ),
        'class_balanced_weight': (
            weight,
            (chance(N).where(valid, torch.ones(()).to(device)),),
            False,
        ),
        'sums_by_class': (
            lambda c: functional.sums_by_class(c, maps, K),
            (chance(2, 8, 8),),
            False,
        ),
        'select_per_class': (
            lambda s: functional.select_per_class(label, s, valid, K, 4),
            (score,),
            False,
        ),
        'class_mix_mask': (
            lambda keys: functional.class_mix_mask(maps, keys=keys, num_classes=K),
            (chance(2, K),),
            False,
        ),
        'cut_mix_mask': (
            lambda noise: functional.cut_mix_mask(maps, noise=noise),
            (chance(2, 4),),
            False,
        ),
        'pamr': (
            lambda image, p: functional.pamr(image, p, (1, 2), 2),
            (chance(2, 3, 8, 8), chance(2, K, 4, 4)),
            False,
        ),
        'mix': (lambda image: functional.mix(image, maps < 2), (normal(2, 3, 8, 8),), True),
        'downsample_nearest': (
            lambda c: functional.downsample_nearest(c, (4, 4)),
            (chance(2, 8, 8),),
            False,
        ),
        'ema_update_': (ema, (normal(5, 3), normal(5, 3)), False),
        **consistency_cases(normal, chance, maps),
        **patch_cases(normal, chance, maps),
        **perturbation_cases(normal, chance),
        **view_cases(normal, chance),
    }


def consistency_cases(normal, chance, maps):
    logits, confidence = normal(2, K, 4, 4, scale=3), chance(2, 8, 8)
    index = maps.masked_fill(maps == 255, 0)
    return {
        'confidence_weight': (
            lambda c: functional.confidence_weight(c, 0.5, 'image_ratio', maps != 255),
            (confidence,),
            False,
        ),
        'pixel_consistency': (
            lambda o, p: functional.pixel_consistency(o, p, 'binary'),
            (logits, chance(2, K, 8, 8)),
            True,
        ),
        'consistency_sums': (
            lambda o, c: functional.consistency_sums(o, maps, weight=c >= 0.5),
            (logits, confidence),
            True,
        ),
        'consistency_loss': (
            lambda o, p, c: functional.consistency_loss(o, p, 'squared', c, c.float().sum()),
            (logits, chance(2, K, 8, 8), confidence),
            True,
        ),
        'weighted_cross_entropy': (
            lambda o, c: functional.weighted_cross_entropy(o, maps, c),
            (normal(2, K, 8, 8, scale=3), confidence),
            True,
        ),
        'soft_cross_entropy': (
            lambda o, p: functional.soft_cross_entropy(o, p, index),
            (logits, chance(2, K, 8, 8)),
            True,
        ),
        'ohem_cross_entropy': (
            lambda o: functional.ohem_cross_entropy(o, index, 0.3, 40),
            (logits,),
            True,
        ),
        'locally_adaptive_loss': (
            lambda o, c: functional.locally_adaptive_loss(o, index, stride=2, pixel_weight=c),
            (normal(2, K, 8, 8, scale=3), confidence),
            True,
        ),
        'complement': (functional.complement, (chance(2, K, 8, 8) / K,), True),
        'squared_dice_loss': (
            lambda p, c: functional.squared_dice_loss(p, index.unsqueeze(1) == 1, c >= 0.5),
            (chance(2, 1, 8, 8), confidence),
            True,
        ),
        'two_class_logits': (functional.two_class_logits, (normal(2, 1, 4, 4),), True),
    }


def patch_cases(normal, chance, maps):
    label = maps.flatten()[::8]  # 16 of 3 classes, some without
    graph = functional.class_graph(label, chance(16), chance(16, 2))
    box = functional.sample_patches(maps, chance(2, 40), 4, 2, 6).box
    triplets = normal(16, D), normal(16, D), normal(16, D)
    return {
        'class_graph': (
            lambda key, choice: functional.class_graph(label, key, choice),
            (chance(16), chance(16, 2)),
            False,
        ),
        'graph_triplets': (lambda x: functional.graph_triplets(x, graph), (normal(16, D),), True),
        'triplet_loss': (
            lambda *rows: functional.triplet_loss(*rows, valid=label < 2),
            triplets,
            True,
        ),
        'retrieval_accuracy': (
            lambda x: functional.retrieval_accuracy(x, label),
            (normal(16, D),),
            False,
        ),
        'sample_patches': (
            lambda noise: functional.sample_patches(maps, noise, 2, 2, 6, by_overlap=True),
            (chance(2, 20),),
            False,
        ),
        'crop_patches': (
            lambda image: functional.crop_patches(image, box, 5),
            (normal(2, 3, 8, 8),),
            True,
        ),
    }


def perturbation_cases(normal, chance):
    feature, noise, keys = normal(4, K, 5, 5), chance(4, K), chance(2)
    target, direction, weight = chance(4, 3, 5, 5), normal(4, K, 5, 5), normal(3, K, 1, 1)

    def adversarial(image):
        return functional.adversarial_direction(
            lambda x: torch.nn.functional.conv2d(x, weight.to(x.dtype)), image, target, direction
        )

    return {
        'rejection_box_mask': (
            lambda draws: functional.rejection_box_mask(draws.new_zeros(2, 8, 8), noise=draws),
            (chance(2, 2 + 3 * 64),),
            False,
        ),
        'channel_dropout': (lambda x: functional.channel_dropout(x, 0.5, noise), (feature,), True),
        'complementary_channel_dropout': (
            lambda x: functional.complementary_channel_dropout(x, noise[:2], keys),
            (feature,),
            True,
        ),
        'uniform_feature_noise': (
            lambda x: functional.uniform_feature_noise(x, 0.5, noise[..., None, None]),
            (feature,),
            True,
        ),
        'feature_dropout': (lambda x: functional.feature_dropout(x, noise[:, 0]), (feature,), True),
        'adaptive_radius': (functional.adaptive_radius, (feature,), False),
        'adversarial_direction': (adversarial, (feature,), False),
    }


def view_cases(normal, chance):
    image, boxes = chance(2, 3, 8, 8), torch.tensor([[[1.0, 2, 4, 3], [0, 0, 8, 8]]] * 2)
    size, boxes = boxes[:, 1, 2:].to(image.device), boxes.to(image.device)
    ids = size.long().view(-1) // 3  # four of one kind
    ids = torch.cat([ids, ids + 1])
    return {
        'batch_hard_triplet': (
            lambda x: functional.batch_hard_triplet(x, ids),
            (normal(8, D),),
            True,
        ),
        'prediction_entropy': (
            lambda o: functional.prediction_entropy(o, (8, 8)),
            (normal(2, K, 4, 4, scale=3),),
            True,
        ),
        'random_crop_boxes': (
            lambda noise: functional.random_crop_boxes(noise, size),
            (chance(2, 3, 4),),
            False,
        ),
        'resized_crops': (lambda x: functional.resized_crops(x, boxes, (6, 5)), (image,), True),
    }


NAMES = sorted(cases())
CONTRASTS = ('high_level_contrast', 'low_level_contrast')
BREAKS = ('adversarial_direction',)  # dynamo does not trace a gradient in a graph by default


def results(function, inputs, has_gradient):
    """Values of a call and, where there is one, the gradient of their sum."""
    leaves = [x.clone().requires_grad_(has_gradient) for x in inputs]
    values = function(*leaves)
    values = values if isinstance(values, tuple) else (values,)
    if not has_gradient:
        return values, []
    sum(value.float().sum() for value in values).backward()
    return [value.detach() for value in values], [leaf.grad for leaf in leaves]


def compare(function, inputs, has_gradient, backend, fullgraph=True, **tolerance):
    compiled = torch.compile(function, backend=backend, fullgraph=fullgraph)
    got = results(compiled, inputs, has_gradient)
    want = results(function, inputs, has_gradient)
    if has_gradient:
        assert want[1][0].abs().sum() > 0
    torch.testing.assert_close(got, want, **tolerance)


pytestmark = COMPILE


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@functools.lru_cache(maxsize=None)
def obstacle(device):
    """Why Inductor cannot compile here, or an empty string.

    Asked with a function that has nothing of this package: what stops it is the lack of a C++
    compiler, of Python's headers or of Triton. ``aot_eager`` needs none of them and never skips.
    """
    try:
        torch.compile(lambda x: x.exp() + 1, backend='inductor')(torch.ones(2, device=device))
    except (RuntimeError, ImportError) as error:
        return (
            'Inductor cannot compile x.exp() + 1 here, with nothing of this package in it: '
            f'{str(error).strip().splitlines()[0]}; test_one_graph_equals_eager compiles the '
            'same functions without it'
        )
    return ''


def need_inductor(device='cpu'):
    if obstacle(device):
        pytest.skip(obstacle(device))


def test_every_function_of_a_step_is_here():
    public = {
        name
        for name in functional.__all__
        if getattr(functional, name).__module__.split('.')[-1] in TOPICS
    }
    ctt = {'high_level_contrast', 'low_level_contrast'}
    # goes into ema_update_ here; a copy and no more; a result
    others = {'ema_decay', 'copy_tensors_', 'BatchHardTriplet'}
    assert set(NAMES) == (public | ctt) - others


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('device', ['cpu', CUDA])
def test_one_graph_equals_eager(name, device):
    compare(*cases(device)[name], 'aot_eager', name not in BREAKS, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('device', ['cpu', CUDA])
def test_generated_code_equals_eager(name, device):
    need_inductor(device)
    compare(*cases(device)[name], 'inductor', name not in BREAKS, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', CONTRASTS)
def test_several_chunks_are_one_graph(name, monkeypatch):
    monkeypatch.setattr(contrast, 'CHUNK_ELEMENTS', 7 * K * V)
    compare(*cases()[name], 'aot_eager', rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('name', CONTRASTS)
def test_under_autocast(name):
    function, inputs, has_gradient = cases()[name]
    want = results(function, inputs, has_gradient)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        compiled = torch.compile(function, backend='aot_eager', fullgraph=True)
        got = results(compiled, [x.bfloat16() for x in inputs], has_gradient)
    assert got[0][0].dtype == torch.float32
    torch.testing.assert_close(got[0], want[0])
    torch.testing.assert_close(got[1][0].float(), want[1][0], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize('temperature', [0.01, 0.1])
def test_another_number_of_pixels(temperature):
    """A second length is compiled anew or taken as a variable, and right either way."""
    compiled = torch.compile(functional.high_level_contrast, backend='aot_eager', fullgraph=True)
    g = torch.Generator().manual_seed(1)
    bank = torch.randn(K, V, D, generator=g)
    for n in (30, 17, 40, 17):
        query = torch.randn(n, D, generator=g)
        label, valid = torch.randint(0, K, (n,), generator=g), torch.rand(n, generator=g) < 0.6
        torch.testing.assert_close(
            compiled(query, label, bank, temperature, valid),
            functional.high_level_contrast(query, label, bank, temperature, valid),
        )


def test_nothing_selected():
    query = torch.ones(5, D, requires_grad=True)
    nothing = torch.zeros(5, dtype=torch.bool)
    compiled = torch.compile(functional.high_level_contrast, backend='aot_eager', fullgraph=True)
    loss = compiled(query, torch.full((5,), 255), torch.ones(K, V, D), 0.1, nothing)
    loss.backward()
    assert loss == 0 and query.grad.abs().sum() == 0
