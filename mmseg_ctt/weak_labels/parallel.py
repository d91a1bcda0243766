# Copyright (c) mmseg_ctt contributors.
"""A task for each of many files, in this process or several."""

from concurrent.futures import ProcessPoolExecutor
from typing import Any, Callable, Iterator, List, Sequence

import cv2
import torch

STEPS = 20  # lines of progress


def each_file(
    task: Callable[[Any], Any], items: Sequence[Any], jobs: int, report: Callable[[str], None]
) -> List[Any]:
    """Results of a task for all items, in their order.

    Args:
        task (Callable): Of one item; importable, where there is more than one process.
        items (Sequence): First entry of each is the stem of the file.
        jobs (int): Processes; 1 stays in this one.
        report (Callable[[str], None]): Gets a line for each twentieth of the files.
    """
    if jobs == 1 or len(items) < 2:
        return _reported(map(task, items), items, report)
    with ProcessPoolExecutor(min(jobs, len(items)), initializer=_one_thread) as pool:
        try:
            return _reported(pool.map(task, items), items, report)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def check_jobs(jobs: int) -> None:
    """Raise a ValueError for a number of processes that is not positive."""
    if jobs < 1:
        raise ValueError(f'jobs={jobs} must be positive')


def _one_thread() -> None:
    """A forked process has not the threads of its parent, and would wait for them."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _reported(
    results: Iterator[Any], items: Sequence[Any], report: Callable[[str], None]
) -> List[Any]:
    step, found = max(1, len(items) // STEPS), []
    for number, result in enumerate(results, 1):
        found.append(result)
        if number % step == 0 or number == len(items):
            report(f'[{number}/{len(items)}] {items[number - 1][0]}')
    return found
