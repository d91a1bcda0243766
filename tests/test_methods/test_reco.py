# Copyright (c) mmseg_ctt contributors.
"""ReCo, written out; its mathematics is in test_pixel_contrasts.py."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from toy import losses_of, prepared, toy_batch, toy_model, toy_settings

STILL = []  # the strong view is the weak one


def ready(seed=11, **settings):
    """A model whose teacher is certain of some pixels."""
    own = toy_settings('ReCo')
    settings['contrast'] = {**own['contrast'], **settings.get('contrast', {})}
    model = toy_model('ReCo', **{**own, **settings})
    torch.manual_seed(seed)
    for name in ('student0', 'teacher0'):
        model.member(name).decode_head.conv_seg.weight.data.normal_(std=0.1)
    return model


def up(logits):
    return F.interpolate(logits, (32, 32), mode='bilinear', align_corners=False)


def contrast_of(batch=None, **settings):
    return losses_of(ready(**settings), batch or toy_batch())['student0.loss_contrast']


def test_a_step_by_hand():
    """Each image's cross-entropy is weighted by its own ratio of confident pixels."""
    threshold = 0.27
    model, twin = (ready(strong_augmentation=STILL) for _ in range(2))
    losses = losses_of(model, toy_batch(2, 3))
    data = prepared(twin, toy_batch(2, 3))
    x, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    truth = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])
    teacher = up(twin.forward_member('teacher0', weak)[0].logits).softmax(1)
    confidence, pseudo = teacher.max(1)
    on_labeled, on_view = twin.forward_member('student0', x, weak)
    ratio = (confidence >= threshold).float().mean((1, 2))
    assert len(set(ratio.tolist())) == 3 and 0 < ratio.min() < ratio.max() < 1
    each = F.cross_entropy(up(on_view.logits), pseudo, reduction='none').mean((1, 2))
    torch.testing.assert_close(losses['student0.loss_unsup'], (ratio * each).mean())
    torch.testing.assert_close(losses['student0.confident_ratio'], ratio.mean())
    torch.testing.assert_close(
        losses['student0.decode.loss_ce'], F.cross_entropy(up(on_labeled.logits), truth)
    )
    assert losses['student0.loss_contrast'] > 0


def test_thresholds():
    few = contrast_of(contrast=dict(weak_threshold=1.0))  # labelled pixels alone
    many = contrast_of(contrast=dict(weak_threshold=0.0))
    assert few > 0 and many > 0 and few != many
    assert contrast_of(contrast=dict(strong_threshold=0.0)) == 0  # no pixel is a query
    batch = toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg = PixelData(data=torch.full((1, 32, 32), 255))
    assert contrast_of(batch, contrast=dict(weak_threshold=1.0)) == 0  # no pixel takes part


def test_one_class_alone_is_not_contrasted():
    batch = toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(1)
    assert contrast_of(batch, contrast=dict(weak_threshold=1.0)) == 0


def test_which_pixels_take_part():
    model = ready(contrast=dict(weak_threshold=0.27, strong_threshold=0.26))
    data = prepared(model)
    target = torch.full((2, 32, 32), 3)
    target[0, :, 16:] = 255  # padding
    confidence = torch.where(torch.arange(32).view(1, 32, 1) < 16, 0.5, 0.1).expand(2, 32, 32)
    confidence = confidence.masked_fill(target == 255, 0)
    truth = torch.stack([s.gt_sem_seg.data[0] for s in data['data_samples']['labeled']])
    truth[1, :8] = 255
    outputs = model.forward_member('student0', *data['inputs'].values())
    pseudo = model.pseudo_label(outputs[1].logits, _images(data)).__class__(target, confidence)
    pixels = model.contrast._pixels(outputs, truth, pseudo)
    valid, hard = (map_.view(4, 8, 8) for map_ in (pixels.valid, pixels.hard))
    assert valid[0].all() and not valid[1, :2].any() and valid[1, 2:].all()
    assert valid[2, :4, :4].all() and valid[2].sum() == 16
    assert valid[3, :4].all() and not valid[3, 4:].any()
    prob = torch.cat([output.logits for output in outputs]).softmax(1)
    label = pixels.label.view(4, 8, 8).masked_fill(~valid, 0)
    own = prob.gather(1, label.unsqueeze(1)).squeeze(1)
    assert torch.equal(hard, valid & (own < 0.26)) and hard.any() and (valid & ~hard).any()


def _images(data):
    from mmseg_ctt.nn.images import Images

    return Images(data['inputs']['unlabeled'], data['data_samples']['unlabeled'])


def test_without_contrast_there_is_no_projection():
    model = ready(loss_weights=dict(contrast=0))
    losses = losses_of(model, toy_batch())
    assert model.contrast is None and 'student0.loss_contrast' not in losses
    assert losses['student0.loss_unsup'] > 0


@pytest.mark.parametrize(
    'name,value',
    [('num_queries', 0), ('weak_threshold', 1.1), ('temperature', 0), ('pool', 1.5), ('dim', True)],
)
def test_bad_settings(name, value):
    with pytest.raises((ValueError, TypeError), match=f'model.contrast.{name}'):
        ready(contrast={name: value})
