# Copyright (c) mmseg_ctt contributors.
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from toy import losses_of, ready_model, toy_batch, toy_segmentor
from versions import COMPILE

from mmseg_ctt.engine import TeacherEMAHook, TeacherInferenceHook
from mmseg_ctt.engine.compile_regions import compile_members


def ready(trained=True, **settings):
    model = ready_model(
        **{'teacher_mode': 'eval', 'consistency': dict(confidence_threshold=0.3), **settings}
    )
    for teacher in model.teachers if trained else ():  # statistics that a fold cannot leave out
        for part in teacher.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.5)
                part.running_var.uniform_(0.5, 2)
                part.weight.data.uniform_(0.5, 2)
    return model


def started(model, **settings):
    hook, runner = TeacherInferenceHook(**settings), SimpleNamespace(model=model)
    hook.before_train(runner)
    return hook, runner


def outputs(model):
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return [model.forward_member(f'teacher{i}', image)[0] for i in range(2)]


def norms_run(model):
    """How often a batch norm of a teacher changes its input."""
    calls = []
    handles = [
        part.register_forward_hook(lambda _, given, got: calls.append(got is not given[0]))
        for part in model.teachers.modules()
        if isinstance(part, torch.nn.BatchNorm2d)
    ]
    outputs(model)
    for handle in handles:
        handle.remove()
    return sum(calls)


def test_folded_teachers_give_the_same_after_each_update():
    model = ready()
    number, plain = norms_run(model), outputs(model)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    hook, runner = started(model)
    assert number > 0 == norms_run(model)
    for got, want in zip(outputs(model), plain):
        torch.testing.assert_close(got.logits, want.logits)
        torch.testing.assert_close(got.embedding, want.embedding)
    with torch.no_grad():  # as an EMA update
        for weight in model.teachers.parameters():
            weight.mul_(1.1)
    folded = outputs(model)
    hook.after_train(runner)
    assert norms_run(model) == number
    for got, want, old in zip(folded, outputs(model), plain):
        torch.testing.assert_close(got.logits, want.logits)
        assert not torch.allclose(got.logits, old.logits)
    assert list(model.state_dict()) == list(state)


@pytest.mark.parametrize('ema_first', [True, False])
def test_beside_the_updates_of_the_teachers(ema_first):
    """TeacherEMAHook switches off that passes move the statistics; the fold reads them."""
    model = ready()
    optimizer = torch.optim.SGD(model.students.parameters(), lr=0.1)
    runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapper(optimizer))
    model.num_updates += 1  # teachers have weights of their own
    number, plain = norms_run(model), outputs(model)
    hooks = [TeacherEMAHook(), TeacherInferenceHook()]
    for hook in hooks if ema_first else hooks[::-1]:
        hook.before_train(runner)
    assert number > 0 == norms_run(model)
    for got, want in zip(outputs(model), plain):
        torch.testing.assert_close(got.logits, want.logits)


@pytest.mark.parametrize('statistics', [{}, dict(mean=[127.5], std=[60.0])])
def test_images_without_statistics_of_each_channel(statistics):
    segmentor = dict(
        toy_segmentor(), data_preprocessor=dict(type='SegDataPreProcessor', **statistics)
    )
    model = ready(segmentor=segmentor)
    started(model)
    assert norms_run(model) == 0


def test_low_precision_is_that_of_the_teachers_in_training_alone():
    model = ready()
    hook, runner = started(model, fold_batch_norm=False, dtype='bfloat16')
    model.train()
    assert outputs(model)[0].logits.dtype == torch.bfloat16
    image = torch.randn(1, 3, 32, 32)
    assert model.forward_member('student0', image)[0].logits.dtype == torch.float32
    model.eval()
    assert outputs(model)[0].logits.dtype == torch.float32
    model.train()
    values = losses_of(model, toy_batch())
    assert all(map(torch.isfinite, values.values()))
    hook.after_train(runner)
    assert outputs(model)[0].logits.dtype == torch.float32


@pytest.mark.parametrize('trained', [True, False])
def test_layers_that_are_called_in_another_order(trained):
    """Also where the batch norms of a new network change nothing yet."""
    model = ready(trained)
    for teacher in model.teachers:
        backbone = teacher.backbone
        backbone.forward = lambda x, of=backbone: [of.norm(of.stem(x).relu()), of.body(of.stem(x))]
    with pytest.raises(ValueError, match='order in which they are built'):
        started(model)
    assert not any('forward' in vars(part) for part in model.teachers[0].backbone.children())


def test_the_check_changes_no_state():
    model = ready()
    modes = [part.training for part in model.modules()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    started(model)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes


@COMPILE
def test_compiled_teachers_are_folded():
    """The check compiles nothing; the passes of a step are those of the plain network."""
    torch._dynamo.reset()
    model, graphs = ready(), []
    plain = outputs(model)
    compile_members(model, dict(backend=lambda graph, _: graphs.append(graph) or graph.forward))
    started(model)
    assert not graphs
    for got, want in zip(outputs(model.train()), plain):
        torch.testing.assert_close(got.logits, want.logits)
    number = len(graphs)
    outputs(model)
    assert number == len(graphs) > 0
    assert not any(
        'batch_norm' in str(node.target) for graph in graphs for node in graph.graph.nodes
    )


@pytest.mark.parametrize(
    'settings, model, error',
    [
        (dict(fold_batch_norm=False), {}, 'change nothing'),
        (dict(dtype='int8'), {}, 'dtype'),
        (dict(), dict(teacher_mode='train'), 'teacher_mode'),
        (dict(), dict(supervision='mutual', teacher_mode='train'), 'teaches without learning'),
    ],
)
def test_errors(settings, model, error):
    with pytest.raises(ValueError, match=error):
        started(
            ready(**model) if model.get('supervision') != 'mutual' else ready_model(**model),
            **settings,
        )
