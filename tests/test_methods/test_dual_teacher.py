# Copyright (c) mmseg_ctt contributors.
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmseg.models.backbones import MixVisionTransformer, MobileNetV2, ResNet
from test_family_settings import refused
from toy import at_iteration, losses_of, prepared, total_of, toy_batch, toy_model, toy_settings

from mmseg_ctt.engine import TeacherEMAHook
from mmseg_ctt.engine.guards import late_stage
from mmseg_ctt.functional import ema_decay
from mmseg_ctt.methods.dual_teacher.depth_drop import DepthDrop, residual_branches
from mmseg_ctt.methods.followers import IN_SHIFTS, begin_counting_in_shifts
from mmseg_ctt.nn.images import Images

ALPHA = 0.6


def model_of(**changes):
    return toy_model('DualTeacher', **toy_settings('DualTeacher', **changes))


def weight(model, name):
    return model.member(name).backbone.stem.weight.detach().clone()


def train(model, steps, accumulation=1):
    """Weights of all members after each iteration of a run."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    wrapper = OptimWrapper(optimizer, accumulative_counts=accumulation)
    wrapper.initialize_count_status(model, 0, steps)
    hook = TeacherEMAHook(alpha=ALPHA)
    hook.before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))
    states = []
    for i in range(steps):
        at_iteration(i)
        wrapper.update_params(total_of(losses_of(model, toy_batch(seed=i)), model))
        states.append({name: weight(model, name) for name in model.members})
    return states


# ---- shifts


def test_the_teacher_whose_turn_it_is_follows_and_the_other_rests():
    model = model_of(period=2)
    start = weight(model, 'student0')
    states = train(model, 7)
    for teacher, own in (('teacher0', (0, 1, 4, 5)), ('teacher1', (2, 3, 6))):
        average = start
        for number, state in enumerate(states):
            if number in own:
                decay = ema_decay(own.index(number), ALPHA)
                average = decay * average + (1 - decay) * state['student0']
            torch.testing.assert_close(state[teacher], average)


def test_teachers_that_begin_each_turn_as_a_copy_of_the_student():
    states = train(model_of(period=2, restart_teachers=True), 7)
    for number, teacher in ((0, 'teacher0'), (2, 'teacher1'), (4, 'teacher0'), (6, 'teacher1')):
        torch.testing.assert_close(states[number][teacher], states[number]['student0'])
    assert not torch.equal(states[5]['teacher0'], states[5]['student0'])


def test_a_copy_at_the_first_step_of_the_optimiser_with_accumulation():
    states = train(model_of(period=4, restart_teachers=True), 8, accumulation=2)
    for number, teacher in ((1, 'teacher0'), (5, 'teacher1')):
        torch.testing.assert_close(states[number][teacher], states[number]['student0'])
        assert not torch.equal(states[number - 1][teacher], states[number][teacher])


@pytest.mark.parametrize(
    'period, accumulation, fits',
    [(1, 2, False), (2, 4, False), (2, 8, False), (2, 2, True), (2, 6, True), (4, 2, True)],
)
def test_a_teacher_that_would_never_be_updated_is_refused(period, accumulation, fits):
    """Every step of the optimiser falls into turns of the same teacher."""
    model = model_of(period=period)
    if not fits:
        with pytest.raises(
            ValueError, match=f'counts={accumulation}: .*model.period={accumulation}'
        ):
            train(model, 1, accumulation)
        return
    states = train(model, 12, accumulation)
    for name in ('teacher0', 'teacher1'):
        assert not torch.equal(states[0][name], states[-1][name])


@pytest.mark.parametrize('period', [9, 0.95])
def test_a_turn_that_never_comes_is_refused(period):
    model, hooks = model_of(period=period), [TeacherEMAHook()]
    line = late_stage(model, hooks, dict(max_iters=9))
    words = f'model.period={period}, but the run has 9 iterations: the last of its 2 members'
    assert line.startswith(words)
    assert late_stage(model, hooks, dict(max_iters=20)) is None


@pytest.mark.parametrize('restart', [False, True])
@pytest.mark.parametrize('counted', [True, False])
def test_steps_that_the_scaler_skips_are_no_updates(restart, counted):
    """A checkpoint without the counts goes on by its iterations."""
    model, decays = model_of(period=3, restart_teachers=restart), []
    schedules = [follower.schedule for follower in model.followers()]
    begin_counting_in_shifts()
    skipped = (0, 1, 4)
    for i in range(12):
        at_iteration(i)
        if i == 6 and not counted:
            MessageHub.get_current_instance().update_info(IN_SHIFTS, None)
        if i not in skipped:
            decays.append([s.updates(0) for s in schedules])
    first, second = zip(*decays)
    rest = (None,) * 3
    if restart:
        assert first == (0, None, None, 0, 1, 2, *rest) and second == (None, 0, 1, *rest, 0, 1, 2)
    elif counted:
        assert first == (0, None, None, 1, 2, 3, *rest) and second == (None, 0, 1, *rest, 2, 3, 4)
    else:
        assert first == (0, None, None, 3, 4, 5, *rest) and second == (None, 0, 1, *rest, 3, 4, 5)


def test_the_teacher_at_work_labels_alone():
    model, seen = model_of(period=3), []
    for name, bias in (('teacher0', 1), ('teacher1', 2)):
        module = model.member(name).backbone
        module.register_forward_hook(lambda *_, name=name: seen.append(name))
        model.member(name).decode_head.conv_seg.bias.data[bias] += 100
    data = prepared(model)
    unlabeled = Images(data['inputs']['unlabeled'], data['data_samples']['unlabeled'])
    for done, teacher, label in ((2, 'teacher0', 1), (3, 'teacher1', 2), (6, 'teacher0', 1)):
        at_iteration(done)
        assert model.graph == ((teacher,),)
        (found,) = model.inspect_pseudo_labels(unlabeled=unlabeled).items()
        assert found[0] == teacher and (found[1].label == label).all()
        seen.clear()
        losses_of(model, toy_batch())
        assert seen == [teacher]


def test_views_of_both_turns():
    """CutMix in the first, ClassMix in the second; the sub-model's view is never mixed."""
    model = model_of(
        period=1, depth_augmentation=[], second_augmentation=[dict(type='ClassMixing')]
    )
    data = prepared(model)
    unlabeled = Images(data['inputs']['unlabeled'], data['data_samples']['unlabeled'])
    label = torch.zeros(2, 32, 32, dtype=torch.long)
    label[:, :16] = 1
    at_iteration(0)
    assert len(model.strong_view(unlabeled, label).mixes) == 1
    at_iteration(1)
    view = model.strong_view(unlabeled, label)
    (mask,) = view.mixes
    assert all(len(kept[part].unique()) == 1 for kept in mask.mask for part in (label[0] == 0,))
    plain = model.strong_view(unlabeled, augmentation=model.depth_augmentation)
    assert torch.equal(plain.image, unlabeled.image)


