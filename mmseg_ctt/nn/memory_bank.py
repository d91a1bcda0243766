# Copyright (c) mmseg_ctt contributors.
from typing import Any, Dict, Mapping, Optional, Tuple

import torch
import torch.nn as nn
from mmengine.dist import all_gather, get_rank, get_world_size
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import select_per_class
from . import settings
from .ranks import sum_over_ranks

RANKINGS = ('confidence', 'random')


@MODELS.register_module()
class ClassMemoryBank(nn.Module):
    """First-in-first-out queue of ``V`` features per class (CTT section on the memory bank).

    A ring: writing moves a pointer and no other entry. All state is in buffers of fixed size,
    saved with the model and equal on every rank, because every rank writes the same gathered
    candidates.

    Buffers:

    - ``features`` ``([P,] K, V, D)`` float32, zeros where nothing was written yet
    - ``pointer`` ``([P,] K)`` int64, index that is written next
    - ``count`` ``([P,] K)`` int64, filled entries, at most ``V``

    Args:
        num_classes (int): ``K``.
        size (int): ``V``, entries per class. Defaults to 128 (paper).
        dim (int): ``D``, width of the embedding. Defaults to 256 (paper).
        budget (int, optional): Entries that a class may gain per push, over all ranks. Defaults
            to None: the number of labelled images in the global batch, which is what the
            released rule gives for every published setting.
        ranking (str): ``'confidence'`` keeps the most confident candidates, ``'random'`` any.
            Defaults to 'confidence' (released code).
        num_banks (int, optional): ``P``, banks side by side, written and read in one call.
            Defaults to None: one, without a leading dimension.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If a size is not positive, the budget exceeds ``size`` or the ranking is
            unknown.
    """

    features: Tensor
    pointer: Tensor
    count: Tensor

    def __init__(
        self,
        num_classes: int,
        size: int = 128,
        dim: int = 256,
        budget: Optional[int] = None,
        ranking: str = 'confidence',
        num_banks: Optional[int] = None,
    ) -> None:
        super().__init__()
        numbers = dict(num_classes=num_classes, size=size, dim=dim)
        settings.check_numbers('model.bank', numbers, 1, whole=True)
        if budget is not None:
            settings.check_number('model.bank.budget', budget, 1, whole=True)
            if budget > size:
                raise ValueError(
                    f'model.bank.budget must be at most model.bank.size={size}, got {budget}'
                )
        settings.check_choice('model.bank.ranking', ranking, RANKINGS)
        self.num_classes, self.size, self.dim = num_classes, size, dim
        self.budget, self.ranking = budget, ranking
        self.full = False  # known to be, on the host; a queue that is full stays full
        lead = () if num_banks is None else (num_banks,)
        self.register_buffer('features', torch.zeros(*lead, num_classes, size, dim))
        self.register_buffer('pointer', torch.zeros(*lead, num_classes, dtype=torch.long))
        self.register_buffer('count', torch.zeros(*lead, num_classes, dtype=torch.long))

    @property
    def filled(self) -> Tensor:
        """``([P,] K, V)`` bool, True for entries that hold a feature."""
        return torch.arange(self.size, device=self.count.device) < self.count.unsqueeze(-1)

    @property
    def mask(self) -> Optional[Tensor]:
        """:attr:`filled`, or None where the bank is known to be full, which is fewer operations."""
        return None if self.full else self.filled

    def fill_ratio(self) -> Tensor:
        """``(P, K)`` float32, filled ratio of every queue; ``P`` is 1 without ``num_banks``."""
        count = self.count if self.count.dim() == 2 else self.count.unsqueeze(0)
        return count.float() / self.size

    def in_order(self) -> Tensor:
        """``([P,] K, V, D)`` entries from the oldest to the newest, unwritten entries last."""
        start = torch.where(self.count == self.size, self.pointer, 0)
        index = torch.arange(self.size, device=start.device) + start.unsqueeze(-1)
        index = (index % self.size).unsqueeze(-1).expand_as(self.features)
        return self.features.gather(-2, index)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.full = False  # until it is read again
        super()._load_from_state_dict(*args, **kwargs)

    @torch.no_grad()
    def update(
        self, feature: Tensor, label: Tensor, confidence: Tensor, valid: Tensor, num_images: int
    ) -> None:
        """Admit the best candidates of every class and forget the oldest entries.

        Args:
            feature (Tensor): ``([P,] N, D)``, stored as given, in float32.
            label (Tensor): ``([P,] N)`` int64 true classes; anything where ``valid`` is False.
            confidence (Tensor): ``([P,] N)`` softmax maximum, the ranking key.
            valid (Tensor): ``([P,] N)`` bool, candidates (rightly classified labelled pixels).
            num_images (int): Labelled images the pixels come from, on this rank.

        Raises:
            ValueError: If the feature width is not ``dim``.
        """
        if feature.shape[-1] != self.dim:
            raise ValueError(
                f'the embedding is {feature.shape[-1]} wide and the memory bank '
                f'{self.dim}: set model.bank.dim={feature.shape[-1]}'
            )
        budget = self.budget or num_images * get_world_size()
        budget = min(budget, self.size)
        score = torch.rand_like(confidence) if self.ranking == 'random' else confidence
        index, taken = select_per_class(label, score, valid, self.num_classes, budget)
        entry = _rows_of(feature, index).float()
        if get_world_size() > 1:
            score = _rows_of(score.float().unsqueeze(-1), index).squeeze(-1)
            entry, taken = self._merge_ranks(entry, score, taken, budget)
        self._write(entry, taken)

    def _merge_ranks(
        self, entry: Tensor, score: Tensor, taken: Tensor, budget: int
    ) -> Tuple[Tensor, Tensor]:
        """Best ``budget`` of all ranks' candidates: ``([P,] K, n, D)`` and which rows count.

        Scores of all candidates are gathered, features of the chosen alone are sent: each rank
        puts its own into their rows of zeros, and the sum over the ranks is the whole. So the
        bytes of features grow with ``budget`` alone, not with the number of candidates.
        """
        number = score.shape[-1]
        flagged = torch.stack([score, taken.to(score)])
        score, taken = torch.cat(all_gather(flagged), dim=-1)
        label = torch.arange(self.num_classes, device=entry.device)
        label = label.unsqueeze(1).expand_as(score).flatten(-2)
        index, chosen = select_per_class(
            label, score.flatten(-2), taken.flatten(-2) > 0, self.num_classes, budget
        )
        first = torch.arange(self.num_classes, device=index.device).unsqueeze(1) * score.shape[-1]
        position = index - first - get_rank() * number  # among the candidates of this rank
        own = chosen & (position >= 0) & (position < number)
        row = position.clamp(0, number - 1).unsqueeze(-1)
        row = row.expand(*row.shape[:-1], entry.shape[-1])
        entry = entry.gather(-2, row).masked_fill_(~own.unsqueeze(-1), 0)
        return sum_over_ranks(entry), chosen

    def _write(self, entry: Tensor, taken: Tensor) -> None:
        """Write ``([P,] K, n, D)`` behind the pointer; rows not taken rewrite what is there."""
        offset = torch.arange(entry.shape[-2], device=entry.device)
        index = (self.pointer.unsqueeze(-1) + offset).remainder_(self.size)
        index = index.unsqueeze(-1).expand_as(entry)
        kept = torch.where(taken.unsqueeze(-1), entry, self.features.gather(-2, index))
        self.features.scatter_(-2, index, kept)
        added = taken.sum(dim=-1)
        self.pointer.add_(added).remainder_(self.size)
        self.count.add_(added).clamp_(max=self.size)


def _rows_of(feature: Tensor, index: Tensor) -> Tensor:
    """Rows of ``([P,] N, D)`` at ``([P,] K, n)``: ``([P,] K, n, D)``."""
    flat = index.flatten(-2).unsqueeze(-1).expand(*index.shape[:-2], -1, feature.shape[-1])
    return feature.gather(-2, flat).unflatten(-2, index.shape[-2:])


def bank_settings(
    given: Optional[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> Dict[str, Any]:
    """``model.bank`` over the defaults of a contrast, whose ``budget`` is at most the size.

    Args:
        given (Mapping, optional): Settings in the config.
        defaults (Mapping): Of the contrast.

    Raises:
        TypeError: If the settings are no dict, or the size is no integer.
        ValueError: If the size is not positive.
    """
    bank = settings.merged('model.bank', defaults, given)
    settings.check_number('model.bank.size', bank['size'], 1, whole=True)
    if 'budget' not in settings.as_dict('model.bank', given):
        bank['budget'] = min(bank['budget'], bank['size'])
    return bank
