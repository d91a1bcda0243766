# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import contrast as reference

from mmseg_ctt.lab.benchmark.counters import OperationCounter
from mmseg_ctt.lab.benchmark.sections import SectionStack
from mmseg_ctt.methods.ctt.contrast import CrossContrast
from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.pseudo_label import PseudoLabel

K, D, H, W = 4, 6, 3, 5
IMAGES = 2


def outputs(number, seed, size=(H, W)):
    g = torch.Generator().manual_seed(seed)
    return [
        PixelOutput(
            2 * torch.randn(IMAGES, K, *size, generator=g),
            torch.randn(IMAGES, D, *size, generator=g).requires_grad_(),
            [],
        )
        for _ in range(number)
    ]


def scene(pairs=2, seed=0, size=(H, W)):
    """Labelled and unlabelled outputs, truth with ignored pixels, and targets."""
    g = torch.Generator().manual_seed(seed + 50)
    label = torch.randint(0, K, (IMAGES, *size), generator=g)
    label[torch.rand(label.shape, generator=g) < 0.3] = 255
    targets = PseudoLabel(
        torch.randint(0, K, (pairs, IMAGES, *size), generator=g),
        torch.rand(pairs, IMAGES, *size, generator=g),
    )
    return outputs(pairs, seed), outputs(pairs, seed + 1), label, targets


def build(pairs=2, size=3, full=True, **settings):
    contrast = CrossContrast(pairs, K, D, dict(size=size), **settings)
    bank = contrast.bank
    bank.features.copy_(
        torch.randn(bank.features.shape, generator=torch.Generator().manual_seed(90))
    )
    bank.count.copy_(torch.full((K,), size) if full else torch.tensor([size, 1, 0, 2]))
    bank.features.masked_fill_(~bank.filled.unsqueeze(-1), 0)
    return contrast


def flat(tensor):
    return tensor.permute(0, 2, 3, 1).reshape(-1, D)


def by_loops(contrast, labeled, strong, label, targets):
    """Eq 6-9 written out, with the settings of ``contrast``."""
    terms = []
    n = len(labeled)
    own = [o.logits.softmax(1).max(1) for o in strong]
    for i in range(n):
        target, confidence = targets.label[i], targets.confidence[i]
        read = confidence if contrast.confidence == 'teacher' else own[i].values
        confident = read >= contrast.threshold
        bank, filled = contrast.bank.features, contrast.bank.filled
        high = reference.high_level(
            torch.cat([flat(labeled[i].embedding), flat(strong[i].embedding)]),
            torch.cat([label.flatten(), target.flatten()]),
            bank[i],
            contrast.temperature_high,
            torch.cat([(label != 255).flatten(), confident.flatten()]),
            filled[i],
        )
        j = (i + 1) % n
        chosen = ~confident
        if contrast.directional:
            chosen &= own[i].values < own[j].values
        if contrast.peer_threshold is not None:
            chosen &= own[j].values >= contrast.peer_threshold
        low = reference.low_level(
            flat(strong[i].embedding),
            flat(strong[j].embedding),
            own[j].indices.flatten(),
            torch.cat([bank[i], bank[j]], 1),
            contrast.temperature_low,
            chosen.flatten(),
            torch.cat([filled[i], filled[j]], 1),
        )
        terms.append(dict(high=high, low=low, queries=int(chosen.sum())))
    return terms


@pytest.mark.parametrize('full', [True, False])
@pytest.mark.parametrize('pairs', [2, 3])
@pytest.mark.parametrize(
    'settings',
    [
        dict(),
        dict(confidence='student', threshold=0.6),
        dict(directional=False),
        dict(peer_threshold=0.6),
        dict(temperature_high=0.5, temperature_low=0.2, threshold=0.3),
    ],
)
def test_terms_equal_the_formula(settings, pairs, full):
    contrast = build(pairs, full=full, **settings)
    given = scene(pairs)
    got = dict(zip(('high', 'low'), contrast(*given)))
    want = by_loops(contrast, *given)
    for i, other in enumerate(want):
        assert other['queries'] > 0 and other['high'] > 0 and other['low'] > 0
        for key in ('high', 'low'):
            torch.testing.assert_close(got[key][i].double(), other[key], rtol=1e-5, atol=0)


