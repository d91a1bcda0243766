# Copyright (c) mmseg_ctt contributors.
import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch

from .permutation import mixed


@contextmanager
def isolated_randomness(seed: int, number: int) -> Iterator[None]:
    """Seed the global random generators from (seed, draw number), and restore them afterwards.

    mmcv's transforms draw from the global generators of ``random`` and ``numpy``. As they are
    seeded for each sample, augmentation depends on neither worker, rank nor restart. As they are
    restored, loading in the main process (``num_workers=0``) does not change the random numbers
    of the training step.

    Args:
        seed (int): Of the run.
        number (int): Of the draw.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    key = mixed(number, seed)
    random.seed(key)
    np.random.seed(key & 0xFFFFFFFF)
    # that of the CPU: torch.manual_seed would also seed those of devices, with which steps draw
    torch.default_generator.manual_seed(key & 0x7FFFFFFFFFFFFFFF)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
