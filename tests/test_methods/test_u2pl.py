# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from toy import NUM_CLASSES, losses_of, total_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.methods.u2pl import segmentor as u2pl
from mmseg_ctt.methods.u2pl.entropy import entropy_partition, pixel_entropy
from mmseg_ctt.methods.u2pl.functional import reliable_cross_entropy

STILL = dict(mix=None)  # the strong view is the weak one
KEYS = {
    'student0.decode.loss_ce',
    'student0.loss_unsup',
    'student0.used',
    'student0.loss_contrast',
    'queue_fill',
}


@pytest.fixture(autouse=True)
def progress(monkeypatch):
    """Sets the share of the training that is done; 0 at first, whatever ran before."""

    def setter(value):
        monkeypatch.setattr(u2pl, 'training_progress', lambda: value)

    setter(0.0)
    return setter


def ready(seed=11, **settings):
    """A model whose teacher is sure of itself, so that it finds anchors."""
    contrast = dict(
        dim=8, num_anchors=6, num_negatives=5, dropout=0.0, **settings.pop('contrast', {})
    )
    model = toy_model('U2PL', contrast=contrast, **{**dict(bank=dict(size=40)), **settings})
    torch.manual_seed(seed)
    model.teachers[0].decode_head.conv_seg.weight.data.normal_(std=2)
    return model


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


# ---- keys and gradient


@pytest.mark.parametrize('share', [0.0, 0.5])
def test_keys_never_change(progress, share):
    model = ready(warmup=0.3)
    progress(share)
    losses = losses_of(model, toy_batch())
    assert set(losses) == KEYS
    assert all(value.shape == () and value.dtype == torch.float32 for value in losses.values())
    total, log = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(v for key, v in losses.items() if 'loss' in key))


def test_everything_that_learns_gets_a_gradient_and_no_teacher_does():
    model = ready()
    total_of(losses_of(model, toy_batch()), model).backward()
    learning = [*model.students.parameters(), *model.unreliable.projection.parameters()]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in learning)
    assert model.unreliable.projection.outer.weight.grad.abs().sum() > 0
    assert model.students[0].backbone.stem.weight.grad.abs().sum() > 0
    taught = [*model.teachers.parameters(), *model.unreliable.teacher_projection.parameters()]
    assert all(p.grad is None and not p.requires_grad for p in taught)
    assert {id(p) for p in learning} == {id(p) for p in model.parameters() if p.requires_grad}


def test_warmup_learns_from_labels_alone(progress):
    """But every parameter is in the graph, which DDP asks for."""
    model, later = ready(warmup=0.5), ready(warmup=0.5)
    progress(0.49)
    losses = losses_of(model, toy_batch())
    for key in ('loss_unsup', 'loss_contrast', 'used'):
        assert losses[f'student0.{key}'] == 0
    assert losses['student0.loss_unsup'].requires_grad and model.unreliable.bank.count.sum() == 0
    total_of(losses, model).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert model.unreliable.projection.outer.weight.grad.abs().sum() == 0
    progress(0.5)
    assert losses_of(later, toy_batch())['student0.loss_unsup'] > 0


@pytest.mark.parametrize('case', ['no label', 'one class'])
def test_a_batch_with_little_in_it(case):
    model = ready()
    batch = toy_batch()
    for one in batch['data_samples'][:2]:
        one.gt_sem_seg.data.fill_(255 if case == 'no label' else 1)
    losses = losses_of(model, batch)
    total_of(losses, model).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize('dropout', [0.0, 0.5])
def test_autocast(dropout):
    model = ready(segmentor=toy_segmentor(dropout))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in losses.values())
    assert model.unreliable.bank.features.dtype == torch.float32


# ---- values


