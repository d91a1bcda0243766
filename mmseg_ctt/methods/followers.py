# Copyright (c) mmseg_ctt contributors.
"""Modules that average the weights of others."""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch.nn as nn
from mmengine.logging import MessageHub
from torch import Tensor

from ..nn.schedule import Shift, Shifts
from ..nn.tuning import stays_equal

IN_SHIFTS = 'updates_in_shifts'  # key of the message hub: (number of the shift, updates) by member


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

        With a shift the present one is counted, see :func:`count_in_shift`.

        Args:
            num_updates (int): Steps of the optimiser before this one.
            accumulation (int): Iterations of a step of the optimiser. Defaults to 1.
        """
        if self.shift is not None:
            return count_in_shift(self.shift, accumulation) if self.shift.active() else None
        if num_updates % self.interval != self.offset % self.interval:
            return None
        return num_updates // self.interval


def count_in_shift(shift: Shift, accumulation: int) -> int:
    """Updates of the member at work before this one, which is counted.

    An AMP scaler skips steps, so that iterations say only where a member could have been updated.
    The counts are in the message hub, which is part of every checkpoint. Those of a checkpoint
    without them follow from the iterations.

    Args:
        shift (Shift): Of the member; with ``restart`` updates of the present shift count alone.
        accumulation (int): Iterations of a step of the optimiser.
    """
    hub, shifts = MessageHub.get_current_instance(), shift.shifts
    turn, counts = shifts.turn(), hub.get_info(IN_SHIFTS)
    if counts is None:
        numbers = range(shifts.number)
        counts = {number: (turn, shifts.done(number) // accumulation) for number in numbers}
    last, updates = counts.get(shift.member, (turn, 0))
    if shifts.restart and last != turn:
        updates = 0
    hub.update_info(IN_SHIFTS, {**counts, shift.member: (turn, updates + 1)})
    return updates


def has_been_updated(shifts: Shifts, member: int) -> bool:
    """Whether a member at work in turns has been updated; without counts, by the iterations.

    Args:
        shifts (Shifts): Of all members.
        member (int): Its position among them.
    """
    counts = MessageHub.get_current_instance().get_info(IN_SHIFTS)
    if counts is None:
        return shifts.done(member) > 0
    return member in counts and counts[member][1] > 0


def begin_counting_in_shifts() -> None:
    """A run begins whose members have never been updated."""
    MessageHub.get_current_instance().update_info(IN_SHIFTS, {})


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
