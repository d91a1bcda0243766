# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of DNLL gives on stored inputs (``oracles/dnll``)."""

import pytest
import torch
from reference import negative_label as reference
from released_code import close, every_case

from mmseg_ctt import functional


@pytest.mark.parametrize('double', [False, True], ids=['float32', 'float64'])
@every_case('dnll', 'nl')
def test_negative_label_loss(case, double, record_property):
    data = case.load(double)
    logits, negative, gradient = data.outputs, data.complementary_mask, data.grad_outputs
    if 'map_shape' in data:
        batch, _, height, width = data.map_shape.tolist()
        logits, negative, gradient = (
            value.view(batch, height, width, -1).movedim(-1, 1)
            for value in (logits, negative, gradient)
        )
    logits = logits.clone().requires_grad_()
    loss = functional.negative_label_loss(logits, negative, eps=data.eps)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-4)))
    record_property('gradient', close(logits.grad, gradient, data.tolerance(1e-3)))
    slow = reference.loss(
        data.outputs.double().tolist(), data.complementary_mask.tolist(), eps=data.eps
    )
    assert slow == pytest.approx(data.loss, rel=1e-9)


@every_case('dnll', 'nl', having='num_draws')
def test_draws(case):
    """The released masks, and ours: draws with or without replacement, none of the peer's class."""
    data = case.load()
    classes = data.outputs.shape[1]
    peer = torch.nn.functional.one_hot(data.peer_argmax, classes).float()
    selection = 'replacement' if data.sampled_with_replacement else 'distinct'
    ours = functional.negative_classes(peer, data.num_draws, selection)
    for mask in (data.complementary_mask, ours):
        counts = mask.long().sum(1)
        assert counts.max() <= data.num_draws
        assert counts.min() >= (1 if data.sampled_with_replacement else data.num_draws)
        assert not mask.gather(1, data.peer_argmax.unsqueeze(1)).any()
