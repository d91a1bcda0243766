# Copyright (c) mmseg_ctt contributors.
"""One step of every method on a device that holds no numbers, in the place of a GPU.

Tensors on ``meta`` know their shape, dtype and device. An operation that mixes devices stops, and
so does one that must read a number back.
"""

from contextlib import nullcontext

import pytest
import torch
from family import EVERY_RECIPE, ready
from toy import prepared, total_of
from versions import COUNTED

META = torch.device('meta')
pytestmark = COUNTED  # older versions lack some operations on meta


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch) -> None:
    """Contexts that switch autocast off do nothing: ``meta`` has none."""
    real = torch.autocast

    def autocast(kind: str, *args, **kwargs):
        return nullcontext() if kind == META.type else real(kind, *args, **kwargs)

    monkeypatch.setattr(torch, 'autocast', autocast)


@EVERY_RECIPE
def test_a_step_stays_on_the_device(recipe):
    model = ready(recipe).to(META)
    losses = model(**prepared(model), mode='loss')
    total_of(losses, model).backward()
    assert {value.device for value in losses.values()} == {META}
    assert {value.device for value in model.state_dict().values()} == {META}
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert grads and {grad.device for grad in grads} == {META}


@EVERY_RECIPE
def test_logits_are_made_on_the_device(recipe):
    model = ready(recipe).to(META).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 32, 32, device=META), mode='tensor').device == META


def test_a_tensor_left_behind_is_found():
    with pytest.raises(RuntimeError, match='not on the expected device'):
        torch.ones(3, device=META) + torch.ones(3)


def test_a_number_read_back_is_found():
    with pytest.raises(RuntimeError, match='meta'):
        torch.ones((), device=META).item()
