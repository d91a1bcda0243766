# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import stpg as slow

from mmseg_ctt.methods.stpg.contrast import AnchorContrast
from mmseg_ctt.methods.stpg.functional import anchor_contrast
from mmseg_ctt.nn.member import PixelOutput

K, WIDTH = 4, 6


def module(**settings):
    torch.manual_seed(3)
    bank = settings.pop('bank', dict(size=5))
    return AnchorContrast(K, WIDTH, bank, **{**dict(threshold=0.4, dropout=0.0), **settings})


def output(seed=0, images=2, side=8):
    g = torch.Generator().manual_seed(seed)
    return PixelOutput(
        torch.randn(images, K, side, side, generator=g) * 2,
        torch.randn(images, WIDTH, side, side, generator=g).requires_grad_(),
        [],
    )


def truth(seed=1, images=2, side=16):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, K, (images, side, side), generator=g)
    label[0, :4] = 255
    return label


def filled(contrast):
    for seed in range(4):
        contrast.update(output(seed), truth(seed))
    return contrast


def rows(z):
    return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])


# ---- losses


@pytest.mark.parametrize('average', ['all', 'present'])
def test_losses_by_hand(average):
    contrast = filled(module(dim=5, temperature=0.3, average=average))
    contrast.assign()
    labeled, strong, label, target = output(5), output(6), truth(7), truth(8)
    terms = contrast(labeled, strong, label, target)
    for name, given, ids in (('labeled', labeled, label), ('unlabeled', strong, target)):
        small = ids[:, ::2, ::2].flatten()
        bank = contrast.bank
        want = anchor_contrast(
            rows(contrast.projection(given.embedding)),
            small,
            contrast.targets[contrast.assignment],
            bank.features,
            0.3,
            small != 255,
            bank.filled,
            average=average,
        )
        torch.testing.assert_close(terms[name], want)
        assert want > 0
    sum(terms.values()).backward()
    assert all(p.grad is not None for p in contrast.projection.parameters())
    assert labeled.embedding.grad.abs().sum() > 0 and strong.embedding.grad.abs().sum() > 0


def test_pooling_comes_first():
    contrast = filled(module(pool=2))
    terms = contrast(output(5), output(6), truth(7), truth(8))
    pooled = [
        given._replace(embedding=F.avg_pool2d(given.embedding, 2))
        for given in (output(5), output(6))
    ]
    contrast.pool = 1
    small = [ids[:, ::4, ::4] for ids in (truth(7), truth(8))]
    assert contrast(*pooled, *small) == terms


def test_zero_loss_reaches_all_that_the_loss_reaches():
    contrast, first, second = module(), output(0), output(1)
    contrast.zero_loss(first, second).backward()
    leaves = [*contrast.projection.parameters(), first.embedding, second.embedding]
    assert all(leaf.grad is not None and leaf.grad.abs().sum() == 0 for leaf in leaves)


# ---- memory and centroids


@pytest.mark.parametrize('ranking', ['anchor', 'confidence'])
def test_which_pixels_enter(ranking):
    contrast = module(ranking=ranking, bank=dict(size=40, budget=3))
    start, given, label = contrast.centroids.clone(), output(2), truth(2)
    contrast.update(given, label)
    small, (confidence, predicted) = label[:, ::2, ::2], given.logits.softmax(1).max(1)
    good = ((predicted == small) & (confidence > 0.4)).flatten()
    feature = rows(contrast.projection(given.embedding)).detach()
    for c in range(K):
        own = (good & (small.flatten() == c)).nonzero().flatten().tolist()
        assert len(own) > 3
        want = slow.centroid(start[c], [feature[i] for i in own], 0.9)
        torch.testing.assert_close(contrast.centroids[c], want.float(), rtol=1e-4, atol=1e-5)
        score = (
            F.cosine_similarity(feature, contrast.anchors[c : c + 1])
            if ranking == 'anchor'
            else confidence.flatten()
        )
        best = sorted(own, key=lambda i: -float(score[i]))[:3]
        torch.testing.assert_close(contrast.bank.in_order()[c, :3], feature[best])
    assert contrast.bank.count.tolist() == [3] * K
    assert torch.equal(contrast.fill_ratio(), torch.full((1, K), 3 / 40))


