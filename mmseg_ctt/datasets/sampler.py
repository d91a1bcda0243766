# Copyright (c) mmseg_ctt contributors.
from typing import (
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Union,
)

from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from .checks import KEY as DATASET
from .permutation import keyed_permutation, mixed
from .sources import LABELED, UNLABELED, first_indices

KEY = 'train_dataloader.sampler.ratio'
STREAMS = ('LabeledUnlabeledSampler', 'GroupSampler')  # names of samplers without an end
DEFAULT_RATIO = {LABELED: 1, UNLABELED: 1}
EPOCH_BITS = 48  # more epochs than 2**47 of one source cannot be drawn

Ratio = Union[Mapping[str, Optional[int]], Sequence[int]]


class DrawnImage(NamedTuple):
    """One draw from the data, and all that its random numbers depend on.

    Attributes:
        idx (int): Index of the image in the data set.
        number (int): Position in the global order of draws.
        seed (int): Of the run.
    """

    idx: int
    number: int
    seed: int


class HasSources(Protocol):
    """What the sampler reads of a data set: the number of images of each source, in order."""

    @property
    def num_images(self) -> Mapping[str, int]:
        """Number of images by source; those of the first source have the first indices."""


@DATA_SAMPLERS.register_module()
class LabeledUnlabeledSampler(Sampler):
    """Infinite stream of images of several sources in a fixed ratio.

    The stream consists of periods: with ``ratio=dict(labeled=1, unlabeled=2)`` every three draws
    are one labelled and two unlabelled images. A batch therefore has the ratio whenever its size
    is a multiple of the period. The global order depends on the seed alone; rank ``r`` of ``W``
    takes every ``W``-th period. Each image of a source is drawn once an epoch of that source, in
    an order that is computed from seed and epoch, so that the stream can begin anywhere at no
    cost.

    Args:
        dataset (LabeledUnlabeledDataset): Data set with ``num_images`` by source.
        ratio (dict[str, int] | Sequence[int], optional): Images a period, by source. A source
            with 0, or left out, is never drawn; None as a count leaves a name out. A sequence has
            one count for each source of the data set, in their order. Defaults to
            ``dict(labeled=1, unlabeled=1)``; a supervised run has
            ``dict(labeled=1, unlabeled=0)``.
        seed (int, optional): Defaults to None: agreed on by all ranks.
        shuffle (bool): Whether to shuffle in every epoch. Defaults to True.

    Raises:
        ValueError: If a name is not a source of the data set, a count is no whole number or
            negative, all are 0, or an empty source is to be drawn from.
    """

    def __init__(
        self,
        dataset: HasSources,
        ratio: Optional[Ratio] = None,
        seed: Optional[int] = None,
        shuffle: bool = True,
    ) -> None:
        self.sizes = dict(dataset.num_images)
        self.ratio = ratio_by_source(ratio, self.sizes)
        for name, count in self.ratio.items():
            if count and not self.sizes[name]:
                raise ValueError(
                    f'{KEY}.{name}={count} draws from {DATASET}.{name}, which is empty'
                )
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle
        self.start = 0  # period to begin with
        self._period = [(name, i) for name, count in self.ratio.items() for i in range(count)]
        self._number = source_numbers(self.sizes)
        self._first_index = first_indices(self.sizes)

    @property
    def period(self) -> int:
        """Draws after which the ratio repeats."""
        return len(self._period)

    def advance_to(self, draws: int) -> None:
        """Begin after ``draws`` draws of all ranks together, at no cost.

        Args:
            draws (int): A multiple of ``period``.

        Raises:
            ValueError: If it is no multiple, as after a run with another ratio.
        """
        self.start, rest = divmod(draws, self.period)
        if rest:
            raise ValueError(
                f'{KEY}={self.ratio}: the {draws} draws of the resumed run cannot be divided by '
                f'{self.period}; resume with the ratio it had'
            )

    def draw(self, number: int) -> DrawnImage:
        """Draw ``number`` of the global order."""
        period, offset = divmod(number, self.period)
        name, position = self._period[offset]
        position = self._position(name, period * self.ratio[name] + position)
        return DrawnImage(self._first_index[name] + position, number, self.seed)

    def _position(self, name: str, number: int) -> int:
        """Position in its source of the image that draw ``number`` of the source gives."""
        size = self.sizes[name]
        epoch, position = divmod(number, size)
        if self.shuffle:
            key = _permutation_key(self.seed, self._number[name], epoch)
            position = keyed_permutation(position, size, key)
        return position

    def __iter__(self) -> Iterator[DrawnImage]:
        period = self.start + self.rank
        while True:
            for offset in range(self.period):
                yield self.draw(period * self.period + offset)
            period += self.world_size

    def __len__(self) -> int:
        """Images of all sources; the stream itself has no end."""
        return sum(self.sizes.values())

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: epochs follow from the draw number."""


def ratio_by_source(ratio: Optional[Ratio], names: Iterable[str]) -> Dict[str, int]:
    """Images a period of every source of a data set.

    Args:
        ratio (Mapping[str, int] | Sequence[int], optional): As in
            :class:`LabeledUnlabeledSampler`.
        names (Iterable[str]): Sources of the data set, in order.

    Returns:
        dict[str, int]: One count a source, in order; 0 where it is not drawn.

    Raises:
        ValueError: If it names an unknown source, a count is no whole number or negative, or all
            are 0.
    """
    names = list(names)
    given = DEFAULT_RATIO if ratio is None else ratio
    counts = _named_counts(given, names)
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(
                f'{KEY}={given} must have whole numbers that are not negative, got {count!r} for '
                f'{name}'
            )
    for name, count in counts.items():
        if name not in names and (count or name not in DEFAULT_RATIO):
            raise ValueError(
                f'{KEY}={given} names {name}, but {DATASET}.{name} is not set (its sources are '
                f'{", ".join(names)}): set it, or take {name} out of the ratio ({KEY}.{name}='
                f'{0 if name in DEFAULT_RATIO else None})'
            )
    if not any(counts.values()):
        raise ValueError(f'{KEY}={given} draws no image: set a positive count')
    return {name: counts.get(name, 0) for name in names}


def _named_counts(ratio: Ratio, names: Sequence[str]) -> Dict[str, int]:
    if isinstance(ratio, Mapping):
        return {name: count for name, count in ratio.items() if count is not None}
    counts: List[int] = list(ratio) if isinstance(ratio, (list, tuple)) else []
    while len(counts) > len(names) and counts[-1] == 0:
        counts.pop()  # of a source that the data set does not have
    if len(counts) != len(names):
        example = ', '.join(f'{name}=1' for name in names)
        raise ValueError(
            f'{KEY}={ratio} must have one count for each source of {DATASET}, which has '
            f'{", ".join(names)}: set dict({example}), or add the source that is missing'
        )
    return dict(zip(names, counts))


def source_numbers(names: Iterable[str]) -> Dict[str, int]:
    """Number of each source, from which its order follows.

    ``labeled`` is 0 and ``unlabeled`` 1 whether or not the data set has them, the others count
    from 2: leaving a source out changes the order of neither of these two.

    Args:
        names (Iterable[str]): Sources of the data set, in order.
    """
    others = [name for name in names if name not in DEFAULT_RATIO]
    return {name: number for number, name in enumerate([*DEFAULT_RATIO, *others])}


def _permutation_key(seed: int, source: int, epoch: int) -> int:
    """Key of the order of one source in one epoch.

    Sources 0 and 1 use the even and the odd integers; each further pair of sources uses the same
    integers above a bit that no epoch reaches, so that no two orders have the same one.
    """
    pair, parity = divmod(source, 2)
    return mixed((pair << EPOCH_BITS) + 2 * epoch + parity, seed)
