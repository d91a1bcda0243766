# Copyright (c) mmseg_ctt contributors.
"""Benchmark of loading: processor time of each step of the pipelines, and images a second."""

import math
import time
from collections import defaultdict
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import cv2
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import DATA_SAMPLERS, DATASETS

from ...datasets import LabeledUnlabeledDataset
from ...datasets.image_loading import CheckedLoadImageFromFile
from ...datasets.isolation import isolated_randomness
from ...datasets.sources import locate
from ...datasets.transforms import CheckedLoadAnnotations
from ...datasets.wrappers import origin
from ...engine.workers import OF_WORKERS, allowed_workers
from .machine import describe_machine

ORIGINALS, COPY = 'originals', 'training copy'
COLLATE = 'collate'
NAMES = {CheckedLoadImageFromFile: 'decode image', CheckedLoadAnnotations: 'decode mask'}
Stages = Dict[str, float]


class Draw(NamedTuple):
    """Image of the order of training."""

    idx: int
    number: int
    seed: int


def benchmark_loader(
    cfg: Config,
    images: int = 16,
    repeats: int = 5,
    workers: Optional[Sequence[int]] = None,
    copy: Optional[str] = None,
) -> Dict[str, Any]:
    """Measure the loader of a training, and in turns with a training copy.

    Args:
        cfg (Config): Of a training; its model is not built.
        images (int): Draws of the sampler that are loaded. Defaults to 16.
        repeats (int): Times that each is loaded; the median counts. Defaults to 5.
        workers (Sequence[int], optional): Numbers of worker processes. Defaults to None: 0, and the
            powers of two up to the CPUs of this process.
        copy (str, optional): Folder of a training copy. Defaults to None: that of the config, or
            the originals alone.

    Returns:
        dict: Processor seconds of one image by kind of files, source and step, and images a second
        by number of workers, for JSON.

    Raises:
        ValueError: If a count is not positive, the config names another copy, or the training set
            is of another class.
    """
    numbers = _numbers(workers)
    if images < 1 or repeats < 1:
        raise ValueError(f'images={images} and repeats={repeats} must be positive')
    copy = _copy_of(cfg, copy)
    folders = {ORIGINALS: None} if copy is None else {ORIGINALS: None, COPY: copy}
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    with one_threaded():
        settings = {kind: set_config(cfg, folder) for kind, folder in folders.items()}
        sets = {kind: DATASETS.build(settings[kind]) for kind in folders}
        loaders = {kind: {**cfg.train_dataloader, 'dataset': settings[kind]} for kind in folders}
        stages = stage_seconds(sets, draws_of(cfg, sets[ORIGINALS], images), repeats)
        rates: Dict[str, Dict[str, float]] = {kind: {} for kind in sets}
        for number in numbers:
            for kind, rate in worker_rates(loaders, number, images, repeats).items():
                rates[kind][str(number)] = rate
    return dict(
        stages=stages,
        images_per_second=rates,
        images=images,
        repeats=repeats,
        machine=describe_machine(torch.device('cpu')),
    )


def _copy_of(cfg: Config, copy: Optional[str]) -> Optional[str]:
    named = cfg.train_dataloader.dataset.get('training_copy')
    if None not in (named, copy) and Path(named).resolve() != Path(str(copy)).resolve():
        raise ValueError(
            f'train_dataloader.dataset.training_copy is {named}, --training-copy {copy}: leave one'
        )
    return named if copy is None else copy


@contextmanager
def one_threaded() -> Iterator[None]:
    """One thread for OpenCV and PyTorch, as in a worker process."""
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])


def _numbers(workers: Optional[Sequence[int]]) -> List[int]:
    limit = allowed_workers()
    if workers is None:
        return [0, *(2**power for power in range(limit.bit_length()))]
    wrong = [number for number in workers if not 0 <= number <= limit]
    if wrong:
        raise ValueError(f'workers={wrong[0]} must be in 0 to {limit}, the CPUs of this process')
    return list(workers)


def training_set(cfg: Config) -> LabeledUnlabeledDataset:
    """Training set of a config as it is, without the scan of masks; see :func:`set_config`."""
    return DATASETS.build(set_config(cfg, cfg.train_dataloader.dataset.get('training_copy')))


def set_config(cfg: Config, copy: Optional[str]) -> Dict[str, Any]:
    """Config of the training set, from its originals or a copy; masks are not scanned.

    Raises:
        ValueError: If it is of a class that reads no copies.
    """
    settings = {**cfg.train_dataloader.dataset, 'scan_masks': 0, 'training_copy': copy}
    kind = DATASETS.get(settings['type'])
    if not (isinstance(kind, type) and issubclass(kind, LabeledUnlabeledDataset)):
        raise ValueError(
            f'train_dataloader.dataset.type is {settings["type"]}: use "LabeledUnlabeledDataset"'
        )
    return settings


