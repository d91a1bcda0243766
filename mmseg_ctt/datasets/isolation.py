# Copyright (c) mmseg_ctt contributors.
import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch

from .permutation import mixed


@contextmanager
def isolated_randomness(seed: int, number: int) -> Iterator[None]:
    """Seed the global generators from (seed, draw number), and give them back untouched.

    mmcv's transforms draw from the global generators of ``random`` and ``numpy``. Seeding them
    per sample makes augmentation independent of worker, rank and restart; restoring them keeps
    loading in the main process (``num_workers=0``) from disturbing the training.

    Args:
        seed (int): Of the run.
        number (int): Of the draw.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    key = mixed(number, seed)
    random.seed(key)
    np.random.seed(key & 0xFFFFFFFF)
    torch.manual_seed(key & 0x7FFFFFFFFFFFFFFF)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
