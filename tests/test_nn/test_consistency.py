# Copyright (c) mmseg_ctt contributors.
import itertools

import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import consistency as reference

from mmseg_ctt.nn.consistency import (
    NORMALIZERS,
    SELECTIONS,
    TARGETS,
    ConfidenceSelection,
    Consistency,
    usual_settings,
)
from mmseg_ctt.nn.pseudo_label import PseudoLabel

K, IMAGES, SIZE, SMALL = 4, 3, (6, 8), (3, 4)
THRESHOLD = 0.5


def student(seed=0, lead=()):
    g = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*lead, IMAGES, K, *SMALL, generator=g)


def teacher(seed=1, padded=False, lead=()):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(*lead, IMAGES, K, *SIZE, generator=g)
    confidence, label = logits.softmax(-3).max(-3)
    valid = None
    if padded:
        valid = torch.ones(*lead, IMAGES, *SIZE, dtype=torch.bool)
        valid[..., 0, :, 5:] = False
        label, confidence = label.masked_fill(~valid, 255), confidence.masked_fill(~valid, 0)
    return PseudoLabel(label, confidence, valid, logits)


def full(logits):
    return F.interpolate(logits, SIZE, mode='bilinear', align_corners=False)


PAIRS = [
    (select, normalizer)
    for select, normalizer in itertools.product(SELECTIONS, NORMALIZERS)
    if select == 'pixel' or normalizer != 'kept'
]
CASES = [
    (target, *pair, class_mean)
    for target, pair, class_mean in itertools.product(TARGETS, PAIRS, (True, False))
    if class_mean or target == 'squared'
]


@pytest.mark.parametrize('target,select,normalizer,class_mean', CASES)
@pytest.mark.parametrize('padded', [False, True])
@pytest.mark.parametrize('threshold', [THRESHOLD, 0.0])
def test_equals_loops(target, select, normalizer, class_mean, padded, threshold):
    part = Consistency(K, target, select, normalizer, class_mean, threshold)
    logits, pseudo = student(), teacher(padded=padded)
    loss, ratio = part(logits, pseudo)
    want = reference.consistency(
        full(logits),
        pseudo.label,
        pseudo.confidence,
        threshold,
        target,
        select,
        normalizer,
        class_mean,
        pseudo.logits,
    )
    assert loss.item() == pytest.approx(want[0], rel=1e-5) and loss > 0
    assert ratio.item() == pytest.approx(want[1]) and loss.shape == ratio.shape == ()
    assert 0 < want[1] < 1 or threshold == 0


def test_every_combination_was_tried():
    assert {case[0] for case in CASES} == set(TARGETS)
    values = {
        round(Consistency(K, *case, THRESHOLD)(student(), teacher(padded=True))[0].item(), 6)
        for case in CASES
    }
    assert len(values) == len(CASES)


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('select', SELECTIONS)
@pytest.mark.parametrize('padded', [False, True])
def test_pixels_count_as_much_as_their_confidence(target, select, padded):
    part = Consistency(K, target, select, confidence_threshold=THRESHOLD, weighted=True)
    logits, pseudo = student(), teacher(padded=padded)
    want, _ = reference.consistency(
        full(logits),
        pseudo.label,
        pseudo.confidence,
        THRESHOLD,
        target,
        select,
        target_logits=pseudo.logits,
        weighted=True,
    )
    assert part(logits, pseudo)[0].item() == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('select', SELECTIONS)
def test_a_leading_dimension_holds_problems_of_their_own(target, select):
    part = Consistency(K, target, select, 'valid', True, THRESHOLD)
    logits, pseudo = student(lead=(2,)), teacher(padded=True, lead=(2,))
    loss, ratio = part(logits, pseudo)
    assert loss.shape == ratio.shape == (2,)
    for p in range(2):
        maps = [None if map_ is None else map_[p] for map_ in pseudo]
        alone = part(logits[p], PseudoLabel(*maps))
        torch.testing.assert_close(loss[p], alone[0])
        torch.testing.assert_close(ratio[p], alone[1])


@pytest.mark.parametrize('target', TARGETS)
def test_only_kept_pixels_give_gradient_and_the_target_none(target):
    part = Consistency(K, target, confidence_threshold=THRESHOLD)
    pseudo = teacher(padded=True)
    logits, leaf = full(student()).requires_grad_(), pseudo.logits.clone().requires_grad_()
    part(logits, pseudo._replace(logits=leaf.detach()))[0].backward()
    kept = (pseudo.confidence >= THRESHOLD) & (pseudo.label != 255)
    assert torch.equal(logits.grad.abs().sum(1) > 0, kept) and leaf.grad is None


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('select,normalizer', PAIRS)
def test_nothing_confident_is_a_zero_in_the_graph(target, select, normalizer):
    logits = student().requires_grad_()
    loss, ratio = Consistency(K, target, select, normalizer, True, 1.0)(logits, teacher())
    loss.backward()
    assert loss == ratio == 0 and logits.grad.abs().sum() == 0


