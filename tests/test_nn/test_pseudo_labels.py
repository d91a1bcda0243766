# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.nn.augmentation import Mix, View
from mmseg_ctt.nn.pseudo_label import PseudoLabel

K, SHAPE = 4, (2, 5, 6)


def pseudo(seed=0, padded=False, soft=False):
    g = torch.Generator().manual_seed(seed)
    label, confidence = torch.randint(0, K, SHAPE, generator=g), torch.rand(SHAPE, generator=g)
    valid = None
    if padded:
        valid = torch.arange(6).expand(SHAPE) < torch.tensor([4, 5]).view(2, 1, 1)
        label, confidence = label.masked_fill(~valid, 255), confidence.masked_fill(~valid, 0)
    logits = torch.randn(2, K, 5, 6, generator=g) if soft else None
    return PseudoLabel(label, confidence, valid, logits)


def test_made_with_the_padding():
    plain, valid = pseudo(), pseudo(padded=True).valid
    made = PseudoLabel.of(plain.label, plain.confidence, valid)
    assert all(map(torch.equal, made[:3], pseudo(padded=True)[:3])) and made.logits is None
    assert PseudoLabel.of(*plain[:2], None) == plain


def test_look_ups_by_class_work_in_the_padding():
    plain, padded = pseudo(), pseudo(padded=True)
    assert torch.equal(plain.class_index, plain.label)
    assert torch.equal(padded.class_index, torch.where(padded.valid, padded.label, 0))


def test_a_mask_without_the_padding():
    mask = torch.rand(SHAPE) < 0.7
    assert torch.equal(pseudo().mask_padding(mask), mask)
    assert torch.equal(pseudo(padded=True).mask_padding(mask), mask & pseudo(padded=True).valid)


def test_all_maps_are_mixed_as_the_images_were():
    mask = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3)) < 0.5
    view = View(torch.zeros(2, 3, 5, 6), (Mix(mask),))
    given = pseudo(padded=True, soft=True)
    for got, before in zip(given.apply_mix(view)[:4], given[:4]):
        assert torch.equal(got, view.apply_mix(before)) and not torch.equal(got, before)
    mixed = pseudo().apply_mix(view)
    assert mixed.valid is None and mixed.logits is None


def test_two_batches_as_one():
    first, second = pseudo(0, soft=True), pseudo(1, soft=True)
    both = first.joined(second)
    for name in ('label', 'confidence', 'logits'):
        want = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(getattr(both, name), want)
    assert both.valid is None


def test_padding_of_one_of_two_batches():
    """The other one is all valid."""
    for first, second in ((pseudo(0, True), pseudo(1)), (pseudo(1), pseudo(0, True))):
        valid = first.joined(second).valid
        for got, part in ((valid[:2], first), (valid[2:], second)):
            want = torch.ones(SHAPE, dtype=torch.bool) if part.valid is None else part.valid
            assert torch.equal(got, want)


def test_logits_are_joined_where_both_have_them():
    assert pseudo(soft=True).joined(pseudo(1)).logits is None


@pytest.mark.parametrize('combine', ['joined', 'stacked'])
def test_bits_are_kept_where_all_have_them(combine):
    bits = torch.randint(-1, 2, (2, 2, 7, *SHAPE[1:]), dtype=torch.int8)
    first, second = (pseudo(i)._replace(bits=bits[i]) for i in range(2))
    if combine == 'joined':
        assert torch.equal(first.joined(second).bits, bits.flatten(0, 1))
        assert first.joined(pseudo(1)).bits is None
    else:
        assert torch.equal(PseudoLabel.stacked([first, second]).bits, bits)
        assert PseudoLabel.stacked([first, pseudo(1)]).bits is None


def test_true_labels_stay_true_in_a_stack():
    """Of one that has none, no pixel is true."""
    true = torch.rand(SHAPE) < 0.5
    stack = PseudoLabel.stacked([pseudo()._replace(true=true), pseudo(1)])
    assert torch.equal(stack.true, torch.stack([true, torch.zeros_like(true)]))
    assert PseudoLabel.stacked([pseudo(), pseudo(1)]).true is None
