# Copyright (c) mmseg_ctt contributors.
"""A real Slurm on the loopback address: train, be told to stop, go back into the queue, finish."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from toy_data import toy_config, write_toy_data

TESTS = Path(__file__).resolve().parents[1]
CLUSTER = TESTS / 'slurm' / 'cluster.sh'
TRAIN = TESTS.parent / 'tools' / 'slurm_train.sh'
ITERATIONS = 120


@pytest.fixture(scope='module')
def environment():
    """Environment of a user of the cluster."""
    parent = tempfile.mkdtemp()  # pytest's own folders are closed to munge's user
    os.chmod(parent, 0o755)
    folder = Path(parent, 'slurm')
    try:
        started = subprocess.run(
            ['bash', str(CLUSTER), 'start', str(folder)],
            text=True,
            stderr=subprocess.PIPE,
            timeout=100,
        )
        if started.returncode == 3:  # not root, not installed, or its daemons do not start here
            pytest.skip(
                f'{started.stderr.strip()}; what sbatch, srun and a requeue do to a run is '
                'tested with a real scheduler only, and this test starts its own; what the '
                'scripts pass to srun is in tests/test_tools/test_common.py without one'
            )
        assert started.returncode == 0, started.stderr
        yield {
            **os.environ,
            'SLURM_CONF': str(folder / 'slurm.conf'),
            'PYTHON': sys.executable,
            'PYTHONPATH': str(TESTS),
            'OMP_NUM_THREADS': '1',
            'GPUS': '2',
            'GPUS_PER_NODE': '2',
            'CPUS_PER_TASK': '1',
            'SRUN_ARGS': '--gres=none',
            'SBATCH_ARGS': '--gres=none',
        }
    finally:
        subprocess.run(['bash', str(CLUSTER), 'stop', str(folder)], check=False)
        shutil.rmtree(parent, ignore_errors=True)


def config(folder: Path) -> Path:
    """A run of two ranks on toy data, its checkpoints 1000 iterations apart."""
    cfg = toy_config(
        write_toy_data(folder / 'data'),
        folder / 'work',
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=1000),
        default_hooks=dict(
            checkpoint=dict(type='SafeCheckpointHook', interval=1000),
            preemption=dict(type='PreemptionHook'),
        ),
    )
    cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    cfg.dump(folder / 'toy.py')
    return folder / 'toy.py'


def slurm(environment: dict, *command: object, folder: Path = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env=environment,
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def until(condition, what: str, seconds: float = 200):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    pytest.fail(f'{what} within {seconds} s')


def weights(folder: Path) -> dict:
    return torch.load(folder / 'work' / f'iter_{ITERATIONS}.pth')['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('signal', ['USR1', 'TERM'])
def test_signal_requeue_and_finish(environment, tmp_path, signal):
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    slurm(environment, 'bash', TRAIN, 'toy', 'whole', config(whole), folder=whole)

    submitted = slurm(
        {**environment, 'REQUEUE': '1'}, 'bash', TRAIN, 'toy', 'parts', config(parts), folder=parts
    )
    job, log = submitted.split()[-1], parts / f'slurm-{submitted.split()[-1]}.out'
    until(
        lambda: log.exists() and re.search(r'Iter\(train\) \[ *20/', log.read_text()),
        'iteration 20',
    )
    slurm(environment, 'scancel', f'--signal={signal}', job)  # to the ranks, not to the script

    def finished() -> bool:
        shown = slurm(environment, 'scontrol', 'show', 'job', job)
        return re.search('JobState=(COMPLETED|FAILED|CANCELLED)', shown) and shown

    state = until(finished, 'the end of the job')
    text = log.read_text()
    assert 'JobState=COMPLETED' in state and 'Restarts=1' in state, text[-3000:]
    stopped = int(re.search(rf'SIG{signal}: saved iter_(\d+).pth', text)[1])
    assert 20 <= stopped < ITERATIONS
    ends = [line for line in text.splitlines() if line.startswith('srun: error')]
    assert ends and all('Exited with exit code 75' in line for line in ends), ends
    assert 'slurm_train.sh: code 75, back into the queue' in text
    assert f'resumed from {parts / "work"}/iter_{stopped}.pth' in text
    expected, state = weights(whole), weights(parts)
    assert all(torch.equal(expected[name], state[name]) for name in expected)
