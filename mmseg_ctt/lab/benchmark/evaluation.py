# Copyright (c) mmseg_ctt contributors.
"""The benchmark of an evaluation: the very loop that users run, beside its members' forwards."""

import copy
import tempfile
import time
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, Dict, Iterator, List, Optional, Sequence

import torch
from mmengine.config import Config
from mmengine.runner import Runner, autocast
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from torch import Tensor
from torch.utils.data import DataLoader

from ...methods.feature_learning import NO_SEGMENTATION
from .machine import describe_machine
from .meters import TimeMeter
from .networks import networks_of
from .preparation import bare_model, prepare_config
from .repeats import REPEATS
from .sections import OTHER, SectionStack, _entering, _wrap

DATA = 'data'
SECTIONS = (
    DATA,
    'normalisation',
    'forwards',
    'ensemble',
    'post-processing',
    'metric',
    'summary',
    OTHER,
)
TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler')
VALIDATION = ('val_dataloader', 'val_evaluator', 'val_cfg')
Seconds = Dict[str, float]


def benchmark_evaluation(
    cfg: Config, images: int = 16, repeats: int = REPEATS, stock: bool = False
) -> Dict[str, Any]:
    """Measure the validation loop of a config and its floor, in turns, with random weights.

    The floor is the ``inference`` of every member on the same images, read and normalised before.
    The loop reads them in this process, so that the section ``data`` is all that reading costs.

    Args:
        cfg (Config): Of a whole run; training is left out.
        images (int): The first of the validation set, as many or all. Defaults to 16.
        repeats (int): Timed floors and loops, after one of each. Defaults to 10.
        stock (bool): Measure, in turns with them, one evaluation of each member and of the ensemble
            by mmseg's own prediction and metric. Defaults to False.

    Returns:
        dict: ``ratio`` and ``cpu_ratio``, both without ``data``, and what they come from, for JSON;
        with ``stock`` also ``of_stock``, the processor time of the loop beside theirs, with
        ``data``.

    Raises:
        ValueError: If a count is not positive or the config has no validation.
    """
    if images < 1 or repeats < 1:
        raise ValueError(f'images={images} and repeats={repeats} must be positive')
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(validation_config(cfg, folder))
        evaluation = Evaluation(runner, images)
        runner.call_hook('before_run')
        times, stocks = [], []
        for _ in range(1 + repeats):
            with evaluation.attached():
                times.append(evaluation.time())
            if stock:
                stocks.append(evaluation.stock_seconds())
        times, stocks = times[1:], stocks[1:]
        runner.call_hook('after_run')
    loops = [sum(loop.values()) for *_, loop in times]
    return dict(
        dict(of_stock=median(loops) / median(stocks)) if stock else {},
        **_common(evaluation, times, repeats),
    )


def _common(evaluation: 'Evaluation', times: Sequence[Any], repeats: int) -> Dict[str, Any]:
    return dict(
        summarise(times),
        networks=len(evaluation.networks),
        repeats=repeats,
        images=sum(len(batch['data_samples']) for batch in evaluation.batches),
        data='read in the main process',
        machine=describe_machine(evaluation.device),
    )


def validation_config(cfg: Config, work_dir: str) -> Config:
    """A copy that only validates, without worker processes."""
    kind = MODELS.get(cfg.model.type)
    if not getattr(kind, 'trains_heads', True):
        raise ValueError(NO_SEGMENTATION.format(cfg.model.type))
    absent = [key for key in VALIDATION if not cfg.get(key)]
    if absent:
        raise ValueError(f'the config has no {absent[0]}: there is no evaluation to measure')
    prepared = prepare_config(cfg, work_dir)
    prepared.update({**dict.fromkeys(TRAINING), **{key: cfg[key] for key in VALIDATION}})
    prepared.val_dataloader = {**cfg.val_dataloader, 'num_workers': 0, 'persistent_workers': False}
    prepared.val_dataloader.pop('prefetch_factor', None)
    return prepared


class ProcessorMeter(TimeMeter):
    """Exclusive processor time of each section, all threads of this process together."""

    def __init__(self) -> None:
        super().__init__(torch.device('cpu'))

    def _now(self) -> float:
        return time.process_time()


