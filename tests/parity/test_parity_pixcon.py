# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of PixCon gives on stored inputs (``oracles/pixcon``)."""

import torch
from released_code import close, every_case, rows

from mmseg_ctt.functional import select_per_class
from mmseg_ctt.methods.pixcon.contrast import admitted_pixels
from mmseg_ctt.methods.pixcon.functional import summed_positives_contrast
from mmseg_ctt.nn.memory_bank import ClassMemoryBank

RULES = dict(clean='clean', labeled='labeled', conf='confident')


@every_case('pixcon', 'bank_and_loss')
def test_bank_and_loss(case, record_property):
    """The memory after each call, then the loss of the anchors and its gradient."""
    data = case.load()
    classes, size = data.num_classes, data.size_per_class
    bank = ClassMemoryBank(classes, size, data.features.shape[2], budget=size)
    for step, count in enumerate(data.count.tolist()):
        label = data.labels[step, :count]
        first = -torch.arange(count).float()  # where they are too many, the first ones are kept
        valid = (label >= 0) & (label < classes)
        bank.update(data.features[step, :count], label, first, valid, 1)
        assert torch.equal(bank.count == size, data.filled[step])
        known = torch.where(data.filled[step], size, data.pointer[step])
        assert torch.equal(bank.count, known)
    assert torch.equal(torch.arange(classes).repeat_interleave(bank.count), data.bank_labels)
    start = torch.where(data.filled[-1], data.pointer[-1], 0)
    order = (torch.arange(size) + start.unsqueeze(1)) % size
    want = data.queue.gather(1, order.unsqueeze(2).expand_as(data.queue))
    got, mismatches = bank.in_order(), 0
    for c, number in enumerate(bank.count.tolist()):
        mismatches += int((got[c, :number] != want[c, :number]).sum())
    assert mismatches == 0
    record_property('mismatches', mismatches)
    anchors = data.anchors.clone().requires_grad_()
    assert len(anchors) <= data.max_anchors  # no draw was made
    loss = summed_positives_contrast(
        anchors, data.anchor_labels, bank.features, bank.filled, data.temperature
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(anchors.grad, data.grad_anchors, data.tolerance(1e-5)))


@every_case('pixcon', 'sample_anchors_from_labeled')
def test_anchors(case, record_property):
    """Which pixels of each class are chosen, in the released order."""
    data = case.load()
    classes = int(max(data.pred.max(), data.labels[data.labels != 255].max())) + 1
    label, valid = admitted_pixels(
        data.labels.flatten(),
        data.pred.flatten(),
        data.confidence.flatten(),
        classes,
        RULES[data.bank_filter],
        data.conf_thresh,
    )
    score = -torch.arange(len(label)).float()  # as many as fit: all, in their order
    drawn = list(data.permutations.split(data.permutation_lengths.tolist()))
    for c in range(classes):  # a permutation as scores: its first pixel has the highest
        pixels = (valid & (label == c)).nonzero().flatten()
        if len(pixels) > data.max_per_class:
            score[pixels[drawn.pop(0)]] = -torch.arange(len(pixels)).float()
    assert not drawn
    index, taken = select_per_class(label, score, valid, classes, data.max_per_class)
    number = torch.arange(classes).unsqueeze(1).expand_as(index)[taken]
    assert torch.equal(number, data.anchor_labels)
    assert torch.equal(rows(data.features)[index[taken]], data.anchor_features)
    record_property('mismatches', 0)
