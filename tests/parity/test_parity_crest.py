# Copyright (c) mmseg_ctt contributors.
"""Thresholds of pixels in CReST against those of DST-CBC on stored inputs (``oracles/dmt``)."""

import torch
from released_code import every_case

from mmseg_ctt import functional


@every_case('dmt', 'generate_class_balanced_pseudo_labels')
def test_class_thresholds(case, record_property):
    """Class-balanced thresholds, up to the width of a bin."""
    data = case.load()
    ratio, bins = data.label_ratio, 2**20
    classes, step = len(data.thresholds), data.down_sample_rate
    histogram = torch.zeros(classes, bins, dtype=torch.long)
    for logits, h, w in zip(data.logits, data.heights, data.widths):
        cropped = logits[:, :h, :w].double().softmax(0)
        confidence, label = (value.flatten()[::step] for value in cropped.max(dim=0))
        cell = label * bins + (confidence * (bins - 1)).round().long()
        histogram += cell.bincount(minlength=classes * bins).view(classes, bins)
    total = histogram.sum(1)
    usual = (total > 0) & (total * ratio >= 1)  # with less than one pixel it keeps everything
    got = functional.class_thresholds(histogram, torch.full((classes,), ratio)).double()
    error = (got / (bins - 1) - data.thresholds).abs()[usual]
    assert (error <= 1e-6).all()
    record_property('threshold', error.max().item() if len(error) else 0.0)
