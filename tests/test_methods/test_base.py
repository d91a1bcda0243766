# Copyright (c) mmseg_ctt contributors.
"""Members, losses and settings of the base of all methods."""

import pytest
import torch
from mmseg.registry import MODELS
from toy import losses_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.methods import SemiSegmentor
from mmseg_ctt.nn.schedule import RampUp

GRAPHS = [
    ('cross', 2),
    ('cross', 3),
    ('self', 1),
    ('mutual', 2),
    ('dual', 2),
    ('ensemble', 2),
    ('own', 1),
]


def same(module, other):
    states = module.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


def image(batch=2, side=32, seed=0):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def distinct(**settings):
    """A model whose four members all differ, ready to predict."""
    model = toy_model(**settings)
    for member in [*model.students, *model.teachers]:
        member.decode_head.conv_seg.bias.data.normal_()
    return model.eval()


# ---- members


@pytest.mark.parametrize('supervision,pairs', GRAPHS)
def test_members(supervision, pairs):
    model = toy_model(supervision=supervision, num_pairs=pairs)
    number = 0 if supervision in ('mutual', 'own') else pairs
    assert len(model.students) == pairs and len(model.teachers) == number
    assert model.member_names == (
        *[f'student{i}' for i in range(pairs)],
        *[f'teacher{i}' for i in range(number)],
        'ensemble',
    )
    for group in ('student', 'teacher')[: 2 if number else 1]:
        for i in range(pairs):
            assert model.member(f'{group}{i}') is getattr(model, f'{group}s')[i]
    assert all(p.requires_grad for p in model.students.parameters())
    assert not any(p.requires_grad for p in model.teachers.parameters())


def test_teachers_begin_as_their_students_and_students_differ():
    model = toy_model(num_pairs=3)
    for student, teacher in zip(model.students, model.teachers):
        assert same(student, teacher)
        pointers = {p.data_ptr() for p in student.parameters()}
        assert not pointers & {p.data_ptr() for p in teacher.parameters()}
    assert not same(model.students[0], model.students[1])
    assert not same(model.students[1], model.students[2])


def test_students_from_different_files(tmp_path):
    files = []
    for i in range(2):
        backbone = MODELS.build(dict(type='ToyBackbone'))
        files.append(str(tmp_path / f'{i}.pth'))
        torch.save(backbone.state_dict(), files[-1])
    model = toy_model(
        student_overrides=[
            dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=file))) for file in files
        ]
    )
    for student, teacher, file in zip(model.students, model.teachers, files):
        stored = torch.load(file)
        for part in (student.backbone, teacher.backbone):
            assert all(torch.equal(stored[key], value) for key, value in part.state_dict().items())


def test_students_of_different_widths_without_contrast():
    model = toy_model(
        student_overrides=[{}, dict(decode_head=dict(channels=6))], loss_weights=dict(hc=0, lc=0)
    )
    loss, _ = model.parse_losses(losses_of(model, toy_batch()))
    assert loss.isfinite()


def test_checkpoint_holds_every_member():
    model = toy_model()
    state = model.state_dict()
    for group in ('students', 'teachers'):
        for i in range(2):
            assert f'{group}.{i}.decode_head.conv_seg.weight' in state
    assert state['num_updates'].dtype == torch.int64
    other = toy_model(seed=1)
    assert not same(model, other)
    other.load_state_dict(state)
    assert same(model, other)


# ---- what a method says of itself, and what the base makes of it


class Small(SemiSegmentor):
    """A method with two terms, a setting and two modes."""

    default_num_pairs = 1
    default_supervision = 'own'
    default_loss_weights = dict(first=2.0, second=0.5)
    ramped_terms = ('second',)
    modes = dict(paper={}, released=dict(loss_weights=dict(first=3.0), build=dict(scale=10.0)))

    def build(self, scale: float = 1.0) -> None:
        self.scale = scale

    def step(self, labeled, unlabeled):
        (output,) = self.forward_member('student0', labeled.image)
        value = self.scale * output.logits.square().mean()
        self.given = labeled, unlabeled
        return {
            **self.supervised_loss(0, output, labeled),
            'student0.first': value,
            'student0.second': value,
            'student0.some_ratio': value.detach(),
            'student0.loss_other': value,
        }


def test_terms_are_named_and_weighed():
    model = toy_model(Small, loss_weights=dict(sup=3))
    losses = losses_of(model, toy_batch())
    assert set(losses) == {
        'student0.decode.loss_ce',
        'student0.loss_first',
        'student0.loss_second',
        'student0.some_ratio',
        'student0.loss_other',
    }
    value = losses['student0.some_ratio']
    assert value > 0 and model.scale == 1 and model.mode == 'paper'
    for key, weight in dict(first=2.0, second=0.5, other=1.0).items():
        torch.testing.assert_close(losses[f'student0.loss_{key}'], weight * value)
    plain = losses_of(toy_model(Small), toy_batch())
    torch.testing.assert_close(
        losses['student0.decode.loss_ce'], 3 * plain['student0.decode.loss_ce']
    )


def test_sources_are_the_arguments_of_the_step():
    model = toy_model(Small)
    losses_of(model, toy_batch(2, 3))
    labeled, unlabeled = model.given
    assert labeled.image.shape[0] == 2 and unlabeled.image.shape[0] == 3
    assert {sample.source for sample in labeled.samples} == {'labeled'}
    assert labeled.labels.shape == (2, 32, 32)


