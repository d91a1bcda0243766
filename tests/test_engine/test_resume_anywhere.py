# Copyright (c) mmseg_ctt contributors.
"""Exact resume: a run stopped after any iteration equals the uninterrupted run, bit for bit."""

import tracemalloc
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from copied import copy_of, prepared
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_data import toy_config, write_toy_data

from mmseg_ctt.datasets import LabeledUnlabeledDataset, LabeledUnlabeledSampler
from mmseg_ctt.datasets.permutation import ROUNDS, keyed_permutation, mixed

ITERATIONS, VALIDATION, CONTRAST, BANK = 8, 3, 5, 8  # a class gains two entries an iteration
MOMENTS = dict(SGD=['momentum_buffer'], AdamW=['exp_avg', 'exp_avg_sq', 'step'])


class Notes(Hook):
    """Losses, samples and metrics by iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.losses, self.shown, self.metrics = {}, {}, {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        number = runner.iter + 1
        self.losses[number] = {key: float(value) for key, value in outputs.items()}
        self.shown[number] = [
            (sample.draw, sample.img_path, image.numpy().tobytes())
            for sample, image in zip(data_batch['data_samples'], data_batch['inputs'])
        ]

    def after_val_epoch(self, runner, metrics=None):
        self.metrics[runner.iter] = metrics


def run(
    root,
    work,
    resume=None,
    accumulate=1,
    optimizer='SGD',
    workers=0,
    iterations=ITERATIONS,
    copy=None,
):
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=resume,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=VALIDATION),
        default_hooks=dict(
            teacher_ema=dict(type='TeacherEMAHook', alpha=0.9),
            queue_warmup=dict(
                type='QueueWarmupHook', start_iter=min(CONTRAST, iterations - 1), interval=1
            ),
            checkpoint=dict(type='SafeCheckpointHook', interval=1),
        ),
    )
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
    cfg.train_dataloader.dataset.training_copy = copy and str(copy)
    cfg.model.bank.size = BANK
    cfg.optim_wrapper.accumulative_counts = accumulate
    if optimizer == 'AdamW':
        cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=0.01)
    runner, notes = Runner.from_cfg(cfg), Notes()
    runner.register_hook(notes)
    runner.train()
    if workers:
        runner.train_loop.dataloader._iterator._shutdown_workers()
    return notes


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    return write_toy_data(tmp_path_factory.mktemp('data'))


def later(noted: dict, than: int) -> dict:
    return {number: value for number, value in noted.items() if number > than}


def last_state(work: Path) -> dict:
    return torch.load(work / f'iter_{ITERATIONS}.pth')


def check_equal(expected: dict, made: dict, optimizer: str) -> None:
    assert expected['state_dict'].keys() == made['state_dict'].keys()
    for name, value in expected['state_dict'].items():
        assert torch.equal(value, made['state_dict'][name]), name
    for index, state in expected['optimizer']['state'].items():
        for moment in MOMENTS[optimizer]:
            assert torch.equal(state[moment], made['optimizer']['state'][index][moment]), moment
    assert expected['param_schedulers'] == made['param_schedulers']
    assert expected['meta']['iter'] == made['meta']['iter'] == ITERATIONS


@pytest.mark.parametrize(
    'accumulate, optimizer, workers, stops',
    [
        (1, 'SGD', 0, range(1, 8)),
        (2, 'SGD', 0, (2, 4, 6)),  # a checkpoint waits for the optimiser's step
        (3, 'AdamW', 0, (3, 6)),
        (1, 'AdamW', 2, (2, 5)),
        (2, 'SGD', 2, (4,)),
    ],
)
def test_stopped_after_any_iteration(root, tmp_path, accumulate, optimizer, workers, stops):
    settings = dict(accumulate=accumulate, optimizer=optimizer, workers=workers)
    whole = run(root, tmp_path / 'whole', **settings)
    files = {path.name for path in (tmp_path / 'whole').glob('iter_*.pth')}
    steps = {*range(accumulate, ITERATIONS, accumulate), ITERATIONS}  # of the optimiser
    assert files == {f'iter_{n}.pth' for n in steps}
    assert sorted(whole.metrics) == [3, 6, 8]
    for stop in stops:
        work = tmp_path / f'from{stop}'
        resumed = run(root, work, str(tmp_path / 'whole' / f'iter_{stop}.pth'), **settings)
        assert resumed.losses == later(whole.losses, stop)
        assert resumed.shown == later(whole.shown, stop)
        # a validation that was due when the checkpoint was written is made up for
        assert resumed.metrics == later(whole.metrics, stop - 1)
        check_equal(last_state(tmp_path / 'whole'), last_state(work), optimizer)


def test_stopped_and_resumed_with_a_training_copy(root, tmp_path):
    """A raw copy: the losses are those of a run from the originals, wherever it went on."""
    copy_of(prepared(root), tmp_path / 'copy')
    whole = run(root, tmp_path / 'whole')
    work, checkpoint = tmp_path / 'from3', str(tmp_path / 'whole' / 'iter_3.pth')
    resumed = run(root, work, checkpoint, copy=tmp_path / 'copy')
    assert resumed.losses == later(whole.losses, 3)
    assert [shown[0][1].endswith('.bmp') for shown in resumed.shown.values()] == [True] * 5
    check_equal(last_state(tmp_path / 'whole'), last_state(work), 'SGD')


def test_stops_lie_before_and_after_the_queues_fill(root, tmp_path):
    """What the test above assumes: banks empty, filling and full, contrast off and on."""
    run(root, tmp_path)
    states = [torch.load(tmp_path / f'iter_{n}.pth')['state_dict'] for n in range(1, 9)]
    fill = [int(state['contrast.bank.count'].sum()) for state in states]
    assert 0 < fill[0] < fill[-1]
    assert [bool(state['contrast.on']) for state in states] == [False] * 4 + [True] * 4
    full = states[-1]['contrast.bank.count'] == BANK
    assert full.any()
    moved = [state['contrast.bank.features'][full] for state in states[-2:]]
    assert not torch.equal(*moved)  # in a full queue the oldest are replaced


@pytest.mark.parametrize('iteration', [100, 10_000, 1_000_000])
def test_nothing_is_drawn_again(root, tmp_path, monkeypatch, iteration):
    """The work from start to first iteration does not depend on how many there were."""
    run(root, tmp_path / 'first', iterations=2)
    checkpoint = torch.load(tmp_path / 'first' / 'iter_2.pth')
    checkpoint['meta']['iter'] = iteration
    checkpoint['message_hub']['runtime_info'].update(draws=4 * iteration, last_validation=iteration)
    torch.save(checkpoint, tmp_path / 'late.pth')
    loaded, drawn = [], []
    load, draw = LabeledUnlabeledDataset.__getitem__, LabeledUnlabeledSampler.draw
    monkeypatch.setattr(
        LabeledUnlabeledDataset,
        '__getitem__',
        lambda self, drawn: (loaded.append(drawn.number), load(self, drawn))[1],
    )
    monkeypatch.setattr(
        LabeledUnlabeledSampler,
        'draw',
        lambda self, number: (drawn.append(number), draw(self, number))[1],
    )
    notes = run(root, tmp_path / 'second', str(tmp_path / 'late.pth'), iterations=iteration + 2)
    expected = list(range(4 * iteration, 4 * iteration + 8))
    assert loaded == expected and drawn[:8] == expected and len(drawn) <= 12
    assert sorted(notes.losses) == [iteration + 1, iteration + 2]


# ---- a billion images


def backwards(value: int, length: int, key: int) -> int:
    """The inverse of the keyed permutation, walked the other way."""
    half = max(1, ((length - 1).bit_length() + 1) // 2)
    low_bits = (1 << half) - 1
    while True:
        left, right = value >> half, value & low_bits
        for turn in reversed(range(ROUNDS)):
            left, right = right ^ (mixed(left, key + turn) & low_bits), left
        value = left << half | right
        if value < length:
            return value


@pytest.mark.parametrize('length', [10**9, 2**30 - 1, 2**30 + 1])
def test_permutation_of_a_billion_can_be_undone(length):
    """So no two positions meet, and every image is drawn once a pass."""
    positions = np.random.RandomState(0).randint(0, length, 5000).tolist()
    for position in [0, 1, length - 2, length - 1, *positions]:
        value = keyed_permutation(position, length, 7)
        assert 0 <= value < length and backwards(value, length, 7) == position


def peak(size: int) -> int:
    """Bytes that the sampler takes for itself and a thousand draws."""
    data = SimpleNamespace(num_images=dict(labeled=100, unlabeled=size))
    tracemalloc.start()
    sampler = LabeledUnlabeledSampler(data, seed=0)
    sampler.advance_to(2 * 10**6)
    for _ in islice(sampler, 1000):
        pass
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return highest


def test_memory_does_not_grow_with_the_data():
    peak(10)  # what is allocated once
    assert peak(10**9) < peak(10**3) + 1000
