# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from reference import stpg as slow
from test_functional.test_no_sync import record
from toy import NUM_CLASSES, losses_of, total_of, toy_batch, toy_model

STILL = dict(mix=None)  # the strong view is the weak one
SUPERVISED = {'student0.decode.loss_ce', 'student1.decode.loss_ce'}
TAUGHT = {'student0.loss_general', 'student1.loss_professional', 'student1.selected'}
CONTRAST = {'student0.loss_contrast_labeled', 'student0.loss_contrast_unlabeled'}


def ready_stpg(**settings):
    """Unequal members, a full memory, contrast on."""
    contrast = dict(threshold=0.2, dropout=0.0, **settings.pop('contrast', {}))
    model = toy_model('STPG', **{**dict(bank=dict(size=3), contrast=contrast), **settings})
    torch.manual_seed(11)
    for member in (*model.students, *model.teachers):
        member.decode_head.conv_seg.weight.data.normal_(std=2)
    if model.contrast is not None:
        bank = model.contrast.bank
        bank.features.normal_()
        bank.count.fill_(bank.size)
        model.set_contrast(True)
    return model


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


# ---- keys and gradient


@pytest.mark.parametrize('teaching', ['cross', 'self', 'ensemble'])
@pytest.mark.parametrize('contrast', [{}, dict(memory='peer'), dict(train_projection=False)])
def test_everything_trains_but_the_teachers(teaching, contrast):
    model = ready_stpg(teaching=teaching, contrast=contrast)
    total_of(losses_of(model, toy_batch()), model).backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all() for p in model.students.parameters()
    )
    assert all(student.backbone.stem.weight.grad.abs().sum() > 0 for student in model.students)
    assert all(p.grad is None for p in model.teachers.parameters())
    trained = contrast.get('train_projection', True)
    gradient = model.contrast.projection.outer.weight.grad
    assert gradient.abs().sum() > 0 if trained else gradient is None


def test_keys_never_change():
    model = toy_model('STPG')
    off = losses_of(model, toy_batch())
    assert all(off[key] == 0 and off[key].requires_grad for key in CONTRAST)
    total_of(off, model).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)  # as DDP asks
    on = losses_of(ready_stpg(), toy_batch())
    assert set(off) == set(on) == SUPERVISED | TAUGHT | CONTRAST
    assert all(on[key] > 0 for key in on)
    assert all(
        value.shape == () and value.dtype == torch.float32
        for value in (*off.values(), *on.values())
    )


def test_the_share_of_selected_pixels_is_no_loss():
    model = ready_stpg()
    losses = losses_of(model, toy_batch())
    total, log = model.parse_losses(losses)
    assert 'student1.selected' in log
    torch.testing.assert_close(total, sum(losses[key] for key in losses if 'loss' in key))


# ---- values


@pytest.mark.parametrize('teaching', ['cross', 'self'])
def test_a_step_by_hand(teaching):
    """The strong view is the weak one here, so that every term can be written out."""
    settings = dict(teaching=teaching, strong_view=STILL, joint_forward=False)
    model, twin = ready_stpg(**settings), ready_stpg(**settings)
    losses = losses_of(model, toy_batch(2, 3))
    data = twin.data_preprocessor(toy_batch(2, 3), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    label = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])
    sure = [up(twin.look(f'teacher{i}', weak)[0].logits).softmax(1).max(1) for i in range(2)]
    seen = [twin.look(f'student{i}', x, weak) for i in range(2)]
    logits = [up(one[1].logits) for one in seen]
    source = (1, 0) if teaching == 'cross' else (0, 1)
    taught = [sure[i] for i in source]
    ce = [F.cross_entropy(logits[i], taught[i].indices, reduction='none') for i in range(2)]
    flat = taught[1].indices.flatten().tolist(), logits[1].argmax(1).flatten().tolist()
    kept = torch.tensor(slow.selected(*flat, slow.mismatch(*flat, NUM_CLASSES))).view(3, 32, 32)
    assert 0 < kept.float().mean() < 1
    terms = twin.contrast(*seen[0], label, taught[0].indices)
    want = {
        'student0.decode.loss_ce': F.cross_entropy(up(seen[0][0].logits), label),
        'student1.decode.loss_ce': F.cross_entropy(up(seen[1][0].logits), label),
        'student0.loss_general': (taught[0].values * ce[0]).mean(),
        'student1.loss_professional': (taught[1].values * kept * ce[1]).mean(),
        'student1.selected': kept.float().mean(),
        'student0.loss_contrast_labeled': 0.1 * terms['labeled'],
        'student0.loss_contrast_unlabeled': 0.1 * terms['unlabeled'],
    }
    assert set(want) == set(losses)
    for key, value in want.items():
        assert value > 0
        torch.testing.assert_close(losses[key], value, rtol=2e-5, atol=0)


