# Copyright (c) mmseg_ctt contributors.
"""CorrMatch: its mathematics against restatements, and what a step does with it."""

import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import corrmatch as reference
from toy import losses_of, prepared, ready_model, toy_batch, toy_model, toy_segmentor, toy_settings

from mmseg_ctt.methods.corrmatch import functional as corrmatch
from mmseg_ctt.methods.corrmatch.segmentor import own_pixels
from mmseg_ctt.methods.corrmatch.threshold import DynamicThreshold
from mmseg_ctt.nn.augmentation import View
from mmseg_ctt.nn.augmentation.view import Mix
from mmseg_ctt.nn.pseudo_label import PseudoLabel

K = 3
SECOND_HALF = [dict(type='CutMixing', partner='second_half')]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- correlation


@pytest.mark.parametrize('padded', [False, True])
def test_correlation(padded):
    query, key = noise(2, 3, 2, 4), noise(2, 3, 2, 4, seed=1)
    valid = None
    if padded:
        valid = torch.ones(2, 2, 4, dtype=torch.bool)
        valid[0, :, 3:] = False
    found = corrmatch.pixel_correlation(query, key, valid)
    for b in range(2):
        known = None if valid is None else valid[b].flatten()
        want = reference.correlation(query[b].flatten(1), key[b].flatten(1), known)
        torch.testing.assert_close(found[b].flatten(1).double(), want, rtol=1e-5, atol=1e-7)
    logits = noise(2, K, 2, 4, seed=2)
    if padded:
        logits[0, :, :, 3:] = 1e6  # never spread
    table = found.flatten(2)
    z = logits.flatten(2)
    if padded:
        z = z.masked_fill(~valid.flatten(1)[:, None], 0)
    for transposed in (False, True):
        want = torch.einsum('bij,bki->bkj' if transposed else 'bij,bkj->bki', table, z)
        spread = corrmatch.spread_logits(logits, found, transposed, valid)
        torch.testing.assert_close(spread.flatten(2), want)


def test_equal_logits_stay_as_they_are():
    """Weights of a pixel sum to 1, those of the released code do not."""
    found = corrmatch.pixel_correlation(noise(1, 3, 2, 4), noise(1, 3, 2, 4, seed=1))
    ones = torch.ones(1, K, 2, 4)
    torch.testing.assert_close(corrmatch.spread_logits(ones, found), ones)
    released = corrmatch.spread_logits(ones, found, transposed=True)
    assert (released - 1).abs().max() > 0.1
    torch.testing.assert_close(released.mean(), torch.tensor(1.0))


def test_correlation_in_half_precision():
    query = noise(1, 3, 2, 4).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        found = corrmatch.pixel_correlation(query, query)
        spread = corrmatch.spread_logits(query, found)
    assert found.dtype == spread.dtype == torch.float32
    torch.testing.assert_close(found.flatten(2).sum(-1), torch.ones(1, 8))


# ---- regions