def test_uncertain_wrong_and_ignored_pixels_stay_out():
    contrast = module(threshold=0.999999)
    before = {name: value.clone() for name, value in contrast.state_dict().items()}
    contrast.update(output(2), truth(2))
    contrast.threshold = 0.0
    given = output(2)
    contrast.update(given, torch.full((2, 8, 8), 255))
    contrast.update(given, (given.logits.argmax(1) + 1) % K)
    assert all(torch.equal(value, before[name]) for name, value in contrast.state_dict().items())


def test_memory_of_the_peer_goes_through_a_projection_that_nothing_trains():
    own, peer = module(), module(memory='peer')
    assert own.peer_projection is None
    assert not any(p.requires_grad for p in peer.peer_projection.parameters())
    given = output(2)
    peer.update(given, truth(2))
    kept = peer.bank.in_order()[0, 0]
    assert (rows(peer.peer_projection(given.embedding)) - kept).abs().sum(1).min() < 1e-5
    assert (rows(peer.projection(given.embedding)) - kept).abs().sum(1).min() > 1e-2


def test_dropout_spares_the_memory():
    dropped, whole = module(dropout=0.5), module(dropout=0.0)
    for contrast in (dropped, whole):
        contrast.update(output(2), truth(2))
    assert torch.equal(dropped.bank.features, whole.bank.features)
    args = output(3), output(4), truth(3), truth(4)
    assert dropped(*args)['labeled'] != whole(*args)['labeled']


def test_projection_may_stay_random():
    assert all(p.requires_grad for p in module().projection.parameters())
    assert not any(p.requires_grad for p in module(train_projection=False).projection.parameters())


# ---- assignment


@pytest.mark.parametrize('seed', range(4))
def test_assignment_is_the_best_of_all(seed):
    contrast = module()
    g = torch.Generator().manual_seed(seed)
    contrast.centroids.copy_(F.normalize(torch.randn(K, WIDTH, generator=g), dim=1))
    contrast.assign()
    want = slow.best_matching(contrast.centroids @ contrast.targets.t())
    assert contrast.assignment.tolist() == want
    assert contrast.assignment.dtype == torch.long
    assert torch.equal(contrast.anchors, contrast.targets[want])


def test_centroids_on_the_anchors_are_matched_exactly():
    contrast = module()
    contrast.centroids.copy_(contrast.targets[[2, 0, 3, 1]])
    contrast.assign()
    assert contrast.assignment.tolist() == [2, 0, 3, 1]
    torch.testing.assert_close(contrast.anchors, contrast.centroids)


# ---- state


def test_all_state_is_in_the_checkpoint():
    first, second = filled(module()), module(seed=4)
    first.assign()
    assert not torch.equal(first.targets, second.targets)
    second.load_state_dict(first.state_dict())
    args = output(5), output(6), truth(7), truth(8)
    assert first(*args) == second(*args)
    assert {
        'targets',
        'assignment',
        'centroids',
        'bank.features',
        'bank.pointer',
        'bank.count',
        'on',
    } == {name for name, _ in first.named_buffers()}


def test_nothing_is_read_back():
    """The matching alone needs the host; its hook takes it at an interval."""
    contrast = filled(module(pool=2))
    args, entering = (output(5), output(6), truth(7), truth(8)), (output(2), truth(2))

    def step():
        contrast.update(*entering)
        sum(contrast(*args).values()).backward()

    assert record(step) == []
    if torch.cuda.is_available():
        assert record(contrast.cuda().assign) != []


# ---- settings


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(memory='both'), 'model.contrast.memory must be one of'),
        (dict(ranking='random'), 'model.contrast.ranking must be one of'),
        (dict(average='some'), 'model.contrast.average must be one of'),
        (dict(temperature=0), 'model.contrast.temperature must be above 0'),
        (dict(pool=0), 'model.contrast.pool must be at least 1'),
        (dict(momentum=1.5), r'model.contrast.momentum must be in \[0, 1\]'),
        (dict(dim=2), 'raise model.contrast.dim'),
        (dict(bank=dict(dim=9)), 'model.bank.dim=9 does not match'),
        (dict(bank=dict(size=0)), 'model.bank.size must be at least 1'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        module(**settings)
