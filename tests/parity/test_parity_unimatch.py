# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of UniMatch gives on stored inputs (``oracles/unimatch``)."""

import torch
from released_code import close, every_case

from mmseg_ctt import functional

WEIGHTINGS = dict(pixelwise='threshold', pixelratio='image_ratio', pixelavg='mean_confidence')


@every_case('unimatch', 'confidence_weighted_loss')
def test_confidence_weighted_loss(case, record_property):
    data = case.load()
    valid = data.ignore_mask != 255
    weighting = WEIGHTINGS[data.conf_mode]
    weight = functional.confidence_weight(data.conf_map, data.conf_thresh, weighting, valid)
    if weighting != 'threshold':  # the released code then trains on invalid pixels too
        weight = weight.amax((1, 2), keepdim=True).expand_as(weight)
    logits = data.predict.requires_grad_()
    loss = functional.consistency_loss(logits, data.target, weight=weight, normalizer=valid.sum())
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_predict, data.tolerance(1e-5)))


@every_case('unimatch', 'cutmix')
def test_cutmix(case, record_property):
    """A second batch as partner, and the batch itself in reverse order (UniMatch V2)."""
    data = case.load()
    outside = data.cutmix_box == 0
    size = len(outside)
    flipped = torch.arange(size - 1, -1, -1)
    for name in ('image', 'mask', 'conf', 'ignore_mask'):
        both = torch.cat([data[name], data[f'{name}_mix']])
        mixed = functional.mix(both, torch.cat([outside, outside]), shift=size)[:size]
        assert torch.equal(mixed, data[f'{name}_cutmixed'])
        mixed = functional.mix(data[name], outside, partner=flipped)
        assert torch.equal(mixed, data[f'{name}_cutmixed_flip'])
    record_property('mismatches', 0)


def to_unit(draw, low, high):
    """Draws from ``[low, high]`` as numbers in [0, 1]; padding of other values as 0."""
    return ((draw - low) / (high - low)).clamp(min=0) if high > low else torch.zeros_like(draw)


@every_case('unimatch', 'obtain_cutmix_box')
def test_boxes(case, record_property):
    data = case.load()
    side, (boxes, tries) = data.img_size, data.ratio.shape
    drawn = [
        to_unit(data.ratio, data.ratio_1, data.ratio_2),
        (data.x + 0.5) / side,
        (data.y + 0.5) / side,
    ]
    size = to_unit(data.size_fraction, data.size_min, data.size_max)
    noise = torch.cat([torch.stack([data.coin, size], 1), torch.stack(drawn, 2).flatten(1)], 1)
    masks = functional.rejection_box_mask(
        torch.zeros(boxes, side, side),
        area=(data.size_min, data.size_max),
        ratio=(data.ratio_1, data.ratio_2),
        prob=data.p,
        num_tries=tries,
        noise=noise,
    )
    assert torch.equal(masks, data.box.bool())
    record_property('mismatches', 0)


@every_case('unimatch', 'ProbOhemCrossEntropy2d')
def test_ohem(case, record_property):
    data = case.load()
    logits = data.pred.requires_grad_()
    loss = functional.ohem_cross_entropy(
        logits, data.target, data.thresh, data.min_kept, data.ignore_index
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(logits.grad, data.grad_pred, data.tolerance(1e-5)))


@every_case('unimatch', 'training_step')
def test_training_step(case, record_property):
    """Two strong views and one of perturbed features, from their logits."""
    data = case.load()
    names = ('pred_x', 'pred_u_s1', 'pred_u_s2', 'pred_u_w_fp')
    leaves = {name: data[name].requires_grad_() for name in names}
    weak, partner = (functional.pseudo_label(data[f'pred_u_w{name}']) for name in ('', '_mix'))
    masks = data.ignore_mask, data.ignore_mask_mix

    def loss_of(logits, label, confidence, ignored):
        valid = ignored != 255
        weight = functional.confidence_weight(confidence, data.conf_thresh, valid=valid)
        return functional.consistency_loss(logits, label, weight=weight, normalizer=valid.sum())

    losses = dict(loss_x=functional.cross_entropy(leaves['pred_x'], data.mask_x))
    for view in (1, 2):
        outside = data[f'cutmix_box{view}'] == 0
        mixed = [
            functional.mix(torch.cat(pair), torch.cat([outside, outside]), shift=len(outside))
            for pair in (*zip(weak, partner), masks)
        ]
        mixed = [value[: len(outside)] for value in mixed]
        losses[f'loss_u_s{view}'] = loss_of(leaves[f'pred_u_s{view}'], *mixed)
    losses['loss_u_w_fp'] = loss_of(leaves['pred_u_w_fp'], *weak, data.ignore_mask)
    losses['loss'] = (
        losses['loss_x']
        + 0.25 * (losses['loss_u_s1'] + losses['loss_u_s2'])
        + 0.5 * losses['loss_u_w_fp']
    ) / 2
    losses['loss'].backward()
    for name, loss in losses.items():
        record_property(name, close(loss, data[name], data.tolerance(1e-5)))
    for name, leaf in leaves.items():
        error = close(leaf.grad, data[f'grad_{name}'], data.tolerance(1e-5))
        record_property(f'gradient {name}', error)
    valid = data.ignore_mask != 255
    kept = functional.confidence_weight(weak[1], data.conf_thresh, valid=valid)
    assert abs((kept.sum() / valid.sum()).item() - data.mask_ratio) <= 1e-6
