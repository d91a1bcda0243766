# Copyright (c) mmseg_ctt contributors.
"""Auxiliary tasks beside the step of any method."""

from abc import abstractmethod
from typing import Any, ClassVar, Dict, Mapping, Optional, Sequence

from torch import Tensor

from ..nn.auxiliary_tasks import AuxiliaryTasks, add_terms
from ..nn.images import Images
from .views import StrongViews


class StepWithTasks(StrongViews):
    """A step, and auxiliary tasks of every student beside it."""

    default_auxiliary_tasks: ClassVar[Sequence[Mapping[str, Any]]] = ()
    auxiliary_tasks: Optional[AuxiliaryTasks]
    weights: Dict[str, float]
    sources: ClassVar[Sequence[str]]
    trains_heads: ClassVar[bool]
    default_loss_weights: ClassVar[Mapping[str, float]]

    @classmethod
    def usual_weights(cls) -> Dict[str, float]:
        """Default weights of the method's own terms; ``sup`` where a head learns from masks."""
        reads_masks = 'labeled' in cls.sources and cls.trains_heads
        return {**(dict(sup=1.0) if reads_masks else {}), **cls.default_loss_weights}

    def add_tasks(self, given: Optional[Sequence[dict]]) -> None:
        """Build the tasks of the config, or of the method; their weights join those of the terms.

        Args:
            given (Sequence[dict], optional): ``model.auxiliary_tasks``.

        Raises:
            TypeError: If it is no list of dicts with a type.
            ValueError: For unknown tasks or settings, or a name that the method has for a term.
        """
        configs = self.default_auxiliary_tasks if given is None else given
        if not isinstance(configs, (list, tuple)):
            raise TypeError(
                'model.auxiliary_tasks must be a list, such as [dict(type="RotationTask")], '
                f'got {configs!r}'
            )
        self.auxiliary_tasks = None
        if configs:
            alone = not self.trains_heads
            tasks = AuxiliaryTasks(configs, self.students, self.sources, alone)
            for name in set(tasks.weights) & set(self.weights):
                raise ValueError(
                    f'model.auxiliary_tasks: {type(self).__name__} has a term {name} already: '
                    'give the task another name'
                )
            self.weights.update(tasks.weights)
            self.auxiliary_tasks = tasks
            self.parts = (*self.parts, 'auxiliary_tasks')  # type: ignore[misc]

    @abstractmethod
    def step(self, *args: Any, **kwargs: Any) -> Dict[str, Tensor]:
        """Terms of the method."""

    def step_with_tasks(self, images: Mapping[str, Images]) -> Dict[str, Tensor]:
        """Terms of the method and of its auxiliary tasks.

        Args:
            images (Mapping[str, Images]): By source.
        """
        if self.auxiliary_tasks is None:
            return self.step(**images)
        preprocessor = self.data_preprocessor
        with self.auxiliary_tasks.step(self.students, images, preprocessor) as tasks:
            terms = self.step(**images)
        add_terms(terms, tasks.terms())
        return terms
