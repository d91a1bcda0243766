# Copyright (c) mmseg_ctt contributors.
"""How a quantity grows with images, classes or ranks, in numbers and words."""

import math
from typing import List, NamedTuple, Sequence

from .meters import MIB


class Growth(NamedTuple):
    """A quantity at several sizes.

    Attributes:
        part (str): What is measured.
        quantity (str): Such as ``memory``; its unit follows from it.
        sizes (tuple[int]): Images, classes or ranks.
        values (tuple[float]): Seconds, bytes or counts.
        axis (str): What the sizes count.
    """

    part: str
    quantity: str
    sizes: Sequence[int]
    values: Sequence[float]
    axis: str

    @property
    def exponent(self) -> float:
        """Slope in logarithms between the two largest sizes; 0 where the quantity is 0."""
        if min(self.values[-2:]) <= 0:
            return 0.0
        first, last = self.values[-2:]
        return math.log(last / first) / math.log(self.sizes[-1] / self.sizes[-2])

    def row(self) -> List[str]:
        """Cells of the table."""
        cells = [
            f'{_size(size)} {self.axis}: {_value(self.quantity, value)}'
            for size, value in zip(self.sizes, self.values)
        ]
        return [self.part, self.quantity, *cells, _growth(self.exponent)]


def _size(size: int) -> str:
    power = round(math.log10(size))
    return f'10^{power}' if size == 10**power and power > 3 else f'{size:,}'


def _value(quantity: str, value: float) -> str:
    if quantity == 'messages':
        return f'{value:.0f}'
    if quantity in ('memory', 'bytes'):
        for unit, size in (('GiB', MIB * 1024), ('MiB', MIB), ('KiB', 1024)):
            if value >= size:
                return f'{value / size:.3g} {unit}'
        return f'{value:.0f} B'
    return f'{1e3 * value:.3g} ms'


def _growth(exponent: float) -> str:
    if exponent < 0.25:
        return 'no'
    if exponent < 0.75:
        return f'slowly (power {exponent:.1f})'
    return 'linearly' if exponent < 1.25 else f'with power {exponent:.1f}'
