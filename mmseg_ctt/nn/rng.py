# Copyright (c) mmseg_ctt contributors.
"""Random numbers that belong to a sample, whatever rank, worker or restart handles it."""

import zlib
from typing import Any, Collection, Dict, List, Mapping, Sequence, Tuple, Union

import numpy as np
import torch
from mmseg.utils import SampleList
from torch import Tensor

from ..functional import pixel_noise

Draw = Tuple[int, int]


def draws_of(samples: SampleList) -> List[Draw]:
    """``(seed, draw number)`` of each sample of a batch."""
    return [sample.metainfo['draw'] for sample in samples]


def sample_generator(draw: Draw, rng_stream: str) -> np.random.Generator:
    """Counter-based generator of one sample and one purpose.

    Philox is keyed with the seed and the stream and starts at the draw number, so that nothing has
    to be stored to go on after a resume.

    Args:
        draw (tuple[int, int]): ``(seed, draw number)``.
        rng_stream (str): Name of the purpose; other names give independent numbers.
    """
    seed, number = draw
    key = [seed, zlib.crc32(rng_stream.encode())]
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, number, 0]))


def sample_noise(
    draws: Sequence[Draw], width: int, rng_stream: str, device: Union[str, torch.device] = 'cpu'
) -> Tensor:
    """Uniform numbers of each sample of a batch.

    Args:
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of ``B`` samples.
        width (int): Numbers per sample.
        rng_stream (str): See :func:`sample_generator`.
        device (str | torch.device): Device that they are copied to. Defaults to 'cpu'.

    Returns:
        Tensor: ``(B, width)`` float32 in [0, 1).
    """
    return sample_noises(draws, {rng_stream: width}, device)[rng_stream]


def host_noise(draws: Sequence[Draw], width: int, rng_stream: str) -> np.ndarray:
    """The same as an array, for numbers that are computed before they go to the device."""
    rows = [sample_generator(draw, rng_stream).random(width, dtype=np.float32) for draw in draws]
    return np.stack(rows)


def sample_noises(
    draws: Sequence[Draw], widths: Mapping[str, int], device: Union[str, torch.device] = 'cpu'
) -> Dict[str, Tensor]:
    """:func:`sample_noise` of several streams, in one copy to the device.

    Args:
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of ``B`` samples.
        widths (Mapping[str, int]): Numbers per sample, by stream.
        device (str | torch.device): Device that they are copied to. Defaults to 'cpu'.

    Returns:
        dict[str, Tensor]: ``(B, width)`` float32 in [0, 1), by stream.
    """
    rows = np.concatenate(
        [host_noise(draws, width, name) for name, width in widths.items()], axis=1
    )
    noise = sent_to(rows, device)
    return dict(zip(widths, noise.split(list(widths.values()), dim=1)))


def sent_to(values: np.ndarray, device: Union[str, torch.device]) -> Tensor:
    """An array on a device, without waiting for it."""
    return torch.from_numpy(values).to(device, non_blocking=True)


def noise_maps(
    draws: Sequence[Draw],
    height: int,
    width: int,
    rng_stream: str,
    device: Union[str, torch.device] = 'cpu',
) -> Tensor:
    """Many uniform numbers of each sample, made on the device from one of :func:`sample_noise`.

    Args:
        draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each of ``B`` samples.
        height (int): ``H``.
        width (int): ``W``.
        rng_stream (str): See :func:`sample_generator`.
        device (str | torch.device): Of the result. Defaults to 'cpu'.

    Returns:
        Tensor: ``(B, H, W)`` float32 in [0, 1).
    """
    return pixel_noise(sample_noise(draws, 1, rng_stream, device).flatten(), height, width)


def split_noises(
    draws: Sequence[Draw],
    widths: Mapping[str, int],
    device: Union[str, torch.device],
    on_host: Collection[str],
) -> Dict[str, Any]:
    """:func:`sample_noises`, of which the streams named by ``on_host`` are arrays of numpy."""
    others = {name: width for name, width in widths.items() if name not in on_host}
    host = {name: host_noise(draws, widths[name], name) for name in widths if name in on_host}
    return {**host, **(sample_noises(draws, others, device) if others else {})}