def test_settings():
    assert refused('DualTeacher', period=0).startswith('model.period must be a number of iter')
    assert refused('DualTeacher', restart_teachers=3).startswith('model.restart_teachers')
    unused = refused('DualTeacher', restart_teachers=True, frozen_teachers=True)
    assert unused.startswith('model.restart_teachers: frozen teachers stay')
    mixing = [dict(type='CutMixing')]
    assert 'nothing may be mixed' in refused('DualTeacher', depth_augmentation=mixing)
    assert refused('DualTeacher', depth_drop=0.2).startswith('model.depth_drop=0.2: ToyBackbone')
    assert model_of(consistency=dict(confidence_threshold=0.4)).depth_consistency is not None
    part = model_of(consistency=dict(confidence_threshold=0.4)).depth_consistency
    assert part.confidence_threshold == 0.4 and part.select == 'pixel'


# ---- depth drop

DRAWS = [(7, i) for i in range(64)]


def mobile():
    backbone = MobileNetV2(0.25, out_indices=(6,))
    backbone.eval()  # which returns None
    return backbone


def test_branches_of_residual_blocks():
    assert len(residual_branches(mobile())) == 11
    assert len(residual_branches(ResNet(18, base_channels=8, stem_channels=8))) == 8
    assert len(residual_branches(ResNet(50, base_channels=8, stem_channels=8))) == 16


