# Copyright (c) mmseg_ctt contributors.
import torch
import torch.nn as nn
from mmengine.dist import all_gather, get_world_size
from torch import Tensor

from ...nn import settings

NONE = -1  # label of an entry that holds nothing, or a pixel of the padding


class RecentPixelBank(nn.Module):
    """First-in-first-out memory of pixels of the last steps, whatever their class (CAC).

    A ring: writing moves a pointer and no other entry. Every rank writes the same gathered pixels.

    Buffers:

    - ``features`` ``(V, D)`` float32, unit vectors, zeros where nothing was written yet
    - ``labels`` ``(V,)`` int64 pseudo-label, -1 where an entry holds nothing
    - ``pointer`` int64, index that is written next
    - ``count`` int64, written entries, at most ``V``

    Args:
        dim (int): ``D``.
        size (int): ``V``, entries of all steps together. Defaults to 25,600.
        budget (int): Entries that a step adds, over all ranks and both crops, at most. Defaults to
            12,800: the memory then holds this step and the one before.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If one is not positive, or ``budget`` exceeds ``size``.
    """

    features: Tensor
    labels: Tensor
    pointer: Tensor
    count: Tensor

    def __init__(self, dim: int, size: int = 25600, budget: int = 12800) -> None:
        super().__init__()
        settings.check_number('model.bank.size', size, 1, whole=True)
        settings.check_number('model.bank.budget', budget, 1, size, whole=True)
        self.dim, self.size, self.budget = dim, size, budget
        self.register_buffer('features', torch.zeros(size, dim))
        self.register_buffer('labels', torch.full((size,), NONE, dtype=torch.long))
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))
        self.register_buffer('count', torch.zeros((), dtype=torch.long))

    def fill_ratio(self) -> Tensor:
        """``(1, 1)`` float32, filled ratio."""
        return (self.count.float() / self.size).view(1, 1)

    @torch.no_grad()
    def update(self, feature: Tensor, label: Tensor, score: Tensor) -> None:
        """Write pixels of a step, as many of each crop, those of the highest scores.

        Args:
            feature (Tensor): ``(B, n, D)`` unit features of the pixels of each of ``B`` crops.
            label (Tensor): ``(B, n)`` int64; -1 for pixels that are no negatives.
            score (Tensor): ``(B, n)``, such as random numbers.

        Raises:
            ValueError: If ``budget`` is less than the number of crops.
        """
        crops = len(feature) * get_world_size()
        number = min(self.budget // crops, feature.shape[1])
        if not number:
            raise ValueError(
                f'model.bank.budget={self.budget} is below the {crops} crops of a step, raise it'
            )
        if number < feature.shape[1]:
            index = torch.where(label == NONE, -1.0, score).topk(number, dim=1).indices
            feature = feature.gather(1, index.unsqueeze(2).expand(-1, -1, self.dim))
            label = label.gather(1, index)
        feature, label = feature.flatten(0, 1).float().contiguous(), label.flatten().contiguous()
        if get_world_size() > 1:
            feature, label = torch.cat(all_gather(feature)), torch.cat(all_gather(label))
        index = torch.arange(len(label), device=label.device).add_(self.pointer)
        index.remainder_(self.size)
        self.features[index], self.labels[index] = feature, label
        self.pointer.add_(len(label)).remainder_(self.size)
        self.count.add_(len(label)).clamp_(max=self.size)
