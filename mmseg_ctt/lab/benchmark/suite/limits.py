# Copyright (c) mmseg_ctt contributors.
"""A process with a time limit, whose end in an error or by the limit is a sentence."""

import re
import time
from pathlib import Path
from typing import Callable, Optional, Sequence

from ....engine.processes import ChildFailed, Resources, run_logged

ROOT = Path(__file__).resolve().parents[4]
LONGEST = 200  # characters of a reason
OF_PACKAGE = re.compile(r'error: |^\w[\w.]*(Error|Exception|Interrupt)\b')


class _Over(Exception):
    """The time is over."""


def run_limited(
    command: Sequence[str],
    log: Path,
    resources: Resources,
    seconds: float,
    progress: Callable[[], int] = lambda: 0,
) -> Optional[str]:
    """Run a command from the root of the repository and end it when its time is over.

    Args:
        command (Sequence[str]): Program and arguments.
        log (Path): Text file for its output; its folder is made.
        resources (Resources): Threads and GPU; ``stop`` ends it, too.
        seconds (float): Limit, counted anew whenever ``progress`` grows.
        progress (Callable): Number of results that are there, read every second.

    Returns:
        str, optional: Why it ended early; None when it was complete.

    Raises:
        Stopped: If the program was told to stop.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    done, begin = progress(), time.monotonic()

    def tick() -> None:
        nonlocal done, begin
        if progress() > done:
            done, begin = progress(), time.monotonic()
        if time.monotonic() - begin > seconds:
            raise _Over

    try:
        run_logged(command, log, resources, ROOT, tick)
    except _Over:
        return f'ended after its limit of {seconds:.0f} s'
    except ChildFailed as failure:
        return last_error(log) or str(failure)
    return None


def last_error(log: Path) -> str:
    """The error that a log ends with, in one line; '' without any."""
    lines = [line.strip() for line in log.read_text(errors='replace').splitlines() if line.strip()]
    errors = [line for line in lines if OF_PACKAGE.search(line)] or lines
    last = errors[-1] if errors else ''
    return re.sub('^error: ', '', last)[:LONGEST].replace('|', '/')
