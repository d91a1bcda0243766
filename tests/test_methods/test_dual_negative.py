# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from test_functional.test_no_sync import record
from toy import NUM_CLASSES, losses_of, total_of, toy_batch, toy_model

from mmseg_ctt.methods.dual_negative import segmentor as dual_negative
from mmseg_ctt.methods.dual_negative.functional import negative_label_loss, negative_ramp
from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.strong_view import View

KIND = 'DualNegativeLabel'
STILL = dict(mix=None, jitter_prob=0, blur_prob=0)  # the strong view is the weak one
GRAPHS = [('cross', 2), ('cross', 3), ('self', 1), ('mutual', 2), ('dual', 2), ('ensemble', 2)]


def ready(seed=0, **settings):
    """Unequal members whose confidences lie on both sides of the threshold."""
    model = toy_model(KIND, seed, **{**dict(confident=0.5, ramp=0), **settings})
    torch.manual_seed(11)
    for member in (*model.students, *model.teachers):
        member.decode_head.conv_seg.weight.data.normal_(std=2)
    return model


@pytest.fixture(autouse=True)
def no_run():
    """The hub of no run, as it was before and after."""
    info = MessageHub.get_current_instance().runtime_info
    kept = dict(info)
    info.clear()
    yield
    info.clear()
    info.update(kept)


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


def noted(model, monkeypatch):
    """What every student is taught with, filled by the next step."""
    seen, teach = {}, model._teach
    monkeypatch.setattr(
        model, '_teach', lambda i, *args: (seen.__setitem__(i, args), teach(i, *args))[1]
    )
    return seen


# ---- keys, gradient, values


@pytest.mark.parametrize('teaching, pairs', GRAPHS)
def test_every_graph_trains_its_students_and_no_teacher(teaching, pairs):
    model = ready(teaching=teaching, num_pairs=pairs)
    losses = losses_of(model, toy_batch())
    assert set(losses) == {
        f'student{i}.{key}'
        for i in range(pairs)
        for key in ('decode.loss_ce', 'loss_pos', 'loss_neg', 'confident')
    }
    assert all(value.shape == () and value.dtype == torch.float32 for value in losses.values())
    assert all(value > 0 for value in losses.values())
    total_of(losses, model).backward()
    for student in model.students:
        assert all(torch.isfinite(p.grad).all() for p in student.parameters())
        assert student.backbone.stem.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teachers.parameters())


@pytest.mark.parametrize('confident', [0.0, 1.1])
def test_all_or_nothing_trusted(confident):
    losses = losses_of(ready(confident=confident), toy_batch())
    off = 'neg' if confident == 0 else 'pos'
    for i in (0, 1):
        assert losses[f'student{i}.loss_{off}'] == 0
        assert losses[f'student{i}.loss_{off}'].requires_grad
        assert losses[f'student{i}.confident'] == (confident == 0)


@pytest.mark.parametrize('teaching', ['cross', 'mutual'])
@pytest.mark.parametrize('joint', [True, False])
def test_a_step_by_hand(teaching, joint, monkeypatch):
    settings = dict(
        teaching=teaching,
        joint_forward=joint,
        strong_view=STILL,
        loss_weights=dict(sup=3, pos=0.5, neg=4),
    )
    model, twin = ready(**settings), ready(**settings)
    seen = noted(model, monkeypatch)
    losses = losses_of(model, toy_batch(2, 3))
    data = twin.data_preprocessor(toy_batch(2, 3), True)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    truth = torch.cat([s.gt_sem_seg.data for s in data['data_samples']['labeled']])
    group = 'teacher' if teaching == 'cross' else 'student'
    for i in (0, 1):
        with torch.no_grad():
            peer = up(twin.look(f'{group}{1 - i}', weak)[0].logits).softmax(1)
        confidence, label = peer.max(1)
        on_labeled, on_weak = (up(one.logits) for one in twin.look(f'student{i}', x, weak))
        trusted = confidence >= 0.5
        negative = seen[i][1].negative
        assert (negative.sum(1) == 2).all() and not negative.gather(1, label.unsqueeze(1)).any()
        p = on_weak.softmax(1)
        terms = -(1 - p + 1e-6).log()
        want = {
            'decode.loss_ce': 3 * F.cross_entropy(on_labeled, truth),
            'loss_pos': 0.5
            * F.cross_entropy(on_weak, label, reduction='none')[trusted].sum()
            / trusted.numel(),
            'loss_neg': 4 * ((terms * negative).sum(1) / 2)[~trusted].mean(),
            'confident': trusted.float().mean(),
        }
        for key, value in want.items():
            assert value > 0
            torch.testing.assert_close(losses[f'student{i}.{key}'], value, rtol=5e-4, atol=1e-6)


