# Copyright (c) mmseg_ctt contributors.
"""Weights and class probabilities of pixels in the losses of plain segmentors and of students."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from networks import NETWORKS
from toy import NUM_CLASSES, SIDE, losses_of, toy_batch, toy_model, toy_segmentor, toy_settings

from mmseg_ctt.functional import cross_entropy, soft_cross_entropy
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.images import Images

METHODS_WITH_MASKS = [
    kind for kind, method in sorted(registered_methods().items()) if 'sup' in method.usual_weights()
]

WEIGHTED = dict(type='PixelCrossEntropyLoss', weight_map='consensus_margin')
SOFT = dict(type='SoftCrossEntropyLoss')
# heads with the stock loss, with one of their own, of a cascade, of two sizes, with auxiliaries
HEADS = ('SegformerHead', 'EncHead', 'OCRHead', 'DDRHead', 'PSPHead, auxiliary FCNHead', 'UPerHead')


def with_maps(batch: dict, weight=None, soft: bool = False) -> dict:
    """The batch with a weight of each pixel, random ones or a number, or with probabilities."""
    g = torch.Generator().manual_seed(3)
    for made in batch['data_samples']:
        if 'gt_sem_seg' not in made:
            continue
        size = made.gt_sem_seg.shape
        random = torch.rand(1, *size, generator=g)
        made.consensus_margin = PixelData(
            data=random if weight is None else torch.full_like(random, weight)
        )
        if soft:
            values = torch.rand(NUM_CLASSES, *size, generator=g)
            made.class_probability = PixelData(data=values / values.sum(0))
    return batch


def plain(loss=WEIGHTED, name=None):
    """A plain segmentor of the toy network or of another one, with this loss in all heads."""
    torch.manual_seed(0)
    cfg = copy.deepcopy(toy_segmentor() if name is None else NETWORKS[name])
    for part in ('decode_head', 'auxiliary_head'):
        heads = cfg.get(part) or []
        for head in heads if isinstance(heads, list) else [heads]:
            several = isinstance(head['loss_decode'], list)
            head['loss_decode'] = [loss] * len(head['loss_decode']) if several else loss
    cfg['data_preprocessor']['size'] = (SIDE, SIDE)
    model = MODELS.build(cfg)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, (torch.nn.Dropout, torch.nn.Dropout2d)):
            module.p = 0.0
    return model.train()


def stacked(batch: dict, name: str) -> torch.Tensor:
    return torch.stack([made.get(name).data for made in batch['data_samples']])


# ---- formulae


@pytest.mark.parametrize('size', [8, 4])
def test_weighted_mean(size):
    logits = torch.randn(2, 3, size, size, requires_grad=True)
    label = torch.randint(0, 3, (2, 8, 8))
    label[0, :2] = 255
    weight, of_class = torch.rand(2, 8, 8), torch.rand(3)
    got = cross_entropy(logits, label, pixel_weight=weight, class_weight=of_class)
    full = F.interpolate(logits, (8, 8), mode='bilinear')
    each = F.cross_entropy(full, label, ignore_index=255, reduction='none')
    factor = weight * of_class[label.clamp(max=2)] * (label != 255)
    assert torch.allclose(got, (factor * each).sum() / factor.sum())
    ones = torch.ones_like(weight)
    assert torch.allclose(
        cross_entropy(logits, label, pixel_weight=ones), cross_entropy(logits, label)
    )
    got = cross_entropy(logits, label, pixel_weight=ones * 0)
    got.backward()
    assert got == 0 and not logits.grad.any()


def test_no_gradient_at_weight_0():
    logits = torch.randn(1, 3, 6, 6, requires_grad=True)
    weight = torch.ones(1, 6, 6)
    weight[:, 2:4] = 0
    cross_entropy(logits, torch.randint(0, 3, (1, 6, 6)), pixel_weight=weight).backward()
    assert not logits.grad[:, :, 2:4].any() and logits.grad[:, :, :2].abs().min() > 0


@pytest.mark.parametrize('size', [8, 4])
def test_soft_cross_entropy(size):
    logits = torch.randn(2, 3, size, size, dtype=torch.float64, requires_grad=True)
    label = torch.randint(0, 3, (2, 8, 8))
    label[1, :3] = 255
    target = torch.rand(2, 3, 8, 8).softmax(1)
    target[1, :, :3] = 255  # what geometric steps fill in
    got = soft_cross_entropy(logits, target, label)
    full = F.interpolate(logits, (8, 8), mode='bilinear').log_softmax(1)
    each = -(target * full).sum(1)[label != 255]
    assert torch.allclose(got, each.mean())
    hard = F.one_hot(label.clamp(max=2), 3).permute(0, 3, 1, 2)
    assert torch.allclose(soft_cross_entropy(logits, hard, label), cross_entropy(logits, label))
    weight = torch.rand(2, 8, 8)
    got = soft_cross_entropy(logits, hard, label, pixel_weight=weight)
    assert torch.allclose(got, cross_entropy(logits, label, pixel_weight=weight))
    nothing = soft_cross_entropy(logits, target, torch.full_like(label, 255))
    nothing.backward()
    assert nothing == 0 and not logits.grad.any()


# ---- plain segmentors


def test_plain_segmentor():
    model, batch = plain(), with_maps(toy_batch(2, 0))
    data = model.data_preprocessor(batch, True)
    got = model(**data, mode='loss')['decode.loss_ce']
    logits = model.decode_head(model.extract_feat(data['inputs']))
    label, weight = (stacked(batch, name)[:, 0] for name in ('gt_sem_seg', 'consensus_margin'))
    assert torch.allclose(got, cross_entropy(logits, label, pixel_weight=weight))
    assert not torch.allclose(got, cross_entropy(logits, label))
    assert model.decode_head.loss_decode.given == {}, 'maps are not kept'


def test_plain_segmentor_with_probabilities():
    model, batch = plain(SOFT), with_maps(toy_batch(2, 0), soft=True)
    data = model.data_preprocessor(batch, True)
    got = model(**data, mode='loss')['decode.loss_ce']
    logits = model.decode_head(model.extract_feat(data['inputs']))
    label = stacked(batch, 'gt_sem_seg')[:, 0]
    assert torch.allclose(
        got, soft_cross_entropy(logits, stacked(batch, 'class_probability'), label)
    )


@pytest.mark.parametrize('name', HEADS)
def test_heads_of_mmseg(name):
    """A map of ones changes nothing; with one of zeros no cross-entropy has a gradient."""
    found = {}
    for kind, loss, weight in (
        ('plain', dict(type='PixelCrossEntropyLoss'), 1.0),
        ('ones', WEIGHTED, 1.0),
        ('random', WEIGHTED, None),
        ('zeros', WEIGHTED, 0.0),
    ):
        model = plain(loss, name)
        losses = losses_of(model, with_maps(toy_batch(2, 0), weight))
        found[kind] = {key: value for key, value in losses.items() if re.search('loss_(?!se)', key)}
        if kind == 'zeros':
            sum(found[kind].values()).backward()
            grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
            assert not any(grad.any() for grad in grads)
    assert found['plain']
    for key, value in found['plain'].items():
        assert torch.allclose(found['ones'][key], value, rtol=1e-5)
        assert not torch.allclose(found['random'][key], value, rtol=1e-5)
        assert found['zeros'][key] == 0


def test_padded_images():
    batch = with_maps(toy_batch(2, 0))
    batch['inputs'][0] = batch['inputs'][0][:, :24, :20]
    for name in ('gt_sem_seg', 'consensus_margin'):
        made = batch['data_samples'][0]
        data = made.get(name).data[:, :24, :20]
        made.set_data({name: PixelData(data=data)})
    small = copy.deepcopy(batch['data_samples'][0])
    model = plain()
    data = model.data_preprocessor(batch, True)
    got = model(**data, mode='loss')['decode.loss_ce']
    logits = model.decode_head(model.extract_feat(data['inputs']))
    weight = stacked(dict(data_samples=batch['data_samples'][1:]), 'consensus_margin')[:, 0]
    padded = F.pad(small.consensus_margin.data, (0, SIDE - 20, 0, SIDE - 24))
    label = stacked(dict(data_samples=data['data_samples']), 'gt_sem_seg')[:, 0]
    want = cross_entropy(logits, label, pixel_weight=torch.cat([padded, weight]))
    assert torch.allclose(got, want)


# ---- students


@pytest.mark.parametrize('kind', METHODS_WITH_MASKS)
def test_students_of_every_method(kind):
    settings = toy_settings(kind)
    segmentors = {
        name: toy_segmentor(decode_head=dict(toy_segmentor()['decode_head'], loss_decode=loss))
        for name, loss in (('plain', dict(type='PixelCrossEntropyLoss')), ('weighted', WEIGHTED))
    }
    found = {}
    for name, weight in (('plain', 1.0), ('weighted', 1.0), ('weighted', None), ('weighted', 0.0)):
        try:
            model = toy_model(kind, **{**settings, 'segmentor': segmentors[name]})
        except ValueError as error:  # a head with a loss of its own says so
            assert name == 'weighted' and 'loss_decode, class weights' in str(error)
            return
        losses = losses_of(model, with_maps(toy_batch(), weight))
        found[name, weight] = {key: value for key, value in losses.items() if '.decode.loss' in key}
    assert found['plain', 1.0]
    for key, value in found['plain', 1.0].items():
        assert torch.allclose(found['weighted', 1.0][key], value, rtol=1e-5)
        assert not torch.allclose(found['weighted', None][key], value, rtol=1e-5)
        assert found['weighted', 0.0][key] == 0


def test_pasted_pixels_of_ael_bring_their_weights():
    head = dict(toy_segmentor()['decode_head'], loss_decode=WEIGHTED)
    model = toy_model(
        'AEL', segmentor=toy_segmentor(decode_head=head), copy_paste=dict(prob=1.0, tail=[0, 1])
    )
    batch = with_maps(toy_batch())
    for made in batch['data_samples'][:2]:
        made.consensus_margin.data[:] = made.gt_sem_seg.data / 10
    data = model.data_preprocessor(batch, True)
    labeled = Images(data['inputs']['labeled'], data['data_samples']['labeled'])
    before = labeled.labels.clone()
    pasted, _ = model._paste(labeled)
    assert not torch.equal(pasted.labels, before), 'something was pasted'
    assert torch.allclose(pasted.maps('consensus_margin')[:, 0], pasted.labels / 10)
    assert torch.equal(labeled.labels, before)


# ---- errors


def test_missing_maps():
    with pytest.raises(ValueError, match=r'PackSemiSegInputs\(maps=\(.consensus_margin.,\)\)'):
        losses_of(plain(), toy_batch(2, 0))
    with pytest.raises(ValueError, match='class_probability, which a labelled sample has not'):
        losses_of(plain(SOFT), with_maps(toy_batch(2, 0)))
    term = MODELS.build(WEIGHTED)
    with pytest.raises(ValueError, match='use EncoderDecoder'):
        term(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))


def test_maps_that_do_not_fit():
    term = MODELS.build(WEIGHTED)
    term.given = dict(consensus_margin=torch.ones(1, 1, 4, 4))
    with pytest.raises(ValueError, match='labels of .1, 2, 2., which it made itself'):
        term(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, dtype=torch.long))
    soft = MODELS.build(SOFT)
    soft.given = dict(class_probability=torch.ones(1, 3, 4, 4))
    with pytest.raises(ValueError, match='has 3 classes, the logits 2'):
        soft(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))
    with pytest.raises(ValueError, match='remove decode_head.sampler'):
        soft(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long), torch.ones(1, 4, 4))
