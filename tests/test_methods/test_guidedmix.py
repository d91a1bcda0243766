# Copyright (c) mmseg_ctt contributors.
"""GuidedMix-Net in both modes, written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from family import aspp_segmentor
from no_sync import record
from toy import NUM_CLASSES, losses_of, total_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.functional import cross_entropy
from mmseg_ctt.methods.guidedmix.agreement import Agreement
from mmseg_ctt.methods.guidedmix.functional import classes_present, most_similar, sigmoid_focal
from mmseg_ctt.methods.guidedmix.mitrans import MITrans
from mmseg_ctt.methods.guidedmix.mixing_ratio import mixing_ratios
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.rng import sample_noise

MODES = ('paper', 'released')


def ready(mode='paper', threshold=0.0, loss=None, **settings):
    consistency = dict(confidence_threshold=threshold, **({} if loss is None else dict(loss=loss)))
    given = dict(segmentor=aspp_segmentor(), mode=mode, consistency=consistency)
    model = toy_model('GuidedMixNet', **{**given, **settings})
    torch.manual_seed(12)
    model.students[0].decode_head.conv_seg.weight.data.normal_(std=2)
    return model


def raw(model, labeled=3, unlabeled=3, seed=0):
    return model.data_preprocessor(toy_batch(labeled, unlabeled, seed), True)


def watched(model, watch):
    """Let ``watch`` read the outputs of the student's first pass."""
    forward, passes = model.forward_member, []

    def noted(*args, **kwargs):
        outputs = forward(*args, **kwargs)
        if not passes:
            watch(outputs)
        passes.append(outputs)
        return outputs

    model.forward_member = noted
    return model


# ---- gradient


def test_the_own_label_gives_no_gradient():
    """Only the mixed path learns from the agreement."""
    model = watched(
        ready(mitrans=False, joint_forward=False),
        lambda outputs: outputs[1].logits.register_hook(
            lambda grad: pytest.fail('the target learns')
        ),
    )
    losses_of(model, toy_batch(3, 3))['student0.loss_mix'].backward()
    assert model.students[0].backbone.stem.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('detach', [True, False])
def test_the_partner_learns_only_if_not_detached(detach):
    found = []

    def watch(outputs):
        outputs[0].logits.retain_grad()
        found.append(outputs[0].logits)

    model = watched(ready(detach_labeled=detach), watch)
    losses_of(model, toy_batch(3, 3))['student0.loss_mix'].backward()
    assert (found[0].grad is None) == detach


# ---- values


@pytest.mark.parametrize('mitrans', [False, dict(width=4)])
def test_paper_step_by_hand(mitrans):
    """MITrans changes the last feature map of the mixed images, and no other pass."""
    settings = dict(mitrans=mitrans, joint_forward=False, threshold=0.4)
    model, twin = (ready(**settings) for _ in range(2))
    losses = losses_of(model, toy_batch(2, 3))
    data = raw(twin, 2, 3)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    samples = data['data_samples']
    truth = torch.cat([s.gt_sem_seg.data for s in samples['labeled']])
    on_x, on_u = twin.forward_member('student0', x, weak)
    pooled = [output.features[1].mean((2, 3)) for output in (on_x, on_u)]
    partner = most_similar(pooled[1], pooled[0])
    ratio = mixing_ratios([s.draw for s in samples['unlabeled']], 0.5, 1.0)
    lam = ratio.view(-1, 1, 1, 1)
    first, last = twin.students[0].extract_feat(lam * x[partner] + (1 - lam) * weak)
    mixed = twin.students[0].decode_head([first, twin.mitrans(last)])
    left = mixed - lam * on_x.logits[partner]
    confidence, label = on_u.logits.softmax(1).max(1)
    known = (confidence >= 0.4).float()
    values = F.cross_entropy(left, label, reduction='none')
    torch.testing.assert_close(losses['student0.loss_mix'], (values * known).mean())
    assert losses['student0.confident_ratio'] == known.mean() and 0 < known.mean() < 1
    want = F.binary_cross_entropy_with_logits(
        twin.align(pooled[0]), classes_present(truth, NUM_CLASSES)
    )
    torch.testing.assert_close(losses['student0.loss_align'], 0.1 * want)
    full = F.interpolate(on_x.logits, (32, 32), mode='bilinear')
    torch.testing.assert_close(losses['student0.decode.loss_ce'], cross_entropy(full, truth))


