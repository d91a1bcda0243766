# Copyright (c) mmseg_ctt contributors.
import torch

from mmseg_ctt.nn.memory_bank import ClassMemoryBank
from mmseg_ctt.nn.memory_contrast import MemoryContrast


class Waiting(MemoryContrast):
    def __init__(self):
        super().__init__()
        self.bank = ClassMemoryBank(3, 4, 2)


class AtOnce(Waiting):
    waits = False
    required_hooks = {}


def test_the_switch_is_in_the_checkpoint():
    contrast = Waiting()
    assert not contrast.on and not contrast.active
    contrast.switch(True)
    assert contrast.on and contrast.active and contrast.state_dict()['on']
    other = Waiting()
    other.load_state_dict(contrast.state_dict())
    assert other.on
    contrast.switch(False)
    assert not contrast.on and not contrast.active
    assert 'QueueWarmupHook' in contrast.required_hooks


def test_a_contrast_that_does_not_wait_has_no_switch():
    contrast = AtOnce()
    assert contrast.active and 'on' not in contrast.state_dict() and not contrast.required_hooks


def test_fill_ratio_is_that_of_the_bank():
    contrast = Waiting()
    contrast.bank.count.copy_(torch.tensor([4, 2, 0]))
    assert torch.equal(contrast.fill_ratio(), torch.tensor([[1, 0.5, 0]]))
