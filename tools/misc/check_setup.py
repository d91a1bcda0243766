# Copyright (c) mmseg_ctt contributors.
"""Check a config before a job is queued: a table, and exit code 1 if there are problems.

python tools/misc/check_setup.py CONFIG [--all] [--step] [--gpus 8] [--cfg-options KEY=VALUE ...]

Checks versions, lists, images, masks, tags, overlap of the sets, batch, settings, model, hooks,
memory of the banks, speed of the loader, checkpoints and work dir. Does not train and needs no GPU.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (0, 1)]

import _setup_data as data  # noqa: E402
import _setup_loader  # noqa: E402
import _setup_model as model  # noqa: E402
from _common import add_arguments, described, load_config, one_line, positive, run  # noqa: E402
from _setup import SAMPLED, Alert, Setup, Skip  # noqa: E402
from _words import counted  # noqa: E402

OK, PROBLEM, SKIPPED, WARNING = 'ok', 'PROBLEM', 'skipped', 'WARNING'


class Row(NamedTuple):
    """Row of the table: result of a check."""

    state: str
    name: str
    note: str


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--all', action='store_true', help=f'read every image and mask, not {SAMPLED} of each set'
    )
    parser.add_argument(
        '--step',
        action='store_true',
        help='compute the loss of the first batch of the run on this machine (minutes and memory '
        'of training, for a large model)',
    )
    parser.add_argument(
        '--step-seconds',
        type=float,
        help='seconds of a step on the GPU, time less data_time of a log: does the loader keep up?',
    )
    parser.add_argument('--gpus', type=positive, default=1, help='ranks of the job')
    add_arguments(parser)
    args = parser.parse_args()
    if args.step_seconds is not None and not args.step_seconds > 0:
        parser.error('--step-seconds must be positive')
    return args


CHECKS: Dict[str, Callable[[Setup], str]] = {  # after versions and sets
    'images': data.images,
    'classes': data.classes,
    'masks': data.masks,
    'tags': data.tags,
    'overlap': data.overlap,
    'leaks': data.leaks,
    'batch': data.batch,
    'samples': data.samples,
    'settings': model.settings,
    'model': model.model,
    'hooks': model.hooks,
    'step': model.step,
    'loader': _setup_loader.loader,
    'checkpoints': model.checkpoints,
    'work dir': model.work_dir,
}


def row(setup: Setup, name: str, run_check: Callable[[Setup], str]) -> Row:
    """Row of a check; its error is part of the row."""
    try:
        note = run_check(setup)
        return Row(WARNING if isinstance(note, Alert) else OK, name, note)
    except Skip as reason:
        return Row(SKIPPED, name, str(reason))
    except Exception as error:  # any error would stop the job
        return Row(PROBLEM, name, one_line(error))


def check(setup: Setup) -> Iterator[Row]:
    """Run the checks in order; a failed one does not stop the others."""
    yield row(setup, 'versions', data.versions)
    sets = {name: data.data_set(name) for name in data.set_names(setup)}
    for name, run_check in {**sets, **CHECKS}.items():
        yield row(setup, name, run_check)


def main() -> None:
    args = parse_args()
    warnings.simplefilter('ignore')
    logging.disable(logging.INFO)  # before the first message: mmengine's logger caches its level
    cfg = load_config(args)
    from mmengine.registry import init_default_scope

    init_default_scope(cfg.get('default_scope', 'mmseg'))
    rows = []
    setup = Setup(cfg, args)
    for made in check(setup):
        print(f'{made.state:8} {made.name:12} {made.note}', flush=True)
        rows.append(made)
    problems = [made for made in rows if made.state == PROBLEM]
    print(
        f'\n{counted(len(problems), "problem")}',
        *(f'- {made.name}: {made.note}' for made in problems),
        sep='\n',
    )
    if setup.warnings:
        number = counted(len(setup.warnings), 'warning')
        print(f'\n{number}', *map('- {}'.format, setup.warnings), sep='\n')
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    run(main)
