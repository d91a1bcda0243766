# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of PrevMatch gives on stored inputs (``oracles/prevmatch``)."""

import torch
from released_code import close, every_case

from mmseg_ctt import functional
from mmseg_ctt.methods.prevmatch.functional import ensemble_logits, ring_order, triangular_weight

WEIGHTINGS = dict(pixelwise='threshold', pixelratio='image_ratio', pixelavg='mean_confidence')


@every_case('prevmatch', 'get_previous_logits')
def test_ensemble(case, record_property):
    data = case.load()
    number = data.draw_num if data.random_select else data.max_num
    assert data.number_used == min(number, len(data.prev_logits)) == len(data.draw_models)
    drawn = data.prev_logits[data.draw_models]
    logits = ensemble_logits(list(drawn), data.draw_weights.tolist())
    record_property('logits', close(logits, data.logits, 1e-6))
    label, confidence = functional.pseudo_label(logits)
    assert torch.equal(label, data.label)
    record_property('confidence', close(confidence, data.confidence, 1e-6))


@every_case('prevmatch', 'schedule')
def test_schedule(case, record_property):
    """Which past models there are in each epoch, and their weight."""
    data = case.load()
    stored = []
    for epoch in range(data.total_epochs):
        if epoch and data.is_best[epoch - 1] and epoch >= data.base_only_epoch:
            stored.append(epoch - 1)
        order = ring_order(len(stored), data.list_max_len)
        ring = dict((i % data.list_max_len, best) for i, best in enumerate(stored))
        want = [number for number in data.stored_after_epoch[epoch].tolist() if number >= 0]
        assert [ring[position] for position in order] == want
        weight = triangular_weight(epoch, data.total_epochs)
        assert abs(weight - data.lambda_value[epoch].item()) <= 1e-12
    record_property('mismatches', 0)


@every_case('prevmatch', 'training_step')
def test_training_step(case, record_property):
    """Terms of the student's own labels and of those of past models, from logits."""
    data = case.load()
    names = ('x', 'u_s1', 'u_s2', 'u_w_fp')
    leaves = {name: data[f'pred_{name}'].requires_grad_() for name in names}

    def terms(weak, partner, threshold, mode):
        """0.25, 0.25 and 0.5 times the losses of strong views and perturbed features."""

        def loss_of(name, label, confidence, ignored):
            valid = ignored != 255
            weighting = WEIGHTINGS[mode]
            weight = functional.confidence_weight(confidence, threshold, weighting, valid)
            if weighting != 'threshold':  # the released code then trains on invalid pixels too
                weight = weight.amax((1, 2), keepdim=True).expand_as(weight)
            return functional.consistency_loss(
                leaves[name], label, weight=weight, normalizer=valid.sum()
            )

        weak, partner = (functional.pseudo_label(logits) for logits in (weak, partner))
        total = 0.5 * loss_of('u_w_fp', *weak, data.ignore_mask)
        for view in (1, 2):
            outside = data[f'cutmix_box{view}'] == 0
            pairs = (*zip(weak, partner), (data.ignore_mask, data.ignore_mask_mix))
            mixed = [torch.where(outside, *pair) for pair in pairs]
            total = total + 0.25 * loss_of(f'u_s{view}', *mixed)
        return total

    losses = dict(
        loss_x=functional.cross_entropy(leaves['x'], data.mask_x),
        loss_standard=terms(data.pred_u_w, data.pred_u_w_mix, data.conf_thresh, 'pixelwise'),
    )
    weight = 0.0
    if 'pred_u_w_prev' in data:
        weight = data.current_lambda
        past = terms(*data.pred_u_w_prev.chunk(2), data.prev_conf_thresh, data.prev_conf_mode)
        losses['loss_prev'] = weight * past
    losses['loss'] = sum(losses.values()) / (2 + weight)
    losses['loss'].backward()
    for name, loss in losses.items():
        record_property(name, close(loss, data[name], data.tolerance(1e-5)))
    for name, leaf in leaves.items():
        error = close(leaf.grad, data[f'grad_pred_{name}'], data.tolerance(1e-5))
        record_property(f'gradient {name}', error)
