# Copyright (c) mmseg_ctt contributors.
"""What WILSON alone promises: the network of a step grows from that of the step before."""

import math

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmseg.registry import MODELS
from toy import NUM_CLASSES, losses_of, prepared, toy_batch, toy_model, toy_segmentor, toy_settings
from toy_data import CLASSES, toy_config
from toy_run import shake, small_segmentor

from mmseg_ctt.apis import load_model
from mmseg_ctt.deploy.checkpoint import load_network, read_checkpoint
from mmseg_ctt.deploy.export import export_member
from mmseg_ctt.engine.guards import late_stage
from mmseg_ctt.methods.wilson.pseudo_labels import Refinement

OLD = 2


def old_network(classes=OLD, seed=3):
    head = {**toy_segmentor()['decode_head'], 'num_classes': classes}
    return shake(MODELS.build(toy_segmentor(decode_head=head)), seed)


def write(path, network, classes=CLASSES[:OLD], prefix=''):
    state = {prefix + key: value for key, value in network.state_dict().items()}
    meta = dict(dataset_meta=dict(classes=classes)) if classes else {}
    torch.save(dict(meta=meta, state_dict=state), path)
    return str(path)


def model_of(**settings):
    return toy_model('WILSON', **toy_settings('WILSON', **settings))


def same(state, other):
    return all(torch.equal(value, other[key]) for key, value in state.items())


@pytest.mark.parametrize('prefix', ['', 'students.0.'])
@pytest.mark.parametrize('init', ['default', 'balanced'])
def test_begins_as_the_network_before(tmp_path, prefix, init):
    old = old_network()
    path = write(tmp_path / 'old.pth', old, prefix=prefix)
    model = model_of(old_checkpoint=path, old_classes=CLASSES[:OLD], new_class_init=init)
    state, given = model.students[0].state_dict(), old.state_dict()
    assert same(model.old.state_dict(), given)
    assert not any(p.requires_grad for p in model.old.parameters())
    assert not any(module.training for module in model.train().old.modules())
    weight, bias = (f'decode_head.conv_seg.{name}' for name in ('weight', 'bias'))
    assert same({k: v for k, v in given.items() if k not in (weight, bias)}, state)
    assert torch.equal(state[weight][:OLD], given[weight])
    assert torch.equal(state[bias][1:OLD], given[bias][1:])
    if init == 'default':
        assert torch.equal(state[bias][:1], given[bias][:1]) and not state[bias][OLD:].any()
        assert state[weight][OLD:].abs().max() < 0.1
    else:
        lower = given[bias][0] - math.log(NUM_CLASSES - OLD + 1)
        assert torch.allclose(state[bias][[0, 2, 3]], lower)
        assert torch.equal(state[weight][2], given[weight][0])


def test_balanced_classes_predict_together_what_the_background_did(tmp_path):
    old = old_network().eval()
    path = write(tmp_path / 'old.pth', old)
    model = model_of(old_checkpoint=path, new_class_init='balanced').eval()
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = (net._forward(image).softmax(1) for net in (old, model))
    torch.testing.assert_close(after[:, 1:OLD], before[:, 1:])
    torch.testing.assert_close(after[:, [0, 2, 3]].sum(1), before[:, 0])


@pytest.mark.parametrize(
    'settings, words',
    [
        (dict(old_classes=CLASSES[1:3]), 'of the classes class0, class1, and the old .* class1, c'),
        (dict(old_classes=3), 'of the classes class0, class1, and the old .* are 3 classes'),
    ],
)
def test_a_checkpoint_of_other_classes(tmp_path, settings, words):
    path = write(tmp_path / 'old.pth', old_network())
    with pytest.raises(ValueError, match=rf'^model.old_checkpoint: .*{words}') as error:
        model_of(old_checkpoint=path, **settings)
    assert '\n' not in str(error.value)


def test_a_checkpoint_of_unknown_classes_has_their_number(tmp_path):
    path = write(tmp_path / 'old.pth', old_network(3), None)
    with pytest.raises(ValueError, match=r'shape \(3, 8, 1, 1\) for decode_head.conv_seg.weight'):
        model_of(old_checkpoint=path)


