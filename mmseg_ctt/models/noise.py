# Copyright (c) mmseg_ctt contributors.
from typing import Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

Draw = Tuple[int, int]


def counter_noise(draws: Sequence[Draw], width: int, stream: int = 0) -> Tensor:
    """Uniform numbers that belong to a sample, whatever rank, worker or restart handles it.

    A counter-based generator (Philox) is keyed with the seed and the stream and starts at the
    draw number, so that nothing has to be stored to go on after a resume.

    Args:
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of ``B`` samples.
        width (int): Numbers per sample.
        stream (int): Tells independent uses of one sample apart. Defaults to 0.

    Returns:
        Tensor: ``(B, width)`` float32 in [0, 1), on the host.
    """
    rows = [
        np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, number, 0]))
        .random(width, dtype=np.float32) for seed, number in draws
    ]
    return torch.from_numpy(np.stack(rows))
