# Copyright (c) mmseg_ctt contributors.
"""Reading the logged values of an iteration together."""

from types import SimpleNamespace

import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import MessageHub
from no_sync import Recorder

from mmseg_ctt.engine.hooks.log_values_hook import LogValuesHook, read_together


def values():
    weight = torch.tensor(1.5, requires_grad=True)
    return dict(
        loss=weight * 0.1,
        ratio=torch.tensor(0.3),
        double=torch.tensor(0.7, dtype=torch.float64),
        count=torch.tensor(3),
        vector=torch.ones(1),
        plain=0.25,
    )


def test_scalars_become_numbers_and_all_else_stays():
    given = values()
    got = read_together(given)
    assert list(got) == list(given)
    assert got['loss'] == given['loss'].item() and type(got['loss']) is float
    assert got['ratio'] == given['ratio'].item()
    assert all(got[name] is given[name] for name in ('double', 'count', 'vector', 'plain'))
    assert read_together(dict(count=given['count'])) == dict(count=given['count'])
    assert read_together({}) == {}


def test_the_log_is_that_of_mmengine():
    logs = []
    for i, hook in enumerate((RuntimeInfoHook(), LogValuesHook())):
        hub = MessageHub.get_instance(f'log_values_{i}')
        hook.after_train_iter(SimpleNamespace(message_hub=hub), 0, None, values())
        hook.after_train_iter(SimpleNamespace(message_hub=hub), 1, None, None)
        logs.append({name: buffer.current() for name, buffer in hub.log_scalars.items()})
    assert logs[0] == logs[1] and len(logs[0]) == 6


def test_float32_scalars_are_read_at_once():
    many = {f'loss_{i}': torch.tensor(float(i)) for i in range(9)}
    with Recorder() as recorder:
        assert read_together(many) == {f'loss_{i}': float(i) for i in range(9)}
    assert recorder.calls == 1  # the stack; not one read each
