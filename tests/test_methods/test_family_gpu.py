# Copyright (c) mmseg_ctt contributors.
"""Every method on a GPU: the losses of the CPU, nothing that waits for the device, half precision.

Without a GPU these tests are skipped; what would wait is then found by name, see ``no_sync``.
"""

from contextlib import contextmanager
from typing import Iterator

import pytest
import torch
from family import EVERY_RECIPE, assert_finite, ready, step
from toy import losses_of, prepared, total_of, toy_batch

if not torch.cuda.is_available():  # one skip in the place of hundreds
    pytest.skip(
        'there is no CUDA device, and only one shows its rounding and what it waits for; without '
        'one test_family_device.py takes the same steps on a device without numbers, and '
        'test_no_host_synchronisation of test_family_corners.py names what would wait',
        allow_module_level=True,
    )


@contextmanager
def no_waiting() -> Iterator[None]:
    """An error at every operation that CUDA itself reports as waiting."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_a_planted_read_waits():
    number = torch.ones((), device='cuda')
    with no_waiting(), pytest.raises(RuntimeError, match='synchroniz'):
        number.item()


@EVERY_RECIPE
def test_losses_are_those_of_the_cpu(recipe):
    want, got = step(ready(recipe)), step(ready(recipe).cuda())
    assert set(got) == set(want)
    for key, value in want.items():
        assert got[key].device.type == 'cuda', key
        torch.testing.assert_close(got[key].cpu(), value, rtol=1e-2, atol=1e-3, msg=key)


@EVERY_RECIPE
def test_nothing_waits_for_the_device(recipe):
    model = ready(recipe).cuda()
    data = prepared(model)

    def whole() -> None:
        losses = model(**data, mode='loss')
        total_of(losses, model).backward()

    whole()
    with no_waiting():
        whole()


@EVERY_RECIPE
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=['bf16', 'fp16'])
def test_half_precision(recipe, dtype):
    model = ready(recipe).cuda()
    with torch.autocast('cuda', dtype):
        losses = losses_of(model, toy_batch())
    total_of(losses, model).backward()
    assert_finite(model, losses)
