# Copyright (c) mmseg_ctt contributors.
"""Members of every method: weights, predictions, export, and options that any method may have."""

import copy
import inspect
from types import SimpleNamespace

import pytest
import torch
from family import (
    EVERY_METHOD,
    EVERY_METHOD_WITH_MASKS,
    EVERY_RECIPE,
    EVERY_RECIPE_WITH_MASKS,
    RECIPES,
    WITH_PSEUDO_LABELS,
    WITH_RAMP_UP,
    every_recipe_of,
    has_consistency,
    ready,
    segmentor_of,
    step,
)
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from toy import losses_of, prepared, sample, toy_batch, toy_model, toy_settings
from toy_data import toy_config
from toy_run import shake, small_segmentor

from mmseg_ctt.deploy.export import export_member
from mmseg_ctt.engine import TeacherEMAHook
from mmseg_ctt.engine.guards import missing_hook
from mmseg_ctt.functional import target_distribution
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.alignment import MemberAlignment
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.members import module_path
from mmseg_ctt.nn.schedule import RampUp
from mmseg_ctt.nn.supervision import has_teachers

TARGET = target_distribution(torch.tensor([8.0, 4, 2, 1]))


def image(batch=2, seed=0):
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def equal(module, other):
    states = module.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(value, states[1][key]) for key, value in states[0].items()
    )


# ---- weights


@EVERY_RECIPE
def test_followers_begin_as_what_they_follow_and_share_no_memory(recipe):
    model = toy_model(recipe.kind, **toy_settings(recipe.kind, **recipe.settings))
    for follower in model.followers():
        assert equal(follower.module, follower.followed)
        pointers = {p.data_ptr() for p in follower.module.parameters()}
        assert not pointers & {p.data_ptr() for p in follower.followed.parameters()}
    students = list(model.students)
    assert all(not equal(a, b) for i, a in enumerate(students) for b in students[:i])


@EVERY_RECIPE
def test_a_plain_checkpoint_fills_every_member(recipe):
    """As ``load_from`` does: mmengine loads without strictness. Not members of other classes."""
    plain = MODELS.build(segmentor_of(recipe))
    shake(plain, 3)
    model = ready(recipe)
    filled = {module_path(name)[0] for name, kind in model.members.items() if not kind.override}
    parts = {key for key in model.state_dict() if key.split('.')[0] not in filled}
    kept = {key: model.state_dict()[key].clone() for key in parts}
    missing = model.load_state_dict(plain.state_dict(), strict=False)
    for name, member in model.members.items():
        assert (member.override is None) == equal(model.member(name), plain)
    absent = {key for key in parts if not key.endswith('num_batches_tracked')}  # torch adds these
    assert not missing.unexpected_keys and set(missing.missing_keys) == absent
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in kept.items())


@EVERY_RECIPE
def test_initialisation_reaches_members_and_parts(recipe):
    model, called = ready(recipe), []
    parts = {name: getattr(model, name) for name in model.parts}
    own = {name: model.member(name) for name, member in model.members.items() if member.trains}
    for name, module in {**parts, **own}.items():
        if hasattr(module, 'init_weights'):
            module.init_weights = lambda name=name: called.append(name)
    model.init_weights()
    expected = {
        name for name, module in {**parts, **own}.items() if hasattr(module, 'init_weights')
    }
    assert set(called) == expected and set(own) <= expected
    assert all(equal(pair.module, pair.followed) for pair in model.followers())


@EVERY_RECIPE
def test_needed_hooks_are_named(recipe):
    model = ready(recipe)
    hooks = {kind for part in model.modules() for kind in getattr(part, 'required_hooks', {})}
    assert ('TeacherEMAHook' in hooks) == bool(model.followers())
    line = missing_hook(model, [])
    assert (line is not None) == bool(hooks)
    assert not hooks or 'default_hooks.' in line


@EVERY_METHOD
def test_frozen_teachers_follow_nobody(kind):
    if not has_teachers(toy_model(kind, **toy_settings(kind)).graph):
        with pytest.raises(ValueError, match='^model.frozen_teachers: no EMA teacher teaches in'):
            toy_model(kind, **toy_settings(kind, frozen_teachers=True))
        return
    model = toy_model(kind, **toy_settings(kind, frozen_teachers=True))
    assert all(follower.module not in model.teachers for follower in model.followers())
    for teacher, student in zip(model.teachers, model.students):
        assert equal(teacher, student)  # until load_from gives them weights
    shake(model.teachers, 5)
    state = copy.deepcopy(model.teachers.state_dict())
    optimizer = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.1)
    runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapper(optimizer))
    TeacherEMAHook().before_train(runner)
    model.train()
    for seed in range(2):
        model.parse_losses(losses_of(model, toy_batch(seed=seed)))[0].backward()
        optimizer.step()
    assert not any(layer.training for teacher in model.teachers for layer in teacher.modules())
    assert all(torch.equal(value, state[key]) for key, value in model.teachers.state_dict().items())


