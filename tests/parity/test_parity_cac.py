# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CAC gives on stored inputs (``oracles/cac``)."""

import torch
import torch.nn.functional as F
from released_code import close, every_case, rows

from mmseg_ctt.functional import pseudo_label
from mmseg_ctt.functional.unit import unit
from mmseg_ctt.methods.cac.contrast import CropPixels, DirectionalContrast
from mmseg_ctt.methods.cac.functional import flip_back, matching_pixels

CELL = 8  # pixels of a feature


def crop_pixels(data, feature, flip):
    """Pixels of one crop, as they lie in the image."""
    logits = F.conv2d(feature, data.classifier_weight, data.classifier_bias)
    label, confidence = (flip_back(map_.unsqueeze(1), flip) for map_ in pseudo_label(logits))
    rows_ = flip_back(feature, flip).flatten(2).transpose(1, 2)
    return CropPixels(unit(rows_), label.flatten(1), confidence.flatten(1))


def box(upper_left, lower_right, size):
    """``(B, h * w)`` bool, features of the overlap; corners ``(2, B)`` in pixels."""
    cells = torch.arange(size)
    first, last = upper_left.t() // CELL, lower_right.t() // CELL
    inside = (cells >= first.unsqueeze(2)) & (cells < last.unsqueeze(2))  # (B, 2, size)
    return (inside[:, 0].unsqueeze(2) & inside[:, 1].unsqueeze(1)).flatten(1)


@every_case('cac', 'directional_contrast')
def test_directional_contrast(case, record_property):
    """Losses of every step, while the memory fills, and the gradient of the last one."""
    data = case.load()
    steps, images, _, width, size, _ = data.features.shape
    drawn = data.draw_1.shape[1]
    part = DirectionalContrast(
        num_classes=len(data.classifier_bias),
        width=width,
        bank=dict(size=2 * drawn * (data.step_save + 1), budget=2 * drawn),
        dim=width,
        temperature=data.temp,
        positive_threshold=data.pos_thresh_value,
        epsilon=1e-8,
    )
    part.bank.features = part.bank.features.to(data.features)
    errors = []
    for step in range(steps):
        features = data.features[step].clone().requires_grad_()
        first, second = (
            crop_pixels(data, features[:, view], data.flip[step, view]) for view in (0, 1)
        )
        for view, draw in enumerate((data.draw_1, data.draw_2)):  # of the crops as they are
            given = features[:, view].detach()
            logits = F.conv2d(given, data.classifier_weight, data.classifier_bias)
            label = pseudo_label(logits)[0].flatten()[draw[step]]
            keys = unit(rows(given))[draw[step]]
            part.bank.update(keys.unsqueeze(0), label.unsqueeze(0), label.unsqueeze(0).float())
        assert int(part.bank.count) == data.bank_size[step]
        shift = (data.ul2[step] // CELL - data.ul1[step] // CELL).t()
        index, inside = matching_pixels(shift, (size, size))
        shared = box(data.ul1[step], data.br1[step], size)
        assert not (shared & ~inside).any()
        losses = part.directions(first, second.at(index), shared)[0]
        for loss, want in zip(losses, (data.loss1[step], data.loss2[step])):
            errors.append(close(loss, want, data.tolerance(2e-5)))
        total = data.weight_unsup * losses.sum()
        close(total, data.loss_unsup[step], data.tolerance(2e-5))
        total.backward()
    record_property('loss', max(errors))
    record_property('gradient', close(features.grad, data.grad_features, data.tolerance(3e-5)))