def test_gradient_goes_to_the_own_student_only():
    contrast = build()
    labeled, strong, label, targets = scene()
    terms = dict(zip(('high', 'low'), contrast(labeled, strong, label, targets)))
    leaves = [o.embedding for o in labeled + strong]
    for i in range(2):
        high = torch.autograd.grad(terms['high'][i], leaves, retain_graph=True)
        low = torch.autograd.grad(terms['low'][i], leaves, retain_graph=True, allow_unused=True)
        for leaf in range(4):
            assert (high[leaf].abs().sum() > 0) == (leaf % 2 == i)
            assert (low[leaf].abs().sum() > 0) == (leaf == 2 + i)
    assert not contrast.bank.features.requires_grad


def test_a_single_pair_has_no_low_level_term():
    contrast = build(1)
    labeled, strong, label, targets = scene(1)
    terms = dict(zip(('high', 'low'), contrast(labeled, strong, label, targets)))
    assert terms['low'] == 0 and terms['high'] > 0
    terms['low'].backward()
    assert strong[0].embedding.grad.abs().sum() == 0


def test_empty_banks_give_zeros_with_a_graph():
    contrast = CrossContrast(2, K, D, dict(size=3))
    labeled, strong, label, targets = scene()
    terms = dict(zip(('high', 'low'), contrast(labeled, strong, label, targets)))
    assert not torch.cat(list(terms.values())).any()
    sum(value.sum() for value in terms.values()).backward()
    assert all(o.embedding.grad is not None for o in strong)


def test_full_size_labels_are_brought_to_the_features():
    contrast = build()
    labeled, strong, label, targets = scene()

    def enlarge(t):
        return t.repeat_interleave(4, -2).repeat_interleave(4, -1)

    large = PseudoLabel(enlarge(targets.label), enlarge(targets.confidence))
    got = contrast(labeled, strong, enlarge(label), large)
    assert all(map(torch.equal, got, contrast(labeled, strong, label, targets)))


@pytest.mark.parametrize('size', [(6, 10), (5, 9)])
def test_pooling_is_that_of_the_outputs(size):
    labeled, strong, _, _ = scene(size=size)
    *_, label, targets = scene()
    labeled, strong = outputs(2, 0, size), outputs(2, 1, size)

    def pooled(output):
        return PixelOutput(
            F.avg_pool2d(output.logits, 2, ceil_mode=True),
            F.avg_pool2d(output.embedding, 2, ceil_mode=True),
            [],
        )

    got = build(pool=2)(labeled, strong, label, targets)
    want = build()([pooled(o) for o in labeled], [pooled(o) for o in strong], label, targets)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('threshold', [0.0, 0.6])
def test_update_admits_rightly_classified_pixels(threshold):
    contrast = CrossContrast(2, K, D, dict(size=200, budget=200), bank_threshold=threshold)
    given = outputs(2, 3)
    label = scene()[2]
    contrast.update(given, label)
    count, entries = contrast.bank.count, contrast.bank.in_order()
    for i, output in enumerate(given):
        confidence, predicted = output.logits.softmax(1).max(1)
        right = (predicted == label) & (confidence >= threshold)
        assert right.sum() > 0
        for c in range(K):
            want = flat(output.embedding)[(right & (label == c)).flatten()]
            assert count[i, c] == len(want)
            assert torch.equal(entries[i, c, : len(want)], want)
    assert 0 < count.sum() < 2 * (label != 255).sum()


def test_update_keeps_the_surest_of_a_small_budget():
    contrast = CrossContrast(1, K, D, dict(size=4))  # budget: two images
    given = outputs(1, 3)
    label = given[0].logits.argmax(1)  # every pixel is right
    contrast.update(given, label)
    confidence = given[0].logits.softmax(1).amax(1).flatten()
    for c in range(K):
        own = (label.flatten() == c).nonzero().flatten()
        best = own[confidence[own].argsort(descending=True)[:2]]
        assert contrast.bank.count[0, c] == 2
        assert torch.equal(contrast.bank.in_order()[0, c, :2], flat(given[0].embedding)[best])