# ---- predictions


@every_recipe_of(lambda method: method.trains_heads)
def test_each_member_predicts_as_it_does_alone(recipe):
    model, x = ready(recipe).eval(), image()
    metas = [dict(ori_shape=(32, 32), img_shape=(32, 32))] * 2
    samples = [SegDataSample(metainfo=meta) for meta in metas]
    names, found = model.member_names, model.predict_members(x, samples)
    assert list(found) == list(names) and names[-1] == 'ensemble'
    for name in names[:-1]:
        want = model.member(name).inference(x, metas)
        for got, logits in zip(found[name], want):
            assert torch.equal(got.seg_logits.data, logits)
            assert torch.equal(got.pred_sem_seg.data[0], logits.argmax(0))
    group = model.teachers if len(model.teachers) else model.students
    mean = sum(member.inference(x, metas).softmax(1) for member in group) / len(group)
    if len(group) > 1:
        torch.testing.assert_close(found['ensemble'][0].seg_logits.data, mean[0].log())
    model.predict_on = model.default_predict_on({**recipe.settings, 'type': recipe.kind})
    default = model.inference(x, metas)
    assert torch.equal(default, model.member(model.predict_on).inference(x, metas))


@EVERY_METHOD_WITH_MASKS
def test_export_of_the_default_member_is_its_prediction(kind, tmp_path):
    """A plain segmentor of stock mmseg, without the name of a member."""
    given = toy_settings(kind, segmentor=small_segmentor())
    cfg = toy_config(tmp_path / 'data', tmp_path / 'work', model=dict(type=kind, **given))
    model = shake(MODELS.build(Config(dict(model=cfg.model)).model)).eval()
    made = export_member(cfg, dict(state_dict=model.state_dict(), meta={}))
    assert made.member == model.predict_on
    plain = MODELS.build(made.config.model).eval()
    plain.load_state_dict(made.checkpoint['state_dict'])
    x, metas = image(), [dict(ori_shape=(32, 32), img_shape=(32, 32))] * 2
    torch.testing.assert_close(plain.inference(x, metas), model.inference(x, metas))
    others = [name for name in model.member_names[:-1] if name != model.predict_on]
    for name in others:
        other = model.member(name).inference(x, metas)
        assert not torch.allclose(plain.inference(x, metas), other)


def modes(members):
    return {module.training for member in members for module in member.modules()}


@EVERY_RECIPE
@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_modes_of_the_members(recipe, mode):
    if mode == 'eval' and not has_teachers(ready(recipe).graph):
        with pytest.raises(ValueError, match='^model.teacher_mode: no EMA teacher teaches in'):
            ready(recipe, teacher_mode=mode)
        return
    model = ready(recipe, teacher_mode=mode)
    for _ in range(2):
        model.train()
        assert modes(model.students) == {True} and modes(model.teachers) <= {mode == 'train'}
        step(model)
        assert modes(model.students) == {True} and modes(model.teachers) <= {mode == 'train'}
        model.eval()
        assert modes([model]) == {False}


# ---- pseudo-labels, as hooks read them


def persistent(model):
    """State that a step changes beside batch statistics."""
    return {
        name: value.clone()
        for name, value in model.state_dict().items()
        if not name.endswith(('running_mean', 'running_var', 'num_batches_tracked'))
    }


@EVERY_RECIPE_WITH_MASKS
def test_pseudo_labels_can_be_inspected(recipe):
    model = ready(recipe)
    model.alignment = MemberAlignment(model.teaching_members, TARGET, steps=4)
    losses_of(model, toy_batch(seed=1))  # moves the means, which are uniform at first
    data, before = prepared(model), persistent(model)
    for known in data['data_samples']['unlabeled']:
        known.set_metainfo(dict(img_shape=(32, 20)))
    images = {
        name: Images(data['inputs'][name], data['data_samples'][name]) for name in data['inputs']
    }
    found = model.inspect_pseudo_labels(**images)
    with torch.no_grad():
        outputs = model.alignment.align(model.forward_teachers(images))
    assert set(outputs) == set(model.teaching_members)
    outputs = model.labelling_outputs(outputs)
    assert set(found) == set(outputs) and model.first_target in found
    for name, pseudo in found.items():
        up = model.upsampled(outputs[name][0].logits, (32, 32)).softmax(1)
        confidence, label = up.max(1)
        assert torch.equal(pseudo.label[..., :20], label[..., :20])
        torch.testing.assert_close(pseudo.confidence[..., :20], confidence[..., :20])
        assert (pseudo.label[..., 20:] == 255).all() and not pseudo.confidence[..., 20:].any()
        assert not pseudo.confidence.requires_grad
    after = persistent(model)
    assert all(torch.equal(value, after[name]) for name, value in before.items())


# ---- options of any method


