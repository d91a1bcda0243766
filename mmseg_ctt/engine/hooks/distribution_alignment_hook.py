# Copyright (c) mmseg_ctt contributors.
import math
from typing import Optional, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmseg.registry import HOOKS

from ...datasets.frequency import label_frequency
from ...functional import target_distribution
from ...methods.base import SemiSegmentor
from ...nn.alignment import MemberAlignment
from ...nn.unwrap import segmentor_of, unwrapped

KEY = 'default_hooks.alignment'


@HOOKS.register_module()
class DistributionAlignmentHook(Hook):
    """Aligns the pseudo-labels of any method of this package, before its threshold.

    It changes the outputs of the teaching members for the weak view
    (:meth:`SemiSegmentor.teacher_outputs`), nothing else. The state is in the model, as
    ``alignment.{member}``, and in the checkpoint, not in exports. Source: ReMixMatch, and CReST+
    (arXiv 2102.09559) for the temperature.

    Args:
        frequency (Sequence[float], optional): Of the classes in the labels (pixels). Defaults to
            None: counted in the labelled masks at the start of the run.
        temperature (float): Exponent of the target; below 1 it is flatter. Defaults to 1.
        steps (int): Length of the running mean. Defaults to 128 (released code of CReST).
        uniform_start (bool): See :class:`DistributionAlignment`. Defaults to True (released
            code).
        only_raise (bool): See there. Defaults to False (released code).

    Raises:
        ValueError: If a number lies outside its range, the model is not semi-supervised or has
            another number of classes, the labels show no class, or the method aligns nothing.
    """

    config_key = KEY

    def __init__(
        self,
        frequency: Optional[Sequence[float]] = None,
        temperature: float = 1.0,
        steps: int = 128,
        uniform_start: bool = True,
        only_raise: bool = False,
    ) -> None:
        if steps < 1:
            raise ValueError(f'{KEY}.steps must be positive, got {steps}')
        if temperature < 0:
            raise ValueError(f'{KEY}.temperature must not be negative, got {temperature}')
        if frequency is not None and not (
            all(0 <= part < math.inf for part in frequency) and sum(frequency) > 0
        ):
            raise ValueError(
                f'{KEY}.frequency must be finite, not negative, and one positive, '
                f'got {list(frequency)}'
            )
        self.frequency, self.temperature, self.steps = frequency, temperature, steps
        self.uniform_start, self.only_raise = uniform_start, only_raise

    def before_run(self, runner: Runner) -> None:
        """Give the model its alignment, before a checkpoint is loaded into it."""
        model = segmentor_of(runner.model)
        if not isinstance(model, SemiSegmentor):
            raise ValueError(
                f'{KEY} needs a model of this package, got {type(model).__name__}: '
                'set default_hooks.alignment=None, or self_training.align=False'
            )
        if not model.uses_pseudo_labels:
            raise ValueError(
                f'{KEY}: {type(model).__name__} makes no pseudo-labels, so nothing would be '
                'aligned; set default_hooks.alignment=None, or self_training.align=False'
            )
        frequency = self._frequency(runner, model.num_classes)
        if len(frequency) != model.num_classes:
            raise ValueError(
                f'{KEY}.frequency has {len(frequency)} entries for {model.num_classes} classes'
            )
        self.target = target_distribution(torch.tensor(list(frequency)), self.temperature)
        if model.alignment is None:
            alignment = MemberAlignment(model.possible_teachers, self.target, self.steps)
            model.alignment = alignment.to(model.num_updates.device)
        self.alignment = model.alignment
        self._configure()  # a runner that trains and then tests comes twice

    def before_train(self, runner: Runner) -> None:
        """Keep to the settings of the run; a checkpoint has those of its own."""
        self._configure()

    def _configure(self) -> None:
        self.alignment.configure(self.target, self.uniform_start, self.only_raise)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Refuse a method whose step does not align, after its first iteration."""
        if not self.alignment.applied and not segmentor_of(runner.model).supervised_only:
            name = type(segmentor_of(runner.model)).__name__
            raise ValueError(
                f'{KEY}: the step of {name} does not call teacher_outputs, so nothing is '
                'aligned; set default_hooks.alignment=None, or self_training.align=False'
            )

    def _frequency(self, runner: Runner, num_classes: int) -> Sequence[float]:
        """Of the settings or the labels; a test aligns nothing, and may have no labels here."""
        if self.frequency is not None:
            return self.frequency
        if not isinstance(runner._train_loop, BaseLoop):
            return [1] * num_classes
        pixels = label_frequency(runner.cfg).pixel.tolist()
        if not any(pixels):
            raise ValueError(
                'train_dataloader.dataset.labeled: no pixel of the masks has a '
                f'class, so {KEY} has nothing to align to'
            )
        return pixels


def remove_unused_alignment(runner: Runner) -> None:
    """Switch off the alignment that came with a checkpoint, in a run without the hook.

    Args:
        runner (Runner): Of the run, its checkpoint loaded.
    """
    model = unwrapped(runner.model)
    used = any(isinstance(hook, DistributionAlignmentHook) for hook in runner.hooks)
    if isinstance(model, SemiSegmentor) and model.alignment is not None and not used:
        model.alignment = None
        runner.logger.info(f'{KEY} is off, and the alignment of the checkpoint with it')
