# Copyright (c) mmseg_ctt contributors.
"""Group-wise semantic mining: graph against a restatement, a step by hand, groups, evaluation."""

import pytest
import torch
from mmengine.structures import LabelData
from reference import group_wsss as reference
from toy import NUM_CLASSES, SIDE, losses_of, sample, toy_model, toy_settings

from mmseg_ctt.datasets import GroupSampler, LabeledUnlabeledSampler
from mmseg_ctt.engine.loops import check_group_size
from mmseg_ctt.methods import GroupSemanticMining
from mmseg_ctt.methods.group_wsss.graph import GroupGraph
from mmseg_ctt.nn.images import Images

CHANNELS = 5
KIND = GroupSemanticMining.__name__


def graph_and_maps(group=3, batch=2, size=(3, 4), seed=0, **settings):
    """A graph with weights at which all parts matter, class maps, and draws of graph dropout."""
    torch.manual_seed(seed)
    graph = GroupGraph(CHANNELS, **settings).double()
    maps = torch.randn(batch, group, CHANNELS, *size, dtype=torch.double)
    return graph, maps, torch.rand(batch * group, graph.rounds, dtype=torch.double)


# ---- the graph


@pytest.mark.parametrize('group', [2, 3, 5])
@pytest.mark.parametrize('ratio', [0.5, None])
def test_the_graph_is_its_restatement(group, ratio):
    graph, maps, draws = graph_and_maps(group, rounds=2, drop_ratio=ratio)
    found = graph(maps, draws)
    for b, images in enumerate(maps):
        rows = None if ratio is None else draws.view(len(maps), group, -1)[b]
        expected = reference.graph_maps(graph, list(images), rows)
        torch.testing.assert_close(found[b], torch.stack(expected))


def test_the_scale_is_the_unit_of_the_class_maps():
    graph, maps, draws = graph_and_maps(map_scale=20.0)
    plain = graph_and_maps()[0]
    torch.testing.assert_close(graph(20 * maps, draws), 20 * plain(maps, draws))


def test_every_weight_has_a_gradient():
    graph, maps, draws = graph_and_maps()
    graph(maps, draws).square().sum().backward()
    assert all((weight.grad != 0).any() for weight in graph.parameters())


def test_groups_of_a_batch_know_nothing_of_one_another():
    graph, maps, _ = graph_and_maps(batch=3)
    together = graph(maps)
    for b in range(3):
        torch.testing.assert_close(graph(maps[b : b + 1])[0], together[b])


def test_other_images_of_the_group_matter():
    graph, maps, _ = graph_and_maps()
    other = maps.clone()
    other[:, 2] += 1
    changed = (graph(maps) - graph(other)).abs().amax(dim=(2, 3, 4))
    assert (changed > 1e-6).all()


def test_padding_takes_no_part():
    graph, maps, draws = graph_and_maps(size=(3, 6))
    valid = torch.ones(6, 3, 6, dtype=torch.bool)
    valid[..., 4:] = False
    other = maps.clone()
    other[..., 4:] += 9
    found = graph(maps, draws, valid)
    assert torch.equal(graph(other, draws, valid), found)
    assert (found[..., 4:] == 0).all()
    # as images without the padding
    torch.testing.assert_close(found[..., :4], graph(maps[..., :4], draws))


def test_graph_dropout_is_off_in_evaluation():
    graph, maps, draws = graph_and_maps()
    plain = graph(maps)
    assert not torch.equal(graph(maps, draws), plain)
    graph.eval()
    assert torch.equal(graph(maps, draws), plain)
    graph.drop_in_eval = True  # released code
    assert not torch.equal(graph(maps, draws), plain)


def test_the_graph_runs_in_float32_under_autocast():
    graph, maps, _ = graph_and_maps()
    graph, maps = graph.float(), maps.float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = graph(maps.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, graph(maps.bfloat16().float()))


@pytest.mark.parametrize(
    'settings, key',
    [
        (dict(rounds=0), 'rounds'),
        (dict(map_scale=0), 'map_scale'),
        (dict(drop_ratio=1.5), 'drop_ratio'),
        (dict(drop_threshold=-1), 'drop_threshold'),
    ],
)
def test_settings_are_checked(settings, key):
    with pytest.raises(ValueError, match=f'model.group_graph.{key}'):
        GroupGraph(CHANNELS, **settings)


# ---- the method


def model_of(**settings):
    """A model whose graph and classifier matter."""
    model = toy_model(KIND, **toy_settings(KIND, **settings))
    torch.manual_seed(3)
    for weight in (*model.group_graph.parameters(), *model.students[0].parameters()):
        weight.data.normal_(std=0.3)
    return model


