# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from ..datasets.incremental import SETTINGS
from ..nn.settings import as_dict, check_choice
from .round_settings import KEY, RoundSettings

METHODS = ('wilson', 'finetune', 'joint')
Steps = Tuple[Tuple[str, ...], ...]


@dataclass(frozen=True)
class IncrementalSettings(RoundSettings):
    """Settings of class-incremental learning, ``self_training`` of a config.

    Attributes:
        steps (tuple[tuple[str, ...], ...]): New classes of each step, the first trained with masks;
            without the background.
        labeled (dict): Config of the images with masks: a ``FolderSegDataset`` with all classes,
            in the form of ``train_dataloader.dataset.labeled``.
        setting (str): Images of a step: ``'overlap'``, those that show one of its classes, or
            ``'disjoint'``, of these those without a class of a later step.
        method (str): ``'wilson'``: later steps learn from tags. For comparison ``'finetune'``:
            later steps learn from masks of their new classes alone, and nothing keeps the old
            ones; ``'joint'``: one training with masks of all classes.
        first_checkpoint (str, optional): Network of the first step; it is not trained then. None
            trains it.
        first_training (dict, optional): Changes of the config for trainings that do not begin with
            the network of a step before, step 0 and joint training, such as
            ``dict(sizes=dict(max_iters=4000))``, which moves the end of the schedule, too.

    Raises:
        TypeError: If a setting is of another type.
        ValueError: For an unknown value, a class in two steps, or too few steps.
    """

    steps: Steps = ()
    labeled: Optional[Dict[str, Any]] = None
    setting: str = 'overlap'
    method: str = 'wilson'
    first_checkpoint: Optional[str] = None
    first_training: Optional[Dict[str, Any]] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'steps', _checked_steps(self.steps))
        check_choice(f'{KEY}.setting', self.setting, SETTINGS)
        check_choice(f'{KEY}.method', self.method, METHODS)
        for name in ('labeled', 'first_training'):
            object.__setattr__(self, name, as_dict(f'{KEY}.{name}', getattr(self, name)))
        if not self.labeled:
            raise ValueError(
                f'{KEY}.labeled is missing: give the config of the images with masks, such as '
                'dict(type="FolderSegDataset", ...)'
            )
        if not isinstance(self.first_checkpoint, (str, type(None))):
            raise TypeError(
                f'{KEY}.first_checkpoint must be a file or None, got {self.first_checkpoint!r}'
            )
        for name in ('first_checkpoint', 'first_training'):
            unused = self.method == 'joint' and name == 'first_checkpoint'
            unused |= self.first_checkpoint is not None and name == 'first_training'
            if unused and getattr(self, name):
                raise ValueError(
                    f'{KEY}.{name} would be unused with {KEY}.method={self.method!r} and '
                    f'first_checkpoint={self.first_checkpoint!r}: remove it'
                )

    @property
    def classes(self) -> Tuple[str, ...]:
        """Classes of all steps, in order, without the background."""
        return tuple(name for step in self.steps for name in step)


def _checked_steps(steps: Any) -> Steps:
    """Steps as tuples.

    Raises:
        TypeError: If they are no lists of names.
        ValueError: If there are fewer than two, one is empty, or a class is in two.
    """
    lists = isinstance(steps, (list, tuple)) and all(isinstance(s, (list, tuple)) for s in steps)
    if not lists or not all(isinstance(name, str) for step in steps for name in step):
        raise TypeError(
            f"{KEY}.steps must be lists of classes, such as [['cow', 'sky'], ['cat']]; got "
            f'{steps!r}'
        )
    if len(steps) < 2:
        raise ValueError(f'{KEY}.steps has {len(steps)} steps: it needs a first and a later one')
    before: Dict[str, int] = {}
    for number, step in enumerate(steps):
        if not step:
            raise ValueError(f'{KEY}.steps[{number}] has no class')
        for name in step:
            if name in before:
                raise ValueError(
                    f'{KEY}.steps[{number}] has the class {name!r}, which steps[{before[name]}] '
                    'has already: a class is new in one step'
                )
            before[name] = number
    return tuple(tuple(step) for step in steps)
