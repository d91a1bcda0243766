# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of AllSpark gives on stored inputs (``oracles/allspark``)."""

import math

import torch
from released_code import close, every_case

from mmseg_ctt.methods.allspark.channel_sources import ChannelSources
from mmseg_ctt.methods.allspark.memory import ChannelMemory
from mmseg_ctt.methods.allspark.neck import ChannelAttention

LAYERS = ('q_u', 'k_u', 'v_u', 'q_l2u', 'k_l2u', 'v_l2u', 'out_u', 'out_l2u')


@every_case('allspark', 'CrossAttnMem')
def test_attention_and_memory(case, record_property):
    """Rows of the labelled images first; heads are not split for them, queues begin as stored."""
    data = case.load()
    images, positions, channels = data.emb.shape
    side = math.isqrt(positions)
    attention = ChannelAttention(channels, data.num_heads, dropout=0.0, split_heads=False)
    attention.load_state_dict({f'{name}.weight': data[name] for name in LAYERS})
    memory = ChannelMemory(len(data.queue), channels, (side, side), noise=True)
    memory.features.copy_(data.queue)
    memory.pointer.copy_(data.queue_ptr)
    assert data.training
    sources = ChannelSources(memory, data.pseudo_prob_map, None, data.using_SMem)
    embedding = data.emb.clone().requires_grad_()
    out = sources.of_joint_pass(attention, embedding.transpose(1, 2), (side, side)).transpose(1, 2)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    record_property('out', close(out, data.out, data.tolerance(1e-4)))
    record_property('gradient', close(embedding.grad, data.grad_emb, data.tolerance(1e-4)))
    assert torch.equal(memory.features, data.queue_after)
    assert torch.equal(memory.pointer, data.queue_ptr_after)
    assert images == 2 * len(data.pseudo_prob_map)
