# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of AugSeg gives on stored inputs (``oracles/augseg``)."""

import torch
from released_code import close, every_case

from mmseg_ctt.functional import centred_box_mask, pseudo_label
from mmseg_ctt.methods.augseg.functional import image_confidence, injected_source
from mmseg_ctt.nn import Consistency, PseudoLabel
from mmseg_ctt.nn.augmentation import PixelSource


@every_case('augseg', 'compute_unsupervised_loss_by_threshold')
def test_loss(case, record_property):
    data = case.load()
    logits = data.predict.requires_grad_()
    pseudo = PseudoLabel.of(data.target, data.confidence, data.target != data.ignore_label)
    part = Consistency(
        logits.shape[1], confidence_threshold=max(data.thresh, 0.0), normalizer='all'
    )
    loss, _ = part(logits, pseudo)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_predict, data.tolerance(1e-5)))
    kept = pseudo.mask_padding(part.confident(pseudo))
    after = data.target.masked_fill(~kept, data.ignore_label)
    assert torch.equal(after, data.target_after)
    assert abs(kept.float().mean().item() - data.high_ratio) <= 1e-6


@every_case('augseg', 'cut_mix_label_adaptive')
def test_cut_mix(case, record_property):
    data = case.load()
    size, partner = tuple(data.unlabelled_label.shape[1:]), data.permutation
    centres = data.draw_centres.view(2, 2, -1)
    boxes = [
        centred_box_mask(size, (1 - beta).sqrt().expand(len(partner)), centre.T)
        for beta, centre in zip(data.draw_beta, centres)
    ]
    injected = data.draw_random > data.image_confidence
    index = injected_source(partner, partner, injected, *boxes, visible=False)
    source, label = PixelSource(index), data.labelled_label
    pairs = dict(
        image=(data.unlabelled_image, data.labelled_image),
        label=(data.unlabelled_label, label),
        confidence=(data.unlabelled_confidence, torch.ones_like(label).float()),
    )
    for name, pair in pairs.items():
        assert torch.equal(source.apply_mix(torch.cat(pair)), data[f'{name}_mixed']), name
    record_property('mismatches', 0)


@every_case('augseg', 'image_confidence')
def test_image_confidence(case, record_property):
    data = case.load()
    got = image_confidence(data.teacher)
    assert (got - data.image_confidence).abs().max() <= 1e-6
    record_property('value', (got - data.image_confidence).abs().max().item())
    label, confidence = pseudo_label(data.teacher)
    assert torch.equal(label, data.label)
    assert (confidence - data.pixel_confidence).abs().max() <= 1e-6