def test_regions_are_the_upper_half_of_a_row():
    table = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.0, 0, 0, 1]])
    table = table.view(1, 4, 2, 2)
    regions = corrmatch.region_masks(table, torch.tensor([[0, 1, 2, 2, 3]]), (2, 2))
    assert regions.flatten(2).int().tolist() == [
        [[0, 0, 1, 1], [0] * 4, [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    ]
    valid = torch.tensor([[[True, True], [True, False]]])
    regions = corrmatch.region_masks(table, torch.tensor([[0, 3]]), (2, 2), valid=valid)
    assert regions.flatten(2).int().tolist() == [[[0, 0, 1, 0], [0] * 4]]
    none = corrmatch.region_masks(table, torch.tensor([[0]]), (2, 2), valid=~valid & valid)
    assert not none.any()


def case(seed, sides=(4, 5), images=2, number=12):
    """Labels, kept pixels and regions of which some are accepted."""
    g = torch.Generator().manual_seed(seed)
    label = (torch.rand(images, *sides, generator=g) < 0.3).long() * 2
    kept = torch.rand(images, *sides, generator=g) < 0.7
    regions = torch.rand(images, number, *sides, generator=g) < 0.3
    return label, kept, regions


@pytest.mark.parametrize('sequential', [False, True])
@pytest.mark.parametrize('threshold', [0.4, 0.6, 0.75])
def test_region_propagation(sequential, threshold):
    changed = 0
    for seed in range(4):
        label, kept, regions = case(seed)
        found = corrmatch.propagate_regions(
            label, kept, regions, torch.tensor(threshold), K, sequential
        )
        for b in range(len(label)):
            want = reference.propagated(
                label[b].flatten().tolist(),
                kept[b].flatten().tolist(),
                regions[b].flatten(1).tolist(),
                threshold,
                K,
                sequential,
            )
            assert found[0][b].flatten().tolist() == want[0]
            assert found[1][b].flatten().tolist() == want[1]
        changed += int((found[0] != label).sum())
    assert changed > 0


def test_the_order_of_the_regions_matters_in_the_released_rule_alone():
    for sequential in (False, True):
        same = []
        for seed in range(4):
            label, kept, regions = case(seed)
            found = [
                corrmatch.propagate_regions(label, kept, given, torch.tensor(0.5), K, sequential)[0]
                for given in (regions, regions.flip(1))
            ]
            same.append(torch.equal(*found))
        assert all(same) == (not sequential)


@pytest.mark.parametrize('sequential', [False, True])
def test_no_region_and_no_kept_pixel(sequential):
    label, kept, regions = case(1)
    t = torch.tensor(0.5)
    for some, given in ((kept, regions & False), (kept & False, regions)):
        found = corrmatch.propagate_regions(label, some, given, t, K, sequential)
        assert torch.equal(found[0], label) and torch.equal(found[1], some)


# ---- threshold


def test_threshold_follows_the_classes_that_are_predicted():
    part = DynamicThreshold(4, confidence_threshold=0.5, momentum=0.9)
    label = torch.tensor([[0, 0, 2, 255]])
    confidence = torch.tensor([[0.6, 0.8, 0.4, 0.99]])
    part.update(label, confidence)
    assert part.threshold.item() == pytest.approx(0.9 * 0.5 + 0.1 * (0.8 + 0.4) / 2)
    before = part.threshold.clone()
    part.update(torch.full((1, 4), 255), confidence)  # padding alone
    assert torch.equal(part.threshold, before)


def test_the_threshold_learns_from_the_views_and_not_from_partners():
    settings = dict(strong_augmentation=SECOND_HALF)
    moved = []
    for scale in (1.0, 0.0):
        model = ready_model('CorrMatch', **settings)
        batch = toy_batch(2, 4)
        for image in batch['inputs'][4:]:
            image.copy_((image.float() * scale).byte())
        losses = losses_of(model, batch)
        assert all(torch.isfinite(value) for value in losses.values())
        moved.append(model.consistency.threshold.clone())
    assert torch.equal(*moved) and moved[0] != model.consistency.confidence_threshold


# ---- the step


def test_own_pixels():
    kept = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    image = torch.zeros(2, 3, 3, 4)
    label = torch.zeros(2, 3, 4, dtype=torch.long)
    for partner in ('next', 'flipped', 'second_half'):
        view = View(image, (Mix(kept, partner),))
        assert torch.equal(own_pixels(view, label, partner == 'second_half'), kept)
    assert own_pixels(View(image), label, False).all()


def test_grown_labels_leave_pasted_pixels_and_padding_alone():
    model = toy_model('CorrMatch', **toy_settings('CorrMatch'))
    model.consistency.threshold.fill_(0.5)
    kept = torch.ones(2, 4, 4, dtype=torch.bool)
    kept[:, :, 3] = False  # pasted
    view = View(torch.zeros(2, 3, 4, 4), (Mix(kept),))
    label = torch.zeros(2, 4, 4, dtype=torch.long)
    label[:, 0] = 1
    confidence = torch.full((2, 4, 4), 0.9)
    confidence[:, 0] = 0.1
    valid = torch.ones(2, 4, 4, dtype=torch.bool)
    valid[:, :, 0] = False
    mixed = PseudoLabel.of(label, confidence, valid)
    grown = model.grown_label(mixed, torch.ones(2, 5, 4, 4, dtype=torch.bool), view)
    changed = grown.confidence != mixed.confidence
    assert changed.int().tolist() == [[[0, 1, 1, 0], [0] * 4, [0] * 4, [0] * 4]] * 2
    assert grown.label[:, 0].tolist() == [[255, 0, 0, 1]] * 2
    assert model.grown_ratio(mixed, grown) == 2 / 16


def kept_result(method, seen, name):
    """The method, which writes down what it gave."""

    def call(*args):
        seen[name] = method(*args)
        return seen[name]

    return call


def test_terms_by_hand():
    """With everything confident and no region: means over all pixels."""
    settings = dict(
        consistency=dict(confidence_threshold=0.0, momentum=1.0),
        strong_augmentation=[dict(type='CutMixing', prob=1.0)],
    )
    model, twin = (ready_model('CorrMatch', **settings) for _ in range(2))
    losses = losses_of(model, toy_batch())
    seen = {}
    for name in ('forward_weak', 'forward_strong', 'weak_label', 'several_views', 'correlate'):
        setattr(twin, name, kept_result(getattr(twin, name), seen, name))
    twin.grown_label = kept_result(twin.grown_label, seen, 'grown_label')
    losses_of(twin, toy_batch())
    (view,), pseudo, spread = seen['several_views'], seen['weak_label'], seen['correlate']
    grown, (_, (strong,)) = seen['grown_label'].label, seen['forward_strong']
    assert not torch.equal(view.apply_mix(pseudo.label), pseudo.label)

    def entropy(logits, target):
        return F.cross_entropy(model.upsampled(logits, (32, 32)), target)

    weak, perturbed = pseudo.label, seen['forward_weak'][2]
    corr = (entropy(spread.strong, grown) + entropy(spread.weak, weak)) / 2
    target = view.apply_mix(pseudo.logits).softmax(1)
    log = model.upsampled(strong.logits, (32, 32)).log_softmax(1)
    divergence = F.kl_div(log, target, reduction='none').sum(1).mean()
    want = dict(
        unsup=entropy(strong.logits, grown),
        fp=entropy(perturbed.logits, weak),
        corr=corr,
        kl=divergence,
    )
    for term, value in want.items():
        torch.testing.assert_close(losses[f'student0.loss_{term}'], 0.125 * value)
    unmixed = losses_of(ready_model('CorrMatch', kl_target='unmixed', **settings), toy_batch())
    log_ratio = F.kl_div(log, pseudo.logits.softmax(1), reduction='none').sum(1).mean()
    torch.testing.assert_close(unmixed['student0.loss_kl'], 0.125 * log_ratio)


def test_the_labels_of_the_head_reach_the_spread_logits():
    """The loss of the head's config, with its class weights; and a head with losses of its own."""
    loss = dict(type='CrossEntropyLoss', class_weight=[0.0, 0.0, 0.0, 0.0])
    head = dict(toy_segmentor()['decode_head'], loss_decode=loss)
    losses = losses_of(
        ready_model('CorrMatch', segmentor=toy_segmentor(decode_head=head)), toy_batch()
    )
    assert losses['student0.loss_corr_sup'] == 0
    enc = dict(
        type='EncHead',
        in_channels=[8, 8],
        in_index=(0, 1),
        channels=8,
        num_codes=2,
        add_lateral=False,
        dropout_ratio=0.0,
        num_classes=4,
        norm_cfg=dict(type='BN'),
        align_corners=False,
    )
    losses = losses_of(
        ready_model('CorrMatch', segmentor=toy_segmentor(decode_head=enc)), toy_batch()
    )
    assert losses['student0.loss_corr_sup'] > 0


def test_the_correlation_is_in_no_member():
    model = ready_model('CorrMatch')
    assert any(key.startswith('correlation.') for key in model.state_dict())
    assert not any('correlation' in key for key in model.students[0].state_dict())
    assert not any('running' in key for key in model.correlation.state_dict())


@pytest.mark.parametrize('mode', ['default', 'released'])
def test_a_step_never_waits_for_the_device(mode):
    model, batch = ready_model('CorrMatch', mode=mode), toy_batch()
    data = prepared(model, batch)
    assert record(lambda: model(**data, mode='loss')) == []


def test_modes():
    default, released = ready_model('CorrMatch'), ready_model('CorrMatch', mode='released')
    assert (default.transposed, default.sequential, default.kl_target) == (False, False, 'mixed')
    assert (released.transposed, released.sequential) == (True, True)
    assert released.kl_target == 'unmixed'
    mixture = ready_model('CorrMatch', mode='released', region_rule='vote')
    assert (mixture.transposed, mixture.sequential) == (True, False)


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(propagation='sideways'), 'model.propagation must be one of'),
        (dict(region_rule='first'), 'model.region_rule must be one of'),
        (dict(kl_target='weak'), 'model.kl_target must be one of'),
        (dict(correlation=dict(num_regions=0)), 'model.correlation.num_regions must be'),
        (dict(correlation=dict(width=0)), 'model.correlation.width must be'),
        (dict(correlation=dict(dropout=2)), 'model.correlation.dropout must be'),
        (dict(consistency=dict(momentum=1.5)), 'model.consistency.momentum must be'),
    ],
)
def test_bad_settings(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        toy_model('CorrMatch', **settings)