def test_both_students_see_one_cut_mix_and_targets_follow(monkeypatch):
    model = ready_stpg()
    seen, given = {}, []
    look, teach = model.look, model._teach
    monkeypatch.setattr(
        model,
        'look',
        lambda name, *batches: (seen.__setitem__(name, batches), look(name, *batches))[1],
    )
    monkeypatch.setattr(model, '_teach', lambda *args: (given.extend(args[1]), teach(*args))[1])
    losses_of(model, toy_batch())
    weak, strong = seen['teacher1'][0], seen['student0'][1]
    assert torch.equal(strong, seen['student1'][1]) and not torch.equal(strong, weak)
    pasted = (strong == weak).all(1)
    torch.testing.assert_close(strong, torch.where(pasted.unsqueeze(1), weak, weak.roll(-1, 0)))
    with torch.no_grad():
        sure = up(look('teacher1', weak)[0].logits).softmax(1).max(1)
    for got, plain in zip(given[0], (sure.indices, sure.values)):
        torch.testing.assert_close(got, torch.where(pasted, plain, plain.roll(-1, 0)))


def test_padding_teaches_nothing():
    """Whatever the members say there: two runs that differ in the padding only are equal."""
    model = ready_stpg(strong_view=STILL)
    g = torch.Generator().manual_seed(0)
    logits = [torch.randn(2, NUM_CLASSES, 8, 8, generator=g) for _ in range(2)]
    targets = [
        (torch.randint(0, NUM_CLASSES, (2, 8, 8), generator=g), torch.rand(2, 8, 8, generator=g))
        for _ in range(2)
    ]
    content = (torch.arange(8) < 5).expand(2, 8, 8)
    want = model._teach(logits, targets, content)
    other = [
        (label.masked_fill(~content, 1), confidence.masked_fill(~content, 1))
        for label, confidence in targets
    ]
    assert model._teach(logits, other, content) == want != model._teach(logits, targets, None)
    inside = [(label[..., :5], confidence[..., :5]) for label, confidence in targets]
    got = model._teach([one[..., :5] for one in logits], inside, None)
    assert got['student1.selected'] * 5 / 8 == want['student1.selected']


def test_padding_is_found_in_the_samples():
    model, plain = ready_stpg(strong_view=STILL), ready_stpg(strong_view=STILL)
    data = model.data_preprocessor(toy_batch(), True)
    for one in data['data_samples']['unlabeled']:
        one.set_metainfo(dict(img_shape=(32, 20)))
    got = model(**data, mode='loss')
    want = losses_of(plain, toy_batch())
    for key in TAUGHT | {'student0.loss_contrast_unlabeled'}:
        assert got[key] != want[key]
    for key in SUPERVISED | {'student0.loss_contrast_labeled'}:
        assert got[key] == want[key]


def test_weights_scale_the_terms():
    plain = losses_of(ready_stpg(), toy_batch())
    weights = dict(sup=3, general=0.5, professional=2, contrast_labeled=0.2, contrast_unlabeled=0)
    changed = losses_of(ready_stpg(loss_weights=weights), toy_batch())
    for key, factor in (
        ('student1.decode.loss_ce', 3),
        ('student0.loss_general', 0.5),
        ('student1.loss_professional', 2),
        ('student0.loss_contrast_labeled', 2),
        ('student0.loss_contrast_unlabeled', 0),
        ('student1.selected', 1),
    ):
        torch.testing.assert_close(changed[key], factor * plain[key])


def test_without_contrast_there_is_no_state_of_it():
    model = ready_stpg(loss_weights=dict(contrast_labeled=0, contrast_unlabeled=0))
    assert model.contrast is None and not any('contrast.' in key for key in model.state_dict())
    losses = losses_of(model, toy_batch())
    assert set(losses) == SUPERVISED | TAUGHT
    total_of(losses, model).backward()


# ---- memory


