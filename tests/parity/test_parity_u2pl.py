# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of U2PL and ReCo gives on stored inputs (``oracles/u2pl, reco``).

The paper's rule for negatives has no such values: the released code has another one. It is held
by ``tests/reference``.
"""

import torch
from released_code import close, every_case, rows

from mmseg_ctt.functional import class_sums
from mmseg_ctt.methods.u2pl.entropy import entropy_partition, percentiles, pixel_entropy
from mmseg_ctt.methods.u2pl.functional import (
    best_per_class,
    negative_candidates,
    reliable_cross_entropy,
    unreliable_contrast,
)
from mmseg_ctt.nn.memory_bank import ClassMemoryBank


@every_case('u2pl', 'compute_unsupervised_loss')
def test_unsupervised_loss(case, record_property):
    data = case.load()
    valid = data.target != data.ignore_label
    entropy = pixel_entropy(data.pred_teacher)
    (threshold,) = percentiles(torch.where(valid, entropy, torch.inf).flatten(), (data.percent,))
    error = abs(threshold.item() - data.entropy_threshold)
    assert error <= 1e-6
    record_property('threshold', error)
    high = valid & (entropy >= threshold)
    if data.percent >= 50:  # below, the two ends of a partition would overlap
        assert torch.equal(entropy_partition(entropy, 100 - data.percent, valid).high, high)
    after = data.target.masked_fill(high, data.ignore_label)
    assert torch.equal(after, data.target_after)
    assert (after != data.ignore_label).sum() == data.num_kept
    logits = data.predict.requires_grad_()
    loss = reliable_cross_entropy(logits, data.target, ~high, data.ignore_label)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_predict, data.tolerance(1e-5)))


@every_case('u2pl', 'label_onehot')
def test_one_hot(case, record_property):
    """Sums by class of one feature per pixel are the one-hot labels, of every image its own."""
    data = case.load()
    label = data.labels.flatten()
    feature = torch.eye(len(label))
    one_hot, count = class_sums(feature, label, label != 255, data.num_segments)
    got = one_hot.view(data.num_segments, *data.labels.shape).movedim(1, 0)
    assert torch.equal(got, data.onehot_correct)
    assert torch.equal(count, data.onehot_correct.sum((0, 2, 3)))
    record_property('mismatches', 0)


def pixels_of(data):
    """Probabilities, labels and masks of all pixels, labelled first."""
    labeled = data.label_l.numel()
    label = torch.cat([data.label_l.flatten(), data.label_u.flatten()])
    prob = torch.cat([rows(data.prob_l), rows(data.prob_u)])
    first = torch.arange(len(label)) < labeled
    high = data.high_mask.flatten() > 0
    return prob, label, first & (label != 255), ~first & high & (label != 255)


@every_case('u2pl', 'compute_contra_memobank_loss')
def test_queues(case, record_property):
    """The released rule fills the queues; a queue of each length is compared on its own."""
    data = case.load()
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
        stored = data.queue_init[:, :size]
        bank.features[:, : stored.shape[1]] = stored
        bank.count.copy_(before)
        bank.pointer.copy_(before % size)
        index, taken = best_per_class(member, position, size)  # the last ones
        # given in their own order, the bank keeps it, unless it must choose; see below
        index, taken = index.flip(1).flatten(), taken.flip(1).flatten()
        number = torch.arange(classes).repeat_interleave(len(index) // classes)
        bank.update(feature[index], number, position[index], taken, 1)
        ordered = bank.in_order()
        for c in (data.queue_size == size).nonzero().flatten().tolist():
            count = int(data.queue_count_after[c])
            assert bank.count[c] == count
            got, want = ordered[c, :count], data.queue_after[c, :count]
            if data.new_keys[c] >= size:  # it then writes the last one first
                got = got.flip(0)
            assert torch.equal(got, want)
            compared += 1
    assert compared == classes
    record_property('mismatches', 0)


@every_case('u2pl', 'compute_contra_memobank_loss')
def test_contrast(case, record_property):
    """Masks, prototypes, indices and the loss itself, with the recorded draws."""
    data = case.load()
    prob, label, _, _ = pixels_of(data)
    classes = prob.shape[1]
    low = (data.low_mask.flatten() > 0) & (label != 255)
    total, count = class_sums(rows(data.rep_teacher), label, low, classes)
    present = count > 0
    valid_classes = data.valid_classes.tolist()
    assert present.nonzero().flatten().tolist() == valid_classes
    prototype = total / count.clamp(min=1).unsqueeze(1)

    # the class whose anchors and prototype each class uses: another one with the released indices
    source = torch.arange(classes)
    anchor = torch.zeros(classes, data.num_queries, dtype=torch.long)
    negative = torch.zeros(classes, data.num_queries, data.num_negatives, dtype=torch.long)
    weight = torch.zeros(classes)
    for i, c in enumerate(valid_classes):
        if data.anchor_pixel[i, 0] < 0:
            continue
        own = source[c] = data.anchor_class[i]
        candidate = low & (label == own) & (prob[:, own] > data.current_class_threshold)
        assert candidate[data.anchor_pixel[i]].all()
        assert (data.negative_index[i] < data.queue_count_after[c]).all()
        anchor[c], negative[c] = data.anchor_pixel[i], data.negative_index[i]
        weight[c] = (len(valid_classes) > 1) / len(valid_classes)
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
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(feature.grad, data.grad_rep, data.tolerance(1e-5)))


@every_case('reco', 'compute_reco_loss')
def test_contrast_of_reco(case, record_property):
    """The same loss with keys drawn from the batch, in a code whose class indices are right."""
    data = case.load()
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
            weight[c] = (len(present) > 1) / len(present)
    loss = unreliable_contrast(
        query,
        anchor,
        total / count.clamp(min=1).unsqueeze(1),
        query.detach().expand(classes, -1, -1),
        negative,
        weight,
        data.temp,
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(feature.grad, data.grad_rep, data.tolerance(1e-5)))
