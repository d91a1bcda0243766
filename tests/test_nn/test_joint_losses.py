# Copyright (c) mmseg_ctt contributors.
"""Supervised losses of several students in one call."""

import pytest
import torch
from toy import toy_batch, toy_segmentor

from mmseg_ctt.nn.joint_losses import joint_cross_entropy
from mmseg_ctt.nn.member import build_students, forward_member, supervised_losses


def setting(head=(), **changes):
    """Two students, their outputs for labelled images, and the samples."""
    torch.manual_seed(0)
    segmentor = toy_segmentor(**changes)
    segmentor['decode_head'].update(head)
    students = build_students(segmentor, 2)
    samples = toy_batch(labeled=3, unlabeled=0)['data_samples']
    image = torch.randn(3, 3, 32, 32)
    return students, [forward_member(student, image) for student in students], samples


WEIGHTS = dict(type='PixelCrossEntropyLoss', loss_weight=0.3, class_weight=[1.0, 2.0, 0.0, 0.5])


@pytest.mark.parametrize('head', [{}, dict(loss_decode=WEIGHTS), dict(align_corners=True)])
def test_values_and_gradients_are_those_of_each_alone(head):
    students, outputs, samples = setting(head)
    weights = [student.decode_head.conv_seg.weight for student in students]
    joint = joint_cross_entropy(students, outputs, samples)
    apart = [supervised_losses(*pair, samples) for pair in zip(students, outputs)]
    assert [list(terms) for terms in joint] == [list(terms) for terms in apart]
    losses = [[terms['decode.loss_ce'] for terms in each] for each in (joint, apart)]
    for got, want in zip(*losses):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=0)
    gradients = [torch.autograd.grad(sum(each), weights, retain_graph=True) for each in losses]
    for got, want in zip(*gradients):
        torch.testing.assert_close(got, want)


def test_students_without_the_same_plain_loss_have_none():
    students, outputs, samples = setting(dict(loss_decode=dict(type='CrossEntropyLoss')))
    assert joint_cross_entropy(students, outputs, samples) is None
    several = [dict(type='PixelCrossEntropyLoss'), dict(WEIGHTS, loss_name='loss_other')]
    assert joint_cross_entropy(*setting(dict(loss_decode=several))) is None
    mapped = dict(type='PixelCrossEntropyLoss', weight_map='consensus_margin')
    assert joint_cross_entropy(*setting(dict(loss_decode=mapped))) is None
    students, outputs, samples = setting()
    students[1].decode_head.loss_decode.loss_weight = 2.0
    assert joint_cross_entropy(students, outputs, samples) is None
    students, outputs, samples = setting()
    outputs[1] = outputs[1]._replace(logits=outputs[1].logits[..., 1:])
    assert joint_cross_entropy(students, outputs, samples) is None
    auxiliary = dict(toy_segmentor()['decode_head'])
    assert joint_cross_entropy(*setting(auxiliary_head=auxiliary)) is None
