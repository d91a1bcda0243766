# Copyright (c) mmseg_ctt contributors.
"""Benchmark of a training step, run as in a training, against its floor."""

import tempfile
from collections import Counter
from statistics import median
from typing import Any, Dict, List, NamedTuple, Tuple

from mmengine.config import Config
from mmengine.runner import IterBasedTrainLoop, Runner

from .counters import OperationCounter, device_synchronisations
from .floor import record_passes, run_floor
from .machine import describe_machine
from .meters import MemoryMeter, TimeMeter
from .networks import networks_of
from .preparation import (
    bare_model,
    compile_networks,
    optimiser_counters,
    prepare_config,
    run_in_train_loop,
)
from .repeats import REPEATS
from .sections import BACKWARD, SECTIONS, SectionStack


def benchmark_step(
    cfg: Config, repeats: int = REPEATS, warmup: int = 3, compiled: bool = False
) -> Dict[str, Any]:
    """Measure a training step of a config and its floor, alternately.

    A runner is built from the config and started as in a training; its hooks, optimiser wrapper
    and loop run every step. Memory banks are full and the contrast is on. Seconds, operations and
    memory come from separate steps, so that one measurement does not disturb another.

    Args:
        cfg (Config): Config of a run; validation and pretrained weights are left out.
        repeats (int): Number of timed steps and floors. Defaults to 10.
        warmup (int): Number of untimed steps and floors before. Defaults to 3.
        compiled (bool): torch.compile every backbone, for step and floor. Defaults to False.

    Returns:
        dict: ``floor_ratio``, ``seconds``, ``cpu_seconds``, ``sections``, ``operations``,
        ``synchronisations``, ``memory``, ``machine``, ``iterations`` and ``compiled``, ready for
        JSON.

    Raises:
        ValueError: If a count is not positive, or the training loop does not count iterations.
    """
    if repeats < 1 or warmup < 1:
        raise ValueError(f'repeats={repeats} and warmup={warmup} must be positive')
    stack = SectionStack()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(prepare_config(cfg, folder))
        if compiled:
            compile_networks(bare_model(runner))
        result = run_in_train_loop(
            runner, stack, lambda loop: _measure(StepBenchmark(loop, stack), repeats, warmup)
        )
    return dict(result, compiled=compiled)


class Times(NamedTuple):
    """Seconds: sections of every step, whole floors, and processor time of both."""

    steps: List[Dict[str, float]]
    floors: List[float]
    cpu_steps: List[float]
    cpu_floors: List[float]


class StepBenchmark:
    """Benchmark of the steps of a training loop and their floor.

    Args:
        loop (IterBasedTrainLoop): Ready to iterate; a step is run to record its network passes.
        stack (SectionStack): Attached to the runner of the loop.
    """

    def __init__(self, loop: IterBasedTrainLoop, stack: SectionStack) -> None:
        self.loop, self.stack = loop, stack
        self.model, self.wrapper = bare_model(loop.runner), loop.runner.optim_wrapper
        self.device = next(self.model.parameters()).device
        self.passes = record_passes(networks_of(self.model), self.step)

    def step(self, batch: Any = None) -> None:
        """Run one iteration of the loop, on the next batch if none is given."""
        if not self.loop.runner.model.training:
            self.loop.runner.model.train()
        self.loop.run_iter(self.next_batch() if batch is None else batch)

    def next_batch(self) -> Any:
        """The next batch of the loop."""
        with self.stack.inside('data'):
            return next(self.loop.dataloader_iterator)

    def floor(self) -> None:
        """Run the network passes of the step alone, forward and backward."""
        run_floor(self.passes, self.model, self.wrapper)

    def warm_up(self, number: int) -> None:
        """Run unmeasured steps and floors."""
        for _ in range(number):
            self.floor()
            self.wrapper.zero_grad()
            self.step()

    def time(self, repeats: int) -> Times:
        """Time steps and floors alternately."""
        times, meter = Times([], [], [], []), TimeMeter(self.device)
        for _ in range(repeats):
            with self.stack.watched_by(meter):
                self.floor()
            times.floors.append(sum(meter.seconds().values()))
            times.cpu_floors.append(meter.cpu_seconds())
            self.wrapper.zero_grad()
            with self.stack.watched_by(meter):
                self.step()
            times.steps.append(meter.seconds())
            times.cpu_steps.append(meter.cpu_seconds())
        return times

    def count(self) -> Tuple[OperationCounter, Counter]:
        """Count operations of one step, and synchronisations that CUDA reports in another.

        The batch is there before: how many operations its way from a worker takes in this process
        depends on when it comes.
        """
        on_host, batch = optimiser_counters(self.wrapper.optimizer), self.next_batch()
        with OperationCounter(self.stack, self.device, on_host) as counter:
            self.step(batch)
        with device_synchronisations(self.stack) as reported:
            self.step()
        return counter, reported

    def memory(self) -> Tuple[MemoryMeter, MemoryMeter]:
        """Measure the peak memory of one step and one floor."""
        step, floor = MemoryMeter(self.device), MemoryMeter(self.device)
        with self.stack.watched_by(floor):
            self.floor()
        self.wrapper.zero_grad()
        with self.stack.watched_by(step):
            self.step()
        return step, floor


