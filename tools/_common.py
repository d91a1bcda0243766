# Copyright (c) mmseg_ctt contributors.
"""Common functions of the scripts; only the standard library is imported before ``main`` runs.

A script that needs other packages at its top imports them inside :func:`errors_in_one_line`.
"""

import argparse
import json
import os
import re
import sys
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, Optional, Union
from urllib.error import URLError

# for scripts, which import all from here
from _parser import YesOrNo as YesOrNo
from _parser import described as described

if TYPE_CHECKING:
    from mmengine.config import Config

# Finds the package next to this folder without an installation, from any working directory.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _refusals import refuse_replaced, refuse_two_folders  # noqa: E402

# a KeyError of mmengine's registries for an unknown name
UNKNOWN_NAME = re.compile(r"\('(\S+ is not in the [\w: ]+ registry)")
FLAG: Dict[str, Any] = dict(action='store_true', default=None)  # its default is the library's
GPU_FILES = ('/dev/nvidiactl', '/dev/kfd', '/dev/dxg')  # drivers of Nvidia, AMD, of both in WSL
REFUSING = ('mmcv', 'mmengine', 'mmseg')  # packages whose assertions are about settings
USER_ERRORS = (ValueError, TypeError, OSError, ImportError, UnpicklingError)


def run(main: Callable[[], None]) -> None:
    """Call ``main`` inside :func:`errors_in_one_line`."""
    # of mmengine, which a script may import before this package with its filters (noise.py)
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    use_huge_pages()
    with errors_in_one_line():
        main()


def check_results(folder: Union[str, Path, None], *names: str) -> None:
    """Raise before measuring where results cannot be written, or would replace earlier ones."""
    from mmseg_ctt.engine.out_paths import check_new_file

    if folder:
        for name in names:
            check_new_file(Path(folder, name))


def write_result(path: Path, result: Any) -> None:
    """Write JSON into a folder, which is made, and print where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + '\n')
    print(f'{path.name}: {path.parent}')


def use_huge_pages() -> None:
    """Let PyTorch ask for huge pages of memory where it computes on the CPU, before its import.

    A value of ``THP_MEM_ALLOC_ENABLE`` that is set stays.
    """
    hidden = os.environ.get('CUDA_VISIBLE_DEVICES') in ('', '-1')
    if hidden or not any(map(os.path.exists, GPU_FILES)):
        os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print errors that a user can correct in one line and exit with code 2.

    Set the environment variable ``MMSEG_CTT_TRACEBACK=1`` to see the full traceback. Ctrl-C ends a
    script with one line, too, and the exit code 130 of shells.
    """
    try:
        yield
    except KeyboardInterrupt:
        print('stopped by Ctrl-C', file=sys.stderr)
        sys.exit(130)
    except (*USER_ERRORS, KeyError, AssertionError) as error:
        if not isinstance(error, USER_ERRORS) and not is_refusal(error):
            raise
        if os.environ.get('MMSEG_CTT_TRACEBACK') == '1':
            traceback.print_exc()
        else:
            print(f'error: {one_line(error)}', file=sys.stderr)
        sys.exit(2)


def is_refusal(error: Exception) -> bool:
    """Whether an assertion or a KeyError is how a package of OpenMMLab refuses a setting."""
    if UNKNOWN_NAME.match(str(error.args[:1])):
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1]
    sentence = isinstance(error, AssertionError) or ' ' in str(error)
    return sentence and any(f'/{name}/' in frame.filename for name in REFUSING)


def one_line(error: Exception) -> str:
    """Message of an error in one line, without the traceback of a worker process."""
    if isinstance(error, UnpicklingError):
        return (
            'the checkpoint is damaged, or holds code, which is never run: load the file '
            'where it was written and save its state_dict only'
        )
    unknown = UNKNOWN_NAME.match(str(error.args[:1]))
    if unknown:
        return f'{unknown[1]}: correct the name, or import its module with custom_imports'
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, AssertionError) and error.__traceback__ is not None:
        frame = traceback.extract_tb(error.__traceback__)[-1]  # mmcv has assertions without words
        message = f'{message or frame.line} ({Path(frame.filename).name}, {frame.name})'
    if isinstance(error, ModuleNotFoundError):
        return (
            f'{message}: activate the environment first (source tools/setup_env.sh), or '
            'install what docs/guide/install.md names'
        )
    if isinstance(error, URLError):
        return (
            f'a download failed ({error.reason}), its address and folder are in the line above: '
            'put the file there by hand, or see "Starting weights" in docs/guide/training.md'
        )
    if 'Traceback (most recent call last)' in message:
        # A worker process sends "Caught X in DataLoader worker ...", the traceback, "X: message".
        message = re.split(r'^\w[\w.]*(?:Error|Exception): ', message, flags=re.MULTILINE)[-1]
    return ' '.join(message.split()) or type(error).__name__