def test_branches_are_dropped_by_image_and_scaled():
    backbone = mobile()
    drop = DepthDrop(backbone, 0.5)
    assert drop.rates[0] == pytest.approx(0.5 / 11) and drop.rates[-1] == 0.5
    block = drop.branches[-1].block
    given = torch.randn(64, block.conv[0].in_channels, 2, 2)
    whole = block(given) - given
    with drop.dropped(DRAWS, given), torch.no_grad():
        found = block(given) - given
    dropped = found.flatten(1).abs().amax(1) < 1e-6
    assert 15 < dropped.sum() < 49
    torch.testing.assert_close(found[~dropped], 2 * whole[~dropped], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(block(given) - given, whole)  # the block is whole again
    with drop.dropped(DRAWS[:3], given[:3]):
        again = block(given[:3]) - given[:3]
    torch.testing.assert_close(again, found[:3])  # numbers belong to the samples


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize(
    'norm, converted', [('SyncBN', revert_sync_batchnorm), ('BN', convert_sync_batchnorm)]
)
def test_branches_whose_batch_norm_the_runner_replaces(depth, norm, converted):
    """Without a launcher the runner makes BN of SyncBN, with ``sync_bn`` the other way round."""
    model = torch.nn.Module()
    model.backbone = ResNet(
        depth, base_channels=8, stem_channels=8, norm_cfg=dict(type=norm), norm_eval=False
    )
    drop = DepthDrop(model.backbone, 0.9)
    backbone, image = converted(model).eval().backbone, torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        whole = backbone(image)[-1]
        with drop.dropped(DRAWS[:2], image):
            assert not torch.equal(backbone(image)[-1], whole)
        assert torch.equal(backbone(image)[-1], whole)


def test_passes_keep_their_activations_in_the_block():
    """Recomputed ones would be those of the whole network."""
    backbone = MobileNetV2(0.25, out_indices=(6,), with_cp=True)
    image = torch.randn(2, 3, 32, 32, requires_grad=True)
    with DepthDrop(backbone, 0.9).dropped(DRAWS[:2], image):
        assert not any(getattr(m, 'with_cp', False) for m in backbone.modules())
        out = backbone(image)
    out.sum().backward()
    assert all(m.with_cp for m in backbone.modules() if hasattr(m, 'with_cp'))


@pytest.mark.parametrize('own,rate', [(0.0, None), (0.1, 0.5), (0.1, None)])
def test_drop_path_of_passes_that_are_computed_again(own, rate):
    """Gradients are those of a backbone that keeps its activations."""
    image, gradients = torch.randn(2, 3, 32, 32), []
    backbone = transformer(own).train()
    drop = DepthDrop(backbone, rate)
    for checkpointing in (False, True):
        for module in backbone.modules():
            if hasattr(module, 'with_cp'):
                module.with_cp = checkpointing
        backbone.zero_grad()
        torch.manual_seed(1)
        with drop.dropped(DRAWS[:2], image):
            total = sum(level.square().sum() for level in backbone(image))
        total.backward()
        gradients.append([weight.grad.clone() for weight in backbone.parameters()])
        assert all(m.with_cp == checkpointing for m in backbone.modules() if hasattr(m, 'with_cp'))
    for kept, recomputed in zip(*gradients):
        torch.testing.assert_close(recomputed, kept)


def transformer(rate):
    return MixVisionTransformer(
        embed_dims=8, num_layers=[1, 1], num_stages=2, num_heads=[1, 1], patch_sizes=[7, 3],
        strides=[4, 2], sr_ratios=[2, 1], out_indices=(0, 1), drop_path_rate=rate,
    )  # fmt: skip


def test_drop_path_of_the_backbone():
    """Its own rates, unless the config gives another; they are as before afterwards."""

    def rates(backbone):
        return [m.drop_prob for m in backbone.modules() if type(m).__name__ == 'DropPath']

    image = torch.randn(2, 3, 32, 32)
    backbone = transformer(0.1)
    own = rates(backbone)
    with DepthDrop(backbone).dropped(DRAWS[:2], image):
        assert rates(backbone) == own and max(own) > 0
    for given, expected in ((transformer(0.1), 0.4), (transformer(0.0), 0.4)):
        before = rates(given)
        with DepthDrop(given, 0.4).dropped(DRAWS[:2], image):
            assert rates(given)[-1] == pytest.approx(expected) and min(rates(given)) > 0
        assert rates(given) == before
    drop = DepthDrop(transformer(0.0))
    with drop.dropped(DRAWS[:2], image):
        assert rates(drop.backbone)[-1] == pytest.approx(0.1)


@pytest.mark.parametrize('rate', [-0.1, 1, 1.5])
def test_rates_that_are_none(rate):
    with pytest.raises(ValueError, match=r'model\.depth_drop'):
        DepthDrop(mobile(), rate)