def test_a_checkpoint_of_another_architecture(tmp_path):
    network = old_network()
    network.backbone.more = torch.nn.Conv2d(8, 8, 1)
    path = write(tmp_path / 'old.pth', network)  # more entries do no harm
    assert same(model_of(old_checkpoint=path).old.state_dict(), network.state_dict())
    state = {k: v for k, v in network.state_dict().items() if 'body' not in k}
    torch.save(dict(meta={}, state_dict=state), path)
    with pytest.raises(ValueError, match='no such entry for backbone.body.weight'):
        model_of(old_checkpoint=path)


def test_a_checkpoint_of_several_networks(tmp_path):
    path = tmp_path / 'old.pth'
    torch.save(dict(meta={}, state_dict=toy_model('MeanTeacher').state_dict()), path)
    with pytest.raises(ValueError, match='has several networks; write one by .*export_segmentor'):
        model_of(old_checkpoint=str(path))
    path.write_text('nothing')
    with pytest.raises(ValueError, match='is no checkpoint of mmengine'):
        model_of(old_checkpoint=str(path))
    with pytest.raises(FileNotFoundError, match='model.old_checkpoint=.*does not exist'):
        model_of(old_checkpoint='absent.pth')


def test_a_training_without_the_network_before():
    with pytest.raises(ValueError, match='model.old_checkpoint is not set: .*self_train.py'):
        model_of(old_checkpoint=None)


@pytest.mark.parametrize(
    'settings, error, words',
    [
        (dict(old_classes=NUM_CLASSES), ValueError, 'model.old_classes has 4 classes and'),
        (dict(old_classes=0), ValueError, 'model.old_classes has 0 classes'),
        (dict(old_classes=None), TypeError, 'model.old_classes must be'),
        (dict(old_checkpoint=True), TypeError, 'model.old_checkpoint must be a file'),
        (dict(alpha=1.5), ValueError, r'model.alpha must be in \[0, 1\]'),
        (dict(background_blend=-1), ValueError, 'model.background_blend must be in'),
        (dict(pseudo_start=1.0), ValueError, 'model.pseudo_start must be an iteration'),
        (dict(pseudo_start='x'), TypeError, 'model.pseudo_start must be a number'),
        (dict(new_class_init='zeros'), ValueError, 'model.new_class_init must be one of'),
        (dict(sss_weights='none'), ValueError, 'model.sss_weights must be one of'),
        (dict(cls_reduction='none'), ValueError, 'model.cls_reduction must be one of'),
        (dict(use_old_image_labels=1), TypeError, 'model.use_old_image_labels must be True or'),
        (dict(focal='no'), TypeError, 'model.focal must be True or False'),
        (dict(refinement=dict(dilations=())), ValueError, 'model.refinement.dilations must'),
        (dict(refinement=dict(iterations=0)), ValueError, 'model.refinement.iterations must'),
        (dict(hard_map=dict(low=2)), ValueError, 'model.hard_map.low must be in'),
        (dict(hard_map=dict(drop_ambiguous=1)), TypeError, 'model.hard_map.drop_ambiguous must'),
        (dict(loss_weights=dict(seg=0)), ValueError, 'model.loss_weights.seg=0: the network'),
        (dict(loss_weights=dict(cls=0)), ValueError, 'model.loss_weights.cls=0: the localiser'),
        (dict(loss_weights=dict(sss=0)), ValueError, 'model.hard_map would be unused with'),
        (
            dict(loss_weights=dict(sss=0), hard_map=None, refinement=dict(iterations=3)),
            ValueError,
            'model.refinement would be unused with',
        ),
    ],
)
def test_wrong_settings(settings, error, words):
    with pytest.raises(error, match=words) as caught:
        model_of(**settings)
    assert '\n' not in str(caught.value)


def run_at(done, total):
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', done)
    hub.update_info('max_iters', total)


@pytest.mark.parametrize('start', [0.25, 2])
def test_pseudo_labels_start(start):
    model = model_of(pseudo_start=start)
    for done, works in ((0, False), (1, False), (2, True), (7, True)):
        run_at(done, 8)
        losses = losses_of(model, toy_batch())
        later = [losses[f'student0.loss_{term}'] for term in ('sss', 'seg')]
        assert all((value > 0) == works for value in later), done
        assert (losses['student0.claimed_ratio'] > 0) == works
        assert losses['student0.loss_cls'] > 0
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        assert model.students[0].decode_head.conv_seg.weight.grad is not None


def test_pseudo_labels_that_never_start():
    line = late_stage(model_of(pseudo_start=9), [], dict(max_iters=9))
    assert line.startswith('model.pseudo_start=9, but the run has 9 iterations: the network never')
    assert late_stage(model_of(pseudo_start=8), [], dict(max_iters=9)) is None