def answer_help(parse_args: Callable[[], argparse.Namespace]) -> None:
    """Answer ``--help`` in a script that imports other packages at its top, before it does so."""
    if {'-h', '--help'} & set(sys.argv[1:]):
        parse_args()


def given(args: argparse.Namespace, names: Iterable[str]) -> Dict[str, Any]:
    """Those of some arguments that were given, for the class or function that has their defaults.

    These stand there alone: an argument that was not given is None, and the help says what counts
    then, which tests/test_tools/test_defaults.py compares. No name is lost: one that is no
    argument is an AttributeError here, and one that the library does not take a TypeError there.
    """
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


class CfgOptions(argparse.Action):
    """``DictAction`` of mmengine, imported when the option is given and not for ``--help``."""

    def __call__(self, parser: argparse.ArgumentParser, space: Any, words: Any, *_: Any) -> None:
        from mmengine.config import DictAction

        for word in words:
            if '=' not in word:
                parser.error(f'--cfg-options takes KEY=VALUE, got {word!r}: it has no "="')
        earlier = set(getattr(space, self.dest) or ())
        for key in (word.split('=', 1)[0] for word in words):
            if key in earlier:
                parser.error(f'--cfg-options has {key} twice: leave one')
            earlier.add(key)
        DictAction(self.option_strings, self.dest)(parser, space, words)


def positive(text: str) -> int:
    """Integer of an argument of which 0 and less mean nothing."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be positive, got {text}')
    return number


def not_negative(text: str) -> int:
    """Integer of an argument of which 0 means none."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f'must not be negative, got {text}')
    return number


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='change settings of the config, such as sizes.max_iters=20000, '
        'model.segmentor.test_cfg.mode=slide, key="[a,b]" or key="[(a,b),(c,d)]" (quoted, no '
        'white space)',
    )


@contextmanager
def report_extra() -> Iterator[None]:
    """Name the extra where a library of report pages is missing in the ``with`` block."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ('jinja2', 'plotly'):
            raise
        raise ImportError(f'{error.name} is missing: pip install "mmseg_ctt[report]"') from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that :func:`load_config` reads."""
    parser.epilog = 'MMSEG_CTT_TRACEBACK=1 shows the traceback behind an error line.'
    parser.add_argument(
        '--work-dir',
        help='folder of logs and results; default: the work_dir of '
        'the config, else work_dirs/<config name>; of both with _<method> for --cfg-options '
        'method=...',
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='what started the processes of a distributed run',
    )
    # versions of torch.distributed.launch differ in the spelling
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def read_config(path: str, options: Optional[dict] = None) -> 'Config':
    """Read a config, see :func:`mmseg_ctt.engine.start_config.read_config`."""
    import mmseg_ctt  # noqa: F401, before anything imports mmseg
    from mmseg_ctt.engine import start_config

    return start_config.read_config(path, options)


def load_config(args: argparse.Namespace) -> 'Config':
    """Read the config of a run and apply the arguments of :func:`add_arguments`.

    Returns:
        mmengine.Config: The config to run.

    Raises:
        FileNotFoundError: If the config does not exist.
        ValueError: If it is no Python or has no model, an argument replaces a change of it, or the
            run to resume is in another folder.
    """
    refuse_two_folders(args)
    refuse_replaced(args.cfg_options, dict(launcher='--launcher'))
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if 'model' not in cfg:
        raise ValueError(f'the config {args.config} has no model')
    from mmseg_ctt.engine.start_config import default_work_dir, refuse_former_folder

    start = args.config, args.cfg_options, cfg.get('work_dir')
    cfg.work_dir = args.work_dir or default_work_dir(*start)
    if not args.work_dir and getattr(args, 'resume', None) == 'auto':
        refuse_former_folder(cfg, *start)
    if args.launcher in ('pytorch', 'slurm'):
        from _ranks import join_without_gpu

        join_without_gpu(cfg)
    return cfg


def check_file(path: str, role: str) -> None:
    """Raise if a local file is missing, before data sets and models are built."""
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(f'the {role} {path} does not exist')