def _measure(benchmark: StepBenchmark, repeats: int, warmup: int) -> Dict[str, Any]:
    benchmark.warm_up(warmup)
    times = benchmark.time(repeats)
    counter, reported = benchmark.count()
    step_memory, floor_memory = benchmark.memory()
    seconds = _ratio([sum(step.values()) for step in times.steps], times.floors)
    outside = counter.total(counter.outside) - counter.autograd
    views = counter.total(counter.views) - counter.total(counter.views, BACKWARD)
    return dict(
        floor_ratio=seconds['floor_ratio'],
        seconds=seconds,
        cpu_seconds=_ratio(times.cpu_steps, times.cpu_floors),
        operations=dict(
            outside=outside,
            views_among_them=views,
            autograd=counter.autograd,
            networks=counter.total(counter.networks),
        ),
        synchronisations=dict(
            counted=counter.total(counter.synchronisations), reported_by_cuda=sum(reported.values())
        ),
        memory=dict(
            kind=step_memory.kind,
            step_mib=step_memory.peak,
            floor_mib=floor_memory.peak,
            before_step_mib=step_memory.at_start,
        ),
        sections={
            name: _section(name, times.steps, seconds['floor'], counter, reported, step_memory)
            for name in SECTIONS
            if any(name in step for step in times.steps)
        },
        machine=describe_machine(benchmark.device),
        iterations=dict(repeats=repeats, warmup=warmup),
    )


def _ratio(steps: List[float], floors: List[float]) -> Dict[str, Any]:
    """Medians of steps and floors, their ratio, and every value."""
    step, floor = median(steps), median(floors)
    return dict(step=step, floor=floor, floor_ratio=step / floor, steps=steps, floors=floors)


def _section(
    name: str,
    steps: List[Dict[str, float]],
    floor: float,
    counter: OperationCounter,
    reported: Counter,
    memory: MemoryMeter,
) -> Dict[str, Any]:
    seconds = median(step.get(name, 0.0) for step in steps)
    by_name = {kind: n for (part, kind), n in counter.outside.most_common() if part == name}
    waits = {kind: n for (part, kind), n in counter.synchronisations.items() if part == name}
    return dict(
        seconds=seconds,
        of_floor=seconds / floor,
        operations=dict(
            outside=counter.total(counter.outside, name),
            views_among_them=counter.total(counter.views, name),
            networks=counter.total(counter.networks, name),
            by_name=by_name,
        ),
        synchronisations=dict(
            counted=sum(waits.values()),
            by_kind=waits,
            reported_by_cuda=counter.total(reported, name),
        ),
        peak_memory_mib=memory.sections.get(name),
    )
