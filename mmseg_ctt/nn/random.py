# Copyright (c) mmseg_ctt contributors.
from typing import List, Sequence, Tuple, Union

import numpy as np
import torch
from mmseg.utils import SampleList
from torch import Tensor

Draw = Tuple[int, int]


def draws_of(samples: SampleList) -> List[Draw]:
    """``(seed, draw number)`` of each sample of a batch."""
    return [sample.metainfo['draw'] for sample in samples]


def counter_noise(
    draws: Sequence[Draw], width: int, stream: int = 0, device: Union[str, torch.device] = 'cpu'
) -> Tensor:
    """Uniform numbers that belong to a sample, whatever rank, worker or restart handles it.

    A counter-based generator (Philox) is keyed with the seed and the stream and starts at the
    draw number, so that nothing has to be stored to go on after a resume.

    Args:
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of ``B`` samples.
        width (int): Numbers per sample.
        stream (int): Tells independent uses of one sample apart. Defaults to 0.
        device (str | torch.device): That they are sent to. Defaults to 'cpu'.

    Returns:
        Tensor: ``(B, width)`` float32 in [0, 1).
    """
    rows = [
        np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, number, 0])).random(
            width, dtype=np.float32
        )
        for seed, number in draws
    ]
    return torch.from_numpy(np.stack(rows)).to(device, non_blocking=True)