@WITH_PSEUDO_LABELS
def test_alignment_changes_the_weak_view_alone(recipe):
    """Methods with pseudo-labels read aligned outputs; the running mean moves once a step."""
    apart = dict(joint_forward=False)  # a view that is cut otherwise moves no labelled image
    model, calls = ready(recipe, **apart), []
    plain = losses_of(ready(recipe, **apart), toy_batch())
    model.alignment = MemberAlignment(model.teaching_members, TARGET, steps=4)
    forward = model.alignment.forward

    def noted(outputs, valid):
        calls.append((outputs, forward(outputs, valid)))
        return calls[-1][1]

    model.alignment.forward = noted
    losses = losses_of(model, toy_batch())
    ((given, aligned),) = calls
    assert given.keys() == aligned.keys() == set(model.teaching_members)
    for name, (weak, *others) in given.items():
        moved = aligned[name][0].logits - weak.logits
        assert moved.std(dim=(0, 2, 3)).max() < 1e-5 and moved.abs().max() > 0.1
        assert all(a is b for a, b in zip(others, aligned[name][1:]))
    assert all(part.pointer == 1 for part in model.alignment.values())
    assert model.alignment.applied
    changed = {key for key in losses if losses[key] != plain[key]}
    assert changed and not any(key.endswith('decode.loss_ce') for key in changed)


def takes_class_thresholds(method):
    """Whether its consistency has them; CorrMatch has a threshold of its own."""
    if not has_consistency(method):
        return False
    part = method.consistency_class
    part = MODELS.get(part) if isinstance(part, str) else part
    return 'class_thresholds' in inspect.signature(part).parameters


@pytest.mark.parametrize(
    'kind',
    [kind for kind, method in registered_methods().items() if takes_class_thresholds(method)],
)
def test_class_thresholds_for_every_method_with_a_threshold(kind):
    method = registered_methods()[kind]
    usual = dict(method.toy_settings.get('consistency', {}))
    settings = dict(usual, confidence_threshold=0.5, class_thresholds=dict(momentum=0.5))
    if method.consistency_class == 'Consistency':
        settings['select'] = 'pixel'
    model = ready(RECIPES[kind], consistency=settings)
    thresholds = model.consistency.class_thresholds
    losses = step(model)
    assert thresholds.updates.max() == 1
    learned = thresholds.confidence[thresholds.updates > 0]
    assert (learned > 0.25).all()  # the mean confidence of four classes
    assert all(torch.isfinite(value) for value in losses.values())
    assert 'consistency.class_thresholds.confidence' in model.state_dict()
    data, before = prepared(model, toy_batch(seed=1)), persistent(model)
    model.inspect_pseudo_labels(
        **{name: Images(data['inputs'][name], data['data_samples'][name]) for name in model.sources}
    )
    after = persistent(model)
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@WITH_RAMP_UP
def test_ramp_up_scales_the_terms_from_pseudo_labels(recipe, monkeypatch):
    plain = losses_of(ready(recipe), toy_batch())
    monkeypatch.setattr(RampUp, '__call__', lambda self: 0.25)
    model = ready(recipe, ramp_up=0.5)
    ramped = tuple(f'.loss_{term}' for term in model.ramped_terms)
    assert ramped
    for key, value in losses_of(model, toy_batch()).items():
        factor = 0.25 if key.endswith(ramped) else 1
        torch.testing.assert_close(value, factor * plain[key])


@EVERY_RECIPE
def test_loss_weights_scale_their_terms(recipe):
    """Auxiliary tasks have weights of their own."""
    model = ready(recipe)
    tasks = model.auxiliary_tasks.weights if model.auxiliary_tasks is not None else {}
    weights = {term: 3 * model.weights[term] for term in set(model.weights) - set(tasks)}
    plain = losses_of(model, toy_batch())
    scaled = losses_of(ready(recipe, loss_weights=weights), toy_batch())
    for key, value in plain.items():
        weighed = 'loss' in key and key.rpartition('loss_')[2] not in tasks
        torch.testing.assert_close(scaled[key], (3 if weighed else 1) * value)


# ---- sources


@EVERY_METHOD
@pytest.mark.parametrize('source', ['tagged', None])
def test_an_unknown_source_is_an_error(kind, source):
    """And not silently one of the others; a tagged image without tags is one, too."""
    model, batch = ready(RECIPES[kind]), toy_batch()
    batch['inputs'] += [image.clone() for image in batch['inputs'][:2]]
    batch['data_samples'] += [sample(source, 9), sample(source, 10)]
    with pytest.raises(ValueError, match='source') as error:
        losses_of(model, batch)
    assert '\n' not in str(error.value)


@EVERY_METHOD_WITH_MASKS
@pytest.mark.parametrize('counts', [(2, 0), (0, 2)])
def test_a_source_without_images_is_an_error(kind, counts):
    with pytest.raises(ValueError, match='no (un)?labeled image'):
        losses_of(ready(RECIPES[kind]), toy_batch(*counts))
