# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from toy import (
    NUM_CLASSES,
    fill_banks,
    losses_of,
    ready_model,
    total_of,
    toy_batch,
    toy_model,
    toy_segmentor,
)

from mmseg_ctt.methods.ctt import segmentor as cross_teacher
from mmseg_ctt.methods.ctt.functional import high_level_contrast, low_level_contrast

GRAPHS = [('cross', 2), ('cross', 3), ('self', 1), ('mutual', 2), ('dual', 2), ('ensemble', 2)]
STILL = dict(mix=None, jitter_prob=0, blur_prob=0)  # the strong view is the weak one


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


# ---- keys and gradient


@pytest.mark.parametrize('teaching,pairs', GRAPHS)
def test_every_graph_trains_its_students_and_no_teacher(teaching, pairs):
    model = ready_model(teaching=teaching, num_pairs=pairs, confident=0.0)
    total_of(losses_of(model, toy_batch()), model).backward()
    for student in model.students:
        assert all(
            p.grad is not None and torch.isfinite(p.grad).all() for p in student.parameters()
        )
        assert student.backbone.stem.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teachers.parameters())


@pytest.mark.parametrize('teaching,pairs', GRAPHS)
def test_keys_never_change(teaching, pairs):
    model = toy_model(teaching=teaching, num_pairs=pairs, bank=dict(size=3))
    off = losses_of(model, toy_batch())
    fill_banks(model)
    on = losses_of(model, toy_batch(seed=1))
    want = {
        f'student{i}.{key}'
        for i in range(pairs)
        for key in ('decode.loss_ce', 'loss_ct', 'loss_hc', 'loss_lc', 'confident')
    }
    assert set(off) == set(on) == want
    assert all(
        value.shape == () and value.dtype == torch.float32
        for value in (*off.values(), *on.values())
    )


@pytest.mark.parametrize('teaching,pairs', GRAPHS)
def test_contrast_that_is_off_is_a_zero_in_the_graph(teaching, pairs):
    model = toy_model(teaching=teaching, num_pairs=pairs, bank=dict(size=3))
    losses = losses_of(model, toy_batch())
    for i in range(pairs):
        for key in ('hc', 'lc'):
            value = losses[f'student{i}.loss_{key}']
            assert value == 0 and value.requires_grad
    fill_banks(model)
    on = losses_of(model, toy_batch())
    assert all(on[f'student{i}.loss_hc'] > 0 for i in range(pairs))


def test_total_is_the_sum_of_the_losses():
    model = ready_model(confident=0.3)
    losses = losses_of(model, toy_batch())
    want = sum(value for key, value in losses.items() if 'loss' in key)
    total, log = model.parse_losses(losses)
    torch.testing.assert_close(total, want)
    assert all(value > 0 for key, value in losses.items() if 'loss' in key)
    assert losses['student0.confident'] > 0  # logged, not summed
    assert 'student0.confident' in log


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
    model = toy_model(segmentor=toy_segmentor(auxiliary_head=aux))
    losses = losses_of(model, toy_batch())
    assert {'student0.aux0.loss_ce', 'student1.aux0.loss_ce'} < set(losses)


# ---- values


@pytest.mark.parametrize('joint', [True, False])
def test_a_step_by_hand(joint):
    """The strong view is the weak one here, so that every term can be written out."""
    settings = dict(
        strong_view=STILL, confident=0.4, joint_forward=joint, contrast=dict(threshold=0.5)
    )
    model, twin = ready_model(**settings), ready_model(**settings)
    losses = losses_of(model, toy_batch(2, 3))
    data = twin.data_preprocessor(toy_batch(2, 3), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    label = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])

    def both(member):
        """Logits and embedding of the labelled and the unlabelled images."""

        def one(images):
            seen = []
            handle = member.decode_head.conv_seg.register_forward_pre_hook(
                lambda m, args: seen.append(args[0])
            )
            logits = member.decode_head(member.extract_feat(images))
            handle.remove()
            return logits, seen[0]

        if joint:
            logits, z = one(torch.cat([x, weak]))
            return (logits[:2], z[:2]), (logits[2:], z[2:])
        return one(x), one(weak)

    def rows(z):
        return z.permute(0, 2, 3, 1).reshape(-1, 8)

    seen = [both(student) for student in twin.students]
    sure = [up(both(teacher)[1][0]).softmax(1).max(1) for teacher in twin.teachers]
    own = [on_weak[0].softmax(1).max(1) for _, on_weak in seen]
    small = label[:, ::8, ::8].repeat_interleave(2, 1).repeat_interleave(2, 2).flatten()
    for i in range(2):
        (logits, z), (logits_u, z_u) = seen[i]
        confidence, pseudo = sure[1 - i]
        fraction = (confidence >= 0.4).float().mean()
        assert 0 < fraction < 1
        confidence, target = confidence[:, ::4, ::4].flatten(), pseudo[:, ::4, ::4].flatten()
        confident = confidence >= 0.5
        assert 0 < confident.sum() < confident.numel()
        bank, peer = (twin.contrast.bank.features[k] for k in (i, 1 - i))
        low = ~confident & (own[i].values < own[1 - i].values).flatten()
        want = {
            'decode.loss_ce': F.cross_entropy(up(logits), label),
            'loss_ct': fraction * F.cross_entropy(up(logits_u), pseudo),
            'loss_hc': 0.1
            * high_level_contrast(
                torch.cat([rows(z), rows(z_u)]),
                torch.cat([small, target]),
                bank,
                valid=torch.cat([small >= 0, confident]),
            ),
            'loss_lc': 0.1
            * low_level_contrast(
                rows(z_u),
                rows(seen[1 - i][1][1]),
                own[1 - i].indices.flatten(),
                torch.cat([bank, peer], 1),
                valid=low,
            ),
            'confident': fraction,
        }
        for key, value in want.items():
            assert value > 0
            torch.testing.assert_close(losses[f'student{i}.{key}'], value, rtol=2e-5, atol=0)


