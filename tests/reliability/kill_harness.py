# Copyright (c) mmseg_ctt contributors.
"""Kills a training at random moments, resumes it, and compares it with one left in peace.

    python tests/reliability/kill_harness.py --kills 50

Half of the kills come at a moment drawn uniformly from the length of a run, half while a
checkpoint is being written. One process imports everything and forks a child for each life of the
run, so that a life takes about as long as its iterations.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Set

if __name__ == '__main__':
    sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (1, 2)]

import mmseg_ctt  # noqa: F401, before anything imports mmseg

# isort: split
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_data import freeze_imports, toy_config, write_toy_data

from mmseg_ctt.datasets.whole_files import PARTIAL
from mmseg_ctt.engine.checkpoint import POINTER
from mmseg_ctt.engine.resume import defect

INTERVAL, ITERATIONS, VALIDATION = 2, 20, 5


class Report(NamedTuple):
    """What happened.

    Attributes:
        kills (int): Times that a living run was killed.
        while_saving (int): Kills that left a half written checkpoint.
        runs (int): Runs brought to their end.
        compared (int): Iterations and validations whose numbers were compared.
        most_lost (int): Most iterations that a kill cost.
    """

    kills: int
    while_saving: int
    runs: int
    compared: int
    most_lost: int


class Diary(Hook):
    """Writes every number of the run to a file, in lines that a kill cannot tear apart."""

    priority = 'NORMAL'  # before the checkpoint of the iteration

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, *words: object) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)  # the runner makes it after the set-up
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, (' '.join(map(str, words)) + '\n').encode())
        os.close(handle)

    def before_train(self, runner) -> None:
        self.note('start', runner.iter)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        values = [float(value).hex() for _, value in sorted(outputs.items())]
        draws = [sample.draw[1] for sample in data_batch['data_samples']]
        self.note('train', runner.iter + 1, *draws, *values)

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.note('val', runner.iter, *(metrics[key] for key in sorted(metrics)))


def live(root: Path, work: Path) -> None:
    """One life of the run: from its newest checkpoint to its end."""
    checkpoint = dict(
        type='SafeCheckpointHook', interval=INTERVAL, max_keep_ckpts=2, save_best='mIoU'
    )
    cfg = toy_config(
        root,
        work,
        resume=True,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=VALIDATION),
        default_hooks=dict(checkpoint=checkpoint),
    )
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Diary(work / 'diary.txt'))
    runner.train()


def born(body: Callable[[], None]) -> int:
    """Run ``body`` in a child process; its exit code is 0 when it comes to its end."""
    child = os.fork()
    if child:
        return child
    silence = os.open(os.devnull, os.O_WRONLY)
    errors, code = os.dup(2), 1
    for stream in (1, 2):
        os.dup2(silence, stream)
    try:
        body()
        code = 0
    except BaseException:
        os.write(errors, traceback.format_exc().encode())
    finally:
        os._exit(code)


def ended(child: int, wait: bool = False) -> bool:
    """Whether the child has come to its end; one that failed is an error."""
    pid, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    if pid and status and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        raise AssertionError(f'a life of the run failed with status {status}, see above')
    return pid != 0


def half_written(work: Path) -> Set[tuple]:
    """Files being written, told apart from those that an earlier kill left."""
    found = set()
    for path in work.glob(f'*{PARTIAL}'):
        with suppress(FileNotFoundError):  # renamed in between
            found.add((path.name, path.stat().st_ctime_ns))
    return found


def kill(child: int, work: Path, moment: float, saving: bool) -> bool:
    """Kill the child at a moment or, with ``saving``, at the first write after it."""
    end, left = time.monotonic() + moment, half_written(work)
    while time.monotonic() < end or (saving and not halted_while_writing(child, work, left)):
        if ended(child):
            return False
        time.sleep(0.0002 if time.monotonic() > end - 0.001 else 0.001)
    os.kill(child, signal.SIGKILL)
    ended(child, wait=True)
    return True


def halted_while_writing(child: int, work: Path, left: Set[tuple]) -> bool:
    """Halt the child if it is at a new file; on a busy machine it could else come to its end."""
    if not half_written(work) - left:
        return False
    os.kill(child, signal.SIGSTOP)
    if half_written(work) - left:
        return True
    os.kill(child, signal.SIGCONT)
    return False


def diary(work: Path) -> List[List[str]]:
    path = work / 'diary.txt'
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def numbers(work: Path) -> Dict[tuple, List[str]]:
    """What was noted of each iteration and validation; all lives must agree."""
    noted: Dict[tuple, List[str]] = {}
    for kind, number, *values in diary(work):
        if kind != 'start':
            assert noted.setdefault((kind, int(number)), values) == values, (
                f'two lives disagree on {kind} {number}'
            )
    return noted


def losses(work: Path) -> List[int]:
    """Iterations that each kill cost."""
    lost, last = [], 0
    for kind, number, *_ in diary(work):
        if kind == 'start':
            lost.append(last - int(number))
        elif kind == 'train':
            last = int(number)
    return lost


def final_state(work: Path) -> dict:
    return torch.load(work / f'iter_{ITERATIONS}.pth')


def check_same_end(whole: Path, work: Path) -> None:
    """Weights, banks, teachers, optimiser and place in the data of two ended runs."""
    expected, made = final_state(whole), final_state(work)
    for name, value in expected['state_dict'].items():
        assert torch.equal(value, made['state_dict'][name]), name
    for index, state in expected['optimizer']['state'].items():
        assert torch.equal(
            state['momentum_buffer'], made['optimizer']['state'][index]['momentum_buffer']
        )
    assert expected['param_schedulers'] == made['param_schedulers']
    info = [state['message_hub']['runtime_info'] for state in (expected, made)]
    assert info[0]['draws'] == info[1]['draws'] and info[0]['best_score'] == info[1]['best_score']


def check_after_kill(work: Path, expected: Dict[tuple, List[str]]) -> None:
    """The checkpoint pointed at is whole, and no number noted so far is wrong."""
    pointer = work / POINTER
    if pointer.exists():
        assert defect(pointer.read_text()) is None, 'last_checkpoint points at a broken file'
    for key, values in numbers(work).items():
        assert values == expected[key], f'{key} differs from the uninterrupted run'


def harass(folder: Path, kills: int, seed: int = 0) -> Report:
    """Kill runs until there were ``kills`` kills and the last run has come to its end.

    Args:
        folder (Path): For data and work dirs.
        kills (int): How many.
        seed (int): Of the moments.

    Returns:
        Report: What happened.

    Raises:
        AssertionError: At the first wrong number, broken checkpoint or loss of more than one
            interval.
    """
    rng, root, whole = random.Random(seed), write_toy_data(folder / 'data'), folder / 'whole'
    begin = time.monotonic()
    ended(born(lambda: live(root, whole)), wait=True)
    length, expected = time.monotonic() - begin, numbers(whole)
    assert {key[1] for key in expected if key[0] == 'train'} == set(range(1, ITERATIONS + 1))
    done = saving = runs = compared = most = 0
    struck = False
    while done < kills or struck:
        work, more = folder / f'run{runs}', done < kills
        left = half_written(work)
        child = born(lambda work=work: live(root, work))
        struck = more and kill(child, work, rng.uniform(0, length), saving=done % 2 == 1)
        if struck:
            done += 1
            saving += bool(half_written(work) - left)
            check_after_kill(work, expected)
            continue
        if not more:
            ended(child, wait=True)
        assert numbers(work) == expected
        check_same_end(whole, work)
        most = max([most, *losses(work)])
        assert most <= INTERVAL, f'a kill cost {most} iterations'
        compared, runs = compared + len(expected), runs + 1
        shutil.rmtree(work)
    return Report(done, saving, runs, compared, most)


def main() -> None:
    parser = argparse.ArgumentParser(description='Kill a training at random moments.')
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    freeze_imports()
    with tempfile.TemporaryDirectory() as folder:
        report = harass(Path(folder), args.kills, args.seed)
    print(
        f'{report.kills} kills, {report.while_saving} of them while saving; {report.runs} runs '
        f'came to their end; {report.compared} iterations and validations compared, none '
        f'differs; a kill cost at most {report.most_lost} iterations of an interval of '
        f'{INTERVAL}'
    )


if __name__ == '__main__':
    main()
