# Copyright (c) mmseg_ctt contributors.
from typing import Tuple

from mmengine.logging import MessageHub


def training_progress() -> float:
    """Share of the iterations of the run that are done, in [0, 1]; 0 where no run is under way.

    mmengine keeps both numbers on the host and, when a run is resumed, sets them before the first
    iteration, so a schedule that follows needs neither state nor a second ``max_iters``.
    """
    done, total = iterations()
    return min(done / total, 1.0) if total else 0.0


def ramp_up(share: float) -> float:
    """Factor of a loss that climbs linearly from 0 to 1 in the first part of a run.

    Args:
        share (float): Part of the iterations that the climb takes, in [0, 1]; 0: the factor is 1.

    Returns:
        float: In [0, 1]; 1 where no run is under way.
    """
    done, total = iterations()
    return min(done / (share * total), 1.0) if share * total else 1.0


def iterations() -> Tuple[int, int]:
    """Done and in all; 0 and 0 where no run is under way."""
    hub = MessageHub.get_current_instance()
    return hub.get_info('iter', 0), hub.get_info('max_iters', 0)