@pytest.mark.parametrize('threshold', [0.0, 2.0])
def test_candidates_scored_by_raw_logits(threshold):
    """As in the released code."""
    contrast = CrossContrast(
        1, K, D, dict(size=4, budget=1), bank_score='logit', bank_threshold=threshold
    )
    given = outputs(1, 3)
    label = given[0].logits.argmax(1)
    contrast.update(given, label)
    top = given[0].logits.amax(1).flatten()
    for c in range(K):
        own = (label.flatten() == c) & (top >= threshold)
        assert contrast.bank.count[0, c] == int(own.any())
        if own.any():
            best = top.masked_fill(~own, -torch.inf).argmax()
            assert torch.equal(contrast.bank.in_order()[0, c, 0], flat(given[0].embedding)[best])


def test_fill_ratio():
    contrast = build(full=False)
    want = torch.tensor([1, 1 / 3, 0, 2 / 3])
    torch.testing.assert_close(contrast.fill_ratio(), torch.stack([want, want]))


def test_zero_loss_of_each_student():
    _, strong, *_ = scene()
    zero = build().zero_loss(strong)
    assert zero.tolist() == [0, 0]
    zero.sum().backward()
    assert all(o.embedding.grad is not None and not o.embedding.grad.any() for o in strong)


@pytest.mark.parametrize('confidence', ['teacher', 'student'])
def test_no_host_synchronisation(confidence):
    contrast = build(confidence=confidence, peer_threshold=0.3, threshold=0.5, pool=2)
    labeled, strong, label, targets = scene()

    def step():
        contrast.update(labeled, label)
        sum(contrast(labeled, strong, label, targets)).sum().backward()

    assert record(step) == []
    assert labeled[0].embedding.grad.abs().sum() > 0


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(confidence='both'), "contrast.confidence must be one of .*'both'"),
        (dict(bank_score='rank'), "contrast.bank_score must be one of .*'rank'"),
        (dict(temperature_high=0), 'model.contrast.temperature_high must be above 0'),
        (dict(temperature_low=-1), 'model.contrast.temperature_low must be above 0'),
        (dict(pool=0), 'model.contrast.pool must be at least 1'),
        (dict(bank=dict(dim=7)), 'bank.dim=7 does not match the embedding.*6 wide'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        CrossContrast(**{**dict(num_pairs=2, num_classes=K, width=D, bank=dict()), **settings})


# ---- chunks


def operations(call):
    with OperationCounter(SectionStack(), torch.device('cpu')) as counter:
        call()
    return counter.total(counter.outside)


def test_larger_chunks_are_fewer_operations_of_the_same_values():
    given, values, counts = scene(), [], []
    for elements in (256, 1024, None):
        contrast = build(size=8, chunk_elements=elements)
        counts.append(operations(lambda contrast=contrast: contrast(*given)))
        loss = sum(contrast(*given)).sum()
        leaves = [output.embedding for output in (*given[0], *given[1])]
        values.append([loss, *torch.autograd.grad(loss, leaves)])
    for other in values[:-1]:  # not bit for bit: sums over chunks are added
        torch.testing.assert_close(other, values[-1], rtol=1e-6, atol=1e-8)
    assert counts[0] > 2 * counts[1] and counts[1] > 2 * counts[2]


@pytest.mark.parametrize('elements', [0, -1, 1.5])
def test_chunks_of_no_size(elements):
    with pytest.raises((TypeError, ValueError), match='chunk_elements'):
        build(chunk_elements=elements)


# ---- banks that are known to be full


def test_a_full_bank_needs_no_mask_and_gives_the_same():
    contrast, given = build(), scene()
    masked = contrast(*given), operations(lambda: contrast(*given))
    contrast.mark_full()
    assert all(map(torch.equal, contrast(*given), masked[0]))
    assert operations(lambda: contrast(*given)) < masked[1] - 10
    contrast.load_state_dict(build(full=False).state_dict())
    assert not contrast.bank.full and contrast.bank.mask is not None
