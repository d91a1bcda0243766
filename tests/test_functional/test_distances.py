# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import distances as reference
from versions import COMPILE

from mmseg_ctt.functional import (
    complement,
    confidence_weight,
    confident_fraction_cross_entropy,
    consistency_loss,
    consistency_sums,
    cross_entropy,
    pixel_consistency,
    weighted_cross_entropy,
)
from mmseg_ctt.functional.confidence import WEIGHTINGS
from mmseg_ctt.functional.distances import CLASS_REDUCTIONS, KINDS, TERMS

B, K, SIZE = 2, 4, (3, 5)


def problem(kind='hard', size=SIZE, full=SIZE, dtype=torch.float32, scale=3.0, seed=0):
    """Logits, and a target of the kind at full size."""
    g = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(B, K, *size, generator=g, dtype=dtype)
    other = scale * torch.randn(B, K, *full, generator=g, dtype=dtype)
    if kind == 'hard':
        label = other.argmax(1)
        target = label.masked_fill(torch.rand(label.shape, generator=g) < 0.2, 255)
    else:
        target = other if kind.startswith('logit_') else other.softmax(1)
    return logits.requires_grad_(), target


def weights(full=SIZE, seed=1):
    return torch.rand(B, *full, generator=torch.Generator().manual_seed(seed))


# ---- distances


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('reduction', [None, *CLASS_REDUCTIONS])
def test_distances_equal_loops(kind, reduction):
    if kind == 'hard' and reduction is not None:
        reduction = None  # has no classes to reduce
    logits, target = problem(kind)
    got = pixel_consistency(logits, target, kind, reduction)
    usual = TERMS[kind][1] if kind in TERMS else 'sum'
    want = reference.distances(kind, logits.detach().numpy(), target.numpy(), reduction or usual)
    assert got.shape == (B, *SIZE) and got.dtype == torch.float32
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize('kind', KINDS)
def test_gradcheck(kind):
    logits, target = problem(kind, (2, 2), (3, 3), torch.float64, scale=1.0)
    weight = weights((3, 3)).double()
    assert torch.autograd.gradcheck(lambda o: consistency_loss(o, target, kind, weight), logits)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('align_corners', [False, True])
def test_logits_may_be_smaller_than_the_target(kind, align_corners):
    logits, target = problem(kind, full=(7, 9))
    large = F.interpolate(logits, (7, 9), mode='bilinear', align_corners=align_corners)
    want = pixel_consistency(large, target, kind)
    got = pixel_consistency(logits, target, kind, align_corners=align_corners)
    torch.testing.assert_close(got, want)
    sums = consistency_sums(logits, target, kind, align_corners=align_corners)
    torch.testing.assert_close(sums, want.sum((1, 2)))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('scale', [0.0, 1e4])
def test_extreme_logits_are_finite(kind, scale):
    logits, target = problem(kind, scale=scale)
    if not kind.startswith('logit_'):
        target = problem(kind)[1]
    loss = consistency_loss(logits, target, kind)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_a_target_of_certainty_has_no_entropy():
    logits, _ = problem()
    target = F.one_hot(logits.argmin(1), K).permute(0, 3, 1, 2).float()
    soft = pixel_consistency(logits, target, 'soft')
    torch.testing.assert_close(pixel_consistency(logits, target, 'kl'), soft)
    torch.testing.assert_close(pixel_consistency(logits, logits.argmin(1)), soft)


def test_the_complement_keeps_its_digits():
    logits = torch.tensor([[20.0, 0.0, -3.0], [0.0, 0.0, 0.0], [0.5, 0.5, -9.0]]).double()
    exact = 1 - logits.softmax(1)
    got = complement(logits.float().softmax(1)).double()
    torch.testing.assert_close(got, exact, rtol=1e-5, atol=0)
    assert (1 - logits.float().softmax(1))[0, 0] == 0 < got[0, 0]


@pytest.mark.parametrize('name', ['pixel_consistency', 'consistency_sums', 'consistency_loss'])
def test_unknown_names(name):
    function = globals()[name]
    logits, target = problem('squared')
    with pytest.raises(ValueError, match='kind must be one of'):
        function(logits, target, 'cosine')
    with pytest.raises(ValueError, match='class_reduction must be one of'):
        function(logits, target, 'squared', class_reduction='max')
    with pytest.raises(ValueError, match='weighting must be one of'):
        confidence_weight(weights(), 0.5, 'median')


# ---- weighted sums


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('weighted', ['bool', 'float', None])
@pytest.mark.parametrize('normalizer', [None, 7.0, 'tensor'])
def test_loss_equals_loops(kind, weighted, normalizer):
    logits, target = problem(kind)
    weight = dict(bool=weights() > 0.4, float=weights()).get(weighted)
    number = torch.tensor(7) if normalizer == 'tensor' else normalizer
    got = consistency_loss(logits, target, kind, weight, number)
    usual = TERMS[kind][1] if kind in TERMS else 'sum'
    values = reference.distances(kind, logits.detach().numpy(), target.numpy(), usual)
    values = values if weight is None else values * weight.numpy()
    want = values.sum() / (values.size if normalizer is None else 7)
    assert got.item() == pytest.approx(want, rel=2e-5)


