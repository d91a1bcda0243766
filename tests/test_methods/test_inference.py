# Copyright (c) mmseg_ctt contributors.
"""Predictions by one member or by all."""

import pytest
import torch
from mmseg.structures import SegDataSample
from toy import toy_model, toy_segmentor


def image(batch=2, side=32, seed=0):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def metas(batch=2, side=32):
    return [dict(ori_shape=(side, side), img_shape=(side, side))] * batch


def distinct(**settings):
    """A model whose four members all differ, ready to predict."""
    model = toy_model(**settings)
    for member in [*model.students, *model.teachers]:
        member.decode_head.conv_seg.bias.data.normal_()
    return model.eval()


@pytest.mark.parametrize('name', ['student0', 'student1', 'teacher0', 'teacher1'])
def test_predicts_on_every_member(name):
    model = distinct()
    model.predict_on = name
    member, x = model.member(name), image()
    want = member.inference(x, metas())
    assert torch.equal(model.inference(x, metas()), want)
    assert torch.equal(model.encode_decode(x, metas()), want)
    assert torch.equal(model(x, mode='tensor'), member._forward(x))
    assert all(map(torch.equal, model.extract_feat(x), member.extract_feat(x)))
    samples = [SegDataSample(metainfo=meta) for meta in metas()]
    for given in (None, samples):
        got = model.predict(x, given)
        for result, logits in zip(got, want):
            assert torch.equal(result.pred_sem_seg.data[0], logits.argmax(0))
            assert torch.equal(result.seg_logits.data, logits)
    others = [m for m in model.member_names if m not in (name, 'ensemble')]
    for other in others:
        model.predict_on = other
        assert not torch.equal(model.inference(x, metas()), want)


@pytest.mark.parametrize('supervision,group', [('cross', 'teachers'), ('mutual', 'students')])
def test_ensemble_is_the_log_of_the_mean_probability(supervision, group):
    model = distinct(supervision=supervision, test_cfg=dict(predict_on='ensemble'))
    x = image()
    parts = [m.inference(x, metas()).softmax(1) for m in getattr(model, group)]
    got = model.inference(x, metas())
    assert len(parts) == 2 and not torch.allclose(*parts)
    torch.testing.assert_close(got, ((parts[0] + parts[1]) / 2).log())
    torch.testing.assert_close(got.softmax(1), (parts[0] + parts[1]) / 2)


def test_prediction_at_the_original_size():
    model = distinct()
    sample = SegDataSample(metainfo=dict(ori_shape=(20, 40), img_shape=(32, 32)))
    (got,) = model.predict(image(1), [sample])
    assert got.pred_sem_seg.data.shape == (1, 20, 40)


@pytest.mark.parametrize('name', ['teacher2', 'student', 'student-1', 'mean'])
def test_unknown_member(name):
    message = 'predict_on=.*is not a member.*student0, student1, teacher0, teacher1, ensemble'
    with pytest.raises(ValueError, match=message):
        toy_model(test_cfg=dict(predict_on=name))
    model = toy_model()
    with pytest.raises(ValueError, match=message):
        model.predict_on = name
    assert model.predict_on == 'teacher0'


def test_default_member_and_no_teacher_without_teachers():
    assert toy_model().predict_on == 'teacher0'
    assert toy_model(supervision='mutual').predict_on == 'student0'
    with pytest.raises(ValueError, match="'teacher0' is not a member"):
        toy_model(supervision='mutual', test_cfg=dict(predict_on='teacher0'))


def test_properties_of_the_predicting_member():
    model = toy_model(segmentor=toy_segmentor(num_classes=6))
    for name in ('student1', 'teacher0', 'ensemble'):
        model.predict_on = name
        member = model.teachers[0] if name == 'ensemble' else model.member(name)
        assert model.backbone is member.backbone and model.decode_head is member.decode_head
        assert model.num_classes == model.out_channels == 6 and model.align_corners is False
        assert model.neck is None and model.auxiliary_head is None
        assert model.with_decode_head and not model.with_neck and not model.with_auxiliary_head
