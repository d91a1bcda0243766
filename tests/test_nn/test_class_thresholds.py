# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from test_functional.test_no_sync import record
from toy import NUM_CLASSES, losses_of, ready_model, toy_batch

from mmseg_ctt.nn.class_thresholds import ClassThresholds

K = 4


def batch(seed=0, absent=()):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, K, (2, 5, 6), generator=g)
    for k in absent:
        label[label == k] = 255
    return label, torch.rand(2, 5, 6, generator=g)


def mean_of(k, label, confidence):
    """Mean confidence of a class, pixel by pixel."""
    found = [
        c for one, c in zip(label.flatten().tolist(), confidence.flatten().tolist()) if one == k
    ]
    return sum(found) / len(found)


def test_is_the_mean_of_the_batches_at_first_then_momentum_takes_over():
    thresholds, batches = ClassThresholds(K, 1.0, momentum=0.5), [batch(i) for i in range(3)]
    for one in batches:
        thresholds.update(*one)
    for k in range(K):
        first, second, third = (mean_of(k, *one) for one in batches)
        want = 0.5 * (first + second) / 2 + 0.5 * third
        assert thresholds.confidence[k].item() == pytest.approx(want, rel=1e-5)
    assert thresholds.updates.tolist() == [3] * K


def test_absent_classes_keep_their_threshold():
    thresholds = ClassThresholds(K, 1.0)
    thresholds.update(*batch(0))
    before = thresholds.confidence.clone()
    thresholds.update(*batch(1, absent=[2]))
    assert thresholds.confidence[2] == before[2] and thresholds.updates.tolist() == [2, 2, 1, 2]
    thresholds.update(*batch(2, absent=range(K)))
    assert thresholds.updates.tolist() == [2, 2, 1, 2]


def test_threshold_of_a_pixel():
    thresholds = ClassThresholds(K, 0.7)
    thresholds.confidence.copy_(torch.tensor([0.2, 0.5, 0.9, 0.0]))
    of = thresholds.of(torch.tensor([[0, 1, 2], [3, 255, -1]]))
    torch.testing.assert_close(of, torch.tensor([[0.2, 0.5, 0.7], [0.0, 2.0, 2.0]]))


def test_no_host_synchronisation():
    thresholds, (label, confidence) = ClassThresholds(K, 1.0), batch()
    assert record(lambda: thresholds.update(label, confidence)) == []
    assert record(lambda: thresholds.of(label)) == []


def test_many_pixels_are_not_lost():
    """Float32 would stop counting, or stop adding small numbers."""
    thresholds = ClassThresholds(K, 1.0)
    thresholds.update(torch.zeros(2**23).long(), torch.full((2**23,), 0.85))
    assert thresholds.confidence[0].item() == pytest.approx(0.85, rel=1e-6)


def test_bad_settings():
    with pytest.raises(ValueError, match=r'momentum must be in \[0, 1\)'):
        ClassThresholds(K, 1.0, momentum=1.0)


def test_confident_is_the_highest_threshold(monkeypatch):
    """With 0 every pixel teaches, and that is the paper's Eq 5 as well."""
    losses = {}
    for name, settings in dict(
        paper=dict(confident=0.0), all=dict(confident=0.0, class_thresholds=dict())
    ).items():
        losses[name], (label, _, weight) = plain_ce(ready_model(**settings), monkeypatch)
        assert (weight == 1).all() and (label != 255).all()
    assert torch.equal(losses['paper']['student0.loss_ct'], losses['all']['student0.loss_ct'])


# ---- in CTT


def plain_ce(model, monkeypatch, **settings):
    """Losses of a step, and what its cross-entropy to pseudo-labels was given."""
    import mmseg_ctt.methods.ctt.segmentor as file

    given, whole = [], file.confident_fraction_cross_entropy

    def noted(logits, label, confidence, **kwargs):
        given.append((label, confidence, kwargs['fraction']))
        return whole(logits, label, confidence, **kwargs)

    monkeypatch.setattr(file, 'confident_fraction_cross_entropy', noted)
    return losses_of(model, toy_batch()), given[0]


def test_unsure_pixels_teach_nothing_and_the_others_fully(monkeypatch):
    model = ready_model(class_thresholds=dict())
    losses, (label, confidence, weight) = plain_ce(model, monkeypatch)
    assert (weight == 1).all()
    confidence = confidence.flatten(0, 1)
    left_out = label == 255
    # the mean of a class lies between its pixels: some of each are on either side
    assert 0.2 < left_out.float().mean() < 0.8
    for k in range(NUM_CLASSES):
        used = confidence[label == k]
        assert len(used) == 0 or used.min() >= model.thresholds.confidence[k].clamp(max=0.968)
    share = (~left_out).float().mean((1, 2, 3))
    torch.testing.assert_close(losses['student0.confident'], share[0])
    torch.testing.assert_close(losses['student1.confident'], share[1])


def test_thresholds_are_those_of_all_teachers():
    model = ready_model(class_thresholds=dict())
    seen = []
    update = model.thresholds.update
    model.thresholds.update = lambda *maps: seen.append(maps) or update(*maps)
    losses_of(model, toy_batch())
    ((label, confidence),) = seen
    assert len(label) == len(model.teachers) and label.shape == confidence.shape
    for k in label.unique().tolist():
        assert model.thresholds.confidence[k].item() == pytest.approx(
            mean_of(k, label, confidence), rel=1e-4
        )


def test_without_them_there_is_no_state():
    assert not [name for name in ready_model().state_dict() if name.startswith('thresholds')]
    assert 'thresholds.confidence' in ready_model(class_thresholds=dict()).state_dict()
