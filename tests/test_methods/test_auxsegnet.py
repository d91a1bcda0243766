# Copyright (c) mmseg_ctt contributors.
"""AuxSegNet: the step by hand, padding, heads and maps that it needs."""

import pytest
import torch
import torch.nn.functional as F
from toy import prepared, ready_model, toy_model, toy_settings

from mmseg_ctt.functional import downsample_nearest
from mmseg_ctt.methods.auxsegnet.functional import propagate

TERMS = ('cls', 'sal_init', 'sal_ref', 'seg_init', 'seg_ref')


def model_of(**settings):
    model = ready_model('AuxSegNet', **settings)
    model.students[0].decode_head.dropout.p = 0.0
    return model


def by_hand(model, data, counted=None):
    """Losses from the outputs of the head, with the functions of torch."""
    samples = data['data_samples']['tagged']
    student = model.students[0]
    maps = student.decode_head.task_maps(student.extract_feat(data['inputs']['tagged']), counted)
    size = data['inputs']['tagged'].shape[2:]
    label = torch.stack([sample.pseudo_label.data[0] for sample in samples]).long()
    saliency = torch.stack([sample.saliency.data for sample in samples])
    tags = torch.stack([sample.gt_tags.label for sample in samples]).float()[:, 1:]
    counted = torch.ones_like(label, dtype=torch.bool) if counted is None else counted
    label = label.masked_fill(~counted, 255)

    def large(logits):
        return F.interpolate(logits, size, mode='bilinear')

    found = dict(cls=F.multilabel_soft_margin_loss(maps.class_maps.mean((2, 3)), tags))
    for name in ('init', 'ref'):
        logits = large(getattr(maps, f'sal_{name}'))
        loss = F.binary_cross_entropy_with_logits(
            logits, (saliency > 0.5).float(), reduction='none'
        )
        found[f'sal_{name}'] = loss[:, 0][counted].mean()
        found[f'seg_{name}'] = F.cross_entropy(
            large(getattr(maps, f'seg_{name}')), label, ignore_index=255
        )
    return found


def test_a_step_by_hand():
    model = model_of()
    data = prepared(model)
    expected = by_hand(model, data)
    losses = model(**data, mode='loss')
    assert set(losses) == {f'student0.loss_{term}' for term in TERMS}
    for term in TERMS:
        torch.testing.assert_close(losses[f'student0.loss_{term}'], expected[term])


@pytest.mark.parametrize('padding', ['ignored', 'background'])
def test_padding(padding):
    model = model_of(padding=padding)
    data = prepared(model)
    counted = torch.ones(4, 32, 32, dtype=torch.bool)
    for image, sample in enumerate(data['data_samples']['tagged']):
        sample.set_metainfo(dict(img_shape=(32, 20)))
        counted[image, :, 20:] = padding == 'background'
    expected = by_hand(model, data, counted)
    losses = model(**data, mode='loss')
    for term in TERMS[1:]:
        torch.testing.assert_close(losses[f'student0.loss_{term}'], expected[term])


def test_padding_is_in_no_affinity():
    """Refined maps of the content are those of the content alone; padding gets no gradient."""
    head = model_of().students[0].decode_head
    maps = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    inside = torch.zeros(1, 32, 32, dtype=torch.bool)
    inside[:, :, :20] = True
    features = maps[..., :5], torch.cat([maps[..., :5], torch.full((1, 8, 8, 3), 9.0)], 3)
    affinities = []
    for feature, valid in zip(features, (None, inside)):
        cells = None if valid is None else downsample_nearest(valid, (8, 8))
        affinities.append(head.segmentation.affinity(feature, 1, cells))
    alone, beside = affinities
    kept = downsample_nearest(inside, (8, 8)).flatten()
    torch.testing.assert_close(beside[:, kept][:, :, kept], alone)
    assert beside[:, ~kept].eq(0).all() and beside[:, :, ~kept].eq(0).all()
    logits = maps.clone().requires_grad_()
    propagate(beside, logits).sum().backward()
    assert logits.grad[..., 5:].eq(0).all() and logits.grad[..., :5].ne(0).any()


def test_the_network_predicts_the_refined_segmentation():
    model = model_of().eval()
    image = torch.randn(1, 3, 32, 32)
    student = model.students[0]
    with torch.no_grad():
        refined = student.decode_head.task_maps(student.extract_feat(image)).seg_ref
        logits = model.encode_decode(image, [dict(img_shape=(32, 32))])
    torch.testing.assert_close(logits, F.interpolate(refined, (32, 32), mode='bilinear'))


def test_a_map_that_is_not_loaded():
    model = model_of()
    data = prepared(model)
    del data['data_samples']['tagged'][0].saliency
    with pytest.raises(ValueError, match='source tagged has no map saliency'):
        model(**data, mode='loss')


def test_another_head():
    with pytest.raises(ValueError, match='type=FCNHead: AuxSegNet trains an AuxSegHead'):
        toy_model('AuxSegNet')
    plain = toy_model('AuxSegNet', **toy_settings('AuxSegNet')).students[0]
    with pytest.raises(ValueError, match='AuxSegHead learns from tags and pseudo-labels'):
        plain.decode_head.loss([], [], {})


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(padding='zeros'), 'model.padding must be one of'),
        (dict(saliency_threshold=2), r'model.saliency_threshold must be in \[0, 1\]'),
    ],
)
def test_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        ready_model('AuxSegNet', **settings)
