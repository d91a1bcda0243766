# Copyright (c) mmseg_ctt contributors.
"""A training started as users do, brought to the state of a run long under way."""

import copy
import uuid
from typing import Any, Callable, Iterator

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from ...deploy.checkpoint import without_pretrained
from ...engine.hooks.queue_warmup_hook import QueueWarmupHook
from ...methods.prevmatch import PrevMatch
from ...nn.memory_bank import ClassMemoryBank
from ...nn.memory_contrast import MemoryContrast
from ...nn.unwrap import unwrapped
from .networks import networks_of
from .sections import SectionStack, attached


def prepare_config(cfg: Config, work_dir: str) -> Config:
    """A copy that trains without validation, in a folder of its own, from random weights.

    Values of weights do not change the work; pretrained ones would have to be downloaded.
    """
    cfg = copy.deepcopy(cfg)
    for stage in ('val', 'test'):
        for part in ('dataloader', 'evaluator', 'cfg'):
            cfg[f'{stage}_{part}'] = None
    cfg.work_dir, cfg.experiment_name = work_dir, uuid.uuid4().hex
    if cfg.get('visualizer'):
        cfg.visualizer.name = cfg.experiment_name  # mmengine keeps them by name
    cfg.resume, cfg.load_from, cfg.log_level = False, None, 'WARNING'
    cfg.model = without_pretrained(cfg.model)
    return cfg


def bare_model(runner: Runner) -> BaseModel:
    """The model without a distributed wrapper."""
    return unwrapped(runner.model)


def compile_networks(model: nn.Module, **options: Any) -> None:
    """torch.compile every backbone in place, with its options; heads stay as they are."""
    for network in networks_of(model):
        network.backbone.compile(**options)


def reach_steady_state(runner: Runner, loop: IterBasedTrainLoop) -> None:
    """Bring a run to its middle: memory banks and past models are there, every part is at work."""
    loop._iter = loop.max_iters // 2
    model = bare_model(runner)
    if isinstance(model, PrevMatch):
        for _ in range(model.ring.size):
            model.store_past()
    banks = [part for part in model.modules() if isinstance(part, ClassMemoryBank)]
    for bank in banks:
        bank.features.normal_()
        bank.count.fill_(bank.size)
        bank.full = True  # as the hook finds
    for part in model.modules():
        if isinstance(part, MemoryContrast) and part.waits:
            part.switch(True)
    for hook in runner.hooks:
        if isinstance(hook, QueueWarmupHook):
            hook.done = True


def run_in_train_loop(
    runner: Runner, stack: SectionStack, action: Callable[[IterBasedTrainLoop], Any]
) -> Any:
    """Start a training as users do, and call ``action`` where its iterations would run.

    Args:
        runner (Runner): Fresh from the config.
        stack (SectionStack): Is told of the sections while ``action`` runs.
        action (Callable): Gets the training loop.

    Returns:
        Any: What ``action`` returned.

    Raises:
        ValueError: If the training loop is not based on iterations.
    """
    loop = runner.build_train_loop(runner._train_loop)
    if not isinstance(loop, IterBasedTrainLoop):
        raise ValueError(
            f'train_cfg.type: {type(loop).__name__} does not count iterations; use '
            'ResumableTrainLoop or IterBasedTrainLoop'
        )
    results = []

    def run() -> nn.Module:
        with attached(runner, stack):
            runner.call_hook('before_train')
            runner.call_hook('before_train_epoch')
            if hasattr(loop, '_set_start'):
                loop._set_start()
            reach_steady_state(runner, loop)
            results.append(action(loop))
            runner.call_hook('after_train_epoch')
            runner.call_hook('after_train')
        return runner.model

    loop.run = run
    runner._train_loop = loop
    model: Any = bare_model(runner)
    model.given = frozenset(getattr(model, 'members', {}))  # random weights are meant here
    runner.train()
    return results[0]


def optimiser_counters(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    """The step counts of an optimiser, which PyTorch keeps on the host unless it is fused."""
    for state in optimizer.state.values():
        if isinstance(state.get('step'), torch.Tensor):
            yield state['step']
