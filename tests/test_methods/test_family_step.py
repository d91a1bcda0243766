# Copyright (c) mmseg_ctt contributors.
"""One training step of every method: keys, gradients, what is read, corners."""

from types import SimpleNamespace

import pytest
import torch
from family import (
    EVERY_METHOD,
    EVERY_RECIPE,
    RECIPES,
    assert_finite,
    prepared,
    ready,
    step,
    trained_weights,
    unmixed,
    working_terms,
)
from mmengine.structures import PixelData
from no_sync import record
from toy import NUM_CLASSES, losses_of, total_of, toy_batch, toy_model, toy_segmentor, toy_settings

from mmseg_ctt.engine import StudentOptimWrapperConstructor, TeacherEMAHook
from mmseg_ctt.nn.projection import PixelProjection

WIDTH, CELLS = 20, 6  # columns of content, and cells at stride 4 that reach into it


def contrast_off(model):
    if getattr(model, 'contrast', None) is not None and model.contrast.waits:
        model.contrast.switch(False)
    return model


# ---- keys and gradients


@EVERY_RECIPE
def test_keys_are_those_of_the_terms(recipe):
    model = ready(recipe)
    losses, off = step(model), losses_of(contrast_off(ready(recipe)), toy_batch(seed=1))
    assert set(losses) == set(off)
    terms = {key.rpartition('loss_')[2] for key in losses if '.loss_' in key}
    weighed = {term for term, weight in model.weights.items() if weight and term != 'sup'}
    assert terms - {'ce'} == weighed
    for name, student in model.members.items():
        assert (f'{name}.decode.loss_ce' in losses) == student.trains
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
    """So that DDP need not look for unused parameters; while the contrast is off too."""
    model = ready(recipe)
    step(model if active else contrast_off(model))
    for name, weight in model.named_parameters():
        assert (weight.grad is None) != weight.requires_grad, name
    for name, member in model.members.items():
        assert all(p.requires_grad == member.trains for p in model.member(name).parameters())
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


@EVERY_METHOD
def test_auxiliary_heads_learn_from_labelled_images(kind):
    segmentor = toy_segmentor(auxiliary_head=[AUXILIARY, AUXILIARY])
    model = ready(RECIPES[kind], segmentor=segmentor)
    losses = step(model)
    for i, student in enumerate(model.students):
        for j, head in enumerate(student.auxiliary_head):
            assert losses[f'student{i}.aux{j}.loss_ce'] > 0
            assert head.conv_seg.weight.grad.abs().sum() > 0
    assert_finite(model, losses)


@EVERY_METHOD
@pytest.mark.parametrize('joint', [True, False])
def test_a_head_with_a_projection_of_its_own(kind, joint):
    """DDP stops at the second step where a layer gets no gradient."""
    settings = dict(segmentor=toy_segmentor(decode_head=PROJECTING), joint_forward=joint)
    model = toy_model(kind, **toy_settings(kind, **settings))
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
def test_random_numbers_come_with_the_samples(recipe):
    batch = toy_batch()
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(draw=(8, sample.metainfo['draw'][1])))
    same = losses_of(ready(recipe), batch) == losses_of(ready(recipe), toy_batch())
    assert same == (recipe.settings.get('strong_augmentation') == [])


@EVERY_RECIPE
def test_labels_of_unlabelled_images_are_never_read(recipe):
    plain, batch = losses_of(ready(recipe), toy_batch()), toy_batch()
    for sample in batch['data_samples'][2:]:
        sample.gt_sem_seg = PixelData(data=torch.randint(-1000, 1000, (1, 32, 32)))
    assert losses_of(ready(recipe), batch) == plain


@EVERY_RECIPE
def test_inputs_and_labels_are_left_as_they_were(recipe):
    model = ready(recipe)
    data = prepared(model)
    kept = [images.clone() for images in data['inputs'].values()]
    labels = [sample.gt_sem_seg.data.clone() for sample in data['data_samples']['labeled']]
    model(**data, mode='loss')
    assert all(map(torch.equal, data['inputs'].values(), kept))
    after = [sample.gt_sem_seg.data for sample in data['data_samples']['labeled']]
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


# ---- padding


def disturbed(model, noise):
    """Adds noise to the outputs of all members in the padding, where no pixel of content reaches.

    Embeddings that a projection reads are left alone: it is a network as the members are, whose
    3x3 layer and batch statistics reach everywhere.
    """
    forward = model.forward_members
    projects = any(isinstance(module, PixelProjection) for module in model.modules())
    g = torch.Generator().manual_seed(4)

    def changed(map_):
        if map_ is None:
            return None
        beyond = torch.zeros_like(map_)
        beyond[..., CELLS:] = noise * torch.randn(beyond[..., CELLS:].shape, generator=g)
        return map_ + beyond

    def wrapper(*args, **kwargs):
        return {
            name: [
                output._replace(
                    logits=changed(output.logits),
                    embedding=output.embedding if projects else changed(output.embedding),
                )
                for output in outputs
            ]
            for name, outputs in forward(*args, **kwargs).items()
        }

    model.forward_members = wrapper
    return model


