# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of ReCo gives on stored inputs (``oracles/reco``)."""

import torch
from released_code import close, every_case, rows

from mmseg_ctt.functional import class_sums
from mmseg_ctt.methods.reco.functional import negative_class_probability, regional_contrast


def pixels_of(data):
    """Class, whether a pixel takes part, and probability of its class."""
    one_hot = rows(data.label_onehot)
    label = one_hot.argmax(1)
    valid = (rows(data.mask)[:, 0] > 0) & (one_hot.amax(1) > 0)
    return label, valid, rows(data.prob).gather(1, label.unsqueeze(1)).squeeze(1)


@every_case('reco', 'compute_reco_loss')
def test_regional_contrast(case, record_property):
    """Classes, queries that may be drawn, likeness of classes, loss and gradient."""
    data = case.load()
    feature = data.rep.clone().requires_grad_()
    label, valid, prob = pixels_of(data)
    classes, taking_part = data.label_onehot.shape[1], data.valid_classes
    flat = rows(feature)
    total, count = class_sums(flat, label, valid, classes)
    assert (count > 0).nonzero().flatten().tolist() == taking_part.tolist()
    prototype, number = total / count.clamp(min=1).unsqueeze(1), len(taking_part)

    probability = negative_class_probability(prototype, count > 0, data.temp)
    got = probability[taking_part].gather(1, data.negative_class_order)
    record_property('classes', close(got, data.negative_class_prob, data.tolerance(1e-5)))
    absent = probability[taking_part][:, count == 0]
    assert absent.numel() == 0 or absent.max() == 0

    drawn = data.anchor_pixel.amin(1) >= 0  # a class without a hard pixel has no queries
    hard = valid & (prob < data.strong_threshold)
    for c, pixels, any_ in zip(taking_part.tolist(), data.anchor_pixel, drawn.tolist()):
        assert any_ == bool((hard & (label == c)).any())
        assert not any_ or bool((hard[pixels] & (label[pixels] == c)).all())
    loss = regional_contrast(
        flat,
        data.anchor_pixel.clamp(min=0),
        prototype[taking_part],
        data.negative_pixel.clamp(min=0),
        drawn.float() / number if number > 1 else torch.zeros(number),
        data.temp,
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(feature.grad, data.grad_rep, data.tolerance(1e-5)))
