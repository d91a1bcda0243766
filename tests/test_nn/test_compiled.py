# Copyright (c) mmseg_ctt contributors.
"""Compiled networks: what is compiled and how often, and where a pass stays as it was."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from toy import toy_batch, toy_segmentor
from versions import COMPILE

from mmseg_ctt.nn.compiled import compile_network
from mmseg_ctt.nn.member import forward_member

pytestmark = COMPILE


class Network:
    """A compiled segmentor beside an equal plain one, and the number of its graphs."""

    def __init__(self):
        torch._dynamo.reset()
        cfg = toy_segmentor()
        cfg['data_preprocessor']['size'] = (32, 32)
        with DefaultScope.overwrite_default_scope('mmseg'):
            self.plain = MODELS.build(cfg).train()
        self.model = copy.deepcopy(self.plain)
        self.both = (self.model, self.plain)
        self.graphs = 0
        assert compile_network(self.model, self.model, backend=self.backend) == 2

    def backend(self, graph, inputs):
        self.graphs += 1
        return graph.forward

    def new_graphs(self, side=32, embedding=True):
        """How many graphs a pass compiles; its values are those of the plain network."""
        image, before = torch.randn(2, 3, side, side), self.graphs
        made, want = (forward_member(net, image, embedding) for net in self.both)
        assert torch.equal(made.logits, want.logits)
        assert torch.equal(made.embedding, want.embedding) if embedding else made.embedding is None
        return self.graphs - before


@pytest.fixture(scope='module')
def built():
    return Network()


@pytest.fixture
def network(built):
    yield built
    for net in built.both:
        net.train()


def test_every_size_is_compiled_once(network):
    assert [network.new_graphs(side) for side in (32, 32, 48, 32, 48)] == [2, 0, 2, 0, 0]
    assert network.new_graphs(embedding=False) == 0  # it is among the outputs in any case


def test_validation_is_not_compiled(network):
    for net in network.both:
        net.eval()
    assert network.new_graphs(40) == network.new_graphs(56) == 0


def test_modes_and_passes_without_a_gradient_have_graphs_of_their_own(network):
    network.new_graphs()
    with torch.no_grad():
        assert [network.new_graphs(), network.new_graphs()] == [2, 0]
    for net in network.both:
        net.backbone.eval()
    assert [network.new_graphs(), network.new_graphs()] == [1, 0]


def test_hooks_inside_a_part_are_called(network):
    network.new_graphs()
    shapes = []
    hook = network.model.backbone.norm.register_forward_hook(
        lambda module, given, made: shapes.append(made.shape)
    )
    assert network.new_graphs() == 0 and shapes == [(2, 8, 16, 16)]
    hook.remove()
    hook = network.model.backbone.register_forward_hook(lambda *_: shapes.append('backbone'))
    assert network.new_graphs() == 0 and shapes[1:] == ['backbone']
    hook.remove()


def test_names_of_weights_and_gradients_stay(network):
    assert list(network.model.state_dict()) == list(network.plain.state_dict())
    image = torch.randn(2, 3, 32, 32)
    for net in network.both:
        output = forward_member(net, image)
        (output.logits.square().mean() + output.embedding.mean()).backward()
    for made, want in zip(network.model.parameters(), network.plain.parameters()):
        assert torch.equal(made.grad, want.grad)


def test_a_copy_is_a_network_of_its_own(network):
    network.new_graphs()
    other = copy.deepcopy(network.model)
    with torch.no_grad():
        other.decode_head.conv_seg.weight.zero_()
    assert forward_member(other, torch.randn(2, 3, 32, 32)).logits.std((0, 2, 3)).max() == 0
    assert network.new_graphs() == 0


def test_a_plain_segmentor_learns_compiled(network):
    batch, counts = toy_batch(2, 0), []
    for _ in range(2):
        made, want = (
            net(**net.data_preprocessor(batch, True), mode='loss') for net in network.both
        )
        assert made['decode.loss_ce'] == want['decode.loss_ce']
        counts.append(network.graphs)
    assert counts[0] == counts[1] > 0
