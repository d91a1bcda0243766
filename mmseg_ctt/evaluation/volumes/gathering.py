# Copyright (c) mmseg_ctt contributors.
"""Slices of predictions and labels, compressed, until their volume is complete."""

import zlib
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from ...volumes import num_slices, stack_slices

FASTEST = 1  # level of zlib; label maps become small at any level


@dataclass(frozen=True)
class Packed:
    """Compressed array of integers."""

    content: bytes
    shape: Tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: np.ndarray) -> 'Packed':
        """Compress an array; values from 0 to 255 take a byte each before that."""
        small = array.size == 0 or (0 <= array.min() and array.max() <= np.iinfo(np.uint8).max)
        array = np.ascontiguousarray(array, np.uint8 if small else np.int32)
        return cls(zlib.compress(array.tobytes(), FASTEST), array.shape, array.dtype.str)

    def array(self) -> np.ndarray:
        """The array."""
        return np.frombuffer(zlib.decompress(self.content), self.dtype).reshape(self.shape)


@dataclass(frozen=True)  # mmengine makes plain tuples of named ones
class LabelSlice:
    """Slice of a predicted volume and of its label.

    Attributes:
        volume (str): Path of the image volume.
        plane (str): Axis along which the slices of the volume are counted.
        number (int): Index of the slice.
        prediction (Packed): ``(H, W)`` class ids.
        truth (Packed): ``(H, W)`` class ids.
    """

    volume: str
    plane: str
    number: int
    prediction: Packed
    truth: Packed


class VolumeParts:
    """Slices of volumes that are not complete.

    A slice that comes twice, as samplers repeat some on several ranks, counts once.
    """

    def __init__(self) -> None:
        self._slices: Dict[str, Dict[int, LabelSlice]] = {}

    def add(self, part: LabelSlice) -> None:
        """Add a slice.

        Raises:
            ValueError: If its volume came along another plane before.
        """
        known = self._slices.setdefault(part.volume, {})
        for other in known.values():
            if other.plane != part.plane:
                raise ValueError(
                    f'the volume {part.volume} comes along {other.plane} and along {part.plane}: '
                    'test one plane at a time'
                )
            break
        known[part.number] = part

    def is_complete(self, volume: str, shape: Sequence[int]) -> bool:
        """Whether all slices of a volume of a shape are here."""
        return len(self._slices[volume]) == num_slices(shape, self._plane(volume))

    def take(self, volume: str) -> Tuple[np.ndarray, np.ndarray]:
        """Prediction and truth ``(X, Y, Z)`` of a complete volume, whose slices are dropped."""
        plane, parts = self._plane(volume), self._slices.pop(volume)
        ordered = [parts[number] for number in sorted(parts)]
        return (
            stack_slices([part.prediction.array() for part in ordered], plane),
            stack_slices([part.truth.array() for part in ordered], plane),
        )

    def volumes(self) -> List[str]:
        """Volumes of which there are slices."""
        return list(self._slices)

    def describe(self, volume: str, shape: Sequence[int]) -> str:
        """How many slices of a volume are here, for messages."""
        plane = self._plane(volume)
        return f'{len(self._slices[volume])} of {num_slices(shape, plane)} slices along {plane}'

    def _plane(self, volume: str) -> str:
        return next(iter(self._slices[volume].values())).plane
