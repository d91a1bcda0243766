# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of U2PL gives on stored inputs (``oracles/u2pl``).

The paper's rule for negatives has no such values: the released code has another one. It is held
by ``tests/reference``.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oracles import ReleasedCode, close_to_largest

from mmseg_ctt.methods.u2pl.entropy import entropy_partition, percentiles, pixel_entropy
from mmseg_ctt.methods.u2pl.functional import (
    best_of_members,
    class_sums,
    negative_candidates,
    reliable_cross_entropy,
    unreliable_contrast,
)
from mmseg_ctt.nn.memory_bank import ClassMemoryBank

RELEASED = ReleasedCode(
    'u2pl',
    {
        'compute_unsupervised_loss': ('percent80', 'percent92.5'),
        'compute_contra_memobank_loss': (
            'contiguous',
            'contiguous_4',
            'scattered_released',
            'scattered_corrected',
        ),
    },
)


def rows(feature):
    """``(B, D, h, w)`` to pixels ``(N, D)``."""
    return feature.permute(0, 2, 3, 1).flatten(0, 2)


@RELEASED.cases('compute_unsupervised_loss')
def test_unsupervised_loss(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'compute_unsupervised_loss', case)
    valid = data.target != data.ignore_label
    entropy = pixel_entropy(data.pred_teacher)
    (threshold,) = percentiles(torch.where(valid, entropy, torch.inf).flatten(), (data.percent,))
    record_property('threshold', close_to_largest(threshold, data.entropy_threshold, 1e-6))
    high = entropy_partition(entropy, 100 - data.percent, valid).high
    after = data.target.masked_fill(high, data.ignore_label)
    assert torch.equal(after, data.target_after)
    assert (after != data.ignore_label).sum() == data.num_kept
    logits = data.predict.requires_grad_()
    loss = reliable_cross_entropy(logits, data.target, ~high, data.ignore_label)
    loss.backward()
    record_property('loss', close_to_largest(loss, data.loss, 1e-5))
    record_property('gradient', close_to_largest(logits.grad, data.grad_predict, 1e-5))


def pixels_of(data):
    """Probabilities, labels and masks of all pixels, labelled first."""
    labeled = data.label_l.numel()
    label = torch.cat([data.label_l.flatten(), data.label_u.flatten()])
    prob = torch.cat([rows(data.prob_l), rows(data.prob_u)])
    first = torch.arange(len(label)) < labeled
    high = data.high_mask.flatten() > 0
    return prob, label, first & (label != 255), ~first & high & (label != 255)


