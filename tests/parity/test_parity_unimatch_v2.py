# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of UniMatch V2 gives on stored inputs (``oracles/unimatch_v2``)."""

import torch
from released_code import close, every_case

from mmseg_ctt import functional


@every_case('unimatch_v2', 'complementary_dropout')
def test_complementary_dropout(case, record_property):
    data = case.load()
    batch = len(data.permutation)
    keys = torch.empty(batch)
    keys[data.permutation] = torch.arange(batch) / batch
    levels = [name for name in vars(data) if name.startswith('features_')]
    assert levels
    for name in levels:
        got = functional.complementary_channel_dropout(
            data[name], 1 - data.bernoulli, keys, channel_dim=-1
        )
        assert torch.equal(got.double(), data[name.replace('features', 'dropped')])
    record_property('mismatches', 0)


@every_case('unimatch_v2', 'ema')
def test_ema(case, record_property):
    """Parameters and float buffers; integers are no part of the functional core."""
    data = case.load()
    teacher, largest = [data.param_start.clone(), data.buffer_start.clone()], 0.0
    for step, iteration in enumerate(data.iters.tolist()):
        alpha = functional.ema_decay(iteration, 0.996)
        assert abs(alpha - data.ratio[step].item()) <= 1e-12
        functional.ema_update_(teacher, [data.param[step], data.buffer[step]], alpha)
        for got, want in zip(teacher, (data.param_ema[step], data.buffer_ema[step])):
            torch.testing.assert_close(got.double(), want, rtol=1e-6, atol=1e-7)
            largest = max(largest, close(got, want, 1e-6))
    record_property('state', largest)


@every_case('unimatch_v2', 'training_step')
def test_training_step(case, record_property):
    """Two strong views whose partner is the batch in reverse order, from their logits."""
    data = case.load()
    names = ('pred_x', 'pred_u_s1', 'pred_u_s2')
    leaves = {name: data[name].requires_grad_() for name in names}
    label, confidence = functional.pseudo_label(data.pred_u_w)
    flipped = torch.arange(len(label) - 1, -1, -1)
    losses = dict(loss_x=functional.cross_entropy(leaves['pred_x'], data.mask_x))
    for view in (1, 2):
        outside = data[f'cutmix_box{view}'] == 0
        mixed_label, mixed_confidence, ignored = (
            functional.mix(value, outside, partner=flipped)
            for value in (label, confidence, data.ignore_mask)
        )
        valid = ignored != 255
        losses[f'loss_u_s{view}'] = functional.consistency_loss(
            leaves[f'pred_u_s{view}'],
            mixed_label,
            weight=functional.confidence_weight(mixed_confidence, data.conf_thresh, valid=valid),
            normalizer=valid.sum(),
        )
    losses['loss'] = losses['loss_x'] / 2 + (losses['loss_u_s1'] + losses['loss_u_s2']) / 4
    losses['loss'].backward()
    for name, loss in losses.items():
        record_property(name, close(loss, data[name], data.tolerance(1e-5)))
    for name, leaf in leaves.items():
        error = close(leaf.grad, data[f'grad_{name}'], data.tolerance(1e-5))
        record_property(f'gradient {name}', error)
    valid = data.ignore_mask != 255
    kept = functional.confidence_weight(confidence, data.conf_thresh, valid=valid)
    assert abs((kept.sum() / valid.sum()).item() - data.mask_ratio) <= 1e-6
