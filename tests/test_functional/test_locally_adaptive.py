# Copyright (c) mmseg_ctt contributors.
"""Locally adaptive learning loss, against a restatement and what follows from its definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import locally_adaptive as reference
from torch.utils._python_dispatch import TorchDispatchMode
from versions import COMPILE

from mmseg_ctt.functional import locally_adaptive_loss
from mmseg_ctt.functional.windows import window_rows

CHUNK = 'mmseg_ctt.functional.locally_adaptive.CHUNK_ELEMENTS'
OPTIONS = [
    dict(),
    dict(stride=2),
    dict(kernel_size=5, stride=3, sigma=2.0),
    dict(kernel_size=9),
    dict(kernel_size=1, k=2),
    dict(merge='probs'),
    dict(merge='probs', norm='count', k=1.5),
    dict(norm='count'),
    dict(root=False, k=3),
    dict(mode='center'),
    dict(mode='center', merge='probs', stride=2),
]


def maps(classes=4, size=(5, 7), seed=0, double=True):
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, classes, *size, generator=g)
    label = torch.randint(0, classes, (2, *size), generator=g)
    label[torch.rand(2, *size, generator=g) < 0.15] = 255
    return (logits.double() if double else logits).requires_grad_(), label


def weights(size=(5, 7), seed=1):
    g = torch.Generator().manual_seed(seed)
    weight = torch.rand(2, *size, generator=g, dtype=torch.float64)
    return weight * (torch.rand(2, *size, generator=g) < 0.7)


def restated(logits, label, pixel_weight=None, class_weight=None, **options):
    given = dict(pixel_weight=pixel_weight, class_weight=class_weight)
    arrays = {key: None if value is None else value.numpy() for key, value in given.items()}
    return reference.locally_adaptive_loss(
        logits.detach().numpy(), label.numpy(), **arrays, **options
    )


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('classes', [2, 4, 12])  # fewer and more than pixels of a window
def test_values(options, classes):
    logits, label = maps(classes)
    got = locally_adaptive_loss(logits, label, **options)
    assert got.dtype == torch.float64
    assert got.item() == pytest.approx(restated(logits, label, **options), rel=1e-12)
    of_class = torch.arange(classes, dtype=torch.float64)  # class 0 does not count
    given = dict(pixel_weight=weights(), class_weight=of_class)
    got = locally_adaptive_loss(logits, label, **given, **options)
    assert got.item() == pytest.approx(restated(logits, label, **given, **options), rel=1e-12)


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('classes', [3, 11])
def test_gradient(options, classes, monkeypatch):
    monkeypatch.setattr(CHUNK, 1)
    logits, label = maps(classes, size=(4, 3))
    weight = weights(size=(4, 3))
    assert torch.autograd.gradcheck(
        lambda x: 3 * locally_adaptive_loss(x, label, pixel_weight=weight, **options),
        logits,
        fast_mode=True,
    )


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('elements', [1, 400, 1 << 22])
def test_chunks_and_memory_formats_change_nothing(memory_format, elements, monkeypatch):
    logits, label = maps(4, (11, 8))
    (want,) = torch.autograd.grad(locally_adaptive_loss(logits, label, 5), logits)
    monkeypatch.setattr(CHUNK, elements)
    other = logits.detach().contiguous(memory_format=memory_format).requires_grad_()
    loss = locally_adaptive_loss(other, label, 5)
    loss.backward()
    torch.testing.assert_close(loss, locally_adaptive_loss(logits, label, 5))
    torch.testing.assert_close(other.grad, want)


@pytest.mark.parametrize('merge', ['logits', 'probs'])
def test_a_window_of_one_pixel_is_cross_entropy(merge):
    logits, label = maps()
    weight = torch.rand(4, dtype=torch.float64)
    for given in (None, weight):
        got = locally_adaptive_loss(logits, label, 1, k=1, merge=merge, class_weight=given)
        want = F.cross_entropy(logits, label, weight=given, ignore_index=255)
        torch.testing.assert_close(got, want)
        (gradient,) = torch.autograd.grad(got, logits)
        torch.testing.assert_close(gradient, torch.autograd.grad(want, logits)[0])


def one_window(logits, label, **options):
    """Loss of the window in the middle of 3x3 pixels alone."""
    maps, labels = F.pad(logits, (2, 0, 2, 0)), F.pad(label, (2, 0, 2, 0), value=255)
    return locally_adaptive_loss(maps, labels, 3, 3, **options)


def test_pixels_of_equal_label_and_distance_are_exchanged():
    logits = maps(size=(3, 3))[0].detach()
    label = torch.tensor([[1, 0, 1], [2, 1, 0], [1, 2, 255]]).expand(2, 3, 3)

    def exchanged(first, second):
        swapped = logits.clone()
        swapped[:, :, first[0], first[1]] = logits[:, :, second[0], second[1]]
        swapped[:, :, second[0], second[1]] = logits[:, :, first[0], first[1]]
        return one_window(swapped, label)

    torch.testing.assert_close(exchanged((0, 0), (2, 0)), one_window(logits, label))
    assert exchanged((0, 0), (1, 1)) != one_window(logits, label)  # at another distance
    assert exchanged((0, 0), (0, 1)) != one_window(logits, label)  # of another label


def test_one_class_is_the_cross_entropy_of_the_averaged_logits():
    logits = maps(size=(3, 3))[0].detach()[:1]
    label = torch.full((1, 3, 3), 2)
    weight = torch.full((3, 3), np.exp(-0.5), dtype=torch.float64)
    weight[1, 1] = 1
    mean = (logits * weight).sum((2, 3)) / weight.sum()
    torch.testing.assert_close(one_window(logits, label), F.cross_entropy(mean, label[0, 0, :1]))


@pytest.mark.parametrize('options', [dict(), dict(stride=3), dict(k=1), dict(merge='probs')])
def test_a_constant_image(options):
    """Every group has the cost of a pixel; the border has fewer pixels, and no zeros."""
    logits = torch.tensor([2.0, -1.0, 0.5]).view(1, 3, 1, 1).expand(1, 3, 6, 6)
    label = torch.full((1, 6, 6), 1)
    want = F.cross_entropy(logits[..., 0, 0], label[:, 0, 0])
    torch.testing.assert_close(locally_adaptive_loss(logits, label, **options), want)


def test_a_large_exponent_is_the_hardest_group():
    logits, label = maps()
    costs = [value for _, value in reference.terms(logits.detach().numpy(), label.numpy())]
    got = locally_adaptive_loss(logits, label, k=2000)
    assert got.item() == pytest.approx(max(costs), rel=1e-2) and got > np.mean(costs)


def test_only_ratios_of_pixel_weights_count_in_a_group():
    logits, label = maps()
    weight = weights()
    of_pixels = [locally_adaptive_loss(logits, label, pixel_weight=w) for w in (weight, 9 * weight)]
    torch.testing.assert_close(*of_pixels)
    chosen = label.masked_fill(weight == 0, 255)
    torch.testing.assert_close(
        locally_adaptive_loss(logits, label, pixel_weight=(weight > 0)),
        locally_adaptive_loss(logits, chosen),
    )


# ---- corners


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('nothing', ['ignored', 'negative', 'pixel_weight', 'class_weight'])
def test_nothing_counts(options, nothing):
    logits, label = maps(double=False)
    given = {}
    if nothing in ('ignored', 'negative'):
        label = torch.full_like(label, 255 if nothing == 'ignored' else -1)
    else:
        shape = (2, 5, 7) if nothing == 'pixel_weight' else (4,)
        given[nothing] = torch.zeros(shape)
    loss = locally_adaptive_loss(logits, label, **given, **options)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('scale', [10.0, 65536.0])
def test_nothing_counts_under_a_loss_scale(options, scale):
    """A weight of the loss, or the scale of AMP, does not make the gradient of nothing infinite."""
    logits, label = maps(double=False)
    (scale * locally_adaptive_loss(logits, label.fill_(255), **options)).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize('options', OPTIONS)
def test_a_perfect_prediction(options):
    label = maps()[1]
    logits = (100 * F.one_hot(label.clamp(max=3), 4)).permute(0, 3, 1, 2).float()
    if options.get('norm') == 'count':
        logits, label = logits[:, :, :1, :1], label[:, :1, :1]
    logits.requires_grad_()
    loss = locally_adaptive_loss(logits, label, **options)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


@pytest.mark.parametrize('scale', [1e4, 1e-4])
@pytest.mark.parametrize('k', [1, 5, 20])
def test_powers_of_large_and_small_costs(scale, k):
    """In float32, where 1e4 ** 20 is infinite and 1e-4 ** 20 is 0."""
    logits = torch.zeros(1, 2, 1, 3)
    logits[0, 1, 0] = torch.tensor([1.0, 0.5, 0.25]) * scale if scale > 1 else 0
    if scale < 1:
        logits[0, 0, 0] = -torch.log(torch.expm1(scale * torch.tensor([1.0, 0.5, 0.25])))
    logits.requires_grad_()
    loss = locally_adaptive_loss(logits, torch.zeros(1, 1, 3).long(), 1, k=k)
    loss.backward()
    want = scale * np.mean(np.array([1.0, 0.5, 0.25]) ** k) ** (1 / k)
    assert loss.item() == pytest.approx(want, rel=1e-3)
    assert torch.isfinite(logits.grad).all() and logits.grad[0, 0, 0, 0] < 0


@pytest.mark.parametrize('size', [(1, 1), (1, 4), (2, 3)])
@pytest.mark.parametrize('stride', [1, 2, 7])
def test_images_smaller_than_a_window(size, stride):
    logits, label = maps(size=size)
    got = locally_adaptive_loss(logits, label, 7, stride)
    want = restated(logits, label, kernel_size=7, stride=stride)
    assert got.item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize('options', [dict(), dict(stride=3), dict(mode='center', merge='probs')])
def test_a_window_far_larger_than_the_image(options):
    """It costs no more than one that sees the whole image from every centre."""
    logits, label = maps()
    want = locally_adaptive_loss(logits, label, 2 * 7 - 1, **options)
    assert locally_adaptive_loss(logits, label, 100001, **options) == want


@pytest.mark.parametrize('sigma, norm', [(1e-200, 'weight'), (1e200, 'count')])
def test_extreme_widths_of_the_gaussian(sigma, norm):
    """The centre alone, and all pixels alike."""
    logits, label = maps()
    got = locally_adaptive_loss(logits, label, sigma=sigma, norm=norm)
    size = 1 if sigma < 1 else 3
    want = locally_adaptive_loss(logits, label, size, sigma=1e6 if sigma > 1 else 1.0, norm=norm)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('number', [3, 5])
def test_weights_of_another_number_of_classes(number):
    logits, label = maps()
    with pytest.raises(ValueError, match=f'class_weight has {number} values, and there are 4'):
        locally_adaptive_loss(logits, label, class_weight=torch.ones(number))


def test_no_image():
    logits = torch.zeros(0, 3, 4, 4, requires_grad=True)
    loss = locally_adaptive_loss(logits, torch.zeros(0, 4, 4).long())
    loss.backward()
    assert loss == 0 and logits.grad.shape == logits.shape


def test_one_channel_is_a_sigmoid():
    logits, label = maps(2)
    single = (logits[:, 1:] - logits[:, :1]).detach()
    torch.testing.assert_close(
        locally_adaptive_loss(single, label), locally_adaptive_loss(logits, label)
    )


def test_a_label_that_is_no_class():
    logits, label = maps()
    label[0, 0, 0] = 4
    with pytest.raises(IndexError):
        locally_adaptive_loss(logits, label)


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(kernel_size=4), 'kernel_size=4: .*odd and positive'),
        (dict(kernel_size=0), 'kernel_size=0: .*odd and positive'),
        (dict(kernel_size=-3), 'kernel_size=-3: .*odd and positive'),
        (dict(kernel_size=2.5), r'kernel_size=2\.5: .*odd and positive'),
        (dict(stride=0), 'stride=0: give an integer'),
        (dict(stride=1.5), r'stride=1\.5: give an integer'),
        (dict(sigma=0), 'sigma=0: must be positive'),
        (dict(k=0.5), r'k=0\.5: give 1'),
        (dict(k=float('inf')), 'k=inf: give 1'),
        (dict(merge='mean'), "merge='mean': choose from logits, probs"),
        (dict(norm='sum'), "norm='sum': choose from weight, count"),
        (dict(mode='first'), "mode='first': choose from all, center"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(ValueError, match=f'^{words}'):
        locally_adaptive_loss(*maps(), **options)


def test_sizes_that_differ():
    logits, label = maps()
    for other in (logits[..., 1:], logits.flatten(2)):
        with pytest.raises(ValueError, match='need maps of equal size'):
            locally_adaptive_loss(other, label)


# ---- cost


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('classes', [4, 12])
def test_no_synchronisation(options, classes):
    logits, label = maps(classes, double=False)
    given = dict(pixel_weight=weights(), class_weight=torch.rand(classes))
    assert not record(lambda: locally_adaptive_loss(logits, label, **given, **options).backward())


class Largest(TorchDispatchMode):
    """Float32 values that the largest tensor has room for; views have that of what they view."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.untyped_storage().nbytes() // 4)
        return result