@RELEASED.cases('compute_contra_memobank_loss')
def test_queues(shared_dir, case, record_property):
    """The released rule fills the queues; a queue of each length is compared on its own."""
    data = RELEASED.load(shared_dir, 'compute_contra_memobank_loss', case)
    classes = len(data.queue_size)
    member = negative_candidates(
        *pixels_of(data),
        (data.low_rank, data.high_rank),
        data.current_class_negative_threshold,
        'released',
    )
    assert torch.equal(member.sum(1), data.new_keys)
    feature, position = rows(data.rep_teacher), torch.arange(member.shape[1]).float()
    compared = 0
    for size in data.queue_size.unique().tolist():
        bank = ClassMemoryBank(classes, size, feature.shape[1], budget=size)
        before = data.queue_count_init.clamp(max=size)
        bank.features.copy_(data.queue_init[:, :size])
        bank.count.copy_(before)
        bank.pointer.copy_(before % size)
        index, taken = best_of_members(member, position, size)  # the last ones
        # given in their own order, the bank keeps it, unless it must choose; see below
        index, taken = index.flip(1).flatten(), taken.flip(1).flatten()
        number = torch.arange(classes).repeat_interleave(len(index) // classes)
        bank.push(feature[index], number, position[index], taken, 1)
        ordered = bank.in_order()
        for c in (data.queue_size == size).nonzero().flatten().tolist():
            count = int(data.queue_count_after[c])
            assert bank.count[c] == count
            got, want = ordered[c, :count], data.queue_after[c, :count]
            if data.new_keys[c] >= size:  # it then writes the last one first
                got = got.flip(0)
            assert torch.equal(got, want)
            compared += 1
    assert compared == classes and data.new_keys.sum() > 0
    record_property('mismatches', 0)


@RELEASED.cases('compute_contra_memobank_loss')
def test_contrast(shared_dir, case, record_property):
    """Masks, prototypes, indices and the loss itself, with the recorded draws."""
    data = RELEASED.load(shared_dir, 'compute_contra_memobank_loss', case)
    prob, label, _, _ = pixels_of(data)
    classes, legacy = prob.shape[1], case == 'scattered_released'
    low = (data.low_mask.flatten() > 0) & (label != 255)
    total, count = class_sums(rows(data.rep_teacher), label, low, classes)
    present = count > 0
    assert present.nonzero().flatten().tolist() == data.valid_classes.tolist()
    prototype = total / count.clamp(min=1).unsqueeze(1)
    source = present.cumsum(0) - 1 if legacy else torch.arange(classes)

    anchor = torch.zeros(classes, data.num_queries, dtype=torch.long)
    negative = torch.zeros(classes, data.num_queries, data.num_negatives, dtype=torch.long)
    weight = torch.zeros(classes)
    for i, c in enumerate(data.valid_classes.tolist()):
        own = source[c]
        sure = low & (label == own)
        sure[sure.clone()] &= prob[sure, own] > data.current_class_threshold
        works = sure.any() and data.queue_count_after[c] > 0
        assert bool(works) == (data.anchor_pixel[i, 0].item() >= 0)
        if works:
            assert data.anchor_class[i] == own and sure[data.anchor_pixel[i]].all()
            assert (data.negative_index[i] < data.queue_count_after[c]).all()
            anchor[c], negative[c] = data.anchor_pixel[i], data.negative_index[i]
            weight[c] = 1 / present.sum()
    feature = data.rep.requires_grad_()
    loss = unreliable_contrast(
        rows(feature),
        anchor,
        prototype[source],
        data.queue_after,
        negative,
        weight,
        data.temperature,
    )
    loss.backward()
    record_property('loss', close_to_largest(loss, data.loss, 1e-5))
    record_property('gradient', close_to_largest(feature.grad, data.grad_rep, 1e-5))


@pytest.mark.parametrize('case', ['base', 'strong_0.8'])
def test_contrast_of_reco(shared_dir, case, record_property):
    """The same loss with keys drawn from the batch, in a code whose class indices are right."""
    with np.load(shared_dir / 'oracles' / 'reco' / 'compute_reco_loss.npz') as file:
        data = SimpleNamespace(
            **{
                key.split('__', 1)[1]: torch.from_numpy(np.asarray(file[key]))
                for key in file.files
                if key.startswith(f'{case}__')
            }
        )
    feature = data.rep.requires_grad_()
    query, classes = rows(feature), data.prob.shape[1]
    one_hot = rows(data.label_onehot * data.mask)
    total, count = class_sums(query, one_hot.argmax(1), one_hot.any(1), classes)
    present = (count > 0).nonzero().flatten()
    assert torch.equal(present, data.valid_classes)
    anchor = torch.zeros(classes, data.anchor_pixel.shape[1], dtype=torch.long)
    negative = torch.zeros(classes, *data.negative_pixel.shape[1:], dtype=torch.long)
    weight = torch.zeros(classes)
    for i, c in enumerate(present.tolist()):
        if data.anchor_pixel[i, 0] >= 0:
            anchor[c], negative[c] = data.anchor_pixel[i], data.negative_pixel[i]
            weight[c] = 1 / len(present)
    loss = unreliable_contrast(
        query,
        anchor,
        total / count.clamp(min=1).unsqueeze(1),
        query.detach().expand(classes, -1, -1),
        negative,
        weight,
        data.temp.item(),
    )
    loss.backward()
    record_property('loss', close_to_largest(loss, data.loss, 1e-5))
    record_property('gradient', close_to_largest(feature.grad, data.grad_rep, 1e-5))
