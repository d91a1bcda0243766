# Copyright (c) mmseg_ctt contributors.
"""Run methods x splits x seeds from one file; one row a run, member and evaluation set in a CSV.

python tools/analysis_tools/run_matrix.py configs/matrices/camvid.yaml --jobs 2 --threads 1
python tools/analysis_tools/run_matrix.py configs/matrices/camvid.yaml --gpus 0,0,1,1
python tools/analysis_tools/run_matrix.py configs/matrices/camvid.yaml --table

Safe to stop and to start again at any moment, also several times at once: a run that has its rows
is left alone while its config stays the same, an interrupted one goes on from its last checkpoint,
one that another process is at is passed over. A failed run is reported and the others go on.

  --only method=ctt,method=ct,seed=0   these runs only: seed 0 of both methods; of several
                                       arguments, separated by spaces, a run fits at least one
  --dry-run                            what would be done
  --sbatch PARTITION                   print one sbatch line a run instead of running
  --eval-sets val test                 also on the test set; nothing is trained again for it
  --cfg-options KEY=VALUE              for this machine, such as train_dataloader.num_workers=0
  --merge OTHER.csv                    take over rows measured elsewhere
  --table [--member ensemble] [--classes SPLIT]   tables of what there is, in markdown

Exit status: 0 all selected runs have their rows, 1 some have not, 2 wrong arguments or files.
Configs are found from the working directory: start it in the root of the repository.
"""

import argparse
import shlex
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, described, one_line, run  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
UNFINISHED = 1
JOB_THREADS = 5  # of one job on a cluster, unless --threads says otherwise


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('matrix', help='file such as configs/matrices/camvid.yaml')
    parser.add_argument('--out', help='CSV of the results; default: as the file says')
    parser.add_argument('--work-dir', help='folder of the runs; default: as the file says')
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument(
        '--gpus',
        help='comma separated; one run at a time on each entry, so 0,0,1 runs two on GPU 0',
    )
    parser.add_argument('--threads', type=int, help='of one run; default: cores / jobs')
    parser.add_argument('--only', nargs='+', action='extend', default=[], metavar='KEY=VALUE,...')
    parser.add_argument('--eval-sets', nargs='+', help='default: as the file says')
    add_cfg_options(parser)
    parser.add_argument('--dry-run', action='store_true', help='print the state of every run')
    parser.add_argument('--sbatch', metavar='PARTITION', help='print sbatch lines')
    parser.add_argument('--merge', nargs='+', metavar='CSV', help='take over rows')
    parser.add_argument(
        '--table',
        nargs='?',
        const='-',
        metavar='FILE',
        help='print the tables, or write them to a file',
    )
    parser.add_argument(
        '--member',
        help='stands for every method: student0, teacher1, ensemble, students (their mean), ...',
    )
    parser.add_argument('--classes', metavar='SPLIT', help='table of the IoU per class')
    return parser.parse_args()


