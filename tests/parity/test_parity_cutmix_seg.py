# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CutMix-Seg gives on stored inputs (``oracles/cutmix_seg``)."""

import pytest
import torch
import torch.nn.functional as F
from released_code import close, every_case

from mmseg_ctt import functional

KINDS = dict(
    var='squared',
    kld='kl',
    bce='binary',
    logits_var='logit_squared',
    logits_smoothl1='logit_smooth_l1',
)


def to_unit(draw, low, high):
    """Draws from ``[low, high]`` as numbers in [0, 1]."""
    return (draw - low) / (high - low) if high > low else torch.zeros_like(draw)


@every_case('cutmix_seg', 'BoxMaskGenerator')
def test_box_masks(case, record_property):
    data = case.load()
    low, high = data.prop_range.tolist()
    draws = [data[f'draw_{i}'] for i in range(3) if f'draw_{i}' in data]
    size = to_unit(draws[0], low, high)
    aspect = torch.zeros_like(size)
    if data.random_aspect_ratio:
        aspect = draws[1] if data.prop_by_area else to_unit(draws[1], low, high)
    else:
        # the released code then shrinks a side by the root of the number of boxes twice
        factor = 1 / data.n_boxes if data.prop_by_area else (1 / data.n_boxes) ** 0.5
        low, high = low * factor, high * factor
    masks = functional.cut_mix_mask(
        torch.zeros(data.n_masks, *data.mask_shape.tolist()),
        area=(low, high),
        noise=torch.stack([size, aspect, *draws[-1].unbind(2)], dim=2).flatten(1),
        num_boxes=data.n_boxes,
        random_aspect_ratio=data.random_aspect_ratio,
        by_area=data.prop_by_area,
        within_bounds=data.within_bounds,
        invert=data.invert,
        uniform_corner=False,
    )
    assert torch.equal(masks, data.masks.squeeze(1).bool())
    record_property('mismatches', 0)


@every_case('cutmix_seg', 'consistency_loss')
def test_consistency_loss(case, record_property):
    data = case.load()
    second, size = data.mix_mask.squeeze(1).bool(), len(data.mix_mask)

    def mixed(name):
        pair = torch.cat([data[name.format(1)], data[name.format(0)]])
        return functional.mix(pair, torch.cat([second, second]), shift=size)[:size]

    teacher, valid = mixed('logits_u{}_teacher'), mixed('valid_u{}').squeeze(1)
    _, confidence = functional.pseudo_label(teacher)
    ratio = functional.confidence_weight(confidence, data.conf_thresh, 'batch_ratio')
    error = abs(ratio.flatten()[0].item() - data.conf_rate)
    assert error <= 1e-6
    record_property('conf_rate', error)
    confident = functional.confidence_weight(confidence, data.conf_thresh, 'threshold')
    weight = (confident if data.conf_per_pixel else ratio) * valid
    kind = KINDS[data.cons_loss_fn]
    target = teacher if kind.startswith('logit_') else teacher.softmax(1)
    logits = data.logits_student.requires_grad_()
    loss = functional.consistency_loss(
        logits, target, kind, weight, class_reduction='sum' if kind == 'squared' else None
    )
    if data.rampup > 0:
        loss = loss * functional.sigmoid_ramp(data.epoch / data.rampup)
    weighted = loss * data.cons_weight
    weighted.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(2e-5)))
    record_property('loss_weighted', close(weighted, data.loss_weighted, data.tolerance(2e-5)))
    error = close(logits.grad, data.grad_logits_student, data.tolerance(3e-5))
    record_property('gradient', error)


@every_case('cutmix_seg', 'EMAWeightOptimizer')
def test_ema(case, record_property):
    """Parameters and float buffers; the teacher starts as a copy. Integers are not averaged."""
    data = case.load()
    teacher = [data.weight[0].clone(), data.running[0].clone()]
    largest = 0.0
    for step, want in enumerate(zip(data.weight_ema, data.running_ema)):
        if step:
            student = [data.weight[step], data.running[step]]
            functional.ema_update_(teacher, student, data.alpha)
        for got, value in zip(teacher, want):
            torch.testing.assert_close(got.double(), value, rtol=1e-6, atol=1e-7)
            largest = max(largest, close(got, value, 1e-6))
    record_property('state', largest)


@every_case('cutmix_seg', 'vat_perturbation')
def test_vat(case, record_property):
    data = case.load()
    weights = [data[f'conv{i}_{name}'] for i in (1, 2) for name in ('weight', 'bias')]

    def predict(image):
        hidden = F.conv2d(image, weights[0], weights[1], padding=1).relu()
        return F.conv2d(hidden, weights[2], weights[3])

    logits = predict(data.x)
    record_property('logits', close(logits, data.logits, data.tolerance(1e-5)))
    pixels = data.x[0, 0].numel()
    arguments = (predict, data.x_hat, logits.softmax(1), data.noise)
    xi = data.noise_base * pixels / 1000
    # the released gradient is that of xi d
    settings = dict(xi=xi, kind=KINDS[data.cons_loss_fn], guard=1e-12 * xi)
    direction = functional.adversarial_direction(*arguments, **settings)
    record_property('direction', close(direction, data.direction, data.tolerance(1e-4)))
    radius = (
        functional.adaptive_radius(data.x_hat, data.vat_radius)
        if data.adaptive_vat_radius
        else data.vat_radius * data.x[0].numel() ** 0.5
    )
    perturbation = functional.adversarial_direction(*arguments, eps=radius, **settings)
    error = close(perturbation, data.perturbation, data.tolerance(1e-4))
    record_property('perturbation', error)
    after = functional.pixel_consistency(
        predict(data.x_hat + perturbation), logits.softmax(1), 'kl'
    ).sum()
    assert (after / len(data.x)).item() == pytest.approx(data.kl_after, rel=data.tolerance(1e-4))
