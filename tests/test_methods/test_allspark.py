# Copyright (c) mmseg_ctt contributors.
import copy
import uuid

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from reference import allspark as reference
from test_family_settings import refused
from toy import losses_of, prepared, toy_batch, toy_model, toy_segmentor, toy_settings

from mmseg_ctt.deploy.export import export_member
from mmseg_ctt.engine.guards import late_stage
from mmseg_ctt.methods.allspark import AllSparkNeck, functional
from mmseg_ctt.methods.allspark.memory import ChannelMemory
from mmseg_ctt.methods.allspark.neck import ChannelAttention
from mmseg_ctt.nn.images import Images


@pytest.fixture(autouse=True)
def no_run():
    """No run is under way, whatever ran before."""
    MessageHub.get_instance(uuid.uuid4().hex)


def model_of(**changes):
    return toy_model('AllSpark', **toy_settings('AllSpark', **changes))


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- mathematics


@pytest.mark.parametrize('positions', [3, 40])  # fewer and more than channels
@pytest.mark.parametrize('shared', [True, False])
def test_attention(positions, shared):
    query = random(2, 2, 5, positions) + 0.5  # scores of a mean that is not 0
    key, value = (random(1 if shared else 2, 2, 7, positions, seed=s) + 0.3 for s in (1, 2))
    found = functional.channel_attention(query, key, value)
    for b in range(2):
        for h in range(2):
            source = 0 if shared else b
            one = reference.attention(query[b, h], key[source, h], value[source, h])
            torch.testing.assert_close(found[b, h], one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('positions', [3, 40])
def test_channels_that_may_not_be_read(positions):
    filled = torch.tensor([True, False, True, True, False])
    query, key = random(1, 1, 4, positions), random(1, 1, 5, positions, seed=1)
    value = random(1, 1, 5, positions, seed=2)
    key = key * filled.view(1, 1, -1, 1)
    found = functional.channel_attention(query, key, value, filled)
    alone = functional.channel_attention(query, key[:, :, filled], value[:, :, filled])
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_gradient_of_closed_channels_is_finite():
    key = torch.zeros(1, 1, 3, 4, requires_grad=True)
    query = random(1, 1, 2, 4).requires_grad_()
    filled = torch.tensor([True, False, False])
    functional.channel_attention(query, key, random(1, 1, 3, 4, seed=1), filled).sum().backward()
    assert torch.isfinite(query.grad).all() and torch.isfinite(key.grad).all()


def test_scores_that_are_all_zero():
    """Queries across keys: the variance is 0 up to rounding, of either sign."""
    for seed in range(5):
        g = torch.Generator().manual_seed(seed)
        noise = torch.randn(64, 64, generator=g, dtype=torch.float64)
        basis = 10 * torch.linalg.qr(noise)[0]
        query, key = (
            torch.randn(1, 1, rows, 32, generator=g, dtype=torch.float64) @ part
            for rows, part in ((256, basis[:32]), (512, basis[32:]))
        )
        query, key = query.float().requires_grad_(), key.float()
        assert functional.score_variance(query, key) >= 0
        functional.channel_attention(query, key, key).square().sum().backward()
        assert query.grad.isfinite().all()


def test_classes_of_channels_are_those_of_the_most_similar_map():
    scores, maps = random(2, 3, 4, 6).softmax(1), random(2, 5, 4, 6, seed=1)
    found = functional.channel_classes(scores, maps)
    for b in range(2):
        expected = [reference.class_of(c, scores[b].flatten(1)) for c in maps[b].flatten(1)]
        assert found[b].tolist() == expected


def test_padding_has_no_part_in_the_classes_of_channels():
    scores, maps = random(1, 3, 4, 6).softmax(1), random(1, 5, 4, 6, seed=1)
    valid = torch.ones(1, 8, 12, dtype=torch.bool)
    valid[..., 8:] = False
    scores[..., 4:] = random(1, 3, 4, 2, seed=2).abs() * 50
    found = functional.channel_classes(scores, maps, valid)
    apart = functional.channel_classes(scores[..., :4], maps[..., :4])
    assert torch.equal(found, apart)
    assert not torch.equal(functional.channel_classes(scores, maps), apart)


@pytest.mark.parametrize('images', [1, 2, 5])
def test_memory_is_a_queue_of_each_class(images):
    """Also where a batch has more channels of a class than the queue has entries."""
    memory = ChannelMemory(3, 4, (2, 3))
    queues, pointer = memory.features.clone(), [0, 0, 0]
    for step in range(3):
        maps = random(images, 4, 2, 3, seed=step)
        label = torch.randint(0, 2, (images, 4), generator=torch.Generator().manual_seed(step))
        memory.update(maps, label)
        rows = maps.flatten(2).flatten(0, 1)
        queues, pointer = reference.write(queues, pointer, rows, label.flatten().tolist())
        assert torch.equal(memory.features, queues) and memory.pointer.tolist() == pointer
    assert memory.filled.tolist() == [True, True, False]
    assert memory.fill_ratio()[2] == 0 and (memory.fill_ratio() <= 1).all()


def test_maps_of_another_size_are_resized_to_the_grid_and_back():
    memory = ChannelMemory(2, 3, (4, 4))
    memory.update(torch.full((1, 3, 8, 6), 2.0), torch.zeros(1, 3, dtype=torch.long))
    assert (memory.features[0] == 2).all()
    assert memory.channels_of((8, 6)).shape == (2, 3, 48)


# ---- the neck


def test_a_prediction_does_not_depend_on_the_batch():
    neck = AllSparkNeck(8).eval()
    neck.init_weights()
    maps = [random(3, 4, 8, 8), random(3, 8, 4, 4, seed=1)]
    together = neck(maps)
    assert together[0] is maps[0] and together[1].shape == maps[1].shape
    for i in range(3):
        alone = neck([level[i : i + 1] for level in maps])
        torch.testing.assert_close(alone[1], together[1][i : i + 1])


def test_released_labels_depend_on_the_batch():
    """As an image that is alone reads itself, both rules are one for it."""
    found = {}
    for rule in ('own', 'batch'):
        model = model_of(mode='released', memory=dict(grid=(8, 8)), label_channels=rule)
        data = prepared(model, toy_batch(unlabeled=4))
        samples = data['data_samples']['unlabeled']
        for number in (4, 1):
            images = Images(data['inputs']['unlabeled'][:number], samples[:number])
            outputs = model.forward_teachers(dict(unlabeled=images))
            found[rule, number] = outputs['student0'][0].logits
    torch.testing.assert_close(found['own', 1], found['batch', 1])
    torch.testing.assert_close(found['own', 4][:1], found['own', 1])
    assert (found['batch', 4][:1] - found['batch', 1]).abs().max() > 1e-5


def test_own_channels_are_those_of_a_source_of_one_image():
    attention = ChannelAttention(6, num_heads=2, dropout=0.0)
    rows = random(2, 6, 10)
    found = attention.other(rows, rows.unsqueeze(1))
    for i in range(2):
        alone = attention.other(rows[i : i + 1], rows[i : i + 1].unsqueeze(0))
        torch.testing.assert_close(found[i : i + 1], alone)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found, attention.other(rows, rows.unsqueeze(0)))


