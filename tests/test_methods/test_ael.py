# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from test_functional.test_no_sync import record
from toy import NUM_CLASSES, losses_of, total_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.functional import cross_entropy, pseudo_label
from mmseg_ctt.methods.ael import segmentor as ael
from mmseg_ctt.methods.ael.functional import class_confidence_sums
from mmseg_ctt.nn import strong_view

STILL = dict(jitter_prob=0, blur_prob=0)
PLAIN = dict(copy_paste=False, cut_mix=False, strong_view=STILL)  # strong view = weak view
CONF = torch.tensor([0.9, 0.1, 0.6, 0.3])
KEYS = {
    'student0.decode.loss_ce',
    'student0.loss_labeled',
    'student0.loss_unlabeled',
    'student0.kept_labeled',
    'student0.kept_unlabeled',
}
LABELED = KEYS - {'student0.loss_unlabeled', 'student0.kept_unlabeled'}


def ready(**settings):
    """A model with a teacher of its own and a bank that has learnt something."""
    # with batch statistics, this teacher predicts all classes about as often
    model = toy_model('AEL', **{'teacher_mode': 'train', **settings})
    torch.manual_seed(12)
    model.teachers[0].decode_head.conv_seg.weight.data.normal_(std=2)
    model.bank.confidence.copy_(CONF)
    model.bank.updates.fill_(50)
    return model


def raw(model, labeled=3, unlabeled=3, seed=0):
    return model.data_preprocessor(toy_batch(labeled, unlabeled, seed), True)


# ---- keys and gradient


def test_trains_the_student_and_no_teacher():
    model = ready()
    losses = losses_of(model, toy_batch(3, 3))
    assert set(losses) == KEYS
    assert all(torch.isfinite(value) and value > 0 for value in losses.values())
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(v for k, v in losses.items() if 'loss' in k))
    total.backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all() for p in model.students.parameters()
    )
    assert model.students[0].backbone.stem.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teachers.parameters())


@pytest.mark.parametrize(
    'settings',
    [
        {},
        PLAIN,
        dict(confident=0.99),
        dict(confident=1.1),
        dict(joint_forward=False),
        dict(teacher_mode='eval'),
        dict(cut_mix=dict(adaptive=False)),
        dict(consistency=dict(sample_by='student')),
    ],
)
@pytest.mark.parametrize('fresh', [True, False])
def test_keys_never_change(settings, fresh):
    model = (lambda **s: toy_model('AEL', **s))(**settings) if fresh else ready(**settings)
    assert set(losses_of(model, toy_batch(2, 3))) == KEYS


@pytest.mark.parametrize('term', ['labeled', 'unlabeled'])
def test_each_consistency_gives_gradient(term):
    model = ready()
    losses_of(model, toy_batch(3, 3))[f'student0.loss_{term}'].backward()
    assert model.students[0].backbone.stem.weight.grad.abs().sum() > 0


def test_nothing_confident_is_zero_with_a_graph():
    losses = losses_of(ready(confident=1.1), toy_batch(3, 3))
    for term in ('labeled', 'unlabeled'):
        value = losses[f'student0.loss_{term}']
        assert value == 0 and value.requires_grad and losses[f'student0.kept_{term}'] == 0


# ---- values


@pytest.mark.parametrize('joint', [True, False])
def test_a_step_by_hand(joint):
    settings = dict(
        PLAIN,
        confident=0.5,
        joint_forward=joint,
        consistency=dict(sample_by=None),
        loss_weights=dict(labeled=0.5, unlabeled=2.0),
    )
    model, twin = ready(**settings), ready(**settings)
    losses = losses_of(model, toy_batch(2, 3))
    data = raw(twin, 2, 3)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    truth = torch.cat([s.gt_sem_seg.data for s in data['data_samples']['labeled']])
    with torch.no_grad():
        guide = twin.look('teacher0', weak, x)
    seen = twin.look('student0', x, weak)
    full = [F.interpolate(one.logits, (32, 32), mode='bilinear') for one in seen]
    torch.testing.assert_close(losses['student0.decode.loss_ce'], cross_entropy(full[0], truth))
    for name, logits, output, scale in (
        ('labeled', full[0], guide[1], 0.5),
        ('unlabeled', full[1], guide[0], 2.0),
    ):
        label, confidence = pseudo_label(output.logits, (32, 32))
        weight = confidence**2
        values = F.cross_entropy(logits, label, reduction='none') * (confidence >= 0.5)
        torch.testing.assert_close(
            losses[f'student0.loss_{name}'], scale * (weight * values).sum() / weight.sum()
        )
        assert losses[f'student0.kept_{name}'] == (confidence >= 0.5).float().mean()
    total, count = class_confidence_sums(full[0], truth, NUM_CLASSES)
    want = (CONF * 50 / 51 + total / count / 51).float()
    torch.testing.assert_close(model.bank.confidence, want)
    assert torch.equal(model.bank.pixels, torch.bincount(truth.flatten()))


