# Copyright (c) mmseg_ctt contributors.
"""What run_matrix.py is asked for: one thing at a time, with the options that it reads."""

import argparse
from pathlib import Path
from typing import Dict, Tuple

RUN = ''  # none of the options of MODES
MODES: Dict[str, Tuple[str, ...]] = {  # by the option that asks for it
    'merge': (),
    'table': ('only', 'eval_sets', 'member', 'classes', 'overwrite'),
    'classes': ('only', 'eval_sets', 'member', 'table', 'overwrite'),
    'dry_run': ('only', 'eval_sets'),
    'sbatch': ('only', 'eval_sets', 'threads'),
    RUN: ('only', 'eval_sets', 'threads', 'jobs', 'gpus'),
}
PRINTED = '-'  # value of --table without a file


def check_args(args: argparse.Namespace) -> None:
    """Raise for numbers out of range, and for options that would be unused.

    Raises:
        ValueError: If there are any.
    """
    for name in ('jobs', 'threads'):
        number = getattr(args, name)
        if number is not None and number < 1:
            raise ValueError(f'--{name} must be positive, got {number}')
    modes = [name for name in MODES if name and getattr(args, name)] or [RUN]
    read = {modes[0], *MODES[modes[0]]}
    others = ('only', 'eval_sets', 'threads', 'jobs', 'gpus', 'member', 'overwrite')
    unused = [name for name in (*modes, *others) if getattr(args, name, None) and name not in read]
    if unused:
        beside = f'beside {option(modes[0])}' if modes[0] else 'without --table or --classes'
        raise ValueError(f'{option(unused[0])} would be unused {beside}: remove it')
    if args.jobs and args.gpus:
        raise ValueError('--jobs would be unused beside --gpus, which has an entry for each job')
    if args.overwrite and args.table in (None, PRINTED):
        raise ValueError('--overwrite is for --table FILE: name the file, or remove it')


def option(name: str) -> str:
    """An option as it is written."""
    return f'--{name.replace("_", "-")}'


def check_table(args: argparse.Namespace, results: Path) -> None:
    """Raise where ``--table`` would replace a file, those that it is made from in any case."""
    from mmseg_ctt.engine.out_paths import check_new_file

    if args.table in (None, PRINTED):
        return
    for role, file in (('results', results), ('matrix', Path(args.matrix))):
        if Path(args.table).resolve() == file.resolve():
            raise ValueError(f'--table {args.table} is the file of the {role}: give another name')
    check_new_file(args.table, args.overwrite)
