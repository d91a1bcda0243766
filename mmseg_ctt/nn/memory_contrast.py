# Copyright (c) mmseg_ctt contributors.
from typing import ClassVar, Dict

import torch
import torch.nn as nn
from torch import Tensor

from .memory_bank import ClassMemoryBank


class MemoryContrast(nn.Module):
    """Base of pixel contrasts with a class memory: one protocol for hooks and tools.

    A contrast has ``bank``, :meth:`update`, :meth:`fill_ratio` and :meth:`zero_loss`. Where
    ``waits`` is True, :class:`QueueWarmupHook` switches it on once the memory is full.

    Buffer: ``on`` bool, so that the choice is in the checkpoint. ``active`` is its copy on the
    host, which a step reads without waiting for the device.
    """

    waits: ClassVar[bool] = True
    required_hooks: ClassVar[Dict[str, str]] = {'QueueWarmupHook': 'switches the contrast on'}
    sections = dict(forward='contrast', zero_loss='contrast', update='bank')  # for benchmarks
    bank: ClassMemoryBank
    on: Tensor

    def __init__(self) -> None:
        super().__init__()
        if self.waits:
            self.register_buffer('on', torch.zeros((), dtype=torch.bool))
        self.active = not self.waits

    def switch(self, active: bool) -> None:
        """Switch every term on or off."""
        self.active = active
        self.on.fill_(active)

    def fill_ratio(self) -> Tensor:
        """``(P, K)`` float32, filled ratio of every queue of every bank."""
        return self.bank.fill_ratio()