def look_of(model, batch):
    """Images that each member is shown."""
    shown, inner = {}, model.look_all
    model.look_all = lambda names, *batches: (
        shown.update({name: [b.clone() for b in batches] for name in names}),
        inner(names, *batches),
    )[1]
    losses = losses_of(model, batch)
    return shown, losses


def test_who_sees_what():
    model = ready(copy_paste=dict(prob=1.0), strong_view=STILL)
    data = raw(model)
    shown, _ = look_of(model, toy_batch(3, 3))
    (pasted, strong), (weak, also_pasted) = shown['student0'], shown['teacher0']
    assert torch.equal(weak, data['inputs']['unlabeled'])
    assert torch.equal(pasted, also_pasted)
    assert not torch.equal(pasted, data['inputs']['labeled'])
    shares = []
    for i in range(3):
        own = (strong[i] == weak[i]).all(0)
        other = torch.stack([(strong[i] == weak[j]).all(0) for j in range(3) if j != i])
        assert (own | other.any(0)).all()  # cut from images of the batch, nothing else
        shares.append(own.float().mean().item())
    assert 0 < sum(shares) < 3


def test_labels_follow_the_pasting_and_the_batch_stays_as_it_was():
    model = ready(copy_paste=dict(prob=1.0))
    data = raw(model)
    before = [s.gt_sem_seg.data.clone() for s in data['data_samples']['labeled']]
    images = data['inputs']['labeled'].clone()
    seen = []
    update = model.bank.update
    model.bank.update = lambda *args: (seen.append(args), update(*args))
    model(**data, mode='loss')
    ((_, label, truth),) = seen
    assert torch.equal(truth, torch.cat(before))
    changed = label != truth
    assert changed.any() and (label == truth.roll(-1, 0))[changed].all()
    after = [s.gt_sem_seg.data for s in data['data_samples']['labeled']]
    assert all(torch.equal(*pair) for pair in zip(before, after))
    assert torch.equal(images, data['inputs']['labeled'])


def test_tail_classes_come_from_the_labels_seen_before():
    model = ready(copy_paste=dict(prob=1.0))
    model.bank.pixels.copy_(torch.tensor([1000, 10, 1000, 1000]))
    seen, update = [], model.bank.update
    model.bank.update = lambda *args: (seen.append(args), update(*args))
    losses_of(model, toy_batch(3, 3))
    ((_, label, truth),) = seen
    assert (label[label != truth] == 1).all() and (label != truth).any()
    total = torch.bincount(truth.flatten(), minlength=NUM_CLASSES)
    assert torch.equal(model.bank.pixels, torch.tensor([1000, 10, 1000, 1000]) + total)


def test_same_batch_same_losses_and_other_draws_others():
    one, two = losses_of(ready(), toy_batch(3, 3)), losses_of(ready(), toy_batch(3, 3))
    assert one == two
    batch = toy_batch(3, 3)
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(draw=(8, sample.metainfo['draw'][1])))
    other = losses_of(ready(), batch)
    assert all(other[key] != one[key] for key in KEYS)


# ---- settings