def test_released_step_by_hand():
    model, twin = ready('released'), ready('released')
    losses = losses_of(model, toy_batch(3, 3))
    data = raw(twin)
    both = torch.cat([data['inputs']['labeled'], data['inputs']['unlabeled']])
    student = twin.students[0]
    read = []
    student.decode_head.bottleneck.register_forward_pre_hook(lambda m, a: read.append(a[0]))
    logits = student.decode_head(student.extract_feat(both))
    draws = [s.draw for s in data['data_samples']['unlabeled']]
    lam = mixing_ratios(draws, 0.5, 1.0)[0]
    partner = sample_noise(draws, 1, 'guidedmix/partner')[:, 0].argsort()
    feature = lam * read[0][:3][partner] + (1 - lam) * read[0][3:]
    left = twin.mix_head(feature) - lam * logits[:3][partner]
    want = 10 * sigmoid_focal(left, logits[3:].argmax(1)).mean()
    torch.testing.assert_close(losses['student0.loss_mix'], want)
    assert sorted(partner.tolist()) == [0, 1, 2]
    assert set(losses) == {
        'student0.decode.loss_ce',
        'student0.loss_mix',
        'student0.confident_ratio',
    }


@pytest.mark.parametrize(
    'settings',
    [
        dict(mode='released'),
        dict(ratio_limit=0.1),
        dict(ratio_alpha=5.0),
        dict(mitrans=False),
        dict(mitrans=dict(width=4)),
        dict(loss='mse'),
        dict(loss='focal'),
        dict(threshold=0.6),
    ],
)
def test_every_setting_changes_the_agreement(settings):
    plain, other = (losses_of(ready(**given), toy_batch(3, 3)) for given in ({}, settings))
    assert plain['student0.loss_mix'] != other['student0.loss_mix']


# ---- ratios