@pytest.mark.parametrize('normalizer', NORMALIZERS)
def test_a_batch_of_padding_is_a_zero(normalizer):
    pseudo = teacher()
    pseudo = PseudoLabel(
        torch.full_like(pseudo.label, 255),
        torch.zeros_like(pseudo.confidence),
        torch.zeros_like(pseudo.label, dtype=torch.bool),
        pseudo.logits,
    )
    for target in TARGETS:
        logits = student().requires_grad_()
        loss, _ = Consistency(K, target, normalizer=normalizer)(logits, pseudo)
        loss.backward()
        assert loss == 0 and torch.isfinite(logits.grad).all()


def test_corners_are_aligned_where_the_head_does():
    part, logits, pseudo = Consistency(K, confidence_threshold=0.0), student(), teacher()
    up = F.interpolate(logits, SIZE, mode='bilinear', align_corners=True)
    got = part(logits, pseudo, align_corners=True)[0]
    torch.testing.assert_close(got, F.cross_entropy(up, pseudo.label))
    assert not torch.allclose(got, part(logits, pseudo)[0])


@pytest.mark.parametrize('target', TARGETS)
def test_half_precision_is_computed_in_float32(target):
    part, pseudo = Consistency(K, target, confidence_threshold=THRESHOLD), teacher()
    logits = student().bfloat16()
    want = part(logits.float(), pseudo)[0]
    with torch.autocast('cpu', torch.bfloat16):
        got = part(logits, pseudo)[0]
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want)


def test_only_targets_that_are_not_hard_read_logits():
    assert [Consistency(K, target).reads_logits for target in TARGETS] == [
        target != 'hard' for target in TARGETS
    ]


# ---- true labels that are mixed in


