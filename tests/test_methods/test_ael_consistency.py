# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from reference import ael as reference

from mmseg_ctt.methods.ael.class_confidence import ConfidenceBank
from mmseg_ctt.methods.ael.loss import EqualizedLoss

K, SHAPE = 4, (2, 5, 6)


def batch(seed=0, absent=()):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, K, SHAPE, generator=g)
    for k in absent:
        label[label == k] = 255
    return 2 * torch.randn(SHAPE[0], K, *SHAPE[1:], generator=g), label


def fed(bank, *batches):
    for logits, label in batches:
        bank.update(logits, label, label)
    return bank


def test_is_the_mean_of_the_batches_at_first():
    batches = [batch(i) for i in range(3)]
    bank = fed(ConfidenceBank(K), *batches)
    sums = [reference.confidence_sums(*one, K) for one in batches]
    mean = [sum(t[k] / n[k] for t, n in sums) / 3 for k in range(K)]
    torch.testing.assert_close(bank.confidence, torch.tensor(mean))
    assert bank.updates.tolist() == [3] * K


def test_momentum_takes_over():
    bank = fed(ConfidenceBank(K, momentum=0.5), batch(0), batch(1))
    before = bank.confidence.tolist()
    fed(bank, batch(2))
    want = reference.updated(before, *reference.confidence_sums(*batch(2), K), 0.5, True)
    torch.testing.assert_close(bank.confidence, torch.tensor(want))


@pytest.mark.parametrize('skip', [True, False])
def test_absent_class(skip):
    bank = fed(ConfidenceBank(K, momentum=0.5, skip_absent=skip), batch(0), batch(1))
    before = bank.confidence.clone()
    fed(bank, batch(2, absent=[1]))
    assert bank.confidence[1] == (before[1] if skip else before[1] / 2)
    assert bank.updates.tolist() == [3, 2 if skip else 3, 3, 3]
    assert (bank.confidence[[0, 2, 3]] != before[[0, 2, 3]]).all()


def test_a_class_seen_late_starts_at_its_own_mean():
    bank = fed(ConfidenceBank(K), *(batch(i, absent=[2]) for i in range(5)))
    assert bank.confidence[2] == 0
    fed(bank, batch(7))
    total, count = reference.confidence_sums(*batch(7), K)
    assert bank.confidence[2].item() == pytest.approx(total[2] / count[2], rel=1e-5)


def test_all_absent_changes_nothing():
    bank = fed(ConfidenceBank(K), batch(0))
    before = {name: value.clone() for name, value in bank.state_dict().items()}
    fed(bank, batch(1, absent=range(K)))
    assert all(torch.equal(value, before[name]) for name, value in bank.state_dict().items())


def test_random_start_follows_the_release():
    torch.manual_seed(0)
    bank = ConfidenceBank(K, start='random', skip_absent=False)
    before = bank.confidence.tolist()
    assert len(set(before)) == K
    fed(bank, batch(0, absent=[3]))
    sums = reference.confidence_sums(*batch(0, absent=[3]), K)
    torch.testing.assert_close(
        bank.confidence, torch.tensor(reference.updated(before, *sums, 0.999, False))
    )


def test_pixels_are_counted_before_pasting():
    logits, label = batch(0)
    bank = ConfidenceBank(K)
    bank.update(logits, torch.zeros_like(label), label)
    bank.update(logits, torch.zeros_like(label), batch(1, absent=[0])[1])
    want = (
        torch.bincount(label.flatten(), minlength=K)
        + torch.bincount(batch(1, absent=[0])[1].flatten(), minlength=256)[:K]
    )
    assert torch.equal(bank.pixels, want) and bank.pixels.dtype == torch.int64
    assert bank.updates.tolist() == [2, 0, 0, 0]


def test_state_goes_through_a_checkpoint():
    bank = fed(ConfidenceBank(K), batch(0), batch(1, absent=[2]))
    other = ConfidenceBank(K)
    other.load_state_dict(bank.state_dict())
    for one in (bank, other):
        fed(one, batch(2))
    assert set(bank.state_dict()) == {'confidence', 'updates', 'pixels'}
    assert all(
        torch.equal(value, other.state_dict()[name]) for name, value in bank.state_dict().items()
    )


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(momentum=1.0), 'model.bank.momentum must be in'),
        (dict(momentum=-0.1), 'model.bank.momentum must be in'),
        (dict(start='zero'), "model.bank.start must be one of .* got 'zero'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        ConfidenceBank(K, **settings)


# ---- the loss around the bank


def loss(conf=(0.9, 0.1, 0.5, 0.7), **settings):
    logits, label = batch(3)
    confidence = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    value, used = EqualizedLoss(**settings)(
        logits, (label, confidence), torch.tensor([0.1, 0.2]), torch.tensor(conf)
    )
    return value.item(), used.item()


def test_loss_without_sampling_equals_loops():
    logits, label = batch(3)
    confidence = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    known = label.masked_fill(confidence < 0.4, 255)
    value, used = loss(sample_by=None, confident=0.4)
    assert value == pytest.approx(reference.consistency(logits, known, confidence, 2.0), rel=1e-5)
    assert used == pytest.approx((confidence >= 0.4).float().mean().item())
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
            dict(confident=0.5),
        )
    ]
    assert len({value for value, _ in values}) == len(values)
    assert loss(beta=3.0)[1] < loss()[1] < loss(sample_by=None)[1]
    assert loss(conf=(0.5,) * K)[0] == loss(sample_by=None)[0]  # equal classes: all are kept
    assert loss(beta=0.0)[0] == loss(sample_by=None)[0]


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(gamma=-1), 'model.consistency: gamma and beta'),
        (dict(beta=-1), 'model.consistency: gamma and beta'),
        (dict(sample_by='teacher'), "model.consistency.sample_by must be one of .* got 'teacher'"),
    ],
)
def test_bad_settings_of_the_loss(settings, message):
    with pytest.raises(ValueError, match=message):
        EqualizedLoss(**settings)