@pytest.mark.parametrize('joint', [True, False])
def test_a_step_by_hand(joint, progress):
    settings = dict(strong_view=STILL, joint_forward=joint, drop_percent=30)
    model, twin = ready(**settings), ready(**settings)
    progress(0.25)  # 22.5 percent are unreliable
    losses = losses_of(model, toy_batch(2, 3))
    data = twin.data_preprocessor(toy_batch(2, 3), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    truth = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])
    with torch.no_grad():
        pseudo = up(twin.look('teacher0', weak)[0].logits).argmax(1)
        shown = twin.look('teacher0', x, weak)
    seen = twin.look('student0', x, weak)
    entropy = pixel_entropy(shown[1].logits, (32, 32))
    partition = entropy_partition(entropy, 22.5)
    share = partition.high.float().mean()
    assert 0.2 < share < 0.25
    torch.testing.assert_close(losses['student0.used'], 1 - share)
    torch.testing.assert_close(
        losses['student0.decode.loss_ce'], F.cross_entropy(up(seen[0].logits), truth)
    )
    torch.testing.assert_close(
        losses['student0.loss_unsup'],
        reliable_cross_entropy(up(seen[1].logits), pseudo, ~partition.high),
    )
    pixels = twin.unreliable.pixels(shown, truth, pseudo, partition)
    twin.unreliable.remember(pixels, [(7, i) for i in range(5)])
    want = twin.unreliable(seen, pixels, [(7, 2), (7, 3), (7, 4)])
    assert want > 0
    torch.testing.assert_close(losses['student0.loss_contrast'], want)
    assert torch.equal(model.unreliable.bank.features, twin.unreliable.bank.features)


def test_unreliable_pixels_are_fewer_later(progress):
    used = []
    for share in (0, 0.5, 1):
        progress(share)
        used.append(losses_of(ready(), toy_batch())['student0.used'].item())
    assert used == pytest.approx([0.8, 0.9, 1], abs=0.002)


def test_drop_percent():
    few, many = (losses_of(ready(drop_percent=p), toy_batch())['student0.used'] for p in (5, 40))
    assert few.item() == pytest.approx(0.95, abs=0.002)
    assert many.item() == pytest.approx(0.6, abs=0.002)


def test_weights_scale_the_terms():
    plain = losses_of(ready(), toy_batch())
    changed = losses_of(ready(loss_weights=dict(sup=3, unsup=0.5, contrast=0.1)), toy_batch())
    for key, factor in (('decode.loss_ce', 3), ('loss_unsup', 0.5), ('loss_contrast', 0.1)):
        assert plain[f'student0.{key}'] > 0
        torch.testing.assert_close(changed[f'student0.{key}'], factor * plain[f'student0.{key}'])


@pytest.mark.parametrize('how', ['cut', 'class'])
def test_pseudo_labels_are_mixed_as_the_images_are(how, monkeypatch):
    model = ready(strong_view=dict(mix=how), label_mode='train')
    given, view = {}, {}
    teach, strong = model._teach, model.strong_view.forward
    monkeypatch.setattr(
        model, '_teach', lambda *args: (given.setdefault('target', args[1]), teach(*args))[1]
    )
    monkeypatch.setattr(
        model.strong_view,
        'forward',
        lambda *args, **more: view.setdefault('made', strong(*args, **more)),
    )
    losses_of(model, toy_batch(2, 3))
    weak = model.data_preprocessor(toy_batch(2, 3), True)['inputs']['unlabeled']
    pseudo = up(model.guides(weak, None)['teacher0'][0].logits).argmax(1)
    assert torch.equal(given['target'], view['made'].follow(pseudo))
    assert not torch.equal(given['target'], pseudo)


@pytest.mark.parametrize('label_mode', ['eval', 'train'])
@pytest.mark.parametrize('teacher_mode', ['eval', 'train'])
def test_modes_of_the_teacher(label_mode, teacher_mode, monkeypatch):
    model = ready(label_mode=label_mode, teacher_mode=teacher_mode)
    modes, look = [], model.look
    monkeypatch.setattr(
        model,
        'look',
        lambda name, *batches: (
            modes.append((name, model.member(name).backbone.norm.training)),
            look(name, *batches),
        )[1],
    )
    losses_of(model, toy_batch())
    assert modes == [
        ('teacher0', label_mode == 'train'),
        ('student0', True),
        ('teacher0', teacher_mode == 'train'),
    ]


def test_padding_teaches_nothing():
    """Pixels beyond the image have no pseudo-label and no say in the percentiles."""
    model = ready(strong_view=STILL)
    data = model.data_preprocessor(toy_batch(), True)
    for one in data['data_samples']['unlabeled']:
        one.set_metainfo(dict(img_shape=(32, 16)))
    used = model(**data, mode='loss')['student0.used']
    assert used.item() == pytest.approx(0.4, abs=0.002)