def test_weights_scale_the_terms():
    plain = losses_of(ready_model(confident=0.3), toy_batch())
    changed = losses_of(
        ready_model(confident=0.3, loss_weights=dict(sup=3, ct=0.5, hc=0.2)), toy_batch()
    )
    for key, factor in (('decode.loss_ce', 3), ('loss_ct', 0.5), ('loss_hc', 2), ('loss_lc', 1)):
        torch.testing.assert_close(changed[f'student1.{key}'], factor * plain[f'student1.{key}'])


def test_ramp_holds_back_what_teachers_say_and_nothing_else(monkeypatch):
    plain = losses_of(ready_model(confident=0.3), toy_batch())
    monkeypatch.setattr(cross_teacher, 'ramp_up', lambda share: 1 - share)
    slowed = losses_of(ready_model(confident=0.3, ramp=0.75), toy_batch())
    for key, value in plain.items():
        factor = 0.25 if key.endswith('loss_ct') else 1
        assert slowed[key].item() == pytest.approx(value.item() * factor, rel=1e-5), key
    assert plain['student0.loss_ct'] > 0


@pytest.mark.parametrize('share', [-0.1, 1.5])
def test_ramp_is_a_share(share):
    with pytest.raises(ValueError, match=r'model.ramp is a share of the training, in \[0, 1\]'):
        ready_model(ramp=share)


def test_confident_zero_switches_the_weight_off():
    none = losses_of(ready_model(confident=1.1), toy_batch())
    full = losses_of(ready_model(confident=0.0), toy_batch())
    some = losses_of(ready_model(confident=0.4), toy_batch())
    assert none['student0.confident'] == none['student0.loss_ct'] == 0
    assert full['student0.confident'] == 1
    share = some['student0.confident']
    assert 0 < share < 1
    torch.testing.assert_close(some['student0.loss_ct'], share * full['student0.loss_ct'])


@pytest.mark.parametrize('how', [None, 'class', 'cut'])
def test_students_learn_from_the_mean_of_their_teachers(how, monkeypatch):
    """Pseudo-labels are mixed as the images were; the contrast takes the surest teacher's."""
    settings = dict(num_pairs=3, confident=0.0, strong_view=dict(STILL, mix=how))
    model, twin = ready_model(**settings), ready_model(**settings)
    given, inner = [], model.contrast.forward
    monkeypatch.setattr(
        model.contrast, 'forward', lambda *args: (given.extend(args[3]), inner(*args))[1]
    )
    losses = losses_of(model, toy_batch())
    data = twin.data_preprocessor(toy_batch(), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    sure = [up(twin.look(f'teacher{i}', weak)[0].logits).softmax(1).max(1) for i in range(3)]
    view = twin.strong_view(
        weak, sure[1].indices, [(7, 2), (7, 3)], twin.data_preprocessor, num_classes=NUM_CLASSES
    )
    moved = [not torch.equal(view.follow(one.indices), one.indices) for one in sure]
    assert any(moved) == (how is not None)
    for i, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
        logits = up(twin.look(f'student{i}', x, view.image)[1].logits)
        labels = [view.follow(sure[k].indices) for k in (a, b)]
        assert not torch.equal(*labels)
        want = (F.cross_entropy(logits, labels[0]) + F.cross_entropy(logits, labels[1])) / 2
        torch.testing.assert_close(losses[f'student{i}.loss_ct'], want)
        first = sure[a].values >= sure[b].values
        assert first.any() and not first.all()
        label = torch.where(first, sure[a].indices, sure[b].indices)
        confidence = torch.maximum(sure[a].values, sure[b].values)
        assert torch.equal(given[0][i], view.follow(label))
        torch.testing.assert_close(given[1][i], view.follow(confidence))


@pytest.mark.parametrize('teaching', ['cross', 'self'])
def test_pseudo_labels_come_from_the_named_teacher(teaching):
    def changed_by(teacher):
        one, other = (
            ready_model(teaching=teaching, confident=0.0, strong_view=STILL) for _ in range(2)
        )
        other.teachers[teacher].decode_head.conv_seg.weight.data.neg_()
        one, other = losses_of(one, toy_batch()), losses_of(other, toy_batch())
        return [i for i in range(2) if one[f'student{i}.loss_ct'] != other[f'student{i}.loss_ct']]

    assert changed_by(0) == ([1] if teaching == 'cross' else [0])
    assert changed_by(1) == ([0] if teaching == 'cross' else [1])


def test_labels_of_unlabelled_images_are_never_read():
    plain = losses_of(ready_model(confident=0.3), toy_batch())
    batch = toy_batch()
    for one in batch['data_samples'][2:]:
        one.gt_sem_seg = PixelData(data=torch.randint(-1000, 1000, (1, 32, 32)))
    assert losses_of(ready_model(confident=0.3), batch) == plain


def test_a_step_depends_on_nothing_but_the_batch_and_the_state():
    first = losses_of(ready_model(confident=0.3), toy_batch())
    model = ready_model(confident=0.3)
    torch.manual_seed(99)
    assert losses_of(model, toy_batch()) == first


@pytest.mark.parametrize('dropout', [0.0, 0.5])
def test_autocast(dropout):
    model = ready_model(confident=0.3, dropout=dropout)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in losses.values())
