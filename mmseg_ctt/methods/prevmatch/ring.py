# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict, List, NamedTuple, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from ...nn.rng import sample_generator
from .functional import ring_order


class Drawn(NamedTuple):
    """Past models that a step draws.

    Attributes:
        positions (list[int]): In the ring, all different.
        weights (list[float]): Of each, with the sum 1.
    """

    positions: List[int]
    weights: List[float]


class Ring(nn.Module):
    """Which past models of a run are stored: a ring in which the newest replaces the oldest.

    The host knows the number, so that a step decides without reading the device.

    Buffers, equal on every rank:

    - ``count`` int64, models stored so far
    - ``best`` float32, highest score of a validation so far, 0 at first; read by
      :class:`PastModelsHook` with ``store='best'``

    Args:
        size (int): Models that are kept.
    """

    required_hooks = {'PastModelsHook': 'stores the past models'}
    count: Tensor
    best: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.stored = size, 0
        self.register_buffer('count', torch.zeros((), dtype=torch.long))
        self.register_buffer('best', torch.zeros(()))

    def next_position(self) -> int:
        """Position that the next model is written to."""
        return self.stored % self.size

    def advance(self) -> None:
        """Count a model that has been written."""
        self.stored += 1
        self.count.fill_(self.stored)

    def draw(self, seed: int, iteration: int, numbers: Tuple[int, int]) -> Drawn:
        """Random models with random weights; the same on every rank and in a resumed run.

        Args:
            seed (int): Of the run.
            iteration (int): Number of the step.
            numbers (tuple[int, int]): Fewest and most models, as many as there are at most. All
                numbers between have the same chance.

        Returns:
            Drawn: Different models, with weights from a flat Dirichlet distribution.
        """
        generator = sample_generator((seed, iteration), 'prevmatch/past')
        number = int(generator.integers(numbers[0], numbers[1] + 1))
        order = ring_order(self.stored, self.size)
        chosen = generator.permutation(len(order))[:number]
        weights = generator.dirichlet([1.0] * len(chosen)) if len(chosen) else ()
        return Drawn([order[i] for i in chosen], [float(weight) for weight in weights])

    def _load_from_state_dict(self, state_dict: Dict[str, Tensor], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.stored = int(self.count)
