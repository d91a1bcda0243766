# Copyright (c) mmseg_ctt contributors.
"""Modules that average the weights of others."""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch.nn as nn
from torch import Tensor

from ..nn.schedule import Shift
from ..nn.tuning import stays_equal


class Follower(NamedTuple):
    """A module that averages the weights of another.

    Attributes:
        module (nn.Module): The average.
        followed (nn.Module): Of the same layers.
        interval (int): See :class:`Member`.
        offset (int): See :class:`Member`.
        shift (Shift, optional): Periods in which it is updated; None: always.
    """

    module: nn.Module
    followed: nn.Module
    interval: int = 1
    offset: int = 0
    shift: Optional[Shift] = None

    @property
    def schedule(self) -> 'Schedule':
        """When it is updated; followers of equal schedules share a call."""
        return Schedule(self.interval, self.offset, self.shift)


class Schedule(NamedTuple):
    """When followers are updated; see :class:`Follower`."""

    interval: int = 1
    offset: int = 0
    shift: Optional[Shift] = None

    def updates(self, num_updates: int, accumulation: int = 1) -> Optional[int]:
        """Updates of a follower before the present one; None where it is not updated now.

        Args:
            num_updates (int): Steps of the optimiser before this one.
            accumulation (int): Iterations of a step of the optimiser. Defaults to 1.
        """
        if self.shift is not None:
            return self.shift.done() // accumulation if self.shift.active() else None
        if num_updates % self.interval != self.offset % self.interval:
            return None
        return num_updates // self.interval


def paired_tensors(
    followers: Sequence[Follower], buffers: bool
) -> Dict[str, Tuple[List[Tensor], List[Tensor]]]:
    """Tensors of averages and of the modules they follow, where they change.

    Args:
        followers (Sequence[Follower]): The modules.
        buffers (bool): Whether buffers follow too.

    Returns:
        dict: ``average`` (floating point) and ``copy`` (the rest), each two lists.
    """
    pairs: Dict[str, Tuple[List[Tensor], List[Tensor]]] = dict(average=([], []), copy=([], []))
    for follower in followers:
        for kind in ('parameters', 'buffers') if buffers else ('parameters',):
            tensors = getattr(follower.module, kind)(), getattr(follower.followed, kind)()
            for old, new in zip(*tensors):
                if stays_equal(old, new, follower.followed):
                    continue
                lists = pairs['average' if old.is_floating_point() else 'copy']
                lists[0].append(old)
                lists[1].append(new.detach())
    return pairs