def test_three_pairs_ask_the_mean_of_their_peers(monkeypatch):
    model, twin = (ready(num_pairs=3, strong_view=STILL) for _ in range(2))
    seen = noted(model, monkeypatch)
    losses_of(model, toy_batch())
    weak = twin.data_preprocessor(toy_batch(), True)['inputs']['unlabeled']
    said = [up(twin.look(f'teacher{i}', weak)[0].logits).softmax(1) for i in range(3)]
    for i in range(3):
        others = sum(said[j] for j in range(3) if j != i) / 2
        torch.testing.assert_close(seen[i][1].confidence, others.amax(1))
        assert torch.equal(seen[i][1].label, others.argmax(1))


# ---- settings


def test_selections(monkeypatch):
    counts = {}
    for selection in ('distinct', 'replacement', 'rank'):
        model = ready(selection=selection, strong_view=STILL)
        seen = noted(model, monkeypatch)
        losses_of(model, toy_batch())
        counts[selection] = seen[0][1].negative
        with torch.no_grad():
            weak = model.data_preprocessor(toy_batch(), True)['inputs']['unlabeled']
    assert set(counts['distinct'].sum(1).unique().tolist()) == {2}
    assert set(counts['replacement'].sum(1).unique().tolist()) == {1, 2}
    twin = ready(strong_view=STILL)
    p = up(twin.look('teacher1', weak)[0].logits).softmax(1)
    lowest = p <= p.sort(dim=1).values[:, 1:2]
    assert torch.equal(counts['rank'], lowest)


@pytest.mark.parametrize('number, exclude', [(1, 1), (3, 1), (1, 3)])
def test_number_and_exclude(number, exclude, monkeypatch):
    model = ready(num_negatives=number, exclude=exclude)
    seen = noted(model, monkeypatch)
    losses_of(model, toy_batch())
    assert (seen[0][1].negative.sum(1) == number).all()
    if number + exclude == NUM_CLASSES == 4 and exclude == 3:
        other = ready(num_negatives=1, exclude=3, selection='rank')
        seen_other = noted(other, monkeypatch)
        losses_of(other, toy_batch())
        assert torch.equal(seen[0][1].negative, seen_other[0][1].negative)


@pytest.mark.parametrize('how', ['class', 'cut'])
def test_all_advice_is_mixed_along(how, monkeypatch):
    model, still = ready(strong_view=dict(STILL, mix=how)), ready(strong_view=STILL)
    seen, unmixed = noted(model, monkeypatch), noted(still, monkeypatch)
    views, inner = [], model.strong_view.forward
    monkeypatch.setattr(
        model.strong_view,
        'forward',
        lambda *args, **more: (views.append(inner(*args, **more)), views[-1])[1],
    )
    losses_of(model, toy_batch())
    losses_of(still, toy_batch())
    for i in (0, 1):
        moved = []
        for got, before in zip(seen[i][1], unmixed[i][1]):
            assert torch.equal(got, views[0].follow(before))
            moved.append(not torch.equal(got, before))
        assert any(moved)


def test_schedules_and_ramp():
    together, turns = ready(ramp=0.5), ready(ramp=0.5, schedule='turns')
    plain, hub = ready(), MessageHub.get_current_instance()
    hub.update_info('max_iters', 8)
    for step in range(6):
        hub.update_info('iter', step)
        both, one, full = (losses_of(model, toy_batch()) for model in (together, turns, plain))
        for i in (0, 1):
            key = f'student{i}.loss_neg'
            torch.testing.assert_close(both[key], negative_ramp(step / 8, 0.5) * full[key])
            assert one[key] == (both[key] if step % 2 == i else 0)
            assert one[key].requires_grad
            assert one[f'student{i}.loss_pos'] == both[f'student{i}.loss_pos']


def test_defaults_are_the_released_numbers():
    model = toy_model(KIND)
    assert (model.confident, model.num_negatives, model.exclude, model.ramp) == (0.8, 2, 1, 0.15)
    assert model.weights == dict(sup=1, pos=1, neg=2) and model.schedule == 'together'
    losses = losses_of(model, toy_batch())
    full = losses_of(toy_model(KIND, ramp=0), toy_batch())
    torch.testing.assert_close(
        losses['student0.loss_neg'], negative_ramp(0) * full['student0.loss_neg']
    )


def test_two_views(monkeypatch):
    """Trusted: the peer says the same on both views and is sure on one of them."""
    settings = dict(two_views=True, strong_view=dict(jitter=0.5, jitter_prob=1))
    model, twin = ready(**settings), ready(**settings)
    seen = noted(model, monkeypatch)
    views, inner = [], model.strong_view.forward
    monkeypatch.setattr(
        model.strong_view,
        'forward',
        lambda *args, **more: (views.append(inner(*args, **more)), views[-1])[1],
    )
    losses_of(model, toy_batch())
    weak = twin.data_preprocessor(toy_batch(), True)['inputs']['unlabeled']
    for i in (0, 1):
        p, q = (
            up(twin.look(f'teacher{1 - i}', image)[0].logits).softmax(1).max(1)
            for image in (weak, views[0].image)
        )
        label, confidence = views[0].follow(p.indices), views[0].follow(p.values)
        want = (label == q.indices) & ((confidence >= 0.5) | (q.values >= 0.5))
        assert torch.equal(seen[i][2], want)
        assert not torch.equal(want, confidence >= 0.5)


