# Copyright (c) mmseg_ctt contributors.
"""Check whether the data loader keeps up with the step; the package is imported when it runs."""

from typing import Optional, Tuple

from _setup import Setup, Skip

TIMED = 16  # images, in whole batches


def loader(setup: Setup) -> str:
    """Images a second of a worker, those that the step needs, and the workers for it."""
    from mmseg_ctt.engine.processes import cores
    from mmseg_ctt.lab.benchmark.loader import workers_needed

    if not setup.trained or not setup.drawn:
        raise Skip('no training set, or no sampler for it')
    cfg = setup.cfg.train_dataloader
    seconds, copied = _image_seconds(setup)
    note = f'{1 / seconds:.1f} images a second of one worker ({1e3 * seconds:.1f} ms an image)'
    step, source = _step_seconds(setup)
    if step is None:
        workers = max(cfg.num_workers, 1)
        return (
            f'{note}: {workers} of them keep up with a step of {cfg.batch_size} images that takes '
            f'{seconds * cfg.batch_size / workers:.3f} s or more; --step-seconds tells of yours'
        )
    needed = workers_needed(seconds, cfg.batch_size, step)
    if needed > cfg.num_workers:
        setup.warnings.append(_advice(needed, max(1, cores() // setup.args.gpus), copied))
    return (
        f'{note}; the step needs {cfg.batch_size / step:.1f} ({cfg.batch_size} in {step:.3f} s, '
        f'{source}): {needed} workers on each rank, num_workers={cfg.num_workers}'
    )


def _image_seconds(setup: Setup) -> Tuple[float, bool]:
    """Processor seconds of an image, and whether it comes from a training copy."""
    from mmseg_ctt.lab.benchmark.loader import image_seconds, one_threaded, training_set

    cfg = setup.cfg.train_dataloader
    copied = cfg.dataset.get('training_copy') is not None
    with one_threaded():
        try:
            data = training_set(setup.cfg)
            batches = -(-TIMED // cfg.batch_size)
            return image_seconds(setup.cfg, data, batches * cfg.batch_size), copied
        except Exception as error:
            if copied:
                raise
            raise Skip('the images cannot be loaded, see above') from error


def _step_seconds(setup: Setup) -> Tuple[Optional[float], str]:
    if setup.args.step_seconds is not None:
        return setup.args.step_seconds, 'given'
    return setup.step_seconds, 'measured here, the first one'


def _advice(needed: int, cpus: int, copied: bool) -> str:
    line = f'the loader does not keep up with the step, which takes {needed} workers on each rank: '
    if needed <= cpus:
        return line + f'set train_dataloader.num_workers={needed}'
    line += f'this machine has {cpus} CPUs for each rank. '
    if copied:
        return line + 'Use a machine with more CPUs, or a smaller sizes.scale'
    return line + 'Make a training copy: python tools/dataset_converters/make_training_copy.py'
