# Copyright (c) mmseg_ctt contributors.
"""Number of worker processes of the data loaders, for the CPUs that a run may use."""

import os
from typing import Any, Dict, List, Mapping, Tuple

from ..datasets.sampler import STREAMS
from .processes import cores

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
READ = dict(train=LOADERS[:2], val=LOADERS[1:2], test=LOADERS[2:])  # loaders by what a run does
# Samplers with which the random numbers of a sample do not depend on the workers.
INDEPENDENT = (*STREAMS, 'DefaultSampler')


def allowed_workers() -> int:
    """CPUs for each process of this machine, at least 1."""
    return max(1, cores() // int(os.environ.get('LOCAL_WORLD_SIZE') or 1))


# Of worker processes alone; PyTorch refuses them without any.
OF_WORKERS = ('persistent_workers', 'prefetch_factor')


def limit_workers(loaders: Mapping[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
    """Data loaders with no more workers than CPUs.

    More workers than CPUs only slow one another down. Loaders whose random numbers depend on the
    number of workers, such as those of an ``InfiniteSampler``, stay as they are. With
    ``num_workers=0`` the settings of workers are left out, so that this one setting is enough to
    load in the main process.

    Args:
        loaders (Mapping): Configs of data loaders by name; entries of another type are kept.

    Returns:
        tuple: Changed loaders by name, copies, and a line for each number that was reduced.
    """
    limit = allowed_workers()
    changed: Dict[str, Any] = {}
    reduced: Dict[int, List[str]] = {}
    for name, loader in loaders.items():
        workers = loader.get('num_workers') if isinstance(loader, Mapping) else None
        if workers == 0 and any(loader.get(key) for key in OF_WORKERS):
            changed[name] = {k: value for k, value in loader.items() if k not in OF_WORKERS}
        if workers is None or workers <= limit or not _is_independent(name, loader):
            continue
        changed[name] = {**loader, 'num_workers': limit}
        reduced.setdefault(workers, []).append(name)
    lines = [
        f'num_workers={workers} of {", ".join(names)} is more than the CPUs of this process: '
        f'{limit} are used, with the same results'
        for workers, names in reduced.items()
    ]
    return changed, lines


def worker_lines(loaders: Mapping[str, Any]) -> Dict[str, List[str]]:
    """Lines of :func:`limit_workers` by what a run does, each about the loaders that it reads.

    Args:
        loaders (Mapping): As of :func:`limit_workers`.
    """
    return {
        stage: limit_workers({name: loaders[name] for name in names if name in loaders})[1]
        for stage, names in READ.items()
    }


def _is_independent(name: str, loader: Mapping) -> bool:
    sampler = loader.get('sampler')
    kind = sampler.get('type') if isinstance(sampler, Mapping) else None
    return kind in (STREAMS if name == 'train_dataloader' else INDEPENDENT)
