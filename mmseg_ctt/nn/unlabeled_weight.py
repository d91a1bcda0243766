# Copyright (c) mmseg_ctt contributors.
import torch
from torch import Tensor, nn


class UnlabeledWeight(nn.Module):
    """Factor of all loss terms of a method but the supervised one.

    Buffer: ``state`` ``(2,)`` float32 in [0, 1]: the factor, and that with which terms come back
    after they were switched off; both are in the checkpoint. ``factor`` and ``retry`` are their
    copies on the host, which a step reads without waiting for the device.
    """

    state: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('state', torch.ones(2))
        self.factor = self.retry = 1.0

    def set(self, factor: float, retry: float) -> None:
        """Take other numbers, rounded to float32, so that a resumed run has the same ones.

        Args:
            factor (float): In [0, 1].
            retry (float): In [0, 1].
        """
        rounded = torch.tensor([factor, retry])
        self.factor, self.retry = rounded.tolist()
        self.state.copy_(rounded)

    def restore(self) -> None:
        """Take the numbers of a checkpoint that has been loaded; it waits for the device."""
        self.factor, self.retry = self.state.tolist()
