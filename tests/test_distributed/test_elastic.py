# Copyright (c) mmseg_ctt contributors.
"""A run resumed with another number of ranks goes on with exactly the next samples."""

from pathlib import Path

import pytest
import torch
from copied import copy_of, prepared
from mmengine.hooks import Hook
from mmengine.runner import Runner
from ranks import on_ranks, rank_runner
from toy_data import toy_config
from versions import GLOO_BOOL

from mmseg_ctt.engine import SafeCheckpointHook

pytestmark = GLOO_BOOL


class Samples(Hook):
    """Name, draw number and pixels of each sample of each iteration."""

    def __init__(self):
        self.samples = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.samples[runner.iter + 1] = [
            (sample.draw[1], Path(sample.img_path).stem, image.numpy().tobytes())
            for sample, image in zip(data_batch['data_samples'], data_batch['inputs'])
        ]


def settings(iterations):
    return dict(
        resume=True,
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1)),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=100),
    )


def stage(root, work, ranks, iterations, batch, workers, copy=None):
    """Resume and train up to an iteration; the samples of all ranks together, by iteration."""
    changes = settings(iterations)

    def train(runner):
        runner._train_dataloader.update(batch_size=batch, num_workers=workers)
        runner._train_dataloader.dataset['training_copy'] = copy and str(copy)
        recorded = Samples()
        runner.register_hook(recorded)
        runner.train()
        return recorded.samples

    if ranks == 1:
        parts = [train(Runner.from_cfg(toy_config(root, work, **changes)))]
    else:
        parts = on_ranks(lambda rank: train(rank_runner(root, work, **changes)), ranks)
    return {number: sorted(sum((part[number] for part in parts), [])) for number in parts[0]}


@pytest.mark.parametrize(
    'batches, workers, copied',
    [  # batch of a rank in each of the three stages
        ((4, 2, 4), 0, False),
        ((4, 4, 4), 0, False),
        ((4, 2, 4), 0, True),
        pytest.param((4, 2, 4), 2, False, marks=pytest.mark.slow),
    ],
)
def test_one_rank_two_ranks_and_back(root, tmp_path, batches, workers, copied):
    """With a raw training copy the samples are those of the originals, too."""
    work, parts, copy = tmp_path / 'work', {}, None
    if copied:
        copy = tmp_path / 'copy'
        copy_of(prepared(root), copy)
    for ranks, iterations, batch in zip((1, 2, 1), (3, 6, 9), batches):
        made = stage(root, work, ranks, iterations, batch, workers, copy)
        assert sorted(made) == list(range(iterations - 2, iterations + 1))
        parts.update(made)
    alone = stage(root, tmp_path / 'alone', 1, 12, 4, 0)
    order = [sample for number in sorted(alone) for sample in alone[number]]
    together = [sample for number in sorted(parts) for sample in parts[number]]
    assert [sample[0] for sample in together] == list(range(len(together)))
    assert together == order[: len(together)]  # the same images, cut and coloured alike
    assert len(together) == (36 if batches[1] == 2 else 48)
    if batches[1] == 2:  # the global batch was 4 throughout
        assert all(parts[number] == alone[number] for number in parts)


def test_state_of_a_rank_checkpoint_is_complete(root, tmp_path):
    """A checkpoint of two ranks, loaded by one."""
    work = tmp_path / 'work'
    stage(root, work, 2, 3, 4, 0)
    saved = torch.load(work / 'iter_3.pth')
    runner = Runner.from_cfg(toy_config(root, work, **settings(3)))
    runner.call_hook('before_run')
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    runner.load_or_resume()
    assert runner.iter == 3
    state = runner.model.state_dict()
    assert state.keys() == saved['state_dict'].keys()
    assert all(torch.equal(value, state[name]) for name, value in saved['state_dict'].items())
    assert saved['state_dict']['contrast.bank.count'].sum() > 0


def test_all_ranks_load_the_file_that_the_first_chooses(root, tmp_path):
    """A shared file system may show the newest checkpoint to one node and not yet to another."""
    work = tmp_path / 'work'
    stage(root, work, 1, 3, 4, 0)

    def body(rank):
        runner = rank_runner(root, work, **settings(5))
        if rank == 1:  # what its tools/train.py has found
            runner._resume, runner._load_from = False, None
        recorded = Samples()
        runner.register_hook(recorded)
        runner.train()
        return sorted(recorded.samples)

    assert on_ranks(body) == [[4, 5], [4, 5]]


@pytest.mark.parametrize('named', [True, False])
def test_a_damaged_checkpoint_ends_all_ranks(root, tmp_path, named):
    """The first rank reads it; another must not wait for what it sends after that."""
    path = tmp_path / 'work' / 'iter_3.pth'
    path.parent.mkdir()
    path.write_bytes(b'PK is how a checkpoint begins')

    def body(rank):
        runner = rank_runner(root, path.parent, **settings(5))
        runner._load_from = str(path) if named else None
        with pytest.raises(ValueError, match='iter_3.pth'):
            SafeCheckpointHook().before_run(runner)

    on_ranks(body, seconds=60)
