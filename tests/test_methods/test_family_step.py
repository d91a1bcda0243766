# Copyright (c) mmseg_ctt contributors.
"""One training step of every method: keys, gradients, and what it depends on."""

from types import SimpleNamespace

import pytest
import torch
from family import (
    EVERY_METHOD_WITH_MASKS,
    EVERY_RECIPE,
    METHODS,
    METHODS_WITH_MASKS,
    RECIPES,
    assert_finite,
    contrast_off,
    ready,
    step,
    trained_weights,
    with_masks,
    working_terms,
)
from mmengine.structures import PixelData
from toy import (
    NUM_CLASSES,
    losses_of,
    prepared,
    total_of,
    toy_batch,
    toy_model,
    toy_segmentor,
    toy_settings,
)

from mmseg_ctt.engine import StudentOptimWrapperConstructor, TeacherEMAHook
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.images import Images
from mmseg_ctt.nn.pseudo_label import PseudoLabel

# ---- keys and gradients


@EVERY_RECIPE
def test_keys_are_those_of_the_terms(recipe):
    model = ready(recipe)
    losses, off = step(model), losses_of(contrast_off(ready(recipe)), toy_batch(seed=1))
    assert set(losses) == set(off)
    terms = {key.rpartition('loss_')[2] for key in losses if '.loss_' in key}
    weighed = {term for term, weight in model.weights.items() if weight and term != 'sup'}
    assert terms - {'ce', 'code'} == weighed  # without losses of the heads
    for name, student in model.members.items():
        reads_masks = student.trains and with_masks(type(model))
        learns = any(key.startswith(f'{name}.decode.loss_') for key in losses)
        assert learns == reads_masks
    assert_finite(model, losses)
    total, log = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(v for key, v in losses.items() if 'loss' in key))
    assert set(log) == {*losses, 'loss'}


@EVERY_RECIPE
def test_every_term_is_at_work_with_the_toy_settings(recipe):
    losses = losses_of(ready(recipe), toy_batch())
    assert all(losses[key] > 0 for key in working_terms(recipe, losses)), losses


@EVERY_RECIPE
@pytest.mark.parametrize('active', [True, False])
def test_gradients_reach_every_trained_weight_and_no_other(recipe, active):
    """So that DDP need not search for unused parameters; while the contrast is off too."""
    model = ready(recipe)
    step(model if active else contrast_off(model))
    for name, weight in model.named_parameters():
        assert (weight.grad is None) != weight.requires_grad, name
    for name, member in model.members.items():
        for part, module in model.member(name).named_children():
            trains = member.trains and (part != 'decode_head' or model.trains_heads)
            assert all(p.requires_grad == trains for p in module.parameters()), part
    for student in model.students:
        assert student.backbone.stem.weight.grad.abs().sum() > 0


@EVERY_RECIPE
def test_each_term_gives_gradient(recipe):
    model = ready(recipe)
    losses = losses_of(model, toy_batch())
    for key in working_terms(recipe, losses):
        model.zero_grad()
        losses[key].backward(retain_graph=True)
        member = model.member(key.partition('.')[0])
        assert member.backbone.stem.weight.grad.abs().sum() > 0, key
    assert all(value.requires_grad == ('loss' in key) for key, value in losses.items())


@EVERY_RECIPE
def test_the_optimiser_has_what_trains(recipe):
    model = ready(recipe)
    settings = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05))
    wrapper = StudentOptimWrapperConstructor(settings)(model)
    held = {id(p) for group in wrapper.optimizer.param_groups for p in group['params']}
    assert {id(p) for p in trained_weights(model).values()} <= held
    still = {id(p) for name, p in model.named_parameters() if not p.requires_grad}
    for name, member in model.members.items():
        if not member.trains:
            assert {id(p) for p in model.member(name).parameters()} <= still - held
    hook = TeacherEMAHook()
    hook.before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))
    wrapper.update_params(total_of(losses_of(model, toy_batch()), model))
    assert int(model.num_updates) == bool(model.followers())


@EVERY_RECIPE
def test_everything_that_trains_is_a_member_or_a_part(recipe):
    """``parts`` is what ``init_weights`` reaches beside the members."""
    model = ready(recipe)
    members = [model.member(name) for name in model.members]
    parts = [getattr(model, name) for name in model.parts]
    held = {id(p) for part in (*members, *parts) if part is not None for p in part.parameters()}
    assert all(id(p) in held for p in model.parameters())


AUXILIARY = dict(
    type='FCNHead',
    in_channels=8,
    in_index=0,
    channels=4,
    num_convs=1,
    num_classes=NUM_CLASSES,
    align_corners=False,
    loss_decode=dict(type='PixelCrossEntropyLoss', loss_weight=0.4),
)
# its embedding is a projection beside the classifiers, which no loss of most methods reads
PROJECTING = dict(
    type='DeepLabV2Head',
    in_channels=8,
    in_index=1,
    dilations=(1, 2),
    embedding_dim=5,
    num_classes=NUM_CLASSES,
    align_corners=False,
    loss_decode=dict(type='PixelCrossEntropyLoss'),
)


@EVERY_METHOD_WITH_MASKS
def test_auxiliary_heads_learn_from_labelled_images(kind):
    segmentor = toy_segmentor(auxiliary_head=[AUXILIARY, AUXILIARY])
    model = ready(RECIPES[kind], segmentor=segmentor)
    losses = step(model)
    for i, student in enumerate(model.students):
        for j, head in enumerate(student.auxiliary_head):
            assert losses[f'student{i}.aux{j}.loss_ce'] > 0
            assert head.conv_seg.weight.grad.abs().sum() > 0
    assert_finite(model, losses)


