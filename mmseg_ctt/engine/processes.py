# Copyright (c) mmseg_ctt contributors.
"""Child processes: resources, logs, signals, and running several at a time."""

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

GRACE = 30  # seconds between SIGTERM and SIGKILL
Item = TypeVar('Item')


def cores() -> int:
    """CPU cores that this process may use; in many cluster jobs fewer than the machine has."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads(jobs: int = 1) -> int:
    """Threads of each of some processes: ``OMP_NUM_THREADS`` if it is set, else all cores together.

    Args:
        jobs (int): Processes at a time. Defaults to 1.
    """
    given = os.environ.get('OMP_NUM_THREADS', '')
    return int(given) if given.isdecimal() and int(given) else max(1, cores() // jobs)


class Stopped(Exception):
    """The program was told to stop."""


class ChildFailed(Exception):
    """A child process ended with an error; its log says why."""


@dataclass
class Resources:
    """Resources of one child process.

    Attributes:
        threads (int): Threads of torch and OpenMP.
        gpu (str, optional): ``CUDA_VISIBLE_DEVICES``; None keeps the current value.
        stop (threading.Event): Set to stop the program.
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
    resources: Resources,
    root: Path,
    tick: Callable[[], None] = lambda: None,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a command and append its output to a log.

    Args:
        command (Sequence[str]): Program and arguments.
        log (Path): Text file.
        resources (Resources): Threads and GPU.
        root (Path): Put in front of ``PYTHONPATH``.
        tick (Callable): Called every second, and at the end.
        keep_open (Sequence[int]): Descriptors that the child inherits.

    Raises:
        ChildFailed: If it ends with an error.
        Stopped: If the program was told to stop. The child is ended first, also when ``tick``
            raises.
    """
    if resources.stop.is_set():
        raise Stopped
    environment = resources.environment()
    paths = [str(root), environment.get('PYTHONPATH')]
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    with open(log, 'ab') as output:
        # in a session of its own, so that Ctrl-C reaches this program alone, which ends the child
        child = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=keep_open,
        )
    try:
        _wait(child, resources, tick)
    except BaseException:  # such as a full disk: the resources must be free for the next run
        _end(child)
        raise
    tick()
    if child.returncode:
        raise ChildFailed(f'exit status {child.returncode}')


def _wait(child: subprocess.Popen, resources: Resources, tick: Callable[[], None]) -> None:
    while child.poll() is None:
        try:
            child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            tick()
            if resources.stop.is_set():
                raise Stopped from None


def _end(child: subprocess.Popen) -> None:
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def run_parallel(
    items: Iterable[Item], pool: Sequence[Resources], work: Callable[[Item, Resources], None]
) -> None:
    """Call ``work(item, resources)`` for all items, with each of the resources one item at a time.

    Args:
        items (Iterable): In the order in which they start.
        pool (Sequence[Resources]): Their number is the number of items at a time.
        work (Callable): Raises nothing but :class:`Stopped`.
    """
    free: queue.Queue = queue.Queue()
    for resources in pool:
        free.put(resources)

    def run_item(item: Item) -> None:
        resources = free.get()
        try:
            if not resources.stop.is_set():
                work(item, resources)
        except Stopped:
            pass
        finally:
            free.put(resources)

    with ThreadPoolExecutor(len(pool)) as threads:
        for future in [threads.submit(run_item, item) for item in items]:
            future.result()


@contextmanager
def stopped_by_signals(event: threading.Event) -> Iterator[None]:
    """Set ``event`` on Ctrl-C, SIGTERM or a closed terminal, in place of ending the program."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old: List = [signal.signal(name, lambda *_: event.set()) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, old):
            signal.signal(name, handler)