def test_labels_of_unlabelled_images_are_never_read():
    plain = losses_of(ready(), toy_batch())
    batch = toy_batch()
    for one in batch['data_samples'][2:]:
        one.gt_sem_seg = PixelData(data=torch.randint(-1000, 1000, (1, 32, 32)))
    assert losses_of(ready(), batch) == plain


def test_a_step_depends_on_nothing_but_the_batch_and_the_state():
    first = losses_of(ready(), toy_batch())
    model = ready()
    torch.manual_seed(99)
    assert losses_of(model, toy_batch()) == first


# ---- teachers and state


def test_the_projection_has_a_teacher_of_its_own():
    model = ready()
    with torch.no_grad():
        model.unreliable.projection.outer.weight.add_(1)
    own, taught = (
        one.outer.weight
        for one in (model.unreliable.projection, model.unreliable.teacher_projection)
    )
    assert not torch.equal(own, taught)
    old, new = model.ema_pairs(buffers=True)['average']
    pairs = {id(a): b for a, b in zip(old, new)}
    assert pairs[id(taught)].data_ptr() == own.data_ptr()
    assert (
        sum(1 for one in model.unreliable.teacher_projection.parameters() if id(one) in pairs) == 6
    )
    model.copy_students_to_teachers()
    assert torch.equal(own, taught)


def test_members_are_plain_segmentors():
    """What the contrast adds is no part of them, so that they can be exported."""
    model = ready()
    plain = {key for key in model.state_dict() if key.startswith('students.0.')}
    assert {key.split('.')[2] for key in plain} == {'backbone', 'decode_head'}


def test_state_goes_through_a_checkpoint():
    model, other = ready(), ready(seed=5)
    losses_of(model, toy_batch())
    other.load_state_dict(model.state_dict())
    assert losses_of(model, toy_batch(seed=1)) == losses_of(other, toy_batch(seed=1))
    state = set(model.state_dict())
    assert {f'unreliable.bank.{name}' for name in ('features', 'pointer', 'count')} < state


def test_predicts_by_its_teacher():
    model = ready()
    assert model.predict_on == 'teacher0'
    assert model.member_names == ('student0', 'teacher0', 'ensemble')
    assert model.num_classes == NUM_CLASSES


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(num_pairs=2), 'remove num_pairs=2'),
        (dict(teaching='cross'), "one student and its teacher.*'cross'"),
        (dict(loss_weights=dict(hc=1)), r"loss_weights has unknown terms \['hc'\]"),
        (dict(drop_percent=60), r'drop_percent must lie in \[0, 50\].*60'),
        (dict(warmup=1.0), r'warmup in \[0, 1\)'),
        (dict(label_mode='off'), "label_mode must be one of .*'off'"),
        (dict(contrast=dict(ranks=(4, 20))), r'contrast.ranks=\(4, 20\) leaves no class of 4'),
        (dict(contrast=dict(ranks=(3, 3))), r'contrast.ranks=\(3, 3\)'),
        (dict(contrast=dict(negatives='all')), "contrast.negatives must be one of .*'all'"),
        (dict(contrast=dict(temperature=0)), 'temperature must be positive'),
        (dict(contrast=dict(num_anchors=0)), 'num_anchors, num_negatives and temperature must be'),
        (dict(bank=dict(dim=7)), 'bank.dim=7 does not match the representation, which is 256 wide'),
        (dict(bank=dict(size=5, budget=6)), r'bank.budget must lie in \[1, size=5\]'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model('U2PL', **settings)


def test_without_contrast_there_are_no_queues():
    model = toy_model('U2PL', loss_weights=dict(contrast=0))
    assert model.unreliable is None
    assert not any('unreliable' in name for name in model.state_dict())
    model.copy_students_to_teachers()
    assert len(model.ema_pairs(False)['average'][0]) == len(list(model.teachers.parameters()))
    losses = losses_of(model, toy_batch())
    assert losses['student0.loss_unsup'] > 0 and 'student0.loss_contrast' not in losses
    model.parse_losses(losses)[0].backward()
    assert all(one.grad is not None for one in model.students.parameters())
    model.warmup = 0.5
    assert losses_of(model, toy_batch()).keys() == losses.keys()