@pytest.mark.parametrize('limit,alpha', [(0.5, 1.0), (0.1, 1.0), (0.3, 0.2), (0.5, 4.0)])
def test_distribution_of_the_ratios(limit, alpha):
    draws = [(3, number) for number in range(3000)]
    ratio = mixing_ratios(draws, limit, alpha)
    assert ratio.min() >= 0 and ratio.max() < limit and ratio.dtype == torch.float32
    beta = np.random.default_rng(0).beta(alpha, alpha, 40000)
    beta = np.minimum(beta, 1 - beta)
    want = np.quantile(beta[beta < limit], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(np.quantile(ratio.numpy(), [0.25, 0.5, 0.75]), want, atol=0.015)
    assert torch.equal(mixing_ratios(draws[5:7], limit, alpha), ratio[5:7])
    assert not torch.equal(mixing_ratios(draws, limit, alpha, 'another'), ratio)


# ---- agreement


@pytest.mark.parametrize('loss', ['ce', 'mse', 'focal'])
def test_agreement_with_class_thresholds(loss):
    """They learn from the target, the padding apart; pixels below them do not count."""
    g = torch.Generator().manual_seed(0)
    logits, target = (torch.randn(2, NUM_CLASSES, 6, 8, generator=g) for _ in range(2))
    valid = torch.arange(8).expand(2, 6, 8) < 5
    part = Agreement(NUM_CLASSES, loss, confidence_threshold=0.9, class_thresholds=dict())
    confidence, label = target.softmax(1).max(1)
    value, ratio = part(logits.requires_grad_(), target, valid)
    for k in range(NUM_CLASSES):
        want = confidence[(label == k) & valid].mean()
        torch.testing.assert_close(part.class_thresholds.confidence[k], want)
    kept = (confidence >= part.class_thresholds.confidence[label]) & valid
    assert 0 < kept.float().mean() < valid.float().mean()
    torch.testing.assert_close(ratio, kept.float().mean())
    value.backward()
    assert torch.equal(logits.grad.abs().sum(1) > 0, kept)
    assert record(lambda: part(logits, target, valid)) == []


# ---- MITrans, settings, corners


def test_mitrans_keeps_the_shape_and_reaches_far():
    torch.manual_seed(0)
    part = MITrans(6, width=4).eval()
    part.attention.conv_out.norm.weight.data.fill_(1)  # attention starts as the identity
    x = torch.randn(1, 6, 9, 9)
    other = x.clone()
    other[..., 8, 8] += 5
    assert part(x).shape == x.shape
    assert not torch.equal(part(x)[..., 0, 0], part(other)[..., 0, 0])


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(mode='both'), "model.mode must be one of .* got 'both'"),
        (dict(consistency=dict(loss='kl')), "model.consistency.loss must be one of .* got 'kl'"),
        (dict(ratio_limit=0.6), r'model.ratio_limit must be in \(0, 0.5\]'),
        (dict(ratio_limit=0.0), r'model.ratio_limit must be in \(0, 0.5\]'),
        (dict(ratio_alpha=0), 'model.ratio_alpha must be above 0'),
        (dict(mitrans=dict(width=0)), 'model.mitrans.width must be at least 1'),
        (dict(mode='released', segmentor=toy_segmentor()), "^model.mode='released', .*FCNHead"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        toy_model('GuidedMixNet', **{'segmentor': aspp_segmentor(), **settings})
    assert '\n' not in str(error.value)


def test_released_mode_needs_pairs():
    with pytest.raises(ValueError, match='train_dataloader.sampler.ratio'):
        losses_of(ready('released'), toy_batch(2, 3))
    for sizes in ((1, 3), (3, 1), (2, 3)):
        model = ready(segmentor=toy_segmentor())
        assert torch.isfinite(total_of(losses_of(model, toy_batch(*sizes)), model))


@pytest.mark.parametrize('mode', MODES)
def test_defaults_of_the_modes(mode):
    model = toy_model('GuidedMixNet', segmentor=aspp_segmentor(), mode=mode)
    paper = mode == 'paper'
    assert model.weights == (
        dict(sup=1, mix=1, align=0.1) if paper else dict(sup=1, mix=10, align=0)
    )
    assert model.consistency.loss == ('ce' if paper else 'focal')
    assert isinstance(model.mitrans, MITrans) == paper == model.detach_labeled
    assert (model.mix_head is None) == paper == (model.align is not None)


def test_the_default_is_the_released_code():
    model = toy_model('GuidedMixNet', segmentor=aspp_segmentor())
    assert model.mode == 'released' and model.weights == dict(sup=1, mix=10, align=0)
    with pytest.raises(ValueError, match="default of GuidedMixNet.*set model.mode='paper'"):
        toy_model('GuidedMixNet')  # its head has no bottleneck


def test_the_student_predicts_and_its_average_is_there():
    model = ready()
    assert model.predict_on == 'student0' and model.graph == (('student0',),)
    assert model.member_names == ('student0', 'teacher0', 'ensemble')
    assert [follower.followed for follower in model.followers()] == [model.students[0]]
    data = raw(model)['inputs']
    twin = ready()
    given = {name: Images(data[name], []) for name in model.sources}
    weak = model.teacher_outputs(**given)['student0'][0]
    want = twin.forward_member('student0', data['labeled'], data['unlabeled'])[1]
    assert torch.equal(weak.logits, want.logits) and not weak.logits.requires_grad
