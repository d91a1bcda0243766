# Copyright (c) mmseg_ctt contributors.
"""Run methods x splits x seeds from a file; the CSV has a row per run, member and evaluation set.

python tools/analysis_tools/run_matrix.py configs/matrices/camvid.yaml --jobs 2 --threads 1
python tools/analysis_tools/run_matrix.py configs/matrices/camvid.yaml --gpus 0,0,1,1
python tools/analysis_tools/run_matrix.py configs/matrices/camvid.yaml --table

Safe to stop and to start again at any moment, also several times at once: a run that has its rows
is skipped while its config stays the same, an interrupted one is resumed from its last checkpoint,
one that another process runs is skipped. A failed run is reported and the others go on. A run with
'{baseline}' in its options comes behind its baseline, and is skipped until that one has its rows.

  --only method=ctt,method=ct,seed=0   these runs only: seed 0 of both methods; of several
                                       arguments, separated by spaces, a run matches at least one
  --dry-run                            print the state of every run
  --sbatch PARTITION                   print an sbatch line for each run instead of running; again
                                       for those with '{baseline}', once the baseline is done
  --eval-sets val test                 also on the test set; nothing is trained again for it
  --cfg-options KEY=VALUE              for this machine, such as train_dataloader.num_workers=0
  --merge OTHER.csv                    add all rows measured elsewhere instead of running
  --table [--member ensemble] [--classes SPLIT]   tables of the rows so far, in markdown; rows of
                                       runs that the matrix, or --only, does not name do not count

--dry-run, --sbatch, --merge and tables run nothing; one of them at a time, and options that it does
not read are errors. Exit status: 0 it is done, for runs: all selected ones have their rows; 1 some
of them do not; 2 wrong arguments or files.
Paths of configs are relative to the root of the repository: start it there.
"""

import argparse
import shlex
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import add_cfg_options, described, one_line, run  # noqa: E402
from _matrix_arguments import PRINTED, check_args, check_table  # noqa: E402

if TYPE_CHECKING:
    from mmseg_ctt.engine.processes import Resources
    from mmseg_ctt.lab.experiments.matrix import Cell, Matrix
    from mmseg_ctt.lab.experiments.results import Row, Run
    from mmseg_ctt.lab.experiments.runs import CellRun, Workspace