class Unlabeled(Small):
    """A method without pseudo-labels, on a strong view."""

    uses_pseudo_labels = False
    default_augmentation = (dict(type='CutMixing'),)

    def step(self, labeled, unlabeled):
        view = self.strong_view(unlabeled)
        (output,) = self.forward_member('student0', view.image)
        return {'student0.first': output.logits.square().mean()}


def test_a_method_without_pseudo_labels():
    losses = losses_of(toy_model(Unlabeled), toy_batch())
    assert losses['student0.loss_first'] > 0
    with pytest.raises(ValueError, match='^model.strong_augmentation: Unlabeled makes no pseudo-'):
        toy_model(Unlabeled, strong_augmentation=[dict(type='ClassMixing')])


def test_ramp_up_belongs_to_its_terms(monkeypatch):
    plain = losses_of(toy_model(Small), toy_batch())
    monkeypatch.setattr(RampUp, '__call__', lambda self: 0.25)
    slowed = losses_of(toy_model(Small, ramp_up=0.5), toy_batch())
    for key in plain:
        factor = 0.25 if key.endswith('loss_second') else 1
        torch.testing.assert_close(slowed[key], factor * plain[key])


def test_a_mode_changes_the_defaults_and_settings_come_first():
    released = toy_model(Small, mode='released')
    assert released.weights == dict(sup=1, first=3, second=0.5) and released.scale == 10
    given = toy_model(Small, mode='released', scale=5.0, loss_weights=dict(first=7))
    assert given.weights['first'] == 7 and given.scale == 5
    with pytest.raises(ValueError, match=r"^model.mode must be one of .*'released'.*got 'other'"):
        toy_model(Small, mode='other')
    with pytest.raises(ValueError, match='^model.mode: CrossTeacherTraining has no modes'):
        toy_model(mode='paper')


def test_the_sum_is_that_of_mmengine():
    model = toy_model(Small)
    losses = losses_of(model, toy_batch())
    total, log = model.parse_losses(losses)
    want, other = super(SemiSegmentor, model).parse_losses(losses)
    torch.testing.assert_close(total, want)
    assert set(log) == set(other)
    several = dict(losses, extra_loss=[losses['student0.loss_first']] * 2)
    total, log = model.parse_losses(several)  # lists go mmengine's way
    torch.testing.assert_close(total, want + 2 * losses['student0.loss_first'])


# ---- configuration


def test_preprocessor_comes_from_the_segmentor():
    model = toy_model()
    assert type(model.data_preprocessor).__name__ == 'SemiSegDataPreProcessor'
    assert model.data_preprocessor.mean.flatten().tolist() == [120.0, 110.0, 100.0]
    top_level = dict(mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0], size_divisor=16)
    both = toy_model(data_preprocessor=top_level).data_preprocessor
    assert both.mean.flatten().tolist() == [120.0, 110.0, 100.0] and both.size_divisor == 16
    bare = toy_segmentor(data_preprocessor=None)
    only = toy_model(segmentor=bare, data_preprocessor=top_level).data_preprocessor
    assert only.mean.flatten().tolist() == [1.0, 2.0, 3.0]


def test_test_mode_takes_a_plain_batch():
    model = distinct()
    data = model.data_preprocessor(toy_batch(1, 1), False)
    got = model(**data, mode='predict')
    assert [result.pred_sem_seg.data.shape for result in got] == [(1, 32, 32)] * 2


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(num_pairs=1), "supervision='cross' needs num_pairs >= 2, got 1"),
        (dict(student_overrides=[{}]), 'student_overrides has 1 entries for num_pairs=2'),
        (dict(student_overrides=[{}, {}, {}]), 'student_overrides has 3 entries for num_pairs=2'),
        (
            dict(student_overrides=[{}, dict(decode_head=dict(num_classes=3))]),
            r'different num_classes \[4, 3\].*decode_head.num_classes',
        ),
        (
            dict(student_overrides=[{}, dict(decode_head=dict(align_corners=True))]),
            r'different align_corners \[False, True\]',
        ),
        (
            dict(student_overrides=[{}, dict(decode_head=dict(channels=6))]),
            r'embeddings of \[8, 6\] channels cannot be compared',
        ),
        (
            dict(student_overrides=[{}, dict(data_preprocessor=dict(mean=[0, 0, 0]))]),
            r'student_overrides\[1\].data_preprocessor: all members see',
        ),
        (dict(test_cfg=dict(mode='slide')), '^model.test_cfg has predict_on alone: set mode in'),
        (
            dict(pretrained='r50.pth'),
            '^model.pretrained would be unused: set it in model.segmentor',
        ),
        (dict(init_cfg=dict(type='Normal')), '^model.init_cfg would be unused'),
        (
            dict(data_preprocessor=dict(sources=('labeled', 'unlabeled', 'tagged'))),
            '^model.data_preprocessor.sources: the method says',
        ),
        (dict(data_preprocessor=dict(type='Nope')), '^model.data_preprocessor.type must be one of'),
        (
            dict(loss_weights=dict(hc=0, lc=0), contrast=dict(thresholdd=1)),
            r"^model.contrast has unknown settings \['thresholdd'\]",
        ),
        (
            dict(loss_weights=dict(hc=0, lc=0), bank=dict(type='Nope')),
            "^model.bank.type='Nope' is not registered",
        ),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(**settings)


def test_the_segmentor_must_be_a_config():
    with pytest.raises(TypeError, match='^model.segmentor must be the config of a plain mmseg'):
        toy_model(segmentor='fcn.py')
