# Copyright (c) mmseg_ctt contributors.
"""State of the process that a run changes, for programs that go on after it, such as notebooks."""

import contextlib
import logging
import multiprocessing
import os
import random
import signal
import threading
import warnings
from typing import Any, Dict, Iterator, List

import cv2
import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.utils import ManagerMixin


@contextlib.contextmanager
def process_state_kept() -> Iterator[None]:
    """Run what stands inside as in a new process, and restore the state of this one at the end.

    Inside there are no loggers, message hubs, visualizers and default scopes of mmengine. At the
    end those of before are back, and so are handlers of signals, filters of warnings, environment
    variables, the states of the random generators of Python, numpy and PyTorch, cuDNN's switches,
    the start method of processes and the number of OpenCV's threads. Log files are closed.
    """
    with contextlib.ExitStack() as stack:
        for kept in (_managers, _signals, _random, _switches, _environment):
            stack.enter_context(kept())
        stack.enter_context(warnings.catch_warnings())
        yield


def _all_subclasses(kind: Any) -> List[Any]:
    below: List[Any] = kind.__subclasses__()
    return [kind, *(found for cls in below for found in _all_subclasses(cls))]


@contextlib.contextmanager
def _managers() -> Iterator[None]:
    """Instances that mmengine keeps by name: a run would take those of the one before."""
    kinds = _all_subclasses(ManagerMixin)
    before = {kind: dict(kind._instance_dict) for kind in kinds}
    for kind in kinds:
        kind._instance_dict.clear()
    try:
        yield
    finally:
        for kind in _all_subclasses(ManagerMixin):
            for made in kind._instance_dict.values():
                _close(made)
            kind._instance_dict.clear()
            kind._instance_dict.update(before.get(kind, {}))


def _close(instance: Any) -> None:
    """Close the files of a logger or visualizer."""
    if isinstance(instance, MMLogger):
        for handler in list(instance.handlers):
            if isinstance(handler, logging.FileHandler):
                handler.close()
            instance.removeHandler(handler)
    elif hasattr(instance, '_vis_backends'):
        instance.close()


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # no handler can be set here
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was not set by Python
                signal.signal(number, handler)


@contextlib.contextmanager
def _random() -> Iterator[None]:
    python, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    used = torch.cuda.is_available() and torch.cuda.is_initialized()
    of_cuda = torch.cuda.get_rng_state_all() if used else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)
        for device, state in enumerate(of_cuda):
            torch.cuda.set_rng_state(state, device)


@contextlib.contextmanager
def _switches() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    flags = cudnn.benchmark, cudnn.deterministic
    deterministic = torch.are_deterministic_algorithms_enabled()
    method, threads = multiprocessing.get_start_method(allow_none=True), cv2.getNumThreads()
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = flags
        torch.use_deterministic_algorithms(deterministic)
        multiprocessing.set_start_method(method, force=True)
        cv2.setNumThreads(threads)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before: Dict[str, str] = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update({k: v for k, v in before.items() if os.environ.get(k) != v})