@pytest.mark.parametrize('split_heads', [True, False])
def test_heads_of_labelled_images(split_heads):
    """One by one, or all queries against the keys of all heads."""
    attention = ChannelAttention(4, 2, 0.0, split_heads)
    rows, source = random(1, 4, 9), random(1, 2, 4, 9, seed=1)
    query, key, value = (
        layer.weight @ part
        for layer, part in (
            (attention.q_l2u, rows[0]),
            (attention.k_l2u, source[0]),
            (attention.v_l2u, source[0]),
        )
    )  # (8, 9), (2, 8, 9)
    if split_heads:
        parts = [
            reference.attention(
                query[h : h + 4], key[:, h : h + 4].flatten(0, 1), value[:, h : h + 4].flatten(0, 1)
            )
            for h in (0, 4)
        ]
        expected = attention.out_l2u.weight @ torch.cat(parts)
    else:
        found = reference.attention(query, key.flatten(0, 1), value.flatten(0, 1))
        expected = attention.out_l2u.weight @ found
    torch.testing.assert_close(attention.other(rows, source)[0], expected, rtol=1e-4, atol=1e-5)


# ---- the method


def at(done, total=100):
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', done)
    hub.update_info('max_iters', total)


def test_labelled_images_read_the_batch_before_the_memory_starts():
    """The memory is filled in both cases; what it held matters after the start alone."""

    def loss(done, held):
        model = model_of(memory_start=0.5)
        model.memory.features.copy_(held)
        model.memory.count.fill_(8)
        at(done)
        torch.manual_seed(3)  # of dropout
        found = losses_of(model, toy_batch())
        assert model.memory.pointer.sum() > 0
        return found['student0.decode.loss_ce']

    held = random(4, 8, 64), random(4, 8, 64, seed=1)
    early, late = ([loss(done, part) for part in held] for done in (49, 50))
    assert early[0] == early[1] and late[0] != late[1]


