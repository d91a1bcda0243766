# Copyright (c) mmseg_ctt contributors.
"""Two processes on one machine that talk to each other over gloo."""

import os
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, Callable, List, Tuple

import mmseg.visualization  # noqa: F401, which every run imports
import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from shortcuts import collect_env
from torch import Tensor
from toy_data import toy_config

COLLECTIVES = (
    'all_gather',
    'all_gather_into_tensor',
    'all_gather_object',
    'all_reduce',
    'all_to_all',
    'barrier',
    'broadcast',
    'broadcast_object_list',
    'gather',
    'gather_object',
    'reduce',
    'reduce_scatter',
    'scatter',
    'scatter_object_list',
)


def on_ranks(body: Callable[[int], Any], world: int = 2, seconds: float = 300) -> List[Any]:
    """What ``body(rank)`` returns in each of ``world`` forked processes.

    Raises:
        AssertionError: If one fails, or they hang.
    """
    collect_env()  # once here, and not in every process
    with tempfile.TemporaryDirectory() as folder:
        children = [_fork(body, rank, world, Path(folder)) for rank in range(world)]
        try:
            end = time.monotonic() + seconds
            for rank, child in enumerate(children):
                while os.waitpid(child, os.WNOHANG)[0] == 0:
                    assert time.monotonic() < end, 'the processes hang'
                    time.sleep(0.01)
                children[rank] = None
        finally:
            for child in filter(None, children):
                os.kill(child, 9)
                os.waitpid(child, 0)
        errors = [path.read_text() for path in sorted(Path(folder).glob('error*'))]
        assert not errors, '\n'.join(errors)
        return [
            torch.load(Path(folder, f'result{rank}'), weights_only=False) for rank in range(world)
        ]


def _fork(body: Callable, rank: int, world: int, folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        dist.init_process_group(
            'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=world
        )
        torch.save(body(rank), folder / f'result{rank}')
        dist.barrier()
        code = 0
    except BaseException:
        (folder / f'error{rank}').write_text(traceback.format_exc())
    finally:
        os._exit(code)


def rank_runner(root: Path, work: Path, **changes: Any) -> Runner:
    """A run of the toy model on every rank, as ``tools/train.py --launcher pytorch`` builds it."""
    os.environ.setdefault('LOCAL_RANK', str(dist.get_rank()))
    name = [changes.pop('experiment_name', f'{work.name}-{os.getpid()}')]
    dist.broadcast_object_list(name)
    return Runner.from_cfg(
        toy_config(
            root,
            work,
            launcher='pytorch',
            experiment_name=name[0],
            model_wrapper_cfg=dict(
                type='MMDistributedDataParallel', device_ids=None, find_unused_parameters=False
            ),
            **changes,
        )
    )


class Counted:
    """Counts the collectives of this process, with the shapes of what goes through them."""

    def __init__(self) -> None:
        self.calls: Counter = Counter()

    def __enter__(self) -> 'Counted':
        self.real = {name: getattr(dist, name) for name in COLLECTIVES}
        for name, real in self.real.items():
            setattr(dist, name, self._counting(name, real))
        return self

    def __exit__(self, *_) -> None:
        for name, real in self.real.items():
            setattr(dist, name, real)

    def _counting(self, name: str, real: Callable) -> Callable:
        def call(*given, **more):
            tensor = next((one for one in given if isinstance(one, torch.Tensor)), None)
            self.calls[name, None if tensor is None else tuple(tensor.shape)] += 1
            return real(*given, **more)

        return call


class Watch(Hook):
    """Notes the keys of the losses, the collectives of an iteration and the state after it."""

    priority = 'LOWEST'

    def __init__(self, counted):
        self.counted, self.keys, self.calls, self.states = counted, [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.counted.calls.clear()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.calls.append(dict(self.counted.calls))
        self.keys.append(sorted(outputs))
        self.states.append(
            {name: value.clone() for name, value in runner.model.module.state_dict().items()}
        )


def assert_as_one_process(losses: Callable[[slice], Tuple[Tensor, Tensor]]) -> None:
    """Two ranks, averaged as DDP averages gradients, are one process with all images.

    Args:
        losses: Values and gradient of some of four images; the halves are the ranks'.
    """
    alone, slope = losses(slice(0, 4))
    ranks = on_ranks(lambda rank: losses(slice(2 * rank, 2 * rank + 2)))
    torch.testing.assert_close((ranks[0][0] + ranks[1][0]) / 2, alone, rtol=1e-5, atol=1e-6)
    together = torch.cat([ranks[0][1], ranks[1][1]]) / 2  # DDP's mean over the ranks
    torch.testing.assert_close(together, slope, rtol=1e-4, atol=1e-7)
    assert (alone > 0).all() and slope.abs().sum() > 0