@pytest.mark.parametrize('kind', ['hard', 'squared'])
def test_leading_dimension_holds_problems_of_their_own(kind):
    parts = [problem(kind, full=(4, 6), seed=seed) for seed in range(3)]
    logits, target = (torch.stack(tensors) for tensors in zip(*parts))
    weight = torch.stack([weights((4, 6), seed) for seed in range(3)])
    normalizer = torch.tensor([5.0, 0.0, 8.0])
    got = consistency_loss(logits, target, kind, weight, normalizer)
    assert got.shape == (3,)
    for i, (own, goal) in enumerate(parts):
        want = consistency_loss(own, goal, kind, weight[i], normalizer[i])
        torch.testing.assert_close(got[i], want)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('nothing', ['weight', 'valid', 'image'])
def test_nothing_selected_is_zero_with_a_graph(kind, nothing):
    logits, target = problem(kind)
    weight, normalizer = torch.ones(B, *SIZE, dtype=torch.bool), None
    if nothing == 'weight':
        weight = torch.zeros_like(weight)
    elif nothing == 'valid':  # no pixel but padding
        weight, normalizer = torch.zeros_like(weight), torch.zeros(())
    else:
        logits, target, weight = (t[:0].detach() for t in (logits, target, weight))
        logits.requires_grad_()
    loss = consistency_loss(logits, target, kind, weight, normalizer)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_ignored_labels_add_nothing():
    logits, target = problem()
    everything = consistency_sums(logits, target.masked_fill(target == 255, 0))
    some = consistency_sums(logits, target)
    assert (some < everything).all()
    ignored = torch.full_like(target, 255)
    assert not consistency_sums(logits, ignored).any()


def test_weights_and_targets_are_constants():
    logits, target = problem('squared')
    target, weight = target.requires_grad_(), weights().requires_grad_()
    consistency_loss(logits, target, 'squared', weight).backward()
    assert target.grad is None and weight.grad is None and logits.grad.any()


def test_two_processes_with_a_common_normalizer():
    """The mean of their losses is the loss of one process with all images."""
    logits, target = problem()
    weight = weights() > 0.5
    normalizer = weight.sum()
    whole = consistency_loss(logits, target, weight=weight, normalizer=normalizer)
    parts = [
        consistency_loss(
            logits[i : i + 1],
            target[i : i + 1],
            weight=weight[i : i + 1],
            normalizer=normalizer / 2,
        )
        for i in range(B)
    ]
    torch.testing.assert_close(sum(parts) / 2, whole)


# ---- weights of pixels


@pytest.mark.parametrize('weighting', WEIGHTINGS)
@pytest.mark.parametrize('padded', [False, True])
@pytest.mark.parametrize('threshold', [0.0, 0.6, 1.1])
def test_weights_equal_loops(weighting, padded, threshold):
    confidence = weights()
    valid = None
    if padded:
        valid = torch.ones_like(confidence, dtype=torch.bool)
        valid[0, 1:], valid[1] = False, False  # an image of padding alone
    got = confidence_weight(confidence, threshold, weighting, valid)
    want = reference.weight(
        confidence.double().numpy(), threshold, weighting, None if valid is None else valid.numpy()
    )
    assert got.shape == confidence.shape
    np.testing.assert_allclose(got.double().numpy(), want, rtol=1e-6)
    assert (got.dtype == torch.bool) == (weighting == 'threshold')


def test_special_cases_are_the_same_loss():
    """CTT's loss and the weighted mean are settings of the general one."""
    logits, label = problem()
    confidence = weights()
    ratio = confidence_weight(confidence, 0.5, 'batch_ratio')
    torch.testing.assert_close(
        consistency_loss(logits, label, weight=ratio),
        confident_fraction_cross_entropy(logits, label, confidence, 0.5),
    )
    torch.testing.assert_close(
        consistency_loss(logits, label, weight=confidence),
        weighted_cross_entropy(logits, label, confidence),
    )
    labeled = (label != 255).sum()
    torch.testing.assert_close(
        consistency_loss(logits, label, normalizer=labeled), cross_entropy(logits, label)
    )


# ---- families


@pytest.mark.parametrize('kind', KINDS)
def test_half_precision_is_computed_in_float32(kind):
    logits, target = problem(kind, full=(6, 9))
    half = logits.detach().bfloat16()
    want = consistency_loss(half.float(), target, kind)
    with torch.autocast('cpu', torch.bfloat16):
        got = consistency_loss(half, target, kind)
        pixels = pixel_consistency(half, target, kind)
    assert got.dtype == pixels.dtype == torch.float32
    torch.testing.assert_close(got, want, rtol=1e-6, atol=0)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('weighting', WEIGHTINGS)
def test_nothing_waits_for_the_device(kind, weighting):
    logits, target = problem(kind, full=(6, 9))
    confidence, valid = weights((6, 9)), weights((6, 9)) > 0.1

    def step():
        weight = confidence_weight(confidence, 0.5, weighting, valid)
        consistency_loss(logits, target, kind, weight, valid.sum()).backward()

    assert record(step) == []


@COMPILE
@pytest.mark.parametrize('kind', ['hard', 'kl', 'binary', 'logit_smooth_l1'])
def test_compiled(kind):
    logits, target = problem(kind, full=(6, 9))
    confidence = weights((6, 9))

    def loss(o, c):
        return consistency_loss(o, target, kind, confidence_weight(c, 0.5, 'image_ratio'))

    torch._dynamo.reset()
    compiled = torch.compile(loss, backend='aot_eager', fullgraph=True)
    want, got = loss(logits, confidence), compiled(logits, confidence)
    torch.testing.assert_close(got, want)
    slopes = [torch.autograd.grad(value, logits)[0] for value in (got, want)]
    torch.testing.assert_close(*slopes)