def make_slots(args: argparse.Namespace) -> list:
    from mmseg_ctt.engine.processes import Slot, cores

    gpus = args.gpus.split(',') if args.gpus else [None] * args.jobs
    if not gpus:
        raise ValueError(f'--jobs must be positive, got {args.jobs}')
    if '' in gpus:  # CUDA_VISIBLE_DEVICES='' would mean the CPU
        raise ValueError(f'--gpus {args.gpus}: an entry is empty; write 0,1 or so')
    threads = args.threads or max(1, cores() // len(gpus))
    stop = threading.Event()
    return [Slot(threads, gpu, stop) for gpu in gpus]


def sbatch_line(args: argparse.Namespace, cell) -> str:
    """A job that runs one cell by this very tool, which knows how to go on."""
    only = f'method={cell.method},split={cell.split},seed={cell.seed}'
    threads = args.threads or JOB_THREADS
    inner = [
        'python',
        'tools/analysis_tools/run_matrix.py',
        args.matrix,
        '--only',
        only,
        '--threads',
        str(threads),
    ]
    for flag in ('out', 'work_dir'):
        if getattr(args, flag):
            inner += [f'--{flag.replace("_", "-")}', str(getattr(args, flag))]
    if args.eval_sets:
        inner += ['--eval-sets', *args.eval_sets]
    if args.cfg_options:
        inner += ['--cfg-options', *(f'{key}={value}' for key, value in args.cfg_options.items())]
    return shlex.join(
        [
            'sbatch',
            f'--partition={args.sbatch}',
            f'--job-name={cell.method}-{cell.split}-{cell.seed}',
            '--gres=gpu:1',
            '--ntasks=1',
            f'--cpus-per-task={threads}',
            f'--wrap={shlex.join(inner)}',
        ]
    )


def hashes(matrix, place) -> dict:
    """Of all configs as they are today, by method, split and seed."""
    from mmseg_ctt.lab.experiments.runs import CellRun

    return {one.key: one.hash for one in (CellRun(cell, place) for cell in matrix.cells)}


def tables(args: argparse.Namespace, matrix, place) -> str:
    from mmseg_ctt.lab.experiments.matrix import check_member
    from mmseg_ctt.lab.experiments.results import outdated, read_rows
    from mmseg_ctt.lab.experiments.table import Table

    rows = read_rows(place.out)
    if not rows:
        raise FileNotFoundError(
            f'{place.out} has no rows yet: run the matrix first, or name another file with --out'
        )
    table = Table(matrix, rows, args.member and check_member(args.member))
    if args.classes:
        parts = [table.classes(args.classes, name) for name in place.eval_sets]
    else:
        parts = [table.miou(name) for name in place.eval_sets]
    old = outdated(rows, hashes(matrix, place))
    if old:
        parts.append(f'Measured with a config that is another today: {", ".join(old)}.\n')
    return '\n'.join(parts)


def run_all(runs: list, slots: list) -> bool:
    """Run what lacks rows; whether all have theirs in the end."""
    from mmseg_ctt.engine.processes import ChildFailed, Stopped, in_slots, stopped_by_signals

    todo, finished = [one for one in runs if one.missing()], []
    lock = threading.Lock()

    def say(words: str) -> None:
        with lock:
            print(words, flush=True)

    def work(one, slot) -> None:
        say(f'{one.cell}: begins, {one.state()}; log: {one.log}')
        try:
            outcome = one.run(slot)
        except Stopped:
            raise
        except ChildFailed as error:
            say(f'{one.cell}: FAILED, {error}; end of {one.log}:\n{one.last_lines()}')
        except Exception as error:  # whatever it is, the other runs go on
            say(f'{one.cell}: FAILED, {type(error).__name__}: {one_line(error)}')
        else:
            if outcome == 'done':
                finished.append(one)
            say(f'{one.cell}: {outcome} ({len(finished)} of {len(todo)} done)')

    say(f'{len(runs)} runs, {len(runs) - len(todo)} have their rows')
    with stopped_by_signals(slots[0].stop):
        in_slots(todo, slots, work)
    if slots[0].stop.is_set():
        say('stopped; start again to go on')
    return len(finished) == len(todo)


def main() -> None:
    args = parse_args()
    from mmengine.logging import MMLogger

    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    from mmseg_ctt.lab.experiments.matrix import check_eval_sets, read_matrix, select
    from mmseg_ctt.lab.experiments.results import merge_rows, read_rows
    from mmseg_ctt.lab.experiments.runs import CellRun, Place

    MMLogger.get_current_instance().setLevel('WARNING')  # mmengine reports each variable it reads
    matrix = read_matrix(args.matrix)
    eval_sets = check_eval_sets(args.eval_sets or matrix.eval_sets)
    place = Place(
        ROOT,
        Path(args.work_dir or matrix.work_dir),
        Path(args.out or matrix.out),
        eval_sets,
        args.cfg_options or {},
    )
    cells = select(matrix.cells, args.only)
    for path in args.merge or ():
        if not Path(path).is_file():
            raise FileNotFoundError(f'--merge: {path} does not exist')
        merge_rows(place.out, read_rows(Path(path)), hashes(matrix, place))
    if args.table or args.classes:
        text = tables(args, matrix, place)
        if args.table in (None, '-'):
            print(text)
        else:
            Path(args.table).write_text(text)
        return
    runs = [CellRun(cell, place) for cell in cells]
    if args.dry_run:
        for one in runs:
            print(f'{one.cell}: {one.state()} ({one.folder})')
    elif args.sbatch:
        for one in runs:
            if one.missing():
                print(sbatch_line(args, one.cell))
    elif args.merge and not args.only:
        return
    elif not run_all(runs, make_slots(args)):
        sys.exit(UNFINISHED)


if __name__ == '__main__':
    run(main)
