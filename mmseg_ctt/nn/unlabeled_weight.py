# Copyright (c) mmseg_ctt contributors.
from typing import NamedTuple

import torch
from torch import Tensor, nn


class GuardState(NamedTuple):
    """What a run that is compared with its baseline keeps from one validation to the next.

    Attributes:
        factor (float): In [0, 1], of all loss terms but the supervised one; 0: they are off.
        retry (float): In [0, 1]: with which they come back; 0: never.
        low (float): Number of validations below the baseline, the last ones in a row.
    """

    factor: float = 1.0
    retry: float = 1.0
    low: float = 0.0


class UnlabeledWeight(nn.Module):
    """Factor of all loss terms of a method but the supervised one.

    Buffer: ``state`` ``(3,)`` float32, the numbers of :class:`GuardState`, in the checkpoint.
    ``current`` has them on the host, where a step reads them without waiting for the device.
    """

    state: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.current = GuardState()
        self.register_buffer('state', torch.tensor(self.current))

    @property
    def factor(self) -> float:
        """The factor: 0 if the terms are off."""
        return self.current.factor

    def set(self, state: GuardState) -> None:
        """Take other numbers, rounded to float32, so that a resumed run has the same ones.

        Args:
            state (GuardState): The numbers.
        """
        rounded = torch.tensor(state)
        self.current = GuardState(*rounded.tolist())
        self.state.copy_(rounded)

    def restore(self) -> None:
        """Take the numbers of a checkpoint that has been loaded; it waits for the device."""
        self.current = GuardState(*self.state.tolist())
