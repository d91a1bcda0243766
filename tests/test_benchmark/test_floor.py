# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS
from torch import nn
from toy import losses_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.lab.benchmark.floor import record_passes, run_floor
from mmseg_ctt.lab.benchmark.networks import networks_of

AUXILIARY = dict(toy_segmentor()['decode_head'], in_index=0)


def passes_of(model, **batch):
    return record_passes(networks_of(model), lambda: losses_of(model, toy_batch(**batch)))


def floor_of(model, passes):
    model.zero_grad()
    run_floor(passes, model, OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))


def summary(model, passes):
    names = {id(model.member(name)): name for name in model.member_names[:-1]}
    return [
        (names[id(one.network)], len(one.images), one.learns, [call.rows for call in one.heads])
        for one in passes
    ]


@pytest.mark.parametrize(
    'joint, expected',
    [
        (
            True,
            [
                ('teacher0', 5, False, [5]),
                ('teacher1', 5, False, [5]),
                ('student0', 5, True, [5]),
                ('student1', 5, True, [5]),
            ],
        ),
        (
            False,
            [
                ('teacher0', 3, False, [3]),
                ('teacher0', 2, False, [2]),
                ('teacher1', 3, False, [3]),
                ('teacher1', 2, False, [2]),
                ('student0', 2, True, [2]),
                ('student0', 3, True, [3]),
                ('student1', 2, True, [2]),
                ('student1', 3, True, [3]),
            ],
        ),
    ],
)
def test_passes_are_those_of_the_step(joint, expected):
    model = toy_model(joint_forward=joint)
    assert summary(model, passes_of(model, labeled=2, unlabeled=3)) == expected


@pytest.mark.parametrize('joint', [True, False])
def test_auxiliary_heads_run_on_the_labelled_images(joint):
    model = toy_model(
        segmentor=toy_segmentor(auxiliary_head=[AUXILIARY, AUXILIARY]), joint_forward=joint
    )
    passes = passes_of(model, labeled=2, unlabeled=3)
    heads = [
        [(call.head, call.rows) for call in one.heads]
        for one in passes
        if one.network is model.students[1]
    ]
    student, rows = model.students[1], 5 if joint else 2
    assert heads[0] == [
        (student.decode_head, rows),
        *((head, 2) for head in student.auxiliary_head),
    ]
    assert heads[1:] == ([] if joint else [[(student.decode_head, 3)]])


def test_the_floor_reaches_every_student_parameter_and_no_teacher():
    model = toy_model(segmentor=toy_segmentor(auxiliary_head=AUXILIARY))
    floor_of(model, passes_of(model))
    assert all(p.grad is not None for p in model.students.parameters())
    assert all(p.grad is None for p in model.teachers.parameters())


@pytest.mark.parametrize('mode, passes', [('eval', 0), ('train', 1)])
def test_modes_are_those_of_the_step(mode, passes):
    model = toy_model(teacher_mode=mode, joint_forward=True)
    recorded = passes_of(model)
    counts = [network.backbone.norm.num_batches_tracked.item() for network in networks_of(model)]
    floor_of(model, recorded)
    after = [network.backbone.norm.num_batches_tracked.item() for network in networks_of(model)]
    assert [b - a for a, b in zip(counts, after)] == [1, 1, passes, passes]


def test_channels_last_is_kept():
    model = toy_model(channels_last=True)
    seen = []
    model.students[0].backbone.body.register_forward_hook(
        lambda module, args, output: seen.append(
            output.is_contiguous(memory_format=torch.channels_last)
        )
    )
    floor_of(model, passes_of(model))
    assert seen == [True, True]


def test_a_head_with_an_embedding_of_its_own():
    head = dict(
        type='DeepLabV2Head',
        in_channels=8,
        in_index=1,
        embedding_dim=6,
        num_classes=4,
        dilations=(1, 2),
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    model = toy_model(segmentor=toy_segmentor(decode_head=head), joint_forward=True)
    passes = passes_of(model)
    assert [call.method for one in passes for call in one.heads] == ['forward_with_embedding'] * 4
    floor_of(model, passes)
    assert all(p.grad is not None for p in model.students[0].backbone.parameters())


def test_a_plain_segmentor():
    model = MODELS.build(toy_segmentor(auxiliary_head=AUXILIARY)).train()
    samples = toy_batch(labeled=2)['data_samples'][:2]
    passes = record_passes(
        networks_of(model), lambda: model(torch.randn(2, 3, 32, 32), samples, mode='loss')
    )
    assert [(one.learns, len(one.heads)) for one in passes] == [(True, 2)]
    floor_of(model, passes)
    assert all(p.grad is not None for p in model.parameters())


def test_perturbed_copies_of_features_are_run_as_many_times():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.decode_head = nn.Identity()
            self.decode_head.forward = lambda features: features[0] * self.scale
            self.scale = nn.Parameter(torch.ones(()))

        def extract_feat(self, images):
            return [images * 1]

    network = Network()
    images = torch.ones(2, 1, 3, 3)
    passes = record_passes(
        [network],
        lambda: network.decode_head([torch.cat([f, f + 1]) for f in network.extract_feat(images)]),
    )
    assert passes[0].heads[0].rows == 4
    assert passes[0].run()[0].shape == (4, 1, 3, 3)


def test_recording_is_undone():
    model = toy_model()
    before = [vars(module).copy() for module in model.modules()]
    passes_of(model)
    assert [vars(module).keys() for module in model.modules()] == [v.keys() for v in before]