ROOT = Path(__file__).resolve().parents[2]
UNFINISHED = 1
JOB_THREADS = 5  # default of --threads for a job on a cluster


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('matrix', help='file such as configs/matrices/camvid.yaml')
    parser.add_argument('--out', help='CSV of the results; default: that of the matrix')
    parser.add_argument('--work-dir', help='folder of the runs; default: that of the matrix')
    parser.add_argument('--jobs', type=int, help='runs at a time; default: 1')
    parser.add_argument(
        '--gpus',
        help='comma separated; one run at a time on each entry, so 0,0,1 runs two on GPU 0',
    )
    parser.add_argument(
        '--threads', type=int, help='of one run; default: OMP_NUM_THREADS, else cores / jobs'
    )
    parser.add_argument('--only', nargs='+', action='extend', default=[], metavar='KEY=VALUE,...')
    parser.add_argument('--eval-sets', nargs='+', help='default: those of the matrix')
    add_cfg_options(parser)
    parser.add_argument('--dry-run', action='store_true', help='print the state of every run')
    parser.add_argument('--sbatch', metavar='PARTITION', help='print sbatch lines')
    parser.add_argument('--merge', nargs='+', metavar='CSV', help='add rows of other files')
    parser.add_argument(
        '--table',
        nargs='?',
        const=PRINTED,
        metavar='FILE',
        help='print the tables, or write them to a new file',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the file of --table')
    parser.add_argument(
        '--member',
        help='member that represents every method: student0, teacher1, ensemble, students (their '
        'mean), ...',
    )
    parser.add_argument('--classes', metavar='SPLIT', help='table of the IoU per class')
    return parser.parse_args()


def make_pool(args: argparse.Namespace) -> 'List[Resources]':
    from mmseg_ctt.engine.processes import Resources, default_threads

    gpus = args.gpus.split(',') if args.gpus else [None] * (args.jobs or 1)
    if '' in gpus:  # CUDA_VISIBLE_DEVICES='' would mean the CPU
        raise ValueError(f'--gpus {args.gpus}: an entry is empty; write 0,1 or so')
    threads = args.threads or default_threads(len(gpus))
    stop = threading.Event()
    return [Resources(threads, gpu, stop) for gpu in gpus]


def sbatch_line(args: argparse.Namespace, cell: 'Cell') -> str:
    """Command of a job that runs or resumes one cell with this tool."""
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


def hashes(matrix: 'Matrix', workspace: 'Workspace') -> 'Dict[Run, str]':
    """Hashes of all current configs by method, split and seed."""
    from mmseg_ctt.lab.experiments.runs import CellRun

    return {run.key: run.hash for run in (CellRun(cell, workspace) for cell in matrix.cells)}


def tables(
    args: argparse.Namespace, matrix: 'Matrix', cells: 'List[Cell]', workspace: 'Workspace'
) -> str:
    """Tables of some cells; baseline and full labels count for their shares of the gap, too."""
    from mmseg_ctt.lab.experiments.fingerprint import default_members
    from mmseg_ctt.lab.experiments.matrix import check_member
    from mmseg_ctt.lab.experiments.results import outdated, read_rows, rows_of
    from mmseg_ctt.lab.experiments.selection import with_ends
    from mmseg_ctt.lab.experiments.table import Table

    rows = rows_of(read_rows(workspace.out), with_ends(matrix, cells))
    if not rows_of(rows, cells):
        raise FileNotFoundError(
            f'{workspace.out} has no rows yet of these runs: run the matrix first, or name another '
            'file with --out'
        )
    matrix = replace(matrix, cells=cells)
    matrix = replace(matrix, members=default_members(matrix))
    table = Table(matrix, rows, args.member and check_member(args.member))
    if args.classes:
        parts = [table.classes(args.classes, name) for name in workspace.eval_sets]
    else:
        parts = [table.miou(name) for name in workspace.eval_sets]
    old = outdated(rows, hashes(matrix, workspace))
    if old:
        parts.append(f'Measured with a config that has changed since: {", ".join(old)}.\n')
    return '\n'.join([*parts, *(f'{line}\n' for line in on_lists(rows))])


def on_lists(rows: 'List[Row]') -> List[str]:
    """A line for each split whose runs are not comparable."""
    from mmseg_ctt.lab.experiments.results import mixed_lists

    return [
        f'Runs of {split} were trained on different lists of images (split_checksum of the CSV '
        'differs), and are no comparison: remove rows and folders of the old ones.'
        for split in mixed_lists(rows)
    ]


def run_all(runs: 'List[CellRun]', pool: 'List[Resources]') -> bool:
    """Run the cells without rows; True if all have rows at the end."""
    from mmseg_ctt.engine.processes import ChildFailed, Stopped, run_parallel, stopped_by_signals
    from mmseg_ctt.lab.experiments.results import read_rows, rows_of

    pending = [run for run in runs if run.missing()]
    finished: 'List[CellRun]' = []
    lock = threading.Lock()

    def report(line: str) -> None:
        with lock:
            print(line, flush=True)

    def work(run: 'CellRun', resources: 'Resources') -> None:
        report(f'{run.cell}: begins, {run.state()}; log: {run.log}')
        try:
            outcome = run.run(resources)
        except Stopped:
            raise
        except ChildFailed as error:
            report(f'{run.cell}: FAILED, {error}; end of {run.log}:\n{run.last_lines()}')
        except Exception as error:  # any error: the other runs go on
            report(f'{run.cell}: FAILED, {type(error).__name__}: {one_line(error)}')
        else:
            if outcome == 'done':
                finished.append(run)
            report(f'{run.cell}: {outcome} ({len(finished)} of {len(pending)} done)')

    report(f'{len(runs)} runs, {len(runs) - len(pending)} have their rows')
    with stopped_by_signals(pool[0].stop):
        for waits in (False, True):  # those that are compared with a baseline are behind it
            part = [run for run in pending if (run.baseline is not None) == waits]
            run_parallel(part, pool, work)
    cells = [run.cell for run in runs]
    for line in on_lists(rows_of(read_rows(runs[0].workspace.out), cells)):
        report(line)
    if pool[0].stop.is_set():
        report('stopped; start again to go on')
    return len(finished) == len(pending)


def main() -> None:
    args = parse_args()
    check_args(args)
    from mmengine.logging import MMLogger

    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    from mmseg_ctt.engine.files import write_whole
    from mmseg_ctt.engine.out_paths import check_out_file
    from mmseg_ctt.lab.experiments.matrix import check_eval_sets, read_matrix
    from mmseg_ctt.lab.experiments.results import merge_files
    from mmseg_ctt.lab.experiments.runs import CellRun, Workspace
    from mmseg_ctt.lab.experiments.selection import select

    MMLogger.get_current_instance().setLevel('WARNING')  # mmengine reports each variable it reads
    matrix = read_matrix(args.matrix)
    eval_sets = check_eval_sets(args.eval_sets or matrix.eval_sets)
    workspace = Workspace(
        ROOT,
        Path(args.work_dir or matrix.work_dir),
        Path(args.out or matrix.out),
        eval_sets,
        args.cfg_options or {},
        matrix.per_class,
    )
    check_out_file(workspace.out)
    cells = select(matrix.cells, args.only)
    if args.merge:
        merge_files(workspace.out, [Path(path) for path in args.merge], hashes(matrix, workspace))
        return
    if args.table or args.classes:
        check_table(args, workspace.out)
        text = tables(args, matrix, cells, workspace)
        if args.table in (None, PRINTED):
            print(text)
        else:
            write_whole(Path(args.table), text)
        return
    runs = [CellRun(cell, workspace) for cell in cells]
    if args.dry_run:
        for cell_run in runs:
            print(f'{cell_run.cell}: {cell_run.state()} ({cell_run.folder})')
    elif args.sbatch:
        for cell_run in runs:
            if cell_run.missing():
                # its job could begin before that of the baseline has ended
                left_out = f'# {cell_run.cell}: left out, {cell_run.state()}'
                print(left_out if cell_run.waits() else sbatch_line(args, cell_run.cell))
    elif not run_all(runs, make_pool(args)):
        sys.exit(UNFINISHED)


if __name__ == '__main__':
    run(main)
