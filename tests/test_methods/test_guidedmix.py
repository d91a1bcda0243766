# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_functional.test_no_sync import record
from toy import NUM_CLASSES, losses_of, total_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.functional import cross_entropy
from mmseg_ctt.methods.guidedmix import segmentor as guidedmix
from mmseg_ctt.methods.guidedmix.functional import classes_present, most_similar, sigmoid_focal
from mmseg_ctt.methods.guidedmix.mitrans import MITrans
from mmseg_ctt.methods.guidedmix.mixing_ratio import mixing_shares
from mmseg_ctt.methods.guidedmix.segmentor import STREAM

MODES = ('paper', 'released')
KEYS = {'student0.decode.loss_ce', 'student0.loss_mix', 'student0.confident'}


def segmentor(dropout=0.0):
    """A head with ASPP, as the released mode needs it."""
    head = dict(
        type='ASPPHead',
        in_channels=8,
        in_index=1,
        channels=6,
        dilations=(1, 2),
        dropout_ratio=dropout,
        num_classes=NUM_CLASSES,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    return toy_segmentor(decode_head=head)


def ready(mode='paper', **settings):
    model = toy_model('GuidedMixNet', **{'segmentor': segmentor(), 'mode': mode, **settings})
    torch.manual_seed(12)
    model.students[0].decode_head.conv_seg.weight.data.normal_(std=2)
    return model


def raw(model, labeled=3, unlabeled=3, seed=0):
    return model.data_preprocessor(toy_batch(labeled, unlabeled, seed), True)


# ---- keys and gradient


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('joint', [True, False])
def test_everything_that_learns_gets_a_gradient(mode, joint):
    model = ready(mode, joint_forward=joint, mitrans=True)
    losses = losses_of(model, toy_batch(3, 3))
    assert set(losses) == KEYS | ({'student0.loss_align'} if mode == 'paper' else set())
    assert all(torch.isfinite(value) and value > 0 for value in losses.values())
    total, _ = model.parse_losses(losses)
    total.backward()
    without = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not torch.isfinite(p.grad).all())
    ]
    assert without == []  # so DDP need not look for unused ones
    parts = [model.students[0].backbone.stem, model.mitrans.merge.conv]
    parts += [model.mix_head.classifier] if mode == 'released' else [model.align]
    assert all(part.weight.grad.abs().sum() > 0 for part in parts)
    assert all(p.grad is None for p in model.teachers.parameters())


def test_the_own_label_gives_no_gradient():
    """Only the mixed path learns from the agreement."""
    model = ready(mitrans=False, joint_forward=False)
    data = raw(model)
    images = data['inputs']['unlabeled']
    looked = model.look

    def look(name, labeled, weak):
        outputs = looked(name, labeled, weak)
        outputs[1].logits.register_hook(lambda grad: pytest.fail('the target learns'))
        return outputs

    model.look = look
    loss = model(**data, mode='loss')['student0.loss_mix']
    loss.backward()
    assert len(images) == 3 and model.students[0].backbone.stem.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('detach', [True, False])
def test_the_partner_learns_only_if_not_detached(detach):
    model = ready(detach_labeled=detach)
    grads, looked = [], model.look

    def look(name, labeled, weak):
        outputs = looked(name, labeled, weak)
        outputs[0].logits.retain_grad()
        grads.append(outputs[0].logits)
        return outputs

    model.look = look
    losses_of(model, toy_batch(3, 3))['student0.loss_mix'].backward()
    assert (grads[0].grad is None) == detach


# ---- values


def test_paper_step_by_hand():
    model, twin = (ready(mitrans=False, joint_forward=False, confident=0.4) for _ in range(2))
    losses = losses_of(model, toy_batch(2, 3))
    data = raw(twin, 2, 3)
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    samples = data['data_samples']
    truth = torch.cat([s.gt_sem_seg.data for s in samples['labeled']])
    on_x, on_u = twin.look('student0', x, weak)
    pooled = [one.features[1].mean((2, 3)) for one in (on_x, on_u)]
    partner = most_similar(pooled[1], pooled[0])
    share = mixing_shares([s.draw for s in samples['unlabeled']], 0.5, 1.0, STREAM)
    lam = share.view(-1, 1, 1, 1)
    mixed = twin.look('student0', lam * x[partner] + (1 - lam) * weak)[0].logits
    left = mixed - lam * on_x.logits[partner]
    confidence, label = on_u.logits.softmax(1).max(1)
    known = (confidence >= 0.4).float()
    values = F.cross_entropy(left, label, reduction='none')
    torch.testing.assert_close(losses['student0.loss_mix'], (values * known).mean())
    assert losses['student0.confident'] == known.mean() and 0 < known.mean() < 1
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
    lam = mixing_shares(draws, 0.5, 1.0, STREAM)[0]
    keys = guidedmix.counter_noise(draws, 1, STREAM + 1)[:, 0]
    partner = keys.argsort()
    feature = lam * read[0][:3][partner] + (1 - lam) * read[0][3:]
    left = twin.mix_head(feature) - lam * logits[:3][partner]
    want = 10 * sigmoid_focal(left, logits[3:].argmax(1)).mean()
    torch.testing.assert_close(losses['student0.loss_mix'], want)
    assert sorted(partner.tolist()) == [0, 1, 2]


