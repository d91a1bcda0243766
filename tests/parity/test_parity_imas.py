# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of iMAS gives on stored inputs (``oracles/imas``)."""

import torch
from released_code import close, every_case

from mmseg_ctt.functional import centred_box_mask, pseudo_label
from mmseg_ctt.methods.imas import ImageEasiness
from mmseg_ctt.methods.imas.functional import easy_hard_partner
from mmseg_ctt.nn import Consistency, PseudoLabel
from mmseg_ctt.nn.augmentation import PixelSource


@every_case('imas', 'compute_ulb_hardness_all')
def test_easiness(case, record_property):
    data, errors = case.load(), []
    student, teacher = (
        PseudoLabel(*pseudo_label(logits)) for logits in (data.student, data.teacher)
    )
    confident = teacher.confidence >= data.thresh, student.confidence >= data.thresh
    settings = dict(class_weighted=data.cls_weighted_iou)
    if data.cls_weighted_iou and data.ignoring_background:
        settings['background'] = 0
    for name, combine in (('hardness_v1', 'product'), ('hardness_v2', 'mean')):
        part = ImageEasiness(data.student.shape[1], combine=combine, **settings)
        if name in data:
            error = (part(teacher, student, confident) - data[name]).abs().max().item()
            assert error <= 1e-6
            errors.append(error)
    ratio = confident[1].float().mean((1, 2))
    assert (ratio - data.ratio_student).abs().max() <= 1e-6
    record_property('value', max(errors))


@every_case('imas', 'compute_unsupervised_loss_by_threshold')
def test_loss(case, record_property):
    data = case.load()
    logits, ignored = data.predict.requires_grad_(), 255
    pseudo = PseudoLabel.of(data.target, data.confidence, data.target != ignored)
    part = Consistency(logits.shape[1], confidence_threshold=data.thresh, normalizer='all')
    weight = data.hardness if 'hardness' in data else None
    loss, _ = part(logits, pseudo, image_weight=weight)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_predict, data.tolerance(1e-5)))
    kept = pseudo.mask_padding(part.confident(pseudo))
    assert torch.equal(data.target.masked_fill(~kept, ignored), data.target_after)


@every_case('imas', 'cut_mix_by_hardness')
def test_cut_mix(case, record_property):
    data = case.load()
    size, batch = tuple(data.label.shape[1:]), len(data.label)
    low, high = sorted(data.scale.tolist())
    drawn = (high - low) * data.draw_v
    drawn *= data.hardness.mean().item() if data.hardness_random else 1
    fraction = torch.full((batch,), drawn + low, dtype=torch.float64)
    centre = torch.stack([data.draw_centre_1, data.draw_centre_2], dim=1)
    box = centred_box_mask(size, fraction, centre)
    own = torch.arange(batch).view(-1, 1, 1)
    partner = easy_hard_partner(data.hardness).view(-1, 1, 1)
    source = PixelSource(torch.where(box, partner, own))
    for name in ('image', 'label', 'confidence'):
        assert torch.equal(source.apply_mix(data[name]), data[f'{name}_mixed']), name
    record_property('mismatches', 0)
