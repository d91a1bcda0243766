# Copyright (c) mmseg_ctt contributors.
"""An option that is given twice is refused by every script: one of the two would be unused."""

import os
import subprocess
from pathlib import Path

import pytest
from scripts import TOOLS


@pytest.mark.parametrize('tool', sorted(TOOLS.rglob('*.py')), ids=lambda path: path.stem)
def test_parsers_are_of_one_kind(tool):
    """A script makes its parser by ``described``, and ``add_parser`` makes one of its class."""
    text = tool.read_text()
    others = [word for word in ('argparse.ArgumentParser(', 'BooleanOptional') if word in text]
    assert not others or tool.name == '_parser.py', others


SPLIT = ('make', '--img-dir', 'i', '--out', 'o')


@pytest.mark.parametrize(
    'tool, arguments, words',
    [
        ('dataset_converters/make_split', (*SPLIT, '--num', 2, '--num', 3), '--num is given'),
        ('dataset_converters/make_split', (*SPLIT, '--out', 'p', '--num', 2), '--out is given'),
        ('weak/make_tags', ('masks', 'M', '--out', '1', '--out', '2'), '--out is given twice'),
        ('weak/make_cams', ('c.py', 'a.pth', '--flip', '--no-flip'), '--no-flip is given twice'),
        ('train', ('c.py', '--work-dir', 'A', '--work-dir', 'B'), '--work-dir is given twice'),
        ('train', ('c.py', '--resume', '--resume', 'a.pth'), '--resume is given twice'),
        ('train', ('c.py', '--cfg-options', 'a.b=1', 'a.b=2'), '--cfg-options has a.b twice'),
        ('train', ('c.py', *('--cfg-options', 'a=1') * 2), '--cfg-options has a twice: leave one'),
        ('analysis_tools/compare_runs', ('a', '--out', 'x', '--out', 'y'), '--out is given twice'),
    ],
)
def test_an_option_given_twice(load_tool, capsys, tool, arguments, words):
    assert load_tool(tool).exit_code(*arguments) == 2
    assert words in capsys.readouterr().err


def test_other_options_behind_a_second_cfg_options(load_tool):
    common = load_tool('_common').module
    parser = common.described('')
    common.add_cfg_options(parser)
    given = parser.parse_args(['--cfg-options', 'a=1', '--cfg-options', 'b=2'])
    assert given.cfg_options == dict(a=1, b=2) and set(vars(given)) == {'cfg_options'}


def launched(script: str, *arguments: str, **environment: str) -> str:
    """The command that a shell script runs; ``echo`` stands in for Python and srun."""
    done = subprocess.run(
        ['bash', str(TOOLS / script), *arguments],
        check=True,
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    return done.stdout.partition('train.py ')[2].strip()


@pytest.mark.parametrize(
    'restarts, given, words',
    [
        (0, ('--resume', 'a.pth'), 'c.py --resume a.pth --launcher slurm'),
        (1, ('--amp',), 'c.py --amp --resume --launcher slurm'),
        (1, ('--resume',), 'c.py --resume --launcher slurm'),
        (
            1,
            ('--resume', 'a.pth', '--amp'),
            'c.py --amp --resume --resume-else a.pth --launcher slurm',
        ),
        (1, ('--resume', '--amp', 'bf16'), 'c.py --amp bf16 --resume --launcher slurm'),
        (1, ('--resume=auto',), 'c.py --resume --launcher slurm'),
        (
            *(2, ('--resume=a.pth', '--launcher', 'slurm')),
            'c.py --launcher slurm --resume --resume-else a.pth',
        ),
    ],
)
def test_a_restart_gives_no_option_twice(tmp_path: Path, restarts, given, words):
    """It resumes from the newest checkpoint, or else from that of the first start."""
    (tmp_path / 'srun').write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / 'srun').chmod(0o755)
    path = f'{tmp_path}:{os.environ["PATH"]}'
    job = dict(REQUEUE='1', SLURM_JOB_ID='1', SLURM_RESTART_COUNT=str(restarts), PATH=path)
    assert launched('slurm_train.sh', 'gpu', 'job', 'c.py', *given, **job) == words


@pytest.mark.parametrize('given', [('--launcher', 'pytorch'), ('--launcher=pytorch',)])
def test_a_launcher_that_is_there(given):
    found = launched('dist_train.sh', 'c.py', '2', *given, PYTHON='echo')
    assert found == ' '.join(('c.py', *given))
