# Copyright (c) mmseg_ctt contributors.
from typing import Any

import torch
import torch.nn as nn


class ContrastSwitch(nn.Module):
    """For segmentors whose contrast waits for its memory; :class:`QueueWarmupHook` works it.

    Buffer: ``contrast_on`` bool, so that the choice is in the checkpoint. ``contrast_active`` is
    its copy on the host, which a step asks without waiting for the device.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('contrast_on', torch.zeros((), dtype=torch.bool))
        self.contrast_active = False

    def set_contrast(self, active: bool) -> None:
        """Switch every contrast term."""
        self.contrast_active = active
        self.contrast_on.fill_(active)