def with_truth(pseudo):
    """The left half of the pseudo-labels becomes ground truth, of which a row has no label."""
    true = torch.zeros_like(pseudo.label, dtype=torch.bool)
    true[..., : SIZE[1] // 2] = True
    unknown = true.clone()
    unknown[..., 1:, :] = False
    valid = ~unknown if pseudo.valid is None else pseudo.valid & ~unknown
    return pseudo._replace(
        label=pseudo.label.masked_fill(~valid, 255),
        confidence=pseudo.confidence.masked_fill(true, 1).masked_fill(~valid, 0),
        valid=valid,
        true=true,
    )


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('select', SELECTIONS)
@pytest.mark.parametrize('padded', [False, True])
@pytest.mark.parametrize('lead', [(), (2,)])
def test_true_labels_count_in_full_and_in_no_ratio(target, select, padded, lead):
    part = Consistency(K, target, select, 'all', confidence_threshold=THRESHOLD)
    logits, pseudo = student(lead=lead), with_truth(teacher(padded=padded, lead=lead))
    loss, ratio = part(logits, pseudo)
    confident = (pseudo.confidence >= THRESHOLD) & ~pseudo.true
    want = confident.float().sum((-3, -2, -1)) / (~pseudo.true).float().sum((-3, -2, -1))
    torch.testing.assert_close(ratio, want)
    assert ((ratio > 0) & (ratio < 1)).all()
    counted = confident.float()
    if select == 'ratio':
        counted = want[..., None, None, None].expand(pseudo.label.shape)
    if select == 'image_ratio':
        whole = (pseudo.valid & ~pseudo.true).float().sum((-2, -1), keepdim=True)
        counted = (counted.sum((-2, -1), keepdim=True) / whole).expand(pseudo.label.shape)
    counted = torch.where(pseudo.true, torch.ones(()), counted) * pseudo.valid
    every = Consistency(K, target, 'ratio', 'all', confidence_threshold=0.0)
    leaf = full(logits.flatten(0, -4)).view(*lead, IMAGES, K, *SIZE).requires_grad_()
    every(leaf, pseudo._replace(true=None))[0].sum().backward()
    plain = leaf.grad.clone()
    leaf.grad = None
    part(leaf, pseudo)[0].sum().backward()
    torch.testing.assert_close(leaf.grad, plain * counted.unsqueeze(-3))


def test_truth_alone_has_the_ratio_zero():
    pseudo = teacher()
    pseudo = pseudo._replace(true=torch.ones_like(pseudo.label, dtype=torch.bool))
    for select in SELECTIONS:
        part = Consistency(K, select=select, confidence_threshold=0.0)
        loss, ratio = part(student(), pseudo)
        assert ratio == 0
        torch.testing.assert_close(loss, F.cross_entropy(full(student()), pseudo.label))


# ---- class thresholds


def test_threshold_of_a_class():
    """With thresholds by class, one class is kept from a lower confidence on."""
    part = Consistency(K, confidence_threshold=0.9, class_thresholds=dict())
    part.class_thresholds.confidence.copy_(torch.tensor([0.3, 0.95, 0.5, 0.0]))
    pseudo = teacher(padded=True)
    limit = torch.tensor([0.3, 0.9, 0.5, 0.0])
    want = (pseudo.label != 255) & (pseudo.confidence >= limit[pseudo.class_index])
    assert torch.equal(part.confident(pseudo), want)
    logits = full(student())
    values = F.cross_entropy(logits, pseudo.class_index, reduction='none') * want
    got, ratio = part(logits, pseudo)
    torch.testing.assert_close(got, values.sum() / pseudo.valid.sum())
    torch.testing.assert_close(ratio, want.float().mean())


def test_thresholds_learn_from_what_they_are_given():
    part, pseudo = ConfidenceSelection(K, class_thresholds=dict(momentum=0.5)), teacher()
    part.update(pseudo.label, pseudo.confidence)
    for k in range(K):
        want = pseudo.confidence[pseudo.label == k].mean()
        torch.testing.assert_close(part.class_thresholds.confidence[k], want)
    assert {name for name, _ in part.named_buffers()} == {
        'class_thresholds.confidence',
        'class_thresholds.updates',
    }


def test_one_threshold_has_no_state_and_learns_nothing():
    part, pseudo = ConfidenceSelection(K, THRESHOLD), teacher()
    part.update(pseudo.label, pseudo.confidence)
    assert part.threshold_of(pseudo.label) == THRESHOLD and not part.state_dict()


# ---- host and settings


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('normalizer', NORMALIZERS)
def test_no_host_synchronisation(target, normalizer):
    part = Consistency(K, target, normalizer=normalizer, class_thresholds=dict())
    logits, pseudo = student().requires_grad_(), teacher(padded=True)

    def step():
        part.update(pseudo.label, pseudo.confidence)
        part(logits, pseudo)[0].backward()

    assert record(step) == []


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(target='sharp'), r"\.target must be one of .*'squared'.*got 'sharp'"),
        (dict(select='image'), r"\.select must be one of .*'ratio'.*got 'image'"),
        (dict(normalizer='batch'), r"\.normalizer must be one of .*'kept'.*got 'batch'"),
        (dict(confidence_threshold=1.5), r'\.confidence_threshold must be in \[0, 1\], got 1.5'),
        (dict(confidence_threshold=-0.1), r'\.confidence_threshold must be in \[0, 1\]'),
        (dict(select='ratio', normalizer='kept'), r"\.select='ratio' keeps all pixels"),
        (dict(class_mean=False), r"\.class_mean is of target='squared', not of 'hard'"),
        (
            dict(confidence_threshold=0, class_thresholds={}),
            r'\.class_thresholds: confidence_threshold is the highest of them',
        ),
        (dict(class_thresholds=dict(highest=1)), r"\.class_thresholds .*\['highest'\]"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=f'^model.consistency{message}'):
        Consistency(K, **settings)


def test_the_default_of_squares_goes_with_them():
    defaults = dict(target='squared', class_mean=False, select='ratio')
    for given in (None, {}, dict(select='pixel'), dict(target='squared')):
        assert usual_settings(defaults, given) == defaults
    assert usual_settings(defaults, dict(target='hard')) == dict(target='squared', select='ratio')


@pytest.mark.parametrize('lead', [(), (2,)])
def test_weights_of_images(lead):
    """Each image's loss times its weight; an image of weight 0 teaches nothing."""
    part = Consistency(K, confidence_threshold=THRESHOLD, normalizer='all')
    logits, pseudo = student(lead=lead).requires_grad_(), teacher(lead=lead)
    weight = torch.tensor([0.0, 0.5, 2.0]).expand(*lead, IMAGES)
    loss, ratio = part(logits, pseudo, image_weight=weight)
    rows = logits.flatten(0, -4).split(1)
    maps = [map_.flatten(0, -3).split(1) for map_ in pseudo[:2]]
    alone = [part(*pair)[0] for pair in zip(rows, map(PseudoLabel, *maps))]
    want = (torch.stack(alone).view(*lead, IMAGES) * weight).sum(-1) / IMAGES
    torch.testing.assert_close(loss, want)
    assert torch.equal(ratio, part(logits, pseudo)[1])
    loss.sum().backward()
    assert (logits.grad.abs().sum((-3, -2, -1)) > 0).equal(weight > 0)
