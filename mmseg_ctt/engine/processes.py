# Copyright (c) mmseg_ctt contributors.
"""Child processes with a log, and slots that they take turns in."""

import os
import queue
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, TypeVar

GRACE = 30  # seconds between asking a process to end and ending it
Item = TypeVar('Item')


def cores() -> int:
    """That this process may use, where the system tells; fewer than there are in many jobs."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Stopped(Exception):
    """The whole program was asked to end."""


class ChildFailed(Exception):
    """A child process ended with an error; its log says why."""


@dataclass
class Slot:
    """Where one process runs.

    Attributes:
        threads (int): Of torch and OpenMP.
        gpu (str, optional): ``CUDA_VISIBLE_DEVICES``; None leaves it as it is.
        stop (threading.Event): Set when the program shall end.
    """

    threads: int
    gpu: Optional[str] = None
    stop: threading.Event = field(default_factory=threading.Event)

    def environment(self) -> Dict[str, str]:
        """Environment variables of the process."""
        changes = dict(OMP_NUM_THREADS=str(self.threads), MKL_NUM_THREADS=str(self.threads))
        if self.gpu is not None:
            changes['CUDA_VISIBLE_DEVICES'] = self.gpu
        return {**os.environ, **changes}


def run_logged(
    command: Sequence[str],
    log: Path,
    slot: Slot,
    root: Path,
    tick: Callable[[], None] = lambda: None,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a command to its end, its output appended to a log.

    Args:
        command (Sequence[str]): Program and arguments.
        log (Path): Text file.
        slot (Slot): Threads and GPU.
        root (Path): Put in front of ``PYTHONPATH``.
        tick (Callable): Called every second meanwhile, and at the end.
        keep_open (Sequence[int]): Descriptors that the child inherits.

    Raises:
        ChildFailed: If it ends with an error.
        Stopped: If the program was asked to end; the child has been ended, as it is when
            ``tick`` raises.
    """
    if slot.stop.is_set():
        raise Stopped
    environment = slot.environment()
    paths = [str(root), environment.get('PYTHONPATH')]
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    with open(log, 'ab') as output:
        # a session of its own: Ctrl-C reaches this program alone, which then ends all of it
        child = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=keep_open,
        )
    try:
        _wait(child, slot, tick)
    except BaseException:  # a full disk, say: the slot must be free for the next run
        _end(child)
        raise
    tick()
    if child.returncode:
        raise ChildFailed(f'exit status {child.returncode}')


def _wait(child: subprocess.Popen, slot: Slot, tick: Callable[[], None]) -> None:
    while child.poll() is None:
        try:
            child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            tick()
            if slot.stop.is_set():
                raise Stopped from None


def _end(child: subprocess.Popen) -> None:
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def in_slots(
    items: Iterable[Item], slots: Sequence[Slot], work: Callable[[Item, Slot], None]
) -> None:
    """Call ``work(item, slot)`` for all items, as many at a time as there are slots.

    Args:
        items (Iterable): In the order in which they begin.
        slots (Sequence[Slot]): Each serves one item at a time.
        work (Callable): Raises nothing but :class:`Stopped`.
    """
    free: queue.Queue = queue.Queue()
    for slot in slots:
        free.put(slot)

    def one(item: Item) -> None:
        slot = free.get()
        try:
            if not slot.stop.is_set():
                work(item, slot)
        except Stopped:
            pass
        finally:
            free.put(slot)

    with ThreadPoolExecutor(len(slots)) as pool:
        for future in [pool.submit(one, item) for item in items]:
            future.result()


@contextmanager
def stopped_by_signals(event: threading.Event) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into ``event``."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old: List = [signal.signal(name, lambda *_: event.set()) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, old):
            signal.signal(name, handler)