@pytest.mark.parametrize(
    'settings,changes',
    [
        (dict(copy_paste=False), LABELED),
        (dict(copy_paste=dict(tail=[1])), LABELED),
        (dict(cut_mix=False), {'student0.loss_unlabeled'}),
        (dict(cut_mix=dict(adaptive=False)), {'student0.loss_unlabeled'}),
        (dict(strong_view=STILL), {'student0.loss_unlabeled'}),
        (dict(confident=0.8), {'student0.loss_labeled', 'student0.loss_unlabeled'}),
        (dict(consistency=dict(gamma=0.0)), {'student0.loss_labeled', 'student0.loss_unlabeled'}),
        (dict(consistency=dict(beta=3.0)), {'student0.kept_labeled', 'student0.kept_unlabeled'}),
        (dict(consistency=dict(sample_by='student')), {'student0.loss_unlabeled'}),
        (dict(loss_weights=dict(sup=0.5)), {'student0.decode.loss_ce'}),
        (dict(loss_weights=dict(labeled=0.5)), {'student0.loss_labeled'}),
        (dict(loss_weights=dict(unlabeled=0.5)), {'student0.loss_unlabeled'}),
    ],
)
def test_every_setting_changes_what_it_says(settings, changes):
    batch = dict(joint_forward=False)  # so that one half does not move the other
    plain = losses_of(ready(**batch), toy_batch(3, 3))
    other = losses_of(ready(**batch, **settings), toy_batch(3, 3))
    assert all(plain[key] != other[key] for key in changes)
    if 'loss_weights' in settings or 'cut_mix' in settings or 'strong_view' in settings:
        assert plain['student0.kept_labeled'] == other['student0.kept_labeled']
    if 'loss_weights' in settings:
        assert all(plain[key] == other[key] for key in KEYS - changes)


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(num_pairs=2), 'model.type=AEL is one student and its teacher'),
        (dict(num_pairs=2, teaching='cross'), 'model.type=AEL is one student and its teacher'),
        (dict(loss_weights=dict(hc=1)), r"model.loss_weights has unknown terms \['hc'\]"),
        (dict(strong_view=dict(mix='class')), 'model.strong_view.mix: AEL mixes by model.cut_mix'),
        (dict(bank=dict(momentum=2)), 'model.bank.momentum'),
        (dict(copy_paste=dict(tail=[9])), 'model.copy_paste.tail'),
        (dict(cut_mix=dict(object_area=2)), 'model.cut_mix.object_area'),
        (dict(consistency=dict(gamma=-1)), 'model.consistency'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        toy_model('AEL', **settings)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('sizes,setting', [((1, 2), 'copy_paste'), ((2, 1), 'cut_mix')])
def test_a_batch_of_one_cannot_be_mixed(sizes, setting):
    with pytest.raises(ValueError, match=f'model.{setting} mixes.*train_dataloader.batch_size'):
        losses_of(ready(), toy_batch(*sizes))
    losses = losses_of(ready(**{setting: False}), toy_batch(*sizes))
    assert all(torch.isfinite(value) for value in losses.values())


# ---- corners


@pytest.mark.parametrize('case', ['all ignored', 'one class', 'sure of everything'])
def test_corners_are_finite(case):
    model, batch = ready(), toy_batch(3, 3)
    for sample in batch['data_samples'][:3]:
        if case != 'sure of everything':
            sample.gt_sem_seg.data.fill_(255 if case == 'all ignored' else 2)
    if case == 'sure of everything':
        model.bank.confidence.fill_(1.0)
    losses = losses_of(model, batch)
    total_of(losses, model).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in model.students.parameters())
    assert torch.isfinite(model.bank.confidence).all()
    if case == 'all ignored':
        assert losses['student0.decode.loss_ce'] == 0
        assert torch.equal(model.bank.confidence, CONF) and model.bank.pixels.sum() == 0


def test_bfloat16():
    model = ready()
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(model, toy_batch(3, 3))
    assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in losses.values())
    assert model.bank.confidence.dtype == torch.float32


def test_auxiliary_heads_learn_from_labelled_images():
    aux = dict(
        type='FCNHead',
        in_channels=8,
        in_index=0,
        channels=4,
        num_convs=1,
        num_classes=NUM_CLASSES,
        align_corners=False,
        loss_decode=dict(type='PixelCrossEntropyLoss', loss_weight=0.4),
    )
    model = toy_model('AEL', segmentor=toy_segmentor(auxiliary_head=aux))
    assert 'student0.aux0.loss_ce' in losses_of(model, toy_batch(2, 2))


def test_bank_is_in_the_checkpoint():
    model, other = ready(), toy_model('AEL', seed=5, teacher_mode='train')
    losses_of(model, toy_batch(3, 3))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.bank.confidence, model.bank.confidence)
    assert losses_of(other, toy_batch(3, 3, 1)) == losses_of(model, toy_batch(3, 3, 1))


def test_the_pseudo_label_hook_finds_what_it_needs():
    model = ready(confident=0.7)
    assert model.confident == 0.7
    data = raw(model)['inputs']
    outputs = model.guides(data['unlabeled'], data['labeled'])
    assert list(outputs) == ['teacher0'] and len(outputs['teacher0'][0].logits) == 3
    with torch.no_grad():
        want = model.look('teacher0', data['unlabeled'], data['labeled'])[0]
    assert torch.equal(outputs['teacher0'][0].logits, want.logits)


@pytest.mark.parametrize(
    'settings',
    [
        {},
        dict(consistency=dict(sample_by='student')),
        dict(copy_paste=dict(tail=[1, 2]), cut_mix=dict(adaptive=False)),
    ],
)
def test_a_step_reads_nothing_back(settings, monkeypatch):
    model = ready(**settings)
    for module in (ael, strong_view):  # made on the host, sent without waiting
        monkeypatch.setattr(
            module, 'counter_noise', lambda draws, width, *_: torch.rand(len(draws), width)
        )
    data = raw(model)
    assert (
        record(
            lambda: sum(
                value for key, value in model(**data, mode='loss').items() if 'loss' in key
            ).backward()
        )
        == []
    )