WAYS = {True: (True, False), False: (None,)}  # by whether a step joins batches


@pytest.mark.parametrize(
    'kind, joint',
    [
        (kind, joint)
        for kind in METHODS_WITH_MASKS
        for joint in WAYS[registered_methods()[kind].joins_batches]
    ],
)
def test_a_head_with_a_projection_of_its_own(kind, joint):
    """DDP stops at the second step where a layer gets no gradient."""
    settings = {} if joint is None else dict(joint_forward=joint)
    model = toy_model(
        kind, **toy_settings(kind, segmentor=toy_segmentor(decode_head=PROJECTING), **settings)
    )
    assert_finite(model, step(model))


# ---- what a step depends on


@EVERY_RECIPE
def test_a_step_depends_on_nothing_but_the_batch_and_the_state(recipe):
    first = losses_of(ready(recipe), toy_batch())
    model = ready(recipe)
    torch.manual_seed(99)
    again = losses_of(model, toy_batch())
    assert again == first
    assert losses_of(ready(recipe), toy_batch(seed=1)) != first


@EVERY_RECIPE
def test_random_numbers_come_with_the_samples(recipe, monkeypatch):
    """Other numbers change the losses of every method that reads them."""
    batch, read, draws = toy_batch(), [], Images.draws.fget
    monkeypatch.setattr(Images, 'draws', property(lambda self: read.append(1) or draws(self)))
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(draw=(8, sample.metainfo['draw'][1])))
    same = losses_of(ready(recipe), batch) == losses_of(ready(recipe), toy_batch())
    steps = recipe.settings.get('strong_augmentation', recipe.method.default_augmentation)
    assert same == (not read) and (read or not steps)


@EVERY_RECIPE
def test_labels_of_unlabelled_images_are_never_read(recipe):
    plain, model = losses_of(ready(recipe), toy_batch()), ready(recipe)
    data = prepared(model)
    for source, samples in data['data_samples'].items():
        for sample in samples if source != 'labeled' else []:
            sample.gt_sem_seg = PixelData(data=torch.randint(-1000, 1000, (1, 32, 32)))
    assert model(**data, mode='loss') == plain


def with_pseudo_labels(method: type) -> bool:
    return with_masks(method) and 'unlabeled' in method.sources


# its target is of the very pass that learns from it: no other pass normalises otherwise
TARGET_IN_THE_JOINT_PASS = ('CrossConsistency',)
LABELLING = [kind for kind in METHODS if with_pseudo_labels(registered_methods()[kind])]


def labels_beside_other_images(kind, monkeypatch):
    """First pseudo-labels of two steps that differ in the labelled images alone."""
    of, made = PseudoLabel.of.__func__, []

    def recorded(cls, *args, **kwargs):
        made[-1].append(of(cls, *args, **kwargs))
        return made[-1][-1]

    monkeypatch.setattr(PseudoLabel, 'of', classmethod(recorded))
    for factor in (1, 3):
        made.append([])
        batch = toy_batch(2, 4)
        batch['inputs'][:2] = [image // factor for image in batch['inputs'][:2]]
        losses_of(toy_model(kind, **toy_settings(kind)), batch)
    return list(zip(*(labels[:1] for labels in made)))  # later ones may be of mixed images


@pytest.mark.parametrize(
    'kind', [kind for kind in LABELLING if kind not in TARGET_IN_THE_JOINT_PASS]
)
def test_labelled_images_do_not_change_pseudo_labels(kind, monkeypatch):
    """By default the weak view is normalised by its own statistics.

    Labelled images of another place in the same pass made UniMatch fail, see docs/methods/unimatch.
    """
    for first, second in labels_beside_other_images(kind, monkeypatch):
        assert torch.equal(first.confidence, second.confidence)
        assert torch.equal(first.label, second.label)


@pytest.mark.parametrize('kind', TARGET_IN_THE_JOINT_PASS)
def test_a_target_in_the_joint_pass_depends_on_labelled_images(kind, monkeypatch):
    """The exemption is needed."""
    ((first, second),) = labels_beside_other_images(kind, monkeypatch)
    assert not torch.equal(first.confidence, second.confidence)


@EVERY_RECIPE
def test_inputs_and_labels_are_left_as_they_were(recipe):
    model = ready(recipe)
    data = prepared(model)
    kept = [images.clone() for images in data['inputs'].values()]
    labeled = data['data_samples'].get('labeled', [])
    labels = [sample.gt_sem_seg.data.clone() for sample in labeled]
    model(**data, mode='loss')
    assert all(map(torch.equal, data['inputs'].values(), kept))
    after = [sample.gt_sem_seg.data for sample in labeled]
    assert all(map(torch.equal, after, labels))


@EVERY_RECIPE
def test_state_goes_through_a_checkpoint(recipe):
    model, other = ready(recipe), ready(recipe, **dict(recipe.settings))
    step(model)
    for weight in other.parameters():
        weight.data.add_(1)
    missing = other.load_state_dict(model.state_dict())
    assert not missing.missing_keys and not missing.unexpected_keys
    assert losses_of(other, toy_batch(seed=1)) == losses_of(model, toy_batch(seed=1))