def test_passes_apart_are_those_of_a_joint_one_without_batch_norm():
    losses = {}
    for joint in (True, False):
        model = model_of(joint_forward=joint)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        losses[joint] = losses_of(model, toy_batch())
    for key, value in losses[True].items():
        torch.testing.assert_close(value, losses[False][key])


def test_pseudo_labels_in_eval_mode_leave_the_statistics():
    model = model_of(label_mode='eval')
    data = prepared(model)
    unlabeled = Images(data['inputs']['unlabeled'], data['data_samples']['unlabeled'])
    before = {name: value.clone() for name, value in model.named_buffers()}
    model.inspect_pseudo_labels(unlabeled=unlabeled)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert model.students[0].training and model.students[0].decode_head.training


def test_grid_is_that_of_training_images():
    segmentor = toy_segmentor()
    segmentor['data_preprocessor']['size'] = (24, 40)
    model = toy_model('AllSpark', segmentor=segmentor)
    assert model.memory.grid == (6, 10)
    assert toy_model('AllSpark').memory.grid == (16, 16)


def test_the_neck_takes_its_channels_from_the_head():
    model = model_of(segmentor=toy_segmentor(neck=dict(num_heads=3, dropout=0.0)))
    neck = model.channel_neck
    assert (neck.channels, neck.index, neck.attn.num_heads) == (8, 1, 3)
    assert neck.attn.split_heads and not model_of(mode='released').channel_neck.attn.split_heads


def test_necks_that_do_not_fit_are_refused():
    other = toy_segmentor(neck=dict(type='FPN', in_channels=[8, 8], out_channels=8, num_outs=2))
    assert refused('AllSpark', segmentor=other).startswith("model.segmentor.neck.type='FPN'")
    assert refused('AllSpark', TypeError, segmentor=toy_segmentor(neck=[1])).startswith(
        'model.segmentor.neck must be a dict'
    )
    summed = toy_segmentor()
    summed['decode_head'].update(in_channels=16, in_index=[0, 1], input_transform='resize_concat')
    assert refused('AllSpark', segmentor=summed).startswith('model.segmentor.neck.in_channels')


def test_an_exported_model_says_that_it_needs_the_package():
    model = model_of()
    settings = toy_settings('AllSpark', segmentor=toy_segmentor())
    cfg = Config(dict(model=dict(type='AllSpark', **copy.deepcopy(settings))))
    made = export_member(cfg, dict(state_dict=model.state_dict(), meta={}))
    assert made.config.custom_imports.imports == ['mmseg_ctt']
    assert any('AllSparkNeck' in note and 'installed' in note for note in made.notes)
    assert not any(key.startswith('memory') for key in made.checkpoint['state_dict'])


def test_a_memory_that_is_never_read():
    line = late_stage(model_of(memory_start=9), [], dict(max_iters=9))
    assert line.startswith('model.memory_start=9, but the run has 9 iterations: labelled images n')
    assert late_stage(model_of(memory_start=8), [], dict(max_iters=9)) is None
    assert late_stage(model_of(), [], dict(max_iters=9)) is None