@pytest.mark.parametrize('memory,teacher', [('own', 'teacher0'), ('peer', 'teacher1')])
def test_whose_features_the_memory_holds(memory, teacher, monkeypatch):
    model = ready_stpg(contrast=dict(memory=memory))
    given, seen = [], {}
    look, remember = model.look, model.contrast.remember
    monkeypatch.setattr(
        model.contrast, 'remember', lambda *args: (given.append(args[0]), remember(*args))[1]
    )
    monkeypatch.setattr(
        model,
        'look',
        lambda name, *batches: (seen.__setitem__(name, len(batches)), look(name, *batches))[1],
    )
    before = model.contrast.bank.features.clone()
    losses_of(model, toy_batch())
    assert seen['teacher0'] + seen['teacher1'] == 3 and seen[teacher] == 2
    assert not torch.equal(before, model.contrast.bank.features)
    data = model.data_preprocessor(toy_batch(), True)
    inputs = data['inputs']
    want = look(teacher, inputs['unlabeled'], inputs['labeled'])[1]
    torch.testing.assert_close(given[0].embedding, want.embedding)


def test_memory_is_read_before_it_is_written():
    model, twin = ready_stpg(), ready_stpg()
    twin.contrast.remember = lambda *args: None
    assert losses_of(model, toy_batch()) == losses_of(twin, toy_batch())
    assert losses_of(model, toy_batch()) != losses_of(twin, toy_batch())


def test_an_empty_memory_and_absent_classes():
    model = ready_stpg()
    model.contrast.bank.count.zero_()
    batch = toy_batch()
    for one in batch['data_samples'][:2]:
        one.gt_sem_seg.data.fill_(2)
    losses = losses_of(model, batch)
    assert losses['student0.loss_contrast_labeled'] > 0  # the anchor term of class 2
    assert model.contrast.bank.count[[0, 1, 3]].sum() == 0
    total_of(losses, model).backward()


def test_every_label_ignored():
    model = ready_stpg()
    before = {key: value.clone() for key, value in model.contrast.state_dict().items()}
    batch = toy_batch()
    for one in batch['data_samples'][:2]:
        one.gt_sem_seg.data.fill_(255)
    losses = losses_of(model, batch)
    assert losses['student0.loss_contrast_labeled'] == losses['student0.decode.loss_ce'] == 0
    total_of(losses, model).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(
        torch.equal(value, before[key]) for key, value in model.contrast.state_dict().items()
    )


# ---- rules of the package


def test_labels_of_unlabelled_images_are_never_read():
    plain = losses_of(ready_stpg(), toy_batch())
    batch = toy_batch()
    for one in batch['data_samples'][2:]:
        one.gt_sem_seg = PixelData(data=torch.randint(-1000, 1000, (1, 32, 32)))
    assert losses_of(ready_stpg(), batch) == plain


def test_a_step_depends_on_nothing_but_the_batch_and_the_state():
    first = losses_of(ready_stpg(), toy_batch())
    model = ready_stpg()
    torch.manual_seed(99)
    assert losses_of(model, toy_batch()) == first


@pytest.mark.parametrize('active', [True, False])
def test_autocast(active):
    model = ready_stpg()
    model.set_contrast(active)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in losses.values())
    assert all(
        value.dtype == torch.float32
        for name, value in model.contrast.named_buffers()
        if value.is_floating_point()
    )


def test_channels_last_changes_no_value():
    plain, fast = ready_stpg(), ready_stpg(channels_last=True)
    assert fast.contrast.projection.inner.weight.is_contiguous(memory_format=torch.channels_last)
    plain, fast = losses_of(plain, toy_batch()), losses_of(fast, toy_batch())
    for key in plain:
        torch.testing.assert_close(fast[key], plain[key], rtol=1e-4, atol=1e-6)


def test_nothing_is_read_back():
    """But for the strong view, which brings its random numbers from the host, in every method."""
    model = ready_stpg()
    data = model.data_preprocessor(toy_batch(), True)
    weak, samples = data['inputs']['unlabeled'], data['data_samples']['unlabeled']
    label = torch.zeros(2, 32, 32, dtype=torch.long)

    def step():
        losses = model(**data, mode='loss')
        sum(value for key, value in losses.items() if 'loss' in key).backward()

    view = record(lambda: model._strong_view(weak, {'teacher1': (label, label)}, samples))
    assert record(step) == view


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(num_pairs=3), 'model.num_pairs must be 2'),
        (dict(num_pairs=1, teaching='self'), 'model.num_pairs must be 2'),
        (dict(teaching='dual'), "model.teaching='dual' does not give each student one teacher"),
        (dict(teaching='mutual'), "model.teaching='mutual' does not give"),
        (dict(loss_weights=dict(ct=1)), r"unknown terms \['ct'\]"),
        (dict(contrast=dict(memory='x')), 'model.contrast.memory'),
        (dict(contrast=dict(dim=2)), 'raise model.contrast.dim'),
        (dict(strong_view=dict(mix='paste')), 'strong_view.mix must be one of'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model('STPG', **settings)
