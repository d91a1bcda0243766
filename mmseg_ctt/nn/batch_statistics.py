# Copyright (c) mmseg_ctt contributors.
"""Running statistics of normalisation layers, which each rank takes from its own images.

A model is validated and saved with their mean over the ranks. The training goes on with those of
each rank: how often it is validated or saved changes nothing, and a checkpoint holds both, so that
a resumed run on as many ranks goes on exactly.
"""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, MutableMapping
from weakref import WeakKeyDictionary

import torch
import torch.nn as nn
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor
from torch.nn.modules.batchnorm import SyncBatchNorm, _NormBase

from .ranks import mean_over_ranks

KEY = 'rank_statistics'  # of a checkpoint: (ranks, ...) of each statistic, by its name


# of models within the block of `mean_statistics`: what each rank goes on with after it, by name
_own: MutableMapping[nn.Module, Dict[str, Tensor]] = WeakKeyDictionary()


@contextmanager
def mean_statistics(model: nn.Module) -> Iterator[None]:
    """In the block every rank has the mean of the running statistics of all ranks.

    The mean is taken in double precision, so that equal values stay as they are, bit for bit.
    Layers that are synchronised in the step (SyncBN) are left out; one process does nothing, and
    neither does a block within a block of the same model.

    Args:
        model (nn.Module): With all its layers; of the same layers on all ranks.
    """
    statistics = running_statistics(model)
    if get_world_size() == 1 or not statistics or model in _own:
        yield
        return
    _own[model] = {name: value.clone() for name, value in statistics.items()}
    with torch.no_grad():
        flat = mean_over_ranks(torch.cat([v.double().flatten() for v in statistics.values()]))
        means = flat.split([value.numel() for value in statistics.values()])
        for value, mean in zip(statistics.values(), means):
            value.copy_(mean.view_as(value))
        try:
            yield
        finally:
            for name, own in _own.pop(model).items():
                statistics[name].copy_(own)


def keep_statistics(model: nn.Module, part: nn.Module) -> None:
    """Let a part, written in a block of :func:`mean_statistics`, stay as it is now after the block.

    Args:
        model (nn.Module): Of the block; without a block nothing is to be done.
        part (nn.Module): A module of it.
    """
    own, written = _own.get(model, {}), {id(value) for value in part.buffers()}
    for name, value in running_statistics(model).items() if own else ():
        if id(value) in written:
            own[name].copy_(value)


def statistics_of_ranks(model: nn.Module) -> Dict[str, Tensor]:
    """Statistics of all ranks, ``(ranks, ...)`` on the host by name; of one process none.

    Args:
        model (nn.Module): See :func:`mean_statistics`; within its block they are those with which
            the training goes on.
    """
    statistics = _own.get(model) or running_statistics(model)
    if get_world_size() == 1 or not statistics:
        return {}
    flat = torch.cat([value.detach().flatten() for value in statistics.values()])
    rows = torch.stack(all_gather(flat)).cpu()
    parts = rows.split([value.numel() for value in statistics.values()], 1)
    return {
        name: part.view(-1, *value.shape).clone()
        for (name, value), part in zip(statistics.items(), parts)
    }


def take_own_statistics(checkpoint: Dict[str, Any]) -> None:
    """Put those of this rank into the state of a checkpoint; the mean stays on other ranks.

    Args:
        checkpoint (dict): Of a run that goes on; changed where it is of as many ranks.
    """
    for name, rows in checkpoint.get(KEY, {}).items():
        if len(rows) == get_world_size() and name in checkpoint['state_dict']:
            checkpoint['state_dict'][name] = rows[get_rank()]


def running_statistics(model: nn.Module) -> Dict[str, Tensor]:
    """Means and variances of all layers that take them from the images of one rank, by name."""
    return {
        f'{prefix}.{name}' if prefix else name: value
        for prefix, layer in model.named_modules()
        if isinstance(layer, _NormBase) and not isinstance(layer, SyncBatchNorm)
        for name, value in layer.named_buffers(recurse=False)
        if name in ('running_mean', 'running_var')
    }
