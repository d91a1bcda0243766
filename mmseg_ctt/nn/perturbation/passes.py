# Copyright (c) mmseg_ctt contributors.
"""Which perturbation belongs to which batch of a pass."""

from typing import Any, Callable, List, Optional, Sequence, Union

from ..feature_maps import joined, map_of, split_output

Perturbation = Callable[[List[Any]], List[Any]]  # of all levels
# one for all batches of a pass, or one for each
Perturb = Union[None, Perturbation, Sequence[Optional[Perturbation]]]


def appended(perturbation: Perturbation) -> Perturbation:
    """A perturbation that keeps the features and appends the perturbed ones as further images."""

    def keep_and_append(features: List[Any]) -> List[Any]:
        changed = perturbation(features)
        return [joined(pair) for pair in zip(features, changed)]

    return keep_and_append


class PerturbedPasses:
    """Perturbations of the batches that a member takes in one pass or in several.

    Args:
        sizes (Sequence[int]): Images of each batch.
        perturb (Callable | Sequence[Callable], optional): See :meth:`forward_members` of a method.

    Attributes:
        sizes (list[int]): Images of each batch; after the joint pass with those that its
            perturbation has appended.
    """

    def __init__(self, sizes: Sequence[int], perturb: Perturb = None) -> None:
        given = None if callable(perturb) or perturb is None else list(perturb)
        assert given is None or len(given) == len(sizes), 'one perturbation for each batch'
        self.given, self.perturb = list(sizes), perturb
        self.each: Optional[List[Optional[Perturbation]]] = given
        self.sizes = list(sizes)

    def of(self, index: int) -> Optional[Perturbation]:
        """Perturbation of a batch that has a pass of its own."""
        return self.perturb if self.each is None else self.each[index]  # type: ignore[return-value]

    @property
    def joint(self) -> Optional[Perturbation]:
        """Perturbation of the pass of all batches together."""
        return self.of(0) if self.each is None else self._perturb_each

    def _perturb_each(self, features: List[Any]) -> List[Any]:
        assert self.each is not None
        levels = [split_output(level, self.given) for level in features]
        batches = [list(maps) for maps in zip(*levels)]
        batches = [
            maps if change is None else change(maps) for maps, change in zip(batches, self.each)
        ]
        self.sizes = [len(map_of(maps[0])) for maps in batches]
        return [joined(maps) for maps in zip(*batches)]
