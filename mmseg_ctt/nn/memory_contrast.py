# Copyright (c) mmseg_ctt contributors.
from typing import Any, ClassVar, Dict, Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

import torch
import torch.nn as nn
from torch import Tensor

from . import settings
from .memory_bank import ClassMemoryBank

Kind = TypeVar('Kind', bound='MemoryContrast')


class MemoryContrast(nn.Module):
    """Base of pixel contrasts with a class memory: one protocol for hooks and tools.

    A contrast has ``bank``, :meth:`update`, :meth:`fill_ratio` and :meth:`zero_loss`. Where
    ``waits`` is True, :class:`QueueWarmupHook` switches it on once the memory is full.

    Buffer: ``on`` bool, so that the choice is in the checkpoint. ``active`` is its copy on the
    host, which a step reads without waiting for the device.
    """

    waits: ClassVar[bool] = True
    required_hooks: ClassVar[Dict[str, str]] = {'QueueWarmupHook': 'switches the contrast on'}
    sections = dict(forward='contrast', zero_loss='contrast', update='bank')  # for benchmarks
    bank_part: ClassVar[Union[type, str]] = 'ClassMemoryBank'  # what `model.bank` has settings of
    joint_state: ClassVar[Tuple[Tuple[str, ...], ...]] = (('bank', 'on'),)
    bank: ClassMemoryBank
    on: Tensor

    def __init__(self) -> None:
        super().__init__()
        if self.waits:
            self.register_buffer('on', torch.zeros((), dtype=torch.bool))
        self.active = not self.waits

    @classmethod
    def of(
        cls: Type[Kind],
        model: Any,
        terms: Sequence[str],
        given: Optional[Mapping[str, Any]],
        bank: Optional[Mapping[str, Any]],
        defaults: Optional[Mapping[str, Any]] = None,
        **own: Any,
    ) -> Optional[Kind]:
        """The contrast of a method; None where the weights of all its terms are 0.

        Args:
            model (SemiSegmentor): Gives loss weights, classes and width of the embedding.
            terms (Sequence[str]): Of the loss weights.
            given (Mapping, optional): ``model.contrast`` of the config.
            bank (Mapping, optional): ``model.bank`` of the config.
            defaults (Mapping, optional): See :func:`settings.build_part`.
            own: Further arguments that no config can set.

        Raises:
            TypeError: If settings are no dict.
            ValueError: For unknown settings, of a contrast that is off too.
        """
        if not any(model.weights[term] for term in terms):
            settings.check_part('contrast', given, cls)
            settings.check_part('bank', bank, cls.bank_part)
            return None
        sizes = dict(num_classes=model.num_classes, width=model.embedding_width)
        return settings.build_part('contrast', given, cls, defaults, bank=bank, **sizes, **own)

    def check_bank_dim(
        self, dim: int, features: str, remedy: str = 'set model.contrast.dim instead'
    ) -> None:
        """Refuse a bank of another width than its features.

        Args:
            dim (int): Channels of the features.
            features (str): What they are.
            remedy (str): What to set.

        Raises:
            ValueError: If ``model.bank.dim`` is another number.
        """
        if self.bank.dim != dim:
            raise ValueError(
                f'model.bank.dim={self.bank.dim} does not match the {features}, which is {dim} '
                f'wide: {remedy}'
            )

    def switch(self, active: bool) -> None:
        """Switch every term on or off."""
        self.active = active
        self.on.fill_(active)

    def fill_ratio(self) -> Tensor:
        """``(P, K)`` float32, filled ratio of every queue of every bank."""
        return self.bank.fill_ratio()

    def mark_full(self) -> None:
        """Say that every queue is full, so that steps need no mask of the empty entries."""
        self.bank.full = True
