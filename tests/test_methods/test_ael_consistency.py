# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from reference import ael as reference

from mmseg_ctt.methods.ael.class_confidence import ClassConfidence
from mmseg_ctt.methods.ael.loss import EqualizedConsistency
from mmseg_ctt.nn.pseudo_label import PseudoLabel

K, SHAPE = 4, (2, 5, 6)


def batch(seed=0, absent=()):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, K, SHAPE, generator=g)
    for k in absent:
        label[label == k] = 255
    return 2 * torch.randn(SHAPE[0], K, *SHAPE[1:], generator=g), label


def fed(part, *batches):
    for logits, label in batches:
        part.update(logits, label, label)
    return part


def test_is_the_mean_of_the_batches_at_first():
    batches = [batch(i) for i in range(3)]
    part = fed(ClassConfidence(K), *batches)
    sums = [reference.confidence_sums(*maps, K) for maps in batches]
    mean = [sum(t[k] / n[k] for t, n in sums) / 3 for k in range(K)]
    torch.testing.assert_close(part.confidence, torch.tensor(mean))
    assert part.updates.tolist() == [3] * K


def test_momentum_takes_over():
    part = fed(ClassConfidence(K, momentum=0.5), batch(0), batch(1))
    before = part.confidence.tolist()
    fed(part, batch(2))
    want = reference.updated(before, *reference.confidence_sums(*batch(2), K), 0.5, True)
    torch.testing.assert_close(part.confidence, torch.tensor(want))


@pytest.mark.parametrize('skip', [True, False])
def test_absent_class(skip):
    part = fed(ClassConfidence(K, momentum=0.5, skip_absent=skip), batch(0), batch(1))
    before = part.confidence.clone()
    fed(part, batch(2, absent=[1]))
    assert part.confidence[1] == (before[1] if skip else before[1] / 2)
    assert part.updates.tolist() == [3, 2 if skip else 3, 3, 3]
    assert (part.confidence[[0, 2, 3]] != before[[0, 2, 3]]).all()


def test_a_class_seen_late_starts_at_its_own_mean():
    part = fed(ClassConfidence(K), *(batch(i, absent=[2]) for i in range(5)))
    assert part.confidence[2] == 0
    fed(part, batch(7))
    total, count = reference.confidence_sums(*batch(7), K)
    assert part.confidence[2].item() == pytest.approx(total[2] / count[2], rel=1e-5)


def test_all_absent_changes_nothing():
    part = fed(ClassConfidence(K), batch(0))
    before = {name: value.clone() for name, value in part.state_dict().items()}
    fed(part, batch(1, absent=range(K)))
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())


def test_random_start_follows_the_release():
    torch.manual_seed(0)
    part = ClassConfidence(K, start='random', skip_absent=False)
    before = part.confidence.tolist()
    assert len(set(before)) == K
    fed(part, batch(0, absent=[3]))
    sums = reference.confidence_sums(*batch(0, absent=[3]), K)
    torch.testing.assert_close(
        part.confidence, torch.tensor(reference.updated(before, *sums, 0.999, False))
    )


def test_pixels_are_counted_before_pasting():
    logits, label = batch(0)
    part = ClassConfidence(K)
    part.update(logits, torch.zeros_like(label), label)
    part.update(logits, torch.zeros_like(label), batch(1, absent=[0])[1])
    want = (
        torch.bincount(label.flatten(), minlength=K)
        + torch.bincount(batch(1, absent=[0])[1].flatten(), minlength=256)[:K]
    )
    assert torch.equal(part.pixels, want) and part.pixels.dtype == torch.int64
    assert part.updates.tolist() == [2, 0, 0, 0]


def test_state_goes_through_a_checkpoint():
    part = fed(ClassConfidence(K), batch(0), batch(1, absent=[2]))
    other = ClassConfidence(K)
    other.load_state_dict(part.state_dict())
    for fed_part in (part, other):
        fed(fed_part, batch(2))
    assert set(part.state_dict()) == {'confidence', 'updates', 'pixels'}
    assert all(
        torch.equal(value, other.state_dict()[name]) for name, value in part.state_dict().items()
    )


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(momentum=1.0), 'model.class_confidence.momentum must be in'),
        (dict(momentum=-0.1), 'model.class_confidence.momentum must be in'),
        (dict(start='zero'), "model.class_confidence.start must be one of .* got 'zero'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        ClassConfidence(K, **settings)


# ---- the consistency


def loss(known=(0.9, 0.1, 0.5, 0.7), **settings):
    logits, label = batch(3)
    confidence = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    part = EqualizedConsistency(K, **{**dict(confidence_threshold=0.0), **settings})
    value, kept, confident = part(
        logits, PseudoLabel(label, confidence), torch.tensor([0.1, 0.2]), torch.tensor(known)
    )
    return value.item(), kept.item(), confident.item()


def test_loss_without_sampling_equals_loops():
    logits, label = batch(3)
    confidence = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    target = label.masked_fill(confidence < 0.4, 255)
    value, kept, confident = loss(sample_by=None, confidence_threshold=0.4)
    want = reference.consistency(logits, target, confidence, 2.0)
    assert value == pytest.approx(want, rel=1e-5)
    assert kept == confident == pytest.approx((confidence >= 0.4).float().mean().item())
    assert loss(sample_by=None)[1] == 1


def test_settings_of_the_loss_change_it():
    values = [
        loss(**settings)
        for settings in (
            {},
            dict(sample_by='student'),
            dict(sample_by=None),
            dict(beta=3.0),
            dict(gamma=0.5),
            dict(confidence_threshold=0.5),
        )
    ]
    assert len({value for value, *_ in values}) == len(values)
    assert loss(beta=3.0)[1] < loss()[1] < loss(sample_by=None)[1]
    assert loss(beta=3.0, confidence_threshold=0.5)[2] == values[-1][2] < 1, 'sampled or not'
    assert loss(known=(0.5,) * K)[0] == loss(sample_by=None)[0]  # equal classes: all are kept
    assert loss(beta=0.0)[0] == loss(sample_by=None)[0]


def test_pixels_of_no_confidence_are_left_out():
    """As those of the padding, of the sum of the weights too."""
    logits, label = batch(3)
    confidence = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    valid = torch.arange(SHAPE[2]).expand(SHAPE) < 4
    part = EqualizedConsistency(K, confidence_threshold=0.0, sample_by=None)
    key, known = torch.tensor([0.1, 0.2]), torch.full((K,), 0.5)
    got, kept, _ = part(logits, PseudoLabel.of(label, confidence, valid), key, known)
    inside = PseudoLabel(label[..., :4], confidence[..., :4])
    torch.testing.assert_close(got, part(logits[..., :4], inside, key, known)[0])
    torch.testing.assert_close(kept, valid.float().mean())


def test_default_threshold_is_that_of_the_released_code_on_voc():
    assert EqualizedConsistency(K).confidence_threshold == 0.7


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(gamma=-1), 'model.consistency.gamma must be at least 0'),
        (dict(beta=-1), 'model.consistency.beta must be at least 0'),
        (dict(sample_by=None, beta=7.0), 'model.consistency.beta: sample_by=None .*unused'),
        (dict(sample_by='teacher'), "model.consistency.sample_by must be one of .* got 'teacher'"),
    ],
)
def test_bad_settings_of_the_loss(settings, message):
    with pytest.raises(ValueError, match=message):
        EqualizedConsistency(K, **settings)