@pytest.mark.parametrize('mode', MODES)
def test_same_draws_same_losses(mode):
    assert losses_of(ready(mode), toy_batch(3, 3)) == losses_of(ready(mode), toy_batch(3, 3))
    batch = toy_batch(3, 3)
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(draw=(8, sample.metainfo['draw'][1])))
    key = 'student0.loss_mix'
    assert losses_of(ready(mode), batch)[key] != losses_of(ready(mode), toy_batch(3, 3))[key]


@pytest.mark.parametrize(
    'settings',
    [
        dict(mode='released'),
        dict(share_limit=0.1),
        dict(share_alpha=5.0),
        dict(mitrans=False),
        dict(mitrans=dict(width=4)),
        dict(consistency='mse'),
        dict(consistency='focal'),
        dict(confident=0.6),
        dict(loss_weights=dict(mix=2.0)),
    ],
)
def test_every_setting_changes_the_agreement(settings):
    plain, other = (losses_of(ready(**one), toy_batch(3, 3)) for one in ({}, settings))
    assert plain['student0.loss_mix'] != other['student0.loss_mix']


# ---- shares


@pytest.mark.parametrize('limit,alpha', [(0.5, 1.0), (0.1, 1.0), (0.3, 0.2), (0.5, 4.0)])
def test_shares_follow_the_distribution(limit, alpha):
    draws = [(3, number) for number in range(3000)]
    share = mixing_shares(draws, limit, alpha)
    assert share.min() >= 0 and share.max() < limit and share.dtype == torch.float32
    beta = np.random.default_rng(0).beta(alpha, alpha, 40000)
    beta = np.minimum(beta, 1 - beta)
    want = np.quantile(beta[beta < limit], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(np.quantile(share.numpy(), [0.25, 0.5, 0.75]), want, atol=0.015)
    assert torch.equal(mixing_shares(draws[5:7], limit, alpha), share[5:7])


# ---- MITrans, settings, corners


def test_mitrans_keeps_the_shape_and_sees_far():
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
        (dict(num_pairs=2), 'model.type=GuidedMixNet is one student'),
        (dict(consistency='kl'), "model.consistency must be one of .* got 'kl'"),
        (dict(loss_weights=dict(hc=1)), r"model.loss_weights has unknown terms \['hc'\]"),
        (dict(share_limit=0.6), r'model.share_limit must be in \(0, 0.5\]'),
        (dict(share_limit=0.0), r'model.share_limit must be in \(0, 0.5\]'),
        (dict(share_alpha=0), 'model.share_alpha positive'),
        (dict(mitrans=dict(width=0)), 'model.mitrans: width=0'),
        (dict(mode='released', segmentor=toy_segmentor()), "model.mode='released' mixes .*FCNHead"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        toy_model('GuidedMixNet', **{'segmentor': segmentor(), **settings})
    assert '\n' not in str(error.value)


def test_released_mode_needs_pairs():
    with pytest.raises(ValueError, match='train_dataloader.sampler.ratio'):
        losses_of(ready('released'), toy_batch(2, 3))
    for sizes in ((1, 3), (3, 1), (2, 3)):
        model = ready(segmentor=toy_segmentor())
        assert torch.isfinite(total_of(losses_of(model, toy_batch(*sizes)), model))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('case', ['all ignored', 'one class', 'never sure', 'half precision'])
def test_corners_are_finite(mode, case):
    model = ready(mode, confident=1.1 if case == 'never sure' else 0.0)
    batch = toy_batch(3, 3)
    for sample in batch['data_samples'][:3]:
        if case in ('all ignored', 'one class'):
            sample.gt_sem_seg.data.fill_(255 if case == 'all ignored' else 2)
    with torch.autocast('cpu', torch.bfloat16, enabled=case == 'half precision'):
        losses = losses_of(model, batch)
    total_of(losses, model).backward()
    assert all(torch.isfinite(v) and v.dtype == torch.float32 for v in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in model.students.parameters())
    assert case != 'never sure' or losses['student0.loss_mix'] == 0


@pytest.mark.parametrize('mode', MODES)
def test_state_goes_through_a_checkpoint(mode):
    model, other = ready(mode), toy_model('GuidedMixNet', segmentor=segmentor(), mode=mode, seed=9)
    other.load_state_dict(model.state_dict())
    assert losses_of(other, toy_batch(3, 3)) == losses_of(model, toy_batch(3, 3))


def test_members_and_hooks():
    model = ready()
    assert model.predict_on == 'student0' and model.graph == (('student0',),)
    data = raw(model)['inputs']
    weak = model.guides(data['unlabeled'], data['labeled'])['student0'][0]
    want = model.look('student0', data['labeled'], data['unlabeled'])[1]
    assert torch.equal(weak.logits, want.logits) and not weak.logits.requires_grad


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('consistency', ['ce', 'mse', 'focal'])
def test_a_step_reads_nothing_back(mode, consistency, monkeypatch):
    model = ready(mode, consistency=consistency)
    data = raw(model)
    keys, shares = torch.rand(3, 1), torch.rand(3) / 2  # made on the host, sent without waiting
    monkeypatch.setattr(guidedmix, 'counter_noise', lambda *_: keys)
    monkeypatch.setattr(guidedmix, 'mixing_shares', lambda *_: shares)
    assert (
        record(
            lambda: sum(
                value for key, value in model(**data, mode='loss').items() if 'loss' in key
            ).backward()
        )
        == []
    )