def draws_of(cfg: Config, data: LabeledUnlabeledDataset, images: int) -> List[Draw]:
    """First draws of the sampler of a training."""
    sampler = DATA_SAMPLERS.build({'seed': 0, **cfg.train_dataloader.sampler, 'dataset': data})
    return [Draw(*draw) for draw in islice(sampler, images)]


def stage_seconds(
    sets: Mapping[str, LabeledUnlabeledDataset], draws: Sequence[Draw], repeats: int
) -> Dict[str, Dict[str, Stages]]:
    """Median processor seconds of one image by kind of files, source and step, taken in turns.

    Args:
        sets (Mapping[str, LabeledUnlabeledDataset]): Of the same images.
        draws (Sequence[Draw]): Images that are loaded, after one pass that does not count.
        repeats (int): Passes that count.
    """
    passes: Dict[str, List[Dict[str, Stages]]] = defaultdict(list)
    for _ in range(1 + repeats):
        for kind, data in sets.items():
            passes[kind].append(_one_pass(data, draws))
    return {kind: _medians(found[1:]) for kind, found in passes.items()}


def _one_pass(data: LabeledUnlabeledDataset, draws: Sequence[Draw]) -> Dict[str, Stages]:
    """Mean seconds of one image of each source by step."""
    totals: Dict[str, Stages] = defaultdict(lambda: defaultdict(float))
    count: Dict[str, int] = defaultdict(int)
    samples = []
    for draw in draws:
        name, _ = locate(draw.idx, data.num_images)
        count[name] += 1
        samples.append(_timed_sample(data, draw, totals[name]))
    begin = time.thread_time()
    pseudo_collate(samples)
    collate = (time.thread_time() - begin) / len(samples)
    return {
        name: {**{step: value / count[name] for step, value in steps.items()}, COLLATE: collate}
        for name, steps in totals.items()
    }


def _timed_sample(data: LabeledUnlabeledDataset, draw: Draw, stages: Stages) -> Any:
    """Sample of a draw; the time of each step is added to its stage."""
    name, position = locate(draw.idx, data.num_images)
    leaf, index = origin(data.sources[name], position)
    results = data.entry(leaf, index)
    with isolated_randomness(draw.seed, draw.number):
        for step in leaf.pipeline.transforms:
            begin = time.thread_time()
            results = step(results)
            stages[NAMES.get(type(step), type(step).__name__)] += time.thread_time() - begin
    return results


def _medians(passes: Sequence[Mapping[str, Stages]]) -> Dict[str, Stages]:
    return {
        name: {step: median(found[name][step] for found in passes) for step in steps}
        for name, steps in passes[0].items()
    }


def worker_rates(
    loaders: Mapping[str, Mapping[str, Any]], workers: int, images: int, repeats: int
) -> Dict[str, float]:
    """Median images a second, by the clock, of the data loader with a number of workers, in turns.

    Args:
        loaders (Mapping[str, Mapping]): Configs of data loaders by kind of files.
        workers (int): Worker processes; 0: the main process loads.
        images (int): Images of a measurement, at least.
        repeats (int): Measurements.
    """
    started = {kind: _batches(loader, workers) for kind, loader in loaders.items()}
    rates: Dict[str, List[float]] = {kind: [] for kind in loaders}
    for batches in started.values():  # start of the workers, and what they have read ahead
        _read(batches, 1 + 2 * workers)
    for _ in range(repeats):
        for kind, batches in started.items():
            size = loaders[kind]['batch_size']
            _read(batches, 2 * workers)  # read ahead while the other kind was measured
            count = max(2, -(-images // size))
            begin = time.perf_counter()
            _read(batches, count)
            rates[kind].append(count * size / (time.perf_counter() - begin))
    return {kind: median(found) for kind, found in rates.items()}


def _batches(loader: Mapping[str, Any], workers: int) -> Iterator[Any]:
    left_out = () if workers else OF_WORKERS
    settings = {key: value for key, value in loader.items() if key not in left_out}
    settings['num_workers'] = workers
    return iter(Runner.build_dataloader(settings, seed=0))


def _read(batches: Iterator[Any], count: int) -> None:
    for _ in range(count):
        next(batches)


# ---- how many workers a step needs


def image_seconds(cfg: Config, data: LabeledUnlabeledDataset, images: int) -> float:
    """Mean processor seconds of an image of a batch: half of the draws are timed, after the other.

    Args:
        cfg (Config): Of a training.
        data (LabeledUnlabeledDataset): Its training set.
        images (int): Draws that are timed; whole batches are best.
    """
    draws = draws_of(cfg, data, 2 * images)
    _one_pass(data, draws[:images])  # what the first images start up
    passed = draws[images:]
    begin = time.thread_time()
    for draw in passed:
        _timed_sample(data, draw, defaultdict(float))
    return (time.thread_time() - begin) / len(passed)


def workers_needed(seconds: float, batch_size: int, step: float) -> int:
    """Worker processes that load a batch in the time of a step.

    Args:
        seconds (float): Processor time of one image.
        batch_size (int): Images of a batch.
        step (float): Seconds of a step.
    """
    return max(1, math.ceil(seconds * batch_size / step))
