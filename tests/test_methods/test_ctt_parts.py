# Copyright (c) mmseg_ctt contributors.
"""Strong views, banks and settings of the method; losses are in test_cross_teacher.py."""

import pytest
import torch
from toy import NUM_CLASSES, losses_of, ready_model, total_of, toy_batch, toy_model, toy_segmentor

# ---- views


@pytest.mark.parametrize('share', [True, False])
def test_views_are_shared_or_each_its_own(share, monkeypatch):
    model = ready_model(share_view=share, num_pairs=3)
    calls, inner = [], model.strong_view.forward
    monkeypatch.setattr(
        model.strong_view,
        'forward',
        lambda *args, **kwargs: (
            calls.append((args[1], args[2], kwargs['stream'])),
            inner(*args, **kwargs),
        )[1],
    )
    seen = {}
    look = model.look_all
    monkeypatch.setattr(
        model,
        'look_all',
        lambda names, *batches: (
            seen.update(dict.fromkeys(names, batches[-1])),
            look(names, *batches),
        )[1],
    )
    losses_of(model, toy_batch())
    assert [stream for *_, stream in calls] == ([0] if share else [0, 1, 2])
    assert all(draws == [(7, 2), (7, 3)] for _, draws, _ in calls)
    views = [seen[f'student{i}'] for i in range(3)]
    assert all(torch.equal(views[0], view) == share for view in views[1:])
    if not share:  # each is cut along the labels of its own teacher
        assert not torch.equal(calls[0][0], calls[1][0])
    assert {f'teacher{i}' for i in range(3)} < set(seen)


# ---- banks


def test_banks_hold_the_teachers_features_of_labelled_pixels():
    model = ready_model(bank=dict(size=100, budget=100))
    model.contrast.bank.count.zero_()
    model.set_contrast(False)
    losses_of(model, toy_batch())
    data = model.data_preprocessor(toy_batch(), True)
    label = torch.cat([s.gt_sem_seg.data for s in data['data_samples']['labeled']])[:, ::4, ::4]
    bank = model.contrast.bank
    for i in range(2):
        with torch.no_grad():
            output = model.look(f'teacher{i}', data['inputs']['labeled'])[0]
        right = output.logits.argmax(1) == label
        assert right.any()
        rows = output.embedding.permute(0, 2, 3, 1)
        for c in range(NUM_CLASSES):
            want = rows[right & (label == c)][:100]
            assert bank.count[i, c] == len(want)
            torch.testing.assert_close(bank.in_order()[i, c, : len(want)], want)


def test_banks_are_read_before_they_are_written():
    """The terms of a step see the banks as the step before left them."""
    model, twin = ready_model(confident=0.3), ready_model(confident=0.3)
    twin.contrast.remember = lambda *args: None
    before = model.contrast.bank.features.clone()
    assert losses_of(model, toy_batch()) == losses_of(twin, toy_batch())
    assert not torch.equal(before, model.contrast.bank.features)
    assert losses_of(model, toy_batch()) != losses_of(twin, toy_batch())


def test_budget_is_the_number_of_labelled_images():
    model = toy_model(bank=dict(size=50))
    losses_of(model, toy_batch(3, 2))
    assert model.contrast.bank.count.max() == 3


def test_banks_of_students_where_there_are_no_teachers():
    model = toy_model(teaching='mutual', bank=dict(size=50))
    losses_of(model, toy_batch())
    assert (model.contrast.bank.count.sum(1) > 0).all()


@pytest.mark.parametrize(
    'weights,built', [(dict(hc=0, lc=0), False), (dict(hc=0), True), (dict(lc=0), True)]
)
def test_banks_are_built_only_where_they_are_read(weights, built):
    model = toy_model(loss_weights=weights)
    assert (model.contrast is not None) == built
    assert any('bank' in key for key in model.state_dict()) == built
    losses = losses_of(model, toy_batch())
    assert ('student0.loss_hc' in losses) == ('student1.loss_lc' in losses) == built
    total_of(losses, model).backward()


def test_width_of_the_banks_is_that_of_the_embedding():
    assert toy_model().contrast.bank.dim == 8
    head = dict(
        type='DeepLabV2Head',
        in_channels=8,
        in_index=1,
        dilations=(1,),
        branches=1,
        embedding_dim=5,
        num_classes=NUM_CLASSES,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    model = toy_model(segmentor=toy_segmentor(decode_head=head))
    assert model.contrast.bank.dim == 5
    losses_of(model, toy_batch())


def test_the_switch_is_in_the_checkpoint():
    model = toy_model()
    assert not model.contrast_on and not model.contrast_active
    model.set_contrast(True)
    assert model.state_dict()['contrast_on'] and model.contrast_active
    model.set_contrast(False)
    assert not model.contrast_on and not model.contrast_active


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(loss_weights=dict(ct=1, high=2)), r"unknown terms \['high'\]; known are .*'hc'"),
        (dict(bank=dict(dim=16)), 'bank.dim=16 does not match the embedding.*8 wide'),
        (dict(bank=dict(budget=1000)), 'bank.budget must lie in'),
        (dict(contrast=dict(pool=0)), 'pool at least 1'),
        (dict(strong_view=dict(mix='paste')), 'strong_view.mix must be one of'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(**settings)


# ---- padding


@pytest.mark.parametrize('width', [32, 20])
@pytest.mark.parametrize('confidence', ['teacher', 'student'])
def test_padding_of_unlabelled_images_teaches_nothing(width, confidence, monkeypatch):
    still = dict(mix=None, jitter_prob=0, blur_prob=0)
    model = ready_model(
        confident=0.3,
        strong_view=still,
        contrast=dict(confidence=confidence, threshold=0.5, directional=False),
    )
    batch, look, seen = toy_batch(), model.look_all, []
    for one in batch['data_samples']:
        one.set_metainfo(dict(img_shape=(32, width)))
    data = model.data_preprocessor(batch, True)
    for one in data['data_samples']['unlabeled']:  # as if it had been padded
        one.set_metainfo(dict(img_shape=(32, width)))

    def watched(names, *batches):
        found = look(names, *batches)
        if names[0].startswith('student'):
            seen.extend(outputs[1] for outputs in found)
            for _, output in found:
                output.logits.retain_grad()
                output.embedding.retain_grad()
        return found

    monkeypatch.setattr(model, 'look_all', watched)
    losses = model(**data, mode='loss')
    terms = [value for key, value in losses.items() if 'loss_' in key and 'decode' not in key]
    assert len(terms) == 6 and all(term > 0 for term in terms)
    sum(terms).backward()
    for output in seen:
        for tensor in (output.logits, output.embedding):
            assert tensor.grad.any()
            beyond = tensor.grad[..., 6:]  # stride 4, bilinear weights reach one cell further
            assert beyond.numel() > 0 and bool(beyond.any()) == (width == 32)
