# Copyright (c) mmseg_ctt contributors.
import torch
from torch import Tensor, nn


class UnlabeledWeight(nn.Module):
    """Factor of all loss terms of a method but the supervised one.

    Buffer: ``value`` float32 in [0, 1], so that the factor is in the checkpoint. ``factor`` is its
    copy on the host, which a step reads without waiting for the device.
    """

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('value', torch.ones(()))
        self.factor = 1.0

    def set(self, factor: float) -> None:
        """Take another factor, rounded to float32, so that a resumed run has the same one.

        Args:
            factor (float): In [0, 1].
        """
        self.factor = torch.tensor(factor, dtype=torch.float32).item()
        self.value.fill_(self.factor)

    def restore(self) -> None:
        """Take the factor of a checkpoint that has been loaded; it waits for the device."""
        self.factor = float(self.value)