@pytest.mark.parametrize('merge', ['logits', 'probs'])
@pytest.mark.parametrize('kernel_size', [3, 7])
def test_no_map_of_all_pairs_of_classes(merge, kernel_size, monkeypatch):
    """Nothing is larger than the logits, or than a row of windows."""
    classes, side = 20, 24
    monkeypatch.setattr(CHUNK, 1)
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(1, classes, side, side, generator=g, requires_grad=True)
    label = torch.randint(0, classes, (1, side, side), generator=g, dtype=torch.long)
    with Largest() as largest:
        locally_adaptive_loss(logits, label, kernel_size, merge=merge).backward()
    row = side * kernel_size**2 * classes
    assert logits.numel() <= largest.numel <= max(logits.numel(), row)
    assert max(logits.numel(), row) < classes * logits.numel()


def test_rows_of_windows():
    chunks = list(window_rows((2, 10, 9), size=3, stride=2, pixels=2 * 2 * 5 * 9))
    assert [rows.shape for rows in chunks] == [(2, 5), (2, 5), (1, 5)]
    assert [(rows.first, rows.last) for rows in chunks] == [(0, 4), (3, 8), (7, 10)]
    assert [rows.padding[2:] for rows in chunks] == [(1, 0), (0, 0), (0, 0)]


def test_vectors_and_their_adjoint():
    g = torch.Generator().manual_seed(0)
    image = torch.randn(2, 6, 5, 3, generator=g, dtype=torch.float64)
    total, products = torch.zeros_like(image), 0.0
    for rows in window_rows((2, 6, 5), size=5, stride=2, pixels=1):
        vectors = rows.vectors(image)
        other = torch.randn(vectors.shape, generator=g, dtype=torch.float64)
        rows.add_(total, other)
        products += (vectors * other).sum()
    torch.testing.assert_close((total * image).sum(), products)


@COMPILE
@pytest.mark.parametrize('options', [dict(), dict(merge='probs', norm='count')])
def test_one_graph(options):
    logits, label = maps(12, (3, 4), double=False)

    def function(x):
        return locally_adaptive_loss(x, label, **options)

    torch._dynamo.reset()
    compiled = torch.compile(function, backend='aot_eager', fullgraph=True)
    got, want = compiled(logits), function(logits)
    torch.testing.assert_close(got, want)
    (gradient,) = torch.autograd.grad(got, logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(want, logits)[0])
    torch._dynamo.reset()
