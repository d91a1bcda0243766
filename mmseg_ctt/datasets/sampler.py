# Copyright (c) mmseg_ctt contributors.
from typing import Iterator, NamedTuple, Optional, Sequence, Sized

from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from .permutation import keyed_permutation, mixed


class Draw(NamedTuple):
    """One draw from the data, and all that its random numbers depend on.

    Attributes:
        index (int): Into the data set, labelled images first.
        number (int): Position in the global order of draws.
        seed (int): Of the run.
    """

    index: int
    number: int
    seed: int


@DATA_SAMPLERS.register_module()
class LabeledUnlabeledSampler(Sampler):
    """Infinite stream of labelled and unlabelled images in a fixed ratio.

    The stream is made of periods: with ``ratio=(1, 2)`` every three draws are one labelled and
    two unlabelled images. So any ``batch_size`` that is a multiple of ``sum(ratio)`` has the
    ratio, and it need not be told to the sampler. The order is global and depends on the seed
    alone; rank ``r`` of ``W`` takes every ``W``-th period. Within a pass over the data each
    image is drawn once, in an order computed from (seed, pass), so that starting anywhere costs
    nothing.

    Args:
        dataset (LabeledUnlabeledDataset): Has ``num_labeled`` and ``num_unlabeled``.
        ratio (Sequence[int]): Labelled and unlabelled images per period. Defaults to (1, 1);
            (1, 0) gives labelled images only.
        seed (int, optional): Defaults to None: agreed on by all ranks.
        shuffle (bool): Defaults to True.

    Raises:
        ValueError: If the ratio is not two counts with a positive sum, or asks for images of an
            empty set.
    """

    def __init__(
        self,
        dataset: Sized,
        ratio: Sequence[int] = (1, 1),
        seed: Optional[int] = None,
        shuffle: bool = True,
    ) -> None:
        if len(ratio) != 2 or min(ratio) < 0 or sum(ratio) < 1:
            raise ValueError(
                'train_dataloader.sampler.ratio must be two counts such as (1, 1), '
                f'got {tuple(ratio)}'
            )
        self.sizes = (dataset.num_labeled, dataset.num_unlabeled)
        for name, count, size in zip(('labeled', 'unlabeled'), ratio, self.sizes):
            if count and not size:
                raise ValueError(
                    f'train_dataloader.sampler.ratio={tuple(ratio)} asks for {name} '
                    f'images, but train_dataloader.dataset.{name} is empty'
                )
        self.ratio = tuple(ratio)
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle
        self.start = 0

    @property
    def period(self) -> int:
        """Draws after which the ratio repeats."""
        return sum(self.ratio)

    def advance_to(self, draws: int) -> None:
        """Begin after ``draws`` draws of all ranks together, at no cost.

        Args:
            draws (int): A multiple of ``period``.

        Raises:
            ValueError: If it is none, as the draws of a run with another ratio may be.
        """
        self.start, rest = divmod(draws, self.period)
        if rest:
            raise ValueError(
                f'train_dataloader.sampler.ratio={self.ratio}: the {draws} draws of '
                f'the resumed run cannot be divided by {self.period}; resume with '
                'the ratio it had'
            )

    def draw(self, number: int) -> Draw:
        """Draw ``number`` of the global order."""
        period, place = divmod(number, self.period)
        source = int(place >= self.ratio[0])
        count = period * self.ratio[source] + place - source * self.ratio[0]
        turn, position = divmod(count, self.sizes[source])
        if self.shuffle:
            key = mixed(2 * turn + source, self.seed)
            position = keyed_permutation(position, self.sizes[source], key)
        return Draw(position + source * self.sizes[0], number, self.seed)

    def __iter__(self) -> Iterator[Draw]:
        period = self.start + self.rank
        while True:
            for place in range(self.period):
                yield self.draw(period * self.period + place)
            period += self.world_size

    def __len__(self) -> int:
        """Images of both sets; the stream itself has no end."""
        return sum(self.sizes)

    def set_epoch(self, epoch: int) -> None:
        """Passes are counted by the draw number; nothing to set."""
