# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CCT gives on stored inputs (``oracles/cct``)."""

import cv2
import pytest
import torch
import torch.nn.functional as F
from released_code import close, every_case

from mmseg_ctt import functional
from mmseg_ctt.methods.cct.decoders import ShuffleDecoder

CORNERS = 50  # the released code cuts objects whose outline has more of them
RAMPS = dict(
    sigmoid_rampup=functional.sigmoid_ramp,
    cosine_rampup=functional.cosine_ramp,
    linear_rampup=functional.linear_ramp,
)
LOSSES = dict(MSE='squared', KL='kl', JS='middle_kl')


@every_case('cct', 'get_r_adv')
def test_adversarial_direction(case, record_property):
    data = case.load()
    weights = [data[f'conv{i}_{name}'] for i in (1, 2) for name in ('weight', 'bias')]

    def predict(feature):
        hidden = F.conv2d(feature, weights[0], weights[1], padding=1).relu()
        return F.conv2d(hidden, weights[2], weights[3])

    target, images = predict(data.x).softmax(1), len(data.x)
    got = functional.adversarial_direction(
        predict,
        data.x,
        target,
        data.noise - 0.5,
        eps=data.eps,
        xi=data.xi,
        num_iterations=data.iterations,
        guard=1e-8 * images,  # the released gradient is that of a mean over images
    )
    record_property('r_adv', close(got, data.r_adv, data.tolerance(1e-3)))
    after = functional.pixel_consistency(predict(data.x + got), target, 'kl').sum() / images
    assert after.item() == pytest.approx(data.kl_after, rel=data.tolerance(1e-3))


def decoder(data):
    """The decoder of a case, with its weights."""
    stages = sum(name.startswith('conv') and name.endswith('bias') for name in vars(data))
    width, channels = data.conv_in_weight.shape[:2]
    made = ShuffleDecoder(channels, width, 2**stages)
    names = {'conv_in_weight': 'classify.weight'}
    for i in range(stages):
        for kind in ('weight', 'bias'):
            names[f'conv{i + 1}_{kind}'] = f'enlarge.{i}.{kind}'
    made.load_state_dict({own: data[name] for name, own in names.items()})
    return made


@every_case('cct', 'decoders')
def test_decoders_of_perturbed_features(case, record_property):
    data = case.load()
    made, size = decoder(data), data.x.shape[2:]
    objects = functional.downsample_nearest(data.pred_argmax > 0, size).unsqueeze(1)
    # a kept channel has a number above the rate, a dropped one a number below
    keep = torch.where(data.keep, 1.0, 0.0) * 0.999
    largest = dict(output=0.0, gradient=0.0)
    for name, perturb in dict(
        main=lambda x: x,
        feature_drop=lambda x: functional.feature_dropout(x, torch.tensor(data.threshold_factor)),
        feature_noise=lambda x: functional.uniform_feature_noise(
            x, 0.3, (data.noise / 0.3 + 1) / 2
        ),
        context=lambda x: x * objects,
        object=lambda x: x * ~objects,
        dropout=lambda x: functional.channel_dropout(x, data.drop_rate, keep),
    ).items():
        x = data.x.clone().requires_grad_()
        got = made(perturb(x))
        (got * torch.linspace(-1, 1, got.numel()).view_as(got)).sum().backward()
        output = close(got, data[f'out_{name}'], data.tolerance(1e-5))
        gradient = close(x.grad, data[f'grad_x_{name}'], data.tolerance(1e-5))
        largest = dict(
            output=max(largest['output'], output), gradient=max(largest['gradient'], gradient)
        )
    for name, error in largest.items():
        record_property(name, error)


@every_case('cct', 'guided_cutout')
def test_guided_cutout(case, record_property):
    """The windows, in the boxes of outlines by OpenCV; ours has a box of each connected object."""
    data = case.load()
    masks, limits, draws = [], data.draw_high.tolist(), data.draw.tolist()
    for label in data.pred_argmax:
        mask = (label > 0).to(torch.uint8).numpy()
        outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[-2]
        outlines = [outline[:, 0] for outline in outlines if len(outline) > CORNERS]
        boxes = torch.zeros(1, max(len(outlines), 1), 4, dtype=torch.long)
        noise = torch.zeros(1, boxes.shape[1], 2)
        for i, outline in enumerate(outlines):
            boxes[0, i] = torch.tensor([*outline.min(0).tolist(), *outline.max(0).tolist()])
            for axis in range(2):
                noise[0, i, axis] = (draws.pop(0) + 0.5) / (limits.pop(0) + 1)
        exist = torch.arange(boxes.shape[1])[None] < len(outlines)
        cut = functional.erased_windows(boxes, exist, noise, data.erase, tuple(label.shape))
        masks.append(~functional.downsample_nearest(cut, data.size.tolist()))
    assert torch.equal(torch.stack(masks), data.mask.bool()) and not draws
    record_property('mismatches', 0)


@every_case('cct', 'unsupervised_loss')
def test_unsupervised_loss(case, record_property):
    data = case.load()
    kind, target = LOSSES[data.loss_type], data.main.softmax(1)
    outputs = [data[name].requires_grad_() for name in vars(data) if name.startswith('aux_')]
    weight, number = None, None
    if data.confidence_masking:
        weight = target.max(1).values > data.confidence_th
        number = float(weight.sum()) if kind == 'squared' else None
    losses = []
    for logits in outputs:
        reduction = 'sum' if data.confidence_masking and kind != 'squared' else 'mean'
        losses.append(functional.consistency_loss(logits, target, kind, weight, number, reduction))
    loss = torch.stack(losses).mean()
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    errors = [
        close(logits.grad, data[f'grad_aux_{i}'], data.tolerance(2e-5))
        for i, logits in enumerate(outputs)
    ]
    record_property('gradient', max(errors))


@every_case('cct', 'consistency_weight')
def test_weight_of_the_consistency(case, record_property):
    data = case.load()
    start, end = (
        round(value * data.iters_per_epoch) for value in (data.rampup_starts, data.rampup_ends)
    )
    got = []
    for epoch, iteration in zip(data.epoch.tolist(), data.curr_iter.tolist()):
        done = epoch * data.iters_per_epoch + iteration - start
        ramp = RAMPS[data.ramp_type](done / (end - start)) if done >= 0 else 0.0
        got.append(data.final_w * ramp)
    record_property('weight', close(torch.tensor(got, dtype=torch.float64), data.weight, 1e-12))
