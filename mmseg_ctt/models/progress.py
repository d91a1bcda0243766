# Copyright (c) mmseg_ctt contributors.
from mmengine.logging import MessageHub


def training_progress() -> float:
    """Share of the iterations of the run that are done, in [0, 1]; 0 where no run is under way.

    mmengine keeps both numbers on the host and, when a run is resumed, sets them before the first
    iteration, so a schedule that follows needs neither state nor a second ``max_iters``.
    """
    hub = MessageHub.get_current_instance()
    done, total = hub.get_info('iter', 0), hub.get_info('max_iters', 0)
    return min(done / total, 1.0) if total else 0.0