def batch_of(number=6, seed=0):
    """A raw batch of tagged images."""
    g = torch.Generator().manual_seed(seed)
    samples = [sample('tagged', i) for i in range(number)]
    for made in samples:
        tags = torch.randint(0, 2, (NUM_CLASSES,), generator=g)
        tags[0], tags[1] = 0, 1
        made.gt_tags = LabelData(label=tags)
    images = torch.randint(0, 256, (number, 3, SIDE, SIDE), generator=g, dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


def images_of(model, batch):
    data = model.data_preprocessor(batch, True)
    return Images(data['inputs']['tagged'], data['data_samples']['tagged'])


@pytest.mark.parametrize('group', [2, 3])
def test_a_step(group):
    """The sum over a group of 0.4 single + group, over twice its size; mean of the groups."""
    model = model_of(group_size=group, group_graph=dict(drop_ratio=None))
    batch = batch_of()
    losses = losses_of(model, batch)
    images = images_of(model, batch)
    tags = images.tags[:, 1:]
    maps = model.class_maps(images.image)
    assert maps.shape == (6, NUM_CLASSES - 1, SIDE // 4, SIDE // 4)
    total = 0.0
    for start in range(0, 6, group):
        before = list(maps[start : start + group])
        after = reference.graph_maps(model.group_graph, before)
        for i in range(group):
            for weight, state in ((0.4, before[i]), (1.0, after[i])):
                score, y = state.mean(dim=(1, 2)), tags[start + i]
                margin = y * score.sigmoid().log() + (1 - y) * (1 - score.sigmoid()).log()
                total -= weight * margin.mean() / (2 * group) / (6 // group)
    found = losses['student0.loss_single'] + losses['student0.loss_group']
    torch.testing.assert_close(found, total)
    right = (maps.mean(dim=(2, 3)) > 0) == (tags > 0)
    assert losses['student0.tag_accuracy'] == right.float().mean()


def test_graph_dropout_belongs_to_the_draws():
    model = model_of(group_size=3)
    again, plain = losses_of(model, batch_of()), losses_of(model, batch_of())
    assert again['student0.loss_group'] == plain['student0.loss_group']
    other = batch_of()
    for made in other['data_samples']:
        seed, number = made.metainfo['draw']
        made.set_metainfo(dict(draw=(seed + 1, number)))
    other = losses_of(model, other)
    assert other['student0.loss_group'] != plain['student0.loss_group']
    assert other['student0.loss_single'] == plain['student0.loss_single']


def test_class_maps_of_groups_are_the_mean_before_and_after_the_graph():
    model = model_of(group_size=3).eval()
    image = images_of(model, batch_of()).image
    found = model.group_class_maps(image)
    before = model.class_maps(image)
    after = model.group_graph(before.unflatten(0, (2, 3))).flatten(0, 1)
    torch.testing.assert_close(found, (before + after) / 2)
    assert not found.requires_grad


def test_prediction_needs_no_graph():
    model = model_of().eval()
    image = torch.randn(1, 3, SIDE, SIDE)
    before = model.predict(image)[0].seg_logits.data
    for weight in model.group_graph.parameters():
        weight.data.fill_(float('nan'))
    assert torch.equal(model.predict(image)[0].seg_logits.data, before)


# ---- bad input


def test_a_batch_must_have_whole_groups():
    with pytest.raises(ValueError, match='5 tagged images, which are no groups of model.group_si'):
        losses_of(model_of(group_size=3), batch_of(5))


@pytest.mark.parametrize('size', [1, 0, -3])
def test_a_group_has_two_images_or_more(size):
    with pytest.raises(ValueError, match='model.group_size must be at least 2'):
        toy_model(KIND, **toy_settings(KIND, group_size=size))


def test_the_head_must_give_class_maps():
    with pytest.raises(ValueError, match='FCNHead has no class maps'):
        toy_model(KIND)


class Tagged:
    num_images = dict(tagged=4)
    metainfo = dict(classes=('background', 'cow'))

    def tag_matrix(self, source):
        return [[0, 1]] * 4


def test_the_sampler_must_make_the_groups_of_the_model():
    model = model_of(group_size=3)
    check_group_size(model, GroupSampler(Tagged(), ratio=dict(tagged=3), seed=0))
    for sampler in (
        GroupSampler(Tagged(), ratio=dict(tagged=2), seed=0),
        LabeledUnlabeledSampler(Tagged(), ratio=dict(tagged=3), seed=0),
    ):
        with pytest.raises(ValueError, match='model.group_size=3 needs train_dataloader.sampler='):
            check_group_size(model, sampler)
    check_group_size(torch.nn.Linear(1, 1), sampler)  # a method without groups
