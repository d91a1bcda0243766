# Copyright (c) mmseg_ctt contributors.
"""Banks of Cross-Teacher Training, its settings, and padding."""

import pytest
import torch
from mmengine.logging import MessageHub
from toy import NUM_CLASSES, losses_of, ready_model, total_of, toy_batch, toy_model, toy_segmentor

STILL = []  # the strong view is the weak one


def ready(threshold=0.3, **settings):
    """Every term at work, with a confidence threshold."""
    return ready_model(consistency=dict(confidence_threshold=threshold), **settings)


# ---- banks


def test_banks_hold_the_teachers_features_of_labelled_pixels():
    model = ready(bank=dict(size=100, budget=100))
    model.contrast.bank.count.zero_()
    model.contrast.switch(False)
    losses_of(model, toy_batch())
    data = model.data_preprocessor(toy_batch(), True)
    label = torch.cat([s.gt_sem_seg.data for s in data['data_samples']['labeled']])[:, ::4, ::4]
    bank = model.contrast.bank
    for i in range(2):
        output = model.forward_member(f'teacher{i}', data['inputs']['labeled'])[0]
        right = output.logits.argmax(1) == label
        assert right.any()
        rows = output.embedding.permute(0, 2, 3, 1)
        for c in range(NUM_CLASSES):
            want = rows[right & (label == c)][:100]
            assert bank.count[i, c] == len(want)
            torch.testing.assert_close(bank.in_order()[i, c, : len(want)], want)


def test_banks_are_read_before_they_are_written():
    """The terms of a step read the banks as the step before left them."""
    model, twin = ready(), ready()
    twin.contrast.update = lambda *args: None
    before = model.contrast.bank.features.clone()
    assert losses_of(model, toy_batch()) == losses_of(twin, toy_batch())
    assert not torch.equal(before, model.contrast.bank.features)
    assert losses_of(model, toy_batch()) != losses_of(twin, toy_batch())


def test_budget_is_the_number_of_labelled_images():
    model = toy_model(bank=dict(size=50))
    losses_of(model, toy_batch(3, 2))
    assert model.contrast.bank.count.max() == 3


def test_banks_of_students_where_there_are_no_teachers():
    model = toy_model(supervision='mutual', bank=dict(size=50))
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


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(bank=dict(num_banks=3)), r"^model.bank has unknown settings \['num_banks'\]"),
        (dict(contrast=dict(bank={})), r"^model.contrast has unknown settings \['bank'\]"),
        (dict(bank=dict(dim=16)), 'bank.dim=16 does not match the embedding.*8 wide'),
        (dict(bank=dict(budget=1000)), 'bank.budget must be at most model.bank.size='),
        (dict(contrast=dict(pool=0)), 'model.contrast.pool must be at least 1'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(**settings)


def test_defaults_are_the_released_ones():
    model = toy_model()
    assert model.weights == dict(sup=1, ct=1, hc=0.1, lc=0.1) and model.shared_view
    consistency = model.consistency
    assert (consistency.select, consistency.normalizer) == ('ratio', 'all')
    assert consistency.confidence_threshold == 0.968
    steps = [type(step).__name__ for step in model.strong_augmentation.steps]
    assert steps == ['ClassMixing', 'ColorJitter', 'GaussianBlur']


# ---- padding


@pytest.mark.parametrize('width', [32, 20])
@pytest.mark.parametrize('confidence', ['teacher', 'student'])
def test_no_gradient_comes_from_the_padding(width, confidence, monkeypatch):
    model = ready(
        0.3,
        strong_augmentation=STILL,
        contrast=dict(confidence=confidence, threshold=0.5, directional=False),
    )
    data, forward, found = model.data_preprocessor(toy_batch(), True), model.forward_members, []
    for known in data['data_samples']['unlabeled']:  # as if it had been padded
        known.set_metainfo(dict(img_shape=(32, width)))

    def watched(names, *batches, **more):
        outputs = forward(names, *batches, **more)
        for name in names:
            if name.startswith('student'):
                found.append(outputs[name][1])
                outputs[name][1].logits.retain_grad()
                outputs[name][1].embedding.retain_grad()
        return outputs

    monkeypatch.setattr(model, 'forward_members', watched)
    losses = model(**data, mode='loss')
    terms = [value for key, value in losses.items() if 'loss_' in key and 'decode' not in key]
    assert len(terms) == 6 and all(term > 0 for term in terms)
    sum(terms).backward()
    for output in found:
        for tensor in (output.logits, output.embedding):
            assert tensor.grad.any()
            beyond = tensor.grad[..., 6:]  # stride 4, bilinear weights reach one cell further
            assert beyond.numel() > 0 and bool(beyond.any()) == (width == 32)


# ---- banks that are not updated in every iteration


@pytest.fixture
def iteration():
    """Sets the iterations done, as a run does."""
    hub = MessageHub.get_current_instance()
    before = hub.get_info('iter', 0)
    yield lambda done: hub.update_info('iter', done)
    hub.update_info('iter', before)


def images_of_teachers(model):
    """Images that each pass of teachers takes, in the next steps."""
    taken, forward = [], model.forward_members

    def call(names, *batches, **more):
        if names[0].startswith('teacher'):
            taken.append([len(images) for images in batches])
        return forward(names, *batches, **more)

    model.forward_members = call
    return taken


def test_teachers_pass_the_labelled_images_at_the_interval_alone(iteration):
    model = ready(bank_interval=3)
    taken, changed = images_of_teachers(model), []
    for done in range(6):
        iteration(done)
        before = model.contrast.bank.features.clone()
        losses_of(model, toy_batch(3, 2))
        changed.append(not torch.equal(before, model.contrast.bank.features))
    assert changed == [True, False, False] * 2
    assert taken == [[2, 3], [2], [2]] * 2


def test_banks_fill_in_every_iteration_until_the_contrast_is_on(iteration):
    model = ready(bank_interval=3)
    model.contrast.switch(False)
    iteration(1)
    taken = images_of_teachers(model)
    losses_of(model, toy_batch(3, 2))
    assert taken == [[2, 3]]


def test_an_interval_of_one_changes_nothing(iteration):
    iteration(1)
    assert losses_of(ready(bank_interval=1), toy_batch()) == losses_of(ready(), toy_batch())


@pytest.mark.parametrize(
    'settings, error',
    [
        (dict(bank_interval=0), 'bank_interval'),
        (dict(bank_interval=2, loss_weights=dict(hc=0, lc=0)), 'there are no banks'),
        (dict(bank_interval=2, supervision='mutual'), 'without teachers'),
        (dict(bank_interval=2, joint_forward=True), 'joint_forward'),
    ],
)
def test_intervals_that_do_not_work(settings, error):
    with pytest.raises(ValueError, match=error):
        toy_model(**settings)
