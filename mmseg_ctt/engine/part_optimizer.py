# Copyright (c) mmseg_ctt contributors.
"""One optimiser for the members and one for each named part of a model, such as a discriminator."""

from collections import defaultdict
from typing import Any, Callable, DefaultDict, Dict, Mapping, Optional

import torch
from torch.optim import Optimizer

KEY = 'optim_wrapper.part_optimizers'
SCALER = 'loss_scaler'  # entry of mmengine's AmpOptimWrapper
MEMBERS = 'members'  # name of the optimiser of all that has no optimiser of its own


class PartOptimizer(Optimizer):
    """Several optimisers behind the interface of one.

    ``param_groups`` are the groups of all of them, the same dicts, so that learning-rate schedules
    and gradient clipping act on each. A step is one step of each, in the order given. An AMP scaler
    unscales all gradients at once; after an overflow none of them makes a step.

    Args:
        optimizers (Mapping[str, Optimizer]): By name of the part; :data:`MEMBERS` is one of them,
            and ``defaults`` are its defaults.

    Raises:
        ValueError: If a parameter is in two optimisers; in :meth:`load_state_dict`, if the
            checkpoint has optimisers of other parts.
    """

    def __init__(self, optimizers: Mapping[str, Optimizer]) -> None:
        self.optimizers = dict(optimizers)
        # no defaults yet: they would be added to the groups, which have those of their optimiser
        super().__init__(self._groups(), {})
        self.defaults = self.optimizers[MEMBERS].defaults

    @property
    def state(self) -> DefaultDict[torch.Tensor, Any]:
        """State of every parameter, by parameter; a new dict at each reading."""
        states: DefaultDict[torch.Tensor, Any] = defaultdict(dict)
        for inner in self.optimizers.values():
            states.update(inner.state)
        return states

    @state.setter
    def state(self, value: DefaultDict[torch.Tensor, Any]) -> None:
        """Ignore the empty state that the constructor of the parent sets."""

    def _groups(self) -> list:
        return [group for inner in self.optimizers.values() for group in inner.param_groups]

    @torch.no_grad()
    def step(self, closure: Optional[Callable] = None) -> Optional[float]:  # type: ignore[override]
        """One step of each optimiser.

        Args:
            closure (Callable, optional): Computes the gradients and returns the loss.
                Defaults to None: they are computed already.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for inner in self.optimizers.values():
            inner.step()
        return loss

    def state_dict(self) -> Dict[str, Any]:
        """State of each optimiser, by name of the part."""
        return {name: inner.state_dict() for name, inner in self.optimizers.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load the state of each optimiser.

        Args:
            state_dict (Mapping[str, Any]): Of :meth:`state_dict`, with the same parts. The scaler
                of a run in half precision, which its wrapper adds, is left out.
        """
        state_dict = {name: state for name, state in state_dict.items() if name != SCALER}
        if set(state_dict) != set(self.optimizers):
            plain = 'param_groups' in state_dict
            raise ValueError(
                f'{KEY}: this run has optimisers of {sorted(self.optimizers)}, and the checkpoint '
                f'has {"a single one" if plain else f"those of {sorted(state_dict)}"}: resume with '
                'the config of that run, or start from its weights with load_from'
            )
        for name, inner in self.optimizers.items():
            inner.load_state_dict(state_dict[name])
        self.param_groups = self._groups()  # loading makes new ones
