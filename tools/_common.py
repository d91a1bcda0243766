# Copyright (c) mmseg_ctt contributors.
"""What train.py and test.py share. Standard library only until a script's ``main`` runs."""
import argparse
import os
import re
import sys
import traceback
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Callable

# The package next to this folder is found without an installation, from any working directory.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

USER_ERRORS = (ValueError, TypeError, FileNotFoundError, ImportError, UnpicklingError)


def run(main: Callable[[], None]) -> None:
    """Call ``main``; what a user can mend ends in one line and exit code 2.

    Set the environment variable ``MMSEG_CTT_TRACEBACK=1`` to see the full traceback.
    """
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')  # mmengine uses it
    try:
        main()
    except USER_ERRORS as error:
        if os.environ.get('MMSEG_CTT_TRACEBACK') == '1':
            traceback.print_exc()
        else:
            print(f'error: {one_line(error)}', file=sys.stderr)
        sys.exit(2)


def one_line(error: Exception) -> str:
    """The message of an error in one line, without a worker's traceback that it may carry."""
    if isinstance(error, UnpicklingError):
        return ('the checkpoint is damaged, or holds code, which is never run: load the file '
                'where it was written and save its state_dict only')
    message = str(error)
    if 'Traceback (most recent call last)' in message:
        # A worker process sends "Caught X in DataLoader worker ...", the traceback, "X: message".
        message = re.split(r'^\w[\w.]*(?:Error|Exception): ', message, flags=re.MULTILINE)[-1]
    return ' '.join(message.split()) or type(error).__name__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of both scripts."""
    from mmengine.config import DictAction
    parser.epilog = 'MMSEG_CTT_TRACEBACK=1 shows the traceback behind an error line.'
    parser.add_argument('--work-dir', help='folder of logs and results; default: the work_dir of '
                        'the config, else work_dirs/<config name>')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='change settings of the config, such as model.test_cfg.mode=whole, '
                        'key="[a,b]" or key="[(a,b),(c,d)]" (quoted, no white space)')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none',
                        help='what started the processes of a distributed run')
    # torch.distributed.launch passes either spelling, depending on its version
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace):
    """Read the config named on the command line and apply what both scripts understand.

    Returns:
        mmengine.Config: The config to run.

    Raises:
        FileNotFoundError: If the config does not exist.
    """
    from mmengine.config import Config

    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    check_file(args.config, 'config')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    cfg.merge_from_dict(args.cfg_options or {})
    if args.work_dir is not None or cfg.get('work_dir') is None:
        cfg.work_dir = args.work_dir or os.path.join('work_dirs', Path(args.config).stem)
    if args.launcher == 'pytorch':
        _join_without_gpu(cfg)
    return cfg


def check_file(path: str, role: str) -> None:
    """Refuse a missing local file at once, before data sets and models are built."""
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(f'the {role} {path} does not exist')


def _join_without_gpu(cfg) -> None:
    """On machines without a GPU join the processes here: mmengine would look for the GPU."""
    from mmengine.device import get_device
    if get_device() != 'cpu':
        return
    import torch
    torch.distributed.init_process_group('gloo')
    cfg.setdefault('model_wrapper_cfg', dict(type='MMDistributedDataParallel'))
    cfg.model_wrapper_cfg.device_ids = None
