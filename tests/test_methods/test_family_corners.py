# Copyright (c) mmseg_ctt contributors.
"""Corners of every method, half precision, memory format, and no waiting for the device."""

import pytest
import torch
from family import (
    EVERY_RECIPE,
    WITH_CONSISTENCY,
    assert_finite,
    contrast_off,
    ready,
    segmentor_of,
    step,
    trained_weights,
    unmixed,
)
from no_sync import record
from toy import losses_of, prepared, total_of, toy_batch
from versions import COUNTED

from mmseg_ctt.methods import checks

WIDTH = 20  # columns of content


# ---- corners


@EVERY_RECIPE
@pytest.mark.parametrize('active', [True, False])
@pytest.mark.parametrize('label', [2, 255], ids=['one class', 'every label ignored'])
def test_absent_classes_and_ignored_labels(recipe, label, active):
    model = ready(recipe)
    model, batch = model if active else contrast_off(model), toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(label)
    losses = step(model, batch)
    assert_finite(model, losses)
    assert set(losses) == set(losses_of(ready(recipe), toy_batch()))
    if label == 255:
        assert all(losses[key] == 0 for key in losses if key.endswith('decode.loss_ce'))


@WITH_CONSISTENCY
@pytest.mark.parametrize('threshold', [0.0, 1.0])
def test_all_or_no_pixel_is_confident(recipe, threshold):
    settings = dict(recipe.settings.get('consistency', {}), confidence_threshold=threshold)
    settings.pop('class_thresholds', None)
    model = ready(recipe, consistency=settings)
    losses = step(model)
    assert_finite(model, losses)
    ratios = [value for key, value in losses.items() if key.endswith('confident_ratio')]
    assert all(ratio > 0 if threshold == 0 else ratio == 0 for ratio in ratios)


@EVERY_RECIPE
def test_networks_that_are_certain_of_one_class(recipe):
    model = ready(recipe)
    with torch.no_grad():
        for name in model.members:
            layer = model.member(name).decode_head.conv_seg
            (layer.weight if layer.bias is None else layer.bias)[-1] = 1e4
    assert_finite(model, step(model))


@EVERY_RECIPE
def test_features_of_zeros(recipe):
    model = ready(recipe)
    with torch.no_grad():
        for name in model.members:
            body = model.member(name).backbone.body
            body.weight.zero_()
            body.bias.zero_()
    assert_finite(model, step(model))


@EVERY_RECIPE
def test_one_image_a_source_where_nothing_is_mixed(recipe):
    model = ready(recipe, **unmixed(recipe))
    assert_finite(model, step(model, toy_batch(1, 1)))


@EVERY_RECIPE
def test_one_image_cannot_be_mixed(recipe):
    """Either the method does not mix, or one sentence says what to raise."""
    model = ready(recipe)
    try:
        losses = losses_of(model, toy_batch(1, 1))
    except ValueError as error:
        assert 'train_dataloader.batch_size' in str(error) and '\n' not in str(error)
    else:
        assert all(torch.isfinite(value) for value in losses.values())


# ---- precision, memory format, host


@EVERY_RECIPE
@pytest.mark.parametrize('active', [True, False])
def test_half_precision(recipe, active):
    plain, model = ready(recipe), ready(recipe)
    if not active:
        contrast_off(plain), contrast_off(model)
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert_finite(model, losses)
    for key, value in losses_of(plain, toy_batch()).items():
        assert losses[key].dtype == torch.float32, key
        torch.testing.assert_close(losses[key], value, rtol=0.15, atol=0.03, msg=key)
    for name, value in plain.state_dict().items():
        assert model.state_dict()[name].dtype == value.dtype, name
        assert not value.is_floating_point() or value.dtype == torch.float32, name


@EVERY_RECIPE
def test_channels_last_changes_no_value(recipe):
    plain, model = ready(recipe), ready(recipe, channels_last=True)
    model.load_state_dict(plain.state_dict())  # random numbers were drawn in the order of memory
    for name, weight in model.named_parameters():
        if weight.dim() == 4:
            assert weight.is_contiguous(memory_format=torch.channels_last), name
    losses, want = step(model), step(plain)
    for key, value in want.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-3, atol=1e-5, msg=key)
    for name, weight in trained_weights(model).items():
        if weight.dim() == 4:
            assert weight.grad.is_contiguous(memory_format=torch.channels_last), name


@EVERY_RECIPE
def test_compiled_ops_keep_the_usual_memory_format(recipe, monkeypatch):
    """Deformable convolution of mmcv stops at tensors in channels_last."""
    lines = []
    monkeypatch.setattr(checks, 'print_log', lambda line, *_: lines.append(line))
    segmentor = {**segmentor_of(recipe), 'backbone': dict(type='ToyCompiledBackbone')}
    model = ready(recipe, channels_last=True, segmentor=segmentor)
    assert all(weight.is_contiguous() for weight in model.parameters())
    assert len(lines) == 1 and 'model.channels_last has no effect: DeformConv2d' in lines[0]


@COUNTED
@EVERY_RECIPE
@pytest.mark.parametrize('padded', [False, True])
def test_no_host_synchronisation(recipe, padded):
    model = ready(recipe)
    data = prepared(model)
    if padded:
        for sample in data['data_samples'][model.sources[-1]]:
            sample.set_metainfo(dict(img_shape=(32, WIDTH)))

    def whole():
        losses = model(**data, mode='loss')
        total_of(losses, model).backward()

    whole()
    assert record(whole) == []
