# Copyright (c) mmseg_ctt contributors.
"""The benchmark of an evaluation: the very loop that users run, beside its members' forwards."""
import tempfile
import time
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import torch
from mmengine.config import Config
from mmengine.runner import Runner, autocast, load_checkpoint
from torch.utils.data import DataLoader

from .machine import describe_machine
from .meters import TimeMeter
from .networks import networks_of
from .preparation import bare_model, prepare_config
from .sections import OTHER, SectionStack, _entering, _wrap

DATA, FORWARDS = 'data', 'forwards'
SECTIONS = (DATA, 'normalisation', FORWARDS, 'ensemble', 'post-processing', 'metric', 'summary',
            OTHER)
PARTS = ('dataloader', 'evaluator', 'cfg')


def benchmark_evaluation(cfg: Config, images: int = 16, repeats: int = 10,
                         checkpoint: Optional[str] = None) -> Dict[str, Any]:
    """Measure the validation loop of a config and its floor, in turns.

    The floor is the ``inference`` of every member on the same images, read and normalised before.
    Images are read in this process, whatever ``num_workers`` the config has, so that the section
    ``data`` is all that reading costs.

    Args:
        cfg (Config): Of a whole run; training is left out.
        images (int): The first of the validation set, as many or all. Defaults to 16.
        repeats (int): Timed loops and floors, after one of each. Defaults to 10.
        checkpoint (str, optional): File of weights. Defaults to None: random ones.

    Returns:
        dict: ``ratio`` without data, ``seconds``, ``cpu_seconds`` (processor time of this process),
        ``sections`` and what the figures depend on, ready for JSON.

    Raises:
        ValueError: If a count is not positive or the config has no validation.
    """
    if images < 1 or repeats < 1:
        raise ValueError(f'images={images} and repeats={repeats} must be positive')
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(validation_config(cfg, folder))
        if checkpoint:
            load_checkpoint(bare_model(runner), checkpoint, map_location='cpu', strict=True)
        rehearsal = Evaluation(runner, images)
        runner.call_hook('before_run')
        with rehearsal.attached():
            times = [rehearsal.time() for _ in range(1 + repeats)][1:]
        runner.call_hook('after_run')
    return _summary(rehearsal, times)


def validation_config(cfg: Config, work_dir: str) -> Config:
    """A copy that validates only, and reads its images in this process.

    Raises:
        ValueError: If the config has no validation.
    """
    absent = [f'val_{part}' for part in PARTS if not cfg.get(f'val_{part}')]
    if absent:
        raise ValueError(f'the config has no {absent[0]}: there is nothing to measure')
    prepared = prepare_config(cfg, work_dir)
    for part in PARTS:
        prepared[f'val_{part}'] = cfg[f'val_{part}']
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        prepared[key] = None
    prepared.val_dataloader.update(num_workers=0, persistent_workers=False)
    prepared.val_dataloader.pop('prefetch_factor', None)
    return prepared


class ProcessorMeter(TimeMeter):
    """Exclusive processor time of each section, of all threads of this process."""

    def __init__(self) -> None:
        super().__init__(torch.device('cpu'))

    def _now(self) -> float:
        return time.process_time()


class Reader:
    """The first batches of a data loader; reading one is a section."""

    def __init__(self, loader: DataLoader, images: int, stack: SectionStack) -> None:
        self.loader, self.dataset, self.stack = loader, loader.dataset, stack
        self.batches = min(len(loader), -(-images // loader.batch_size))

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.loader)
        for _ in range(self.batches):
            with self.stack.inside(DATA):
                batch = next(batches)
            yield batch


class Times(NamedTuple):
    """Seconds of one loop by section and of one floor, by the clock and of the processor."""
    loop: Dict[str, float]
    cpu_loop: Dict[str, float]
    floor: float
    cpu_floor: float


class Evaluation:
    """The validation loop of a runner on some images, and its floor.

    Args:
        runner (Runner): With validation.
        images (int): That many, from the first.
    """

    def __init__(self, runner: Runner, images: int) -> None:
        self.loop, self.model, self.stack = runner.val_loop, bare_model(runner), SectionStack()
        self.model.eval()
        self.networks = networks_of(self.model)
        self.device = next(self.model.parameters()).device
        self.loop.dataloader = Reader(self.loop.dataloader, images, self.stack)
        self.batches = [self.model.data_preprocessor(batch) for batch in self.loop.dataloader]

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Wrap what the sections are named after; undone at the end."""
        evaluator = type(self.loop.evaluator)  # the loop copies the object for every member
        places = [('normalisation', self.model.data_preprocessor, 'forward'),
                  *((FORWARDS, network, 'inference') for network in self.networks),
                  ('ensemble', self.model, 'mean_probability'),
                  ('post-processing', self.model, 'postprocess_result'),
                  ('metric', evaluator, 'process'), ('summary', evaluator, 'evaluate')]
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

    def time(self) -> Times:
        """One floor and one loop."""
        clock, processor = TimeMeter(self.device), ProcessorMeter()
        found: List[Dict[str, float]] = []
        for action in (self.floor, self.loop.run):
            with self.stack.watched_by(clock), self.stack.watched_by(processor):
                action()
            found += clock.seconds(), processor.seconds()
        return Times(*found[2:], *(sum(floor.values()) for floor in found[:2]))


def _summary(evaluation: Evaluation, times: List[Times]) -> Dict[str, Any]:
    loops, cpu_loops, floors, cpu_floors = zip(*times)
    seconds, cpu_seconds = _ratios(loops, floors), _ratios(cpu_loops, cpu_floors)
    sections = {}
    for name in SECTIONS:
        if name in loops[0]:
            own, cpu = (median(loop[name] for loop in column) for column in (loops, cpu_loops))
            sections[name] = dict(seconds=own, of_floor=own / seconds['floor'], cpu_seconds=cpu,
                                  cpu_of_floor=cpu / cpu_seconds['floor'])
    return dict(ratio=seconds['ratio'], cpu_ratio=cpu_seconds['ratio'], seconds=seconds,
                cpu_seconds=cpu_seconds, sections=sections,
                images=sum(len(batch['data_samples']) for batch in evaluation.batches),
                networks=len(evaluation.networks), repeats=len(times),
                data='read in the main process', machine=describe_machine(evaluation.device))


def _ratios(loops: Sequence[Dict[str, float]], floors: Sequence[float]) -> Dict[str, Any]:
    """Medians, their ratios, and every value."""
    whole, floor = [sum(loop.values()) for loop in loops], median(floors)
    without = [total - loop[DATA] for total, loop in zip(whole, loops)]
    return dict(loop=median(without), loop_with_data=median(whole), floor=floor,
                ratio=median(without) / floor, ratio_with_data=median(whole) / floor,
                loops=without, loops_with_data=whole, floors=list(floors))