def test_old_tags_are_hidden_unless_they_are_used():
    batch = toy_batch()
    hidden, used = (losses_of(model_of(use_old_image_labels=use), batch) for use in (False, True))
    assert hidden['student0.loss_cls'] != used['student0.loss_cls']
    assert hidden['student0.loss_loc'] == used['student0.loss_loc']


@pytest.mark.parametrize(
    'settings',
    [
        dict(alpha=0.9),
        dict(background_blend=0.5),
        dict(eps=0.01),
        dict(focal=False),
        dict(cls_reduction='sum'),
        dict(sss_weights='image'),
        dict(refinement=False),
        dict(refinement=dict(iterations=2)),
        dict(hard_map=dict(top=0.9, background=0.9, low=0.1)),
    ],
)
def test_every_option_has_an_effect(settings):
    plain, changed = (
        losses_of(model_of(), toy_batch()),
        losses_of(model_of(**settings), toy_batch()),
    )
    assert plain.keys() == changed.keys() and plain != changed


def test_a_localiser_of_other_widths():
    model = model_of(localizer=dict(channels=5, norm_cfg=dict(type='GN', num_groups=1)))
    assert model.localizer.conv_seg.in_channels == 5
    assert isinstance(model.localizer.convs[0].norm, torch.nn.GroupNorm)
    assert model.localizer.convs[0].conv.bias is None


def test_evaluation_of_the_localiser_changes_nothing():
    model = model_of()
    features = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    before = {key: value.clone() for key, value in model.localizer.state_dict().items()}
    first = model.localizer.predict(features)
    assert same(before, model.localizer.state_dict()) and model.localizer.training
    assert not first.requires_grad and not torch.equal(first, model.localizer(features))
    assert not same(before, model.localizer.state_dict())


def test_tags_of_other_classes():
    data = prepared(model_of(), toy_batch())
    wide = model_of(segmentor=dict(decode_head=dict(num_classes=5)))
    with pytest.raises(ValueError, match='images have tags of 4 classes and the network has 5'):
        wide(**data, mode='loss')


def test_a_cascade_has_no_single_classifier():
    heads = [toy_segmentor()['decode_head']] * 2
    cfg = toy_segmentor(type='CascadeEncoderDecoder', num_stages=2, decode_head=heads)
    with pytest.raises(ValueError, match='decode_head must be one head, whose classifier grows'):
        MODELS.build(ConfigDict(type='WILSON', segmentor=cfg, old_classes=2, old_checkpoint=False))


def test_the_old_network_is_in_the_checkpoint_and_predicts_nothing():
    model = model_of()
    assert 'old.decode_head.conv_seg.weight' in model.state_dict()
    assert model.member_names == ('student0', 'ensemble')
    assert not model.member('old').training


def test_export_api_and_test_need_the_student_alone(tmp_path):
    """And no checkpoint of the step before."""
    given = toy_settings('WILSON', segmentor=small_segmentor(), old_checkpoint='absent.pth')
    cfg = toy_config(tmp_path / 'data', tmp_path / 'work', model=dict(type='WILSON', **given))
    model = shake(MODELS.build(Config(dict(model=cfg.model)).model)).eval()
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(meta={}, state_dict=model.state_dict()), path)
    image, metas = torch.randn(1, 3, 32, 32), [dict(ori_shape=(32, 32), img_shape=(32, 32))]
    made = export_member(cfg, read_checkpoint(path))
    plain = MODELS.build(made.config.model).eval()
    plain.load_state_dict(made.checkpoint['state_dict'])
    for network in (plain, load_model(cfg, path), load_network(cfg, path, 'cpu')):
        torch.testing.assert_close(
            network.inference(image, metas), model.students[0].inference(image, metas)
        )
    assert not any(key.startswith(('old', 'localizer')) for key in made.checkpoint['state_dict'])


def test_refinement_of_a_part():
    """Means are those of the content: a constant stays, whatever lies beside it."""
    image = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    valid = torch.zeros(1, 6, 8, dtype=torch.bool)
    valid[..., :5] = True
    mask = torch.full((1, 2, 6, 8), 0.25)
    mask[..., 5:] = 9.0
    refined = Refinement(dilations=(1, 2), iterations=3)(image, mask, valid)
    torch.testing.assert_close(refined[..., :5], mask[..., :5])
