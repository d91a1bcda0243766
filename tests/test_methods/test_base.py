# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from toy import losses_of, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.nn.member import forward_member

GRAPHS = [('cross', 2), ('cross', 3), ('self', 1), ('mutual', 2), ('dual', 2), ('ensemble', 2)]


def same(one, other):
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


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


# ---- members


@pytest.mark.parametrize('teaching,pairs', GRAPHS)
def test_members(teaching, pairs):
    model = toy_model(teaching=teaching, num_pairs=pairs)
    number = 0 if teaching == 'mutual' else pairs
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


def test_every_layer_has_a_gradient_where_no_term_reads_the_embedding():
    """DDP stops at the second step otherwise."""
    head = dict(
        type='DeepLabV2Head',
        in_channels=8,
        in_index=1,
        dilations=(1,),
        num_classes=4,
        align_corners=False,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    model = toy_model(segmentor=toy_segmentor(decode_head=head), loss_weights=dict(hc=0, lc=0))
    losses = losses_of(model, toy_batch())
    model.parse_losses(losses)[0].backward()
    for name, parameter in model.students.named_parameters():
        assert parameter.grad is not None, name
        assert name.endswith(('norm.bias', 'norm.weight')) or ('projection' in name) == (
            not parameter.grad.any()
        ), name


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_mode_of_the_teachers(mode):
    model = toy_model(teacher_mode=mode)
    for _ in range(2):
        model.train()
        assert all(m.training for m in model.students.modules())
        assert {m.training for m in model.teachers.modules()} == {mode == 'train'}
        model.eval()
        assert not any(m.training for m in model.modules())


@pytest.mark.parametrize('buffers', [False, True])
def test_ema_pairs(buffers):
    model = toy_model()
    pairs = model.ema_pairs(buffers)
    teachers = {t.data_ptr() for t in model.teachers.parameters()}
    if buffers:
        teachers |= {t.data_ptr() for t in model.teachers.buffers()}
    old = pairs['average'][0] + pairs['copy'][0]
    new = pairs['average'][1] + pairs['copy'][1]
    assert {t.data_ptr() for t in old} == teachers and len(old) == len(teachers)
    students = dict((t.data_ptr(), name) for name, t in model.students.state_dict().items())
    names = dict((t.data_ptr(), name) for name, t in model.teachers.state_dict().items())
    assert [students[t.data_ptr()] for t in new] == [names[t.data_ptr()] for t in old]
    assert all(t.is_floating_point() for t in pairs['average'][0])
    assert len(pairs['copy'][0]) == (4 if buffers else 0)  # two counters in each member
    assert not any(t.requires_grad for t in new)


def test_checkpoint_holds_every_member():
    model = toy_model()
    state = model.state_dict()
    for group in ('students', 'teachers'):
        for i in range(2):
            assert f'{group}.{i}.decode_head.conv_seg.weight' in state
    assert state['ema_updates'].dtype == torch.int64
    other = toy_model(seed=1)
    assert not same(model, other)
    other.load_state_dict(state)
    assert same(model, other)


def test_channels_last():
    model = toy_model(channels_last=True)
    for member in (*model.students, *model.teachers):
        assert member.backbone.body.weight.is_contiguous(memory_format=torch.channels_last)
    plain = toy_model()
    assert not plain.students[0].backbone.body.weight.is_contiguous(
        memory_format=torch.channels_last
    )


# ---- looking


def test_joint_pass_shares_batch_statistics():
    first, second = image(2), 3 + 2 * image(3, seed=1)
    joint, apart = toy_model(), toy_model(joint_forward=False)
    assert same(joint, apart)
    got = joint.look('student0', first, second)
    whole = forward_member(toy_model().students[0], torch.cat([first, second]))
    assert [len(o.logits) for o in got] == [2, 3]
    for output, part in zip(got, (slice(0, 2), slice(2, 5))):
        assert torch.equal(output.logits, whole.logits[part])
        assert torch.equal(output.embedding, whole.embedding[part])
        assert output.features == []  # no auxiliary head reads them
    fresh = toy_model().students[0]
    for output, batch in zip(apart.look('student0', first, second), (first, second)):
        assert torch.equal(output.logits, forward_member(fresh, batch).logits)
    norms = [m.students[0].backbone.norm for m in (joint, apart)]
    assert [int(n.num_batches_tracked) for n in norms] == [1, 2]
    assert not torch.allclose(norms[0].running_var, norms[1].running_var)


def test_teachers_alone_may_look_apart():
    first, second = image(2), 3 + 2 * image(3, seed=1)
    models = {
        joint: toy_model(joint_forward=joint, teacher_mode='train')
        for joint in (True, False, 'students')
    }
    seen = {
        joint: [
            [output.logits for output in model.look(name, first, second)]
            for name in ('student0', 'teacher0')
        ]
        for joint, model in models.items()
    }
    for got, want in zip(seen['students'], (seen[True][0], seen[False][1])):
        assert all(torch.equal(one, other) for one, other in zip(got, want))
    assert not torch.equal(seen[True][1][0], seen[False][1][0])
    with pytest.raises(ValueError, match='model.joint_forward must be one of'):
        toy_model(joint_forward='teachers')


def test_only_students_give_gradient():
    model = toy_model()
    assert model.look('student1', image())[0].logits.requires_grad
    assert not model.look('teacher1', image().requires_grad_())[0].logits.requires_grad
    with torch.no_grad():
        assert not model.look('student1', image())[0].logits.requires_grad


# ---- predicting


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
        for one, logits in zip(got, want):
            assert torch.equal(one.pred_sem_seg.data[0], logits.argmax(0))
            assert torch.equal(one.seg_logits.data, logits)
    others = [m for m in model.member_names if m not in (name, 'ensemble')]
    for other in others:
        model.predict_on = other
        assert not torch.equal(model.inference(x, metas()), want)


@pytest.mark.parametrize('teaching,group', [('cross', 'teachers'), ('mutual', 'students')])
def test_ensemble_is_the_log_of_the_mean_probability(teaching, group):
    model = distinct(teaching=teaching, test_cfg=dict(predict_on='ensemble'))
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


@pytest.mark.parametrize('name', ['teacher2', 'student', 'student-1', 'mean', ''])
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
    assert toy_model(teaching='mutual').predict_on == 'student0'
    with pytest.raises(ValueError, match="'teacher0' is not a member"):
        toy_model(teaching='mutual', test_cfg=dict(predict_on='teacher0'))


def test_properties_of_the_predicting_member():
    model = toy_model(segmentor=toy_segmentor(num_classes=6))
    for name in ('student1', 'teacher0', 'ensemble'):
        model.predict_on = name
        member = model.teachers[0] if name == 'ensemble' else model.member(name)
        assert model.backbone is member.backbone and model.decode_head is member.decode_head
        assert model.num_classes == model.out_channels == 6 and model.align_corners is False
        assert model.neck is None and model.auxiliary_head is None
        assert model.with_decode_head and not model.with_neck and not model.with_auxiliary_head


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
    assert [one.pred_sem_seg.data.shape for one in got] == [(1, 32, 32)] * 2


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(teacher_mode='frozen'), "teacher_mode must be one of .*'frozen'"),
        (dict(teaching='ring'), "model.teaching must be one of .*'ring'"),
        (dict(num_pairs=1), "teaching='cross' needs num_pairs >= 2, got 1"),
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
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(**settings)
