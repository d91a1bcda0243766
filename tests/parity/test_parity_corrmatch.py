# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CorrMatch gives on stored inputs (``oracles/corrmatch``)."""

import torch
import torch.nn.functional as F
from released_code import close, every_case

from mmseg_ctt import functional
from mmseg_ctt.methods.corrmatch import functional as corrmatch


@every_case('corrmatch', 'ThreshController')
def test_threshold(case, record_property):
    data = case.load()
    threshold = torch.tensor(data.thresh_init)
    largest = 0.0
    for step, logits in enumerate(data.pred):
        label, confidence = functional.pseudo_label(logits)
        label = label.masked_fill(data.ignore_mask[step] == 255, 255)
        maxima = corrmatch.class_maxima(confidence, label, data.num_classes)
        present = maxima[maxima > 0]
        value = present.mean() if len(present) else -1.0
        largest = max(largest, close(value, data.batch_value[step], 1e-6))
        threshold = corrmatch.threshold_update(threshold, maxima, data.momentum)
        largest = max(largest, close(threshold, data.thresh_global[step], 1e-6))
    record_property('threshold', largest)


@every_case('corrmatch', 'Corr')
def test_correlation(case, record_property):
    data = case.load()
    feature = data.feature.requires_grad_()
    query, key = (F.conv2d(feature, data[f'conv{i}_weight'], data[f'conv{i}_bias']) for i in (1, 2))
    correlation = corrmatch.pixel_correlation(query, key)
    logits = F.interpolate(data.out, feature.shape[2:], mode='bilinear', align_corners=True)
    spread = corrmatch.spread_logits(logits, correlation, transposed=True)
    record_property('spread', close(spread, data.corr_out, data.tolerance(1e-5)))
    index = data.sample_index.expand(len(feature), -1)
    size = tuple(data.out.shape[2:])
    regions = corrmatch.region_masks(correlation.detach(), index, size, align_corners=True)
    assert torch.equal(regions, data.corr_map)
    factor = torch.linspace(-1, 1, spread.numel(), dtype=spread.dtype).view(spread.shape)
    (spread * factor).sum().backward()
    record_property('gradient', close(feature.grad, data.grad_feature, data.tolerance(1e-5)))


@every_case('corrmatch', 'training_step')
def test_training_step(case, record_property):
    """From logits and regions, with the released order of regions and the released divergence."""
    data = case.load()
    names = ('x', 'x_corr', 'u_s1', 'u_s1_corr', 'u_w_corr', 'u_w_fp')
    leaves = {name: data[f'pred_{name}'].requires_grad_() for name in names}
    classes = data.pred_x.shape[1]
    weak, partner = (functional.pseudo_label(data[f'pred_u_w{name}']) for name in ('', '_mix'))
    outside, valid = data.cutmix_box1 == 0, data.ignore_mask != 255
    masks = (*zip(weak, partner), (data.ignore_mask, data.ignore_mask_mix))
    label, confidence, ignored = (torch.where(outside, *pair) for pair in masks)
    mixed_valid = ignored != 255

    # the released threshold takes the weak view with the padding of the mixed image
    maxima = corrmatch.class_maxima(weak[1], weak[0].masked_fill(~mixed_valid, 255), classes)
    before = torch.tensor(data.thresh_init, dtype=data.pred_x.dtype)
    threshold = corrmatch.threshold_update(before, maxima, data.momentum)
    record_property('threshold', close(threshold, data.thresh_global, 1e-6))
    kept = (confidence >= threshold) & mixed_valid
    regions = data.pred_u_w_corr_map & (outside & mixed_valid)[:, None]
    grown, grown_kept = corrmatch.propagate_regions(
        label, kept, regions, threshold, classes, sequential=True
    )
    for name, got in dict(
        label_before=label, label_after=grown, kept_before=kept, kept_after=grown_kept
    ).items():
        assert torch.equal(got, data[name]), name

    def loss_of(name, target, weight, counted, kind='hard'):
        return functional.consistency_loss(
            leaves[name], target, kind, weight, normalizer=counted.sum()
        )

    certain = (weak[1] >= threshold) & valid
    losses = dict(
        loss_x=functional.cross_entropy(leaves['x'], data.mask_x),
        loss_x_corr=functional.cross_entropy(leaves['x_corr'], data.mask_x),
        loss_u_s1=loss_of('u_s1', grown, grown_kept, mixed_valid),
        loss_u_kl=loss_of('u_s1', data.pred_u_w.softmax(1), kept, mixed_valid, 'kl'),
        loss_u_w_fp=loss_of('u_w_fp', weak[0], certain, valid),
        loss_u_corr=0.5
        * (
            loss_of('u_s1_corr', grown, grown_kept, mixed_valid)
            + loss_of('u_w_corr', weak[0], certain, valid)
        ),
    )
    labels = 0.5 * (losses['loss_x'] + losses['loss_x_corr'])
    others = [losses[f'loss_u_{name}'] for name in ('s1', 'kl', 'w_fp', 'corr')]
    losses['loss'] = (labels + 0.25 * sum(others)) / 2
    losses['loss'].backward()
    for name, loss in losses.items():
        record_property(name, close(loss, data[name], data.tolerance(1e-5)))
    for name, leaf in leaves.items():
        error = close(leaf.grad, data[f'grad_pred_{name}'], data.tolerance(1e-5))
        record_property(f'gradient {name}', error)