@EVERY_RECIPE
def test_padding_teaches_nothing(recipe):
    """Whatever networks predict there: losses, gradients and memories are the same."""
    results = []
    for noise in (0.0, 20.0):
        model = disturbed(ready(recipe), noise)
        data = prepared(model)
        for samples in data['data_samples'].values():
            for sample in samples:
                sample.set_metainfo(dict(img_shape=(32, WIDTH)))
                if 'gt_sem_seg' in sample:
                    sample.gt_sem_seg.data[..., WIDTH:] = 255
        losses = model(**data, mode='loss')
        total_of(losses, model).backward()
        gradients = {name: weight.grad for name, weight in trained_weights(model).items()}
        results.append((losses, gradients, dict(model.named_buffers())))
    for plain, other in zip(*results):
        torch.testing.assert_close(other, plain, rtol=1e-5, atol=1e-6)
    losses = results[0][0]
    assert all(losses[key] > 0 for key in working_terms(recipe, losses))


@EVERY_RECIPE
def test_padding_changes_the_losses(recipe):
    """That of the test above is seen at all."""
    model, plain = ready(recipe), losses_of(ready(recipe), toy_batch())
    data = prepared(model)
    for sample in data['data_samples']['unlabeled']:
        sample.set_metainfo(dict(img_shape=(32, WIDTH)))
    losses = model(**data, mode='loss')
    assert any(losses[key] != plain[key] for key in plain if 'loss' in key)


# ---- corners


@EVERY_RECIPE
@pytest.mark.parametrize('active', [True, False])
@pytest.mark.parametrize('label', [2, 255], ids=['one class', 'every label ignored'])
def test_absent_classes_and_ignored_labels(recipe, label, active):
    model = ready(recipe)
    model, batch = model if active else contrast_off(model), toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(label)
    losses = step(model, batch)
    assert_finite(model, losses)
    assert set(losses) == set(losses_of(ready(recipe), toy_batch()))
    if label == 255:
        assert all(losses[key] == 0 for key in losses if key.endswith('decode.loss_ce'))


@EVERY_RECIPE
@pytest.mark.parametrize('threshold', [0.0, 1.0])
def test_all_or_no_pixel_is_confident(recipe, threshold):
    if recipe.method.default_consistency is None:
        pytest.skip('has no consistency')
    settings = dict(recipe.settings.get('consistency', {}), confidence_threshold=threshold)
    settings.pop('class_thresholds', None)
    model = ready(recipe, consistency=settings)
    losses = step(model)
    assert_finite(model, losses)
    ratios = [value for key, value in losses.items() if key.endswith('confident_ratio')]
    assert all(ratio > 0 if threshold == 0 else ratio == 0 for ratio in ratios)


@EVERY_RECIPE
def test_networks_that_are_certain_of_one_class(recipe):
    model = ready(recipe)
    with torch.no_grad():
        for name in model.members:
            model.member(name).decode_head.conv_seg.bias[2] = 1e4
    assert_finite(model, step(model))


@EVERY_RECIPE
def test_features_of_zeros(recipe):
    model = ready(recipe)
    with torch.no_grad():
        for name in model.members:
            body = model.member(name).backbone.body
            body.weight.zero_()
            body.bias.zero_()
    assert_finite(model, step(model))


@EVERY_RECIPE
def test_one_image_a_source_where_nothing_is_mixed(recipe):
    model = ready(recipe, **unmixed(recipe))
    assert_finite(model, step(model, toy_batch(1, 1)))


@EVERY_RECIPE
def test_one_image_cannot_be_mixed(recipe):
    """Either the method does not mix, or one sentence says what to raise."""
    model = ready(recipe)
    try:
        losses = losses_of(model, toy_batch(1, 1))
    except ValueError as error:
        assert 'train_dataloader.batch_size' in str(error) and '\n' not in str(error)
    else:
        assert all(torch.isfinite(value) for value in losses.values())


# ---- precision, memory format, host


@EVERY_RECIPE
@pytest.mark.parametrize('active', [True, False])
def test_half_precision(recipe, active):
    plain, model = ready(recipe), ready(recipe)
    if not active:
        contrast_off(plain), contrast_off(model)
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert_finite(model, losses)
    for key, value in losses_of(plain, toy_batch()).items():
        torch.testing.assert_close(losses[key], value, rtol=0.15, atol=0.03, msg=key)
    for name, value in model.state_dict().items():
        assert not value.is_floating_point() or value.dtype == torch.float32, name


@EVERY_RECIPE
def test_channels_last_changes_no_value(recipe):
    plain, model = ready(recipe), ready(recipe, channels_last=True)
    model.load_state_dict(plain.state_dict())  # random numbers were drawn in the order of memory
    for name, weight in model.named_parameters():
        if weight.dim() == 4:
            assert weight.is_contiguous(memory_format=torch.channels_last), name
    losses, want = step(model), step(plain)
    for key, value in want.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-3, atol=1e-5, msg=key)
    for name, weight in trained_weights(model).items():
        if weight.dim() == 4:
            assert weight.grad.is_contiguous(memory_format=torch.channels_last), name


@EVERY_RECIPE
@pytest.mark.parametrize('padded', [False, True])
def test_no_host_synchronisation(recipe, padded):
    model = ready(recipe)
    data = prepared(model)
    if padded:
        for sample in data['data_samples']['unlabeled']:
            sample.set_metainfo(dict(img_shape=(32, WIDTH)))

    def whole():
        losses = model(**data, mode='loss')
        total_of(losses, model).backward()

    whole()
    assert record(whole) == []
