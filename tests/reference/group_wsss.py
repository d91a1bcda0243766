# Copyright (c) mmseg_ctt contributors.
"""Group-wise semantic mining, image by image and position by position."""

import torch
import torch.nn.functional as F


def message(graph, receiver, sender):
    """``(C, h, w)`` gated message to one image ``(C, h, w)`` from another."""
    channels, height, width = receiver.shape
    query, key = graph.query(receiver[None])[0], graph.key(sender[None])[0]
    found = torch.zeros_like(receiver)
    for y in range(height):
        for x in range(width):
            scores = [
                (query[:, y, x] * key[:, v, u]).sum() for v in range(height) for u in range(width)
            ]
            weights = torch.stack(scores).softmax(0)
            found[:, y, x] = sender.reshape(channels, -1) @ weights
    return found * graph.gate(found[None])[0].sigmoid()


def joined(messages):
    """``(2C, h, w)`` of the messages to one image."""
    if len(messages) == 2:
        return torch.cat(messages)
    mean = sum(messages) / len(messages)
    return torch.cat([mean, mean])


def gru(unit, message, state):
    """New state ``(C, h, w)``."""
    channels = len(state)
    both = torch.cat([message, state])[None]
    weight, bias = unit.gates.weight, unit.gates.bias
    update = F.conv2d(both, weight[:channels], bias[:channels]).sigmoid()[0]
    reset = F.conv2d(both, weight[channels:], bias[channels:]).sigmoid()[0]
    candidate = unit.candidate(torch.cat([message, reset * state])[None]).tanh()[0]
    return (1 - update) * state + update * candidate


def dropped(state, draw, ratio, threshold):
    """Graph dropout of one state ``(C, h, w)`` with one uniform number."""
    mean = state.mean(0)
    if draw >= 1 - ratio:
        factor = (mean < threshold * mean.max()).float()
    else:
        factor = 1 / (1 + torch.exp(-mean))
    return (state * factor + state) / 2


def graph_maps(graph, group, draws=None):
    """States of the images ``[(C, h, w)]`` of one group after all rounds; `draws[i][t]`."""
    for number in range(graph.rounds):
        new = []
        for i, state in enumerate(group):
            messages = [message(graph, state, other) for j, other in enumerate(group) if j != i]
            state = gru(graph.update, graph.join(joined(messages)[None])[0], state)
            if draws is not None:
                ratio, threshold = graph.drop_ratio, graph.drop_threshold
                state = dropped(state, draws[i][number], ratio, threshold)
            new.append(state)
        group = new
    return group