def test_padding_is_neither_trusted_nor_negative(monkeypatch):
    def padded():
        batch = toy_batch()
        batch['data_samples'][2].set_metainfo(dict(img_shape=(32, 8)))
        batch['inputs'][2] = batch['inputs'][2][:, :, :8]
        return batch

    model = ready(strong_view=STILL)
    model.data_preprocessor.size = (32, 32)
    seen = noted(model, monkeypatch)
    losses = losses_of(model, padded())
    content = seen[0][3]
    assert content[0, :, :8].all() and not content[0, :, 8:].any() and content[1].all()
    _, advice, trusted, _ = seen[0]
    output = seen[0][0]
    want = 2 * negative_label_loss(up(output.logits), advice.negative, ~trusted & content)
    torch.testing.assert_close(losses['student0.loss_neg'], want)
    assert (trusted & ~content).any() and (~trusted & ~content).any()
    torch.testing.assert_close(losses['student0.confident'], (trusted & content).float().mean())


@pytest.mark.parametrize(
    'settings, word',
    [
        (dict(loss_weights=dict(ct=1)), r"model.loss_weights.*\['ct'\].*neg"),
        (dict(schedule='alternate'), 'model.schedule.*turns'),
        (dict(selection='lowest'), 'selection.*rank'),
        (dict(num_negatives=4), 'num_negatives=4.*exclude=1.*4'),
        (dict(ramp=1.5), 'model.ramp'),
        (dict(strong_view=dict(mix='x')), 'strong_view.mix'),
    ],
)
def test_bad_settings(settings, word):
    with pytest.raises(ValueError, match=word) as caught:
        toy_model(KIND, **settings)
    assert '\n' not in str(caught.value)


# ---- what a step depends on


def test_a_step_depends_on_nothing_but_the_batch_and_the_state():
    first = losses_of(ready(), toy_batch())
    model = ready()
    torch.manual_seed(99)
    assert losses_of(model, toy_batch()) == first


def test_negatives_belong_to_the_sample_and_not_to_its_place(monkeypatch):
    seen = []
    for order in (range(4), (0, 1, 3, 2)):
        model = ready(strong_view=STILL, teacher_mode='eval')
        found = noted(model, monkeypatch)
        losses_of(model, toy_batch(order=order))
        seen.append(found[0][1].negative)
    assert torch.equal(seen[0], seen[1].flip(0))
    assert not torch.equal(seen[0][0], seen[0][1])


def test_students_and_iterations_draw_their_own(monkeypatch):
    model = ready(teaching='dual', strong_view=STILL, teacher_mode='eval')
    seen = noted(model, monkeypatch)
    losses_of(model, toy_batch())
    assert torch.equal(seen[0][1].label, seen[1][1].label)
    assert not torch.equal(seen[0][1].negative, seen[1][1].negative)


def test_labels_of_unlabelled_images_are_never_read():
    plain = losses_of(ready(), toy_batch())
    batch = toy_batch()
    for one in batch['data_samples'][2:]:
        one.gt_sem_seg = PixelData(data=torch.randint(-1000, 1000, (1, 32, 32)))
    assert losses_of(ready(), batch) == plain


def test_autocast():
    model = ready()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in losses.values())


@pytest.mark.parametrize('selection', ['distinct', 'replacement', 'rank'])
@pytest.mark.parametrize('two_views', [True, False])
def test_no_host_synchronisation(selection, two_views, monkeypatch):
    """Of the method's own part."""
    model = ready(selection=selection, two_views=two_views)
    keys = torch.rand(2, 2)  # made on the host, sent without waiting
    monkeypatch.setattr(dual_negative, 'counter_noise', lambda *_: keys)
    weak = torch.randn(2, 3, 32, 32)
    view = View(weak.flip(0), torch.rand(2, 32, 32) < 0.5)
    output = PixelOutput(
        torch.randn(2, NUM_CLASSES, 8, 8, requires_grad=True), torch.randn(2, 8, 8, 8), []
    )

    def step():
        opinions = model._opinions(model.guides(weak, weak), weak.shape[2:])
        advice = [model._advice(i, one, [(7, 0), (7, 1)]) for i, one in enumerate(opinions)]
        trusted = model._trusted(advice, view)
        for i in (0, 1):
            terms = model._teach(i, output, advice[i], trusted[i], torch.ones(2, 32, 32) > 0)
            (terms[f'student{i}.loss_pos'] + terms[f'student{i}.loss_neg']).backward()

    assert record(step) == []