class Reader:
    """The first batches of a data loader; reading one is a section."""

    def __init__(self, loader: DataLoader, images: int, stack: SectionStack) -> None:
        self.loader, self.dataset, self.stack = loader, loader.dataset, stack
        self.length = min(len(loader), -(-images // (loader.batch_size or 1)))

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.loader)
        for _ in range(self.length):
            with self.stack.inside(DATA):
                batch = next(batches)
            yield batch


class Evaluation:
    """The validation loop of a runner on its first ``images`` images, and its floor."""

    def __init__(self, runner: Runner, images: int) -> None:
        self.loop, self.model, self.stack = runner.val_loop, bare_model(runner), SectionStack()
        self.networks = networks_of(self.model.eval())
        self.device = next(self.model.parameters()).device
        self.loop.dataloader = Reader(self.loop.dataloader, images, self.stack)
        self.batches = [self.model.data_preprocessor(batch) for batch in self.loop.dataloader]

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Wrap what the sections are named after; undone at the end."""
        evaluator = type(self.loop.evaluator)  # the loop copies the object for every member
        places = [
            ('normalisation', self.model.data_preprocessor, 'forward'),
            *(('forwards', network, 'inference') for network in self.networks),
            ('ensemble', self.model, 'mean_probability'),
            ('post-processing', self.model, 'postprocess_result'),
            ('metric', evaluator, 'process'),
            ('summary', evaluator, 'evaluate'),
        ]
        with ExitStack() as undo:
            for section, owner, name in places:
                if hasattr(owner, name):
                    _wrap(undo, owner, name, _entering(self.stack, section))
            yield

    @torch.no_grad()
    def floor(self) -> None:
        """Every network on every image, and nothing else."""
        for batch in self.batches:
            metas = [sample.metainfo for sample in batch['data_samples']]
            with autocast(enabled=self.loop.fp16):
                for network in self.networks:
                    network.inference(batch['inputs'], metas)

    @torch.no_grad()
    def stock_seconds(self) -> float:
        """Processor time of an evaluation of each member and the ensemble by mmseg's code."""
        begin = time.process_time()
        names = getattr(self.model, 'member_names', [None])
        for name in names:
            evaluator = copy.deepcopy(self.loop.evaluator)
            network = self.networks[0]
            for batch in self.loop.dataloader:
                data = self.model.data_preprocessor(batch, False)
                samples = data['data_samples']
                metas = [sample.metainfo for sample in samples]
                logits = self._inference(name, data['inputs'], metas)
                samples = BaseSegmentor.postprocess_result(network, logits, samples)
                evaluator.process(data_samples=samples, data_batch=batch)
            evaluator.evaluate(len(self.loop.dataloader.dataset))
        return time.process_time() - begin

    def _inference(self, name: Optional[str], inputs: Tensor, metas: List[dict]) -> Tensor:
        """Logits of a member; of the ensemble, from passes of its members."""
        if name is None:
            return self.model.inference(inputs, metas)
        chosen = self.model.ensemble_members if name == 'ensemble' else [name]
        logits = [self.model.member(one).inference(inputs, metas) for one in chosen]
        return self.model.mean_probability(logits)

    def time(self) -> List[Seconds]:
        """Sections of one floor and one loop, each by the clock and of the processor."""
        clock, processor = TimeMeter(self.device), ProcessorMeter()
        found: List[Seconds] = []
        for action in (self.floor, self.loop.run):
            with self.stack.watched_by(clock), self.stack.watched_by(processor):
                action()
            found += clock.seconds(), processor.seconds()
        return found


def summarise(times: Sequence[Sequence[Seconds]]) -> Dict[str, Any]:
    """Medians, ratios and every value, of what :meth:`Evaluation.time` gave several times."""
    floors, cpu_floors, loops, cpu_loops = zip(*times)
    seconds, cpu_seconds = _ratios(loops, floors), _ratios(cpu_loops, cpu_floors)
    sections = {}
    for name in (name for name in SECTIONS if name in loops[0]):
        own, cpu = (median(loop[name] for loop in column) for column in (loops, cpu_loops))
        sections[name] = dict(seconds=own, cpu_seconds=cpu, cpu_of_floor=cpu / cpu_seconds['floor'])
    return dict(
        ratio=seconds['ratio'],
        cpu_ratio=cpu_seconds['ratio'],
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        sections=sections,
    )


def _ratios(loops: Sequence[Seconds], floors: Sequence[Seconds]) -> Dict[str, Any]:
    alone, whole = ([sum(sections.values()) for sections in column] for column in (floors, loops))
    without, floor = [total - loop[DATA] for total, loop in zip(whole, loops)], median(alone)
    return dict(
        loop=median(without),
        loop_with_data=median(whole),
        floor=floor,
        ratio=median(without) / floor,
        ratio_with_data=median(whole) / floor,
        loops=without,
        loops_with_data=whole,
        floors=alone,
    )
