# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of Group-WSSS gives on stored inputs (``oracles/group_wsss``)."""

import pytest
import torch
from released_code import close, every_case
from torch.nn.functional import multilabel_soft_margin_loss

from mmseg_ctt.methods.group_wsss.graph import GroupGraph

GRU = 'ConvGRU_{}_gate_{}'


def graph_of(data):
    """Our graph with the weights of a case."""
    channels = data.x1.shape[1]
    graph = GroupGraph(channels, data.propagate_layers, data.drop_rate, data.drop_th)
    state = {'gate.weight': data.gate_weight}
    for kind in ('weight', 'bias'):
        names = dict(query='proja', key='projb', join='conv_fusion')
        state.update({f'{ours}.{kind}': data[f'{name}_{kind}'] for ours, name in names.items()})
        gates = [data[GRU.format(gate, kind)] for gate in ('update', 'reset')]
        state[f'update.gates.{kind}'] = torch.cat(gates)
        state[f'update.candidate.{kind}'] = data[GRU.format('out', kind)]
    graph = graph.to(data.dtype)
    graph.load_state_dict(state)
    return graph


@every_case('group_wsss', 'graph_step')
@pytest.mark.parametrize('double', [False, True])
def test_the_graph_its_loss_and_gradients(case, double, record_property):
    data = case.load(double)
    graph, images = graph_of(data), [data.x1, data.x2, data.x3]
    leaves = [image.requires_grad_() for image in images]
    maps = torch.stack(leaves, dim=1)
    tolerance = data.tolerance(2e-5)
    attended = graph.messages(maps)[:, 0, 0]
    record_property('attention', close(attended, data.attention_12, tolerance))
    draws = data.draw_gdl.to(data.dtype).view(data.propagate_layers, len(images)).T
    after = graph(maps, draws)
    record_property('map', close(after[:, 0], data.map_after, tolerance))
    pooled = [found[0].mean(dim=(2, 3)) for found in (maps, after)]
    record_property('pooled', close(pooled[0], data.pooled_before, tolerance))
    record_property('pooled', close(pooled[1], data.pooled_after, tolerance))
    target = data.labels[:, 0]
    single, group = (multilabel_soft_margin_loss(scores, target) for scores in pooled)
    loss = 0.2 * single + 0.5 * group
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    for number, leaf in enumerate(leaves, 1):
        record_property('gradient', close(leaf.grad, data[f'grad_x{number}'], tolerance))
