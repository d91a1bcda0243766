# Copyright (c) mmseg_ctt contributors.
import os
import subprocess
import sys
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from scripts import TOOLS
from torch.utils.data import DataLoader
from toy_data import toy_config


@pytest.fixture
def common(load_tool) -> ModuleType:
    return load_tool('_common').module


class Broken:
    """A data set that fails inside a worker."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> None:
        raise ValueError(f'image {index}\nis damaged')


def test_user_error_is_one_line_and_exit_code_2(common, capsys):
    def main() -> None:
        raise ValueError('a key\n  is wrong')

    with pytest.raises(SystemExit) as exit_:
        common.run(main)
    assert exit_.value.code == 2
    assert capsys.readouterr().err == 'error: a key is wrong\n'


def test_huge_pages_where_there_is_no_gpu(common, monkeypatch, tmp_path):
    def found(gpu: bool) -> str:
        monkeypatch.setattr(common, 'GPU_FILES', (str(tmp_path if gpu else tmp_path / 'absent'),))
        common.run(lambda: None)
        return os.environ.get('THP_MEM_ALLOC_ENABLE', '')

    for name in ('THP_MEM_ALLOC_ENABLE', 'CUDA_VISIBLE_DEVICES'):
        monkeypatch.setenv(name, 'of this test')  # is restored after it
        monkeypatch.delenv(name)
    assert found(gpu=True) == '' and found(gpu=False) == '1'
    monkeypatch.setenv('THP_MEM_ALLOC_ENABLE', '0')
    assert found(gpu=False) == '0'  # what a user has set stays
    monkeypatch.delenv('THP_MEM_ALLOC_ENABLE')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    assert found(gpu=True) == '1'


def test_traceback_on_request(common, capsys, monkeypatch):
    monkeypatch.setenv('MMSEG_CTT_TRACEBACK', '1')
    with pytest.raises(SystemExit):
        common.run(lambda: int('x'))
    assert 'Traceback' in capsys.readouterr().err


@pytest.mark.parametrize(
    'tool',
    [path for path in sorted(TOOLS.rglob('*.py')) if not path.name.startswith('_')],
    ids=lambda path: path.stem,
)
def test_without_the_environment(tool, tmp_path):
    """No packages, as before ``source tools/setup_env.sh``; some ask for arguments first."""
    done = subprocess.run(
        [sys.executable, '-S', str(tool)], cwd=tmp_path, text=True, capture_output=True, env={}
    )
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert 'activate the environment first' in line or f'{tool.name}: error: ' in line


HELP = """
import runpy, sys
sys.argv = [{tool!r}, '--help']
sys.path.insert(0, {folder!r})
try:
    runpy.run_path({tool!r}, run_name='__main__')
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {{'torch', 'mmengine', 'mmcv', 'mmseg', 'mmseg_ctt', 'cv2'}} & set(sys.modules)
assert not heavy, f'imported before the arguments are read: {{heavy}}'
"""


@pytest.mark.parametrize(
    'tool',
    [path for path in sorted(TOOLS.rglob('*.py')) if not path.name.startswith('_')],
    ids=lambda path: path.stem,
)
def test_help_imports_nothing_heavy(tool):
    """It takes a fraction of a second where torch and mmengine take several."""
    code = HELP.format(tool=str(tool), folder=str(tool.parent))
    done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-500:]
    assert 'usage: ' in done.stdout


def test_help_advises_no_dead_key(common, load_tool):
    """``model.test_cfg`` of a method takes ``predict_on`` alone."""
    parser = common.described('')
    common.add_arguments(parser)
    text = ' '.join(parser.format_help().split())
    assert 'model.segmentor.test_cfg.mode' in text and 'model.test_cfg.mode' not in text


def test_config_options_are_parsed(common):
    parser = common.described('')
    common.add_cfg_options(parser)
    given = parser.parse_args(['--cfg-options', 'a.b=3', 'c=[1,2]', 'd=x']).cfg_options
    assert given == {'a.b': 3, 'c': [1, 2], 'd': 'x'}
    assert parser.parse_args([]).cfg_options is None


def test_formats_of_lists_are_those_of_the_package(load_tool):
    from mmseg_ctt.datasets.split_import import FORMATS

    module = load_tool('dataset_converters/make_split').module
    assert sys.modules[module.parse_args.__module__].FORMATS == tuple(FORMATS)


def test_own_defects_keep_their_traceback(common):
    with pytest.raises(KeyError):
        common.run(lambda: {}['a'])


def test_worker_error_without_its_traceback(common):
    with pytest.raises(ValueError) as error:
        next(iter(DataLoader(Broken(), num_workers=1)))
    assert 'Traceback' in str(error.value)
    assert common.one_line(error.value) == 'image 0 is damaged'


def test_refused_checkpoint(common):
    assert 'holds code' in common.one_line(UnpicklingError('long\nadvice'))


def test_missing_config(load_tool, capsys):
    assert load_tool('train').exit_code('absent.py') == 2
    assert capsys.readouterr().err == 'error: the config absent.py does not exist\n'


def launched(script: str, *arguments: str, **environment: str) -> list:
    """What a shell script would run: ``echo`` stands in for Python and for srun."""
    result = subprocess.run(
        ['bash', str(TOOLS / script), *arguments],
        check=True,
        text=True,
        capture_output=True,
        cwd='/',
        env={**os.environ, **environment},
    )
    return result.stdout.split()


def test_dist_scripts():
    words = launched(
        'dist_train.sh',
        'c.py',
        '2',
        '--amp',
        PYTHON='echo',
        PORT='1234',
        NNODES='3',
        NODE_RANK='1',
        MASTER_ADDR='node0',
    )
    assert words == [
        '-m',
        'torch.distributed.run',
        '--nnodes=3',
        '--node-rank=1',
        '--master-addr=node0',
        '--master-port=1234',
        '--nproc-per-node=2',
        str(TOOLS / 'train.py'),
        'c.py',
        '--amp',
        '--launcher',
        'pytorch',
    ]
    words = launched('dist_test.sh', 'c.py', 'a.pth', '4', '--out', 'd', PYTHON='echo')
    assert '--nproc-per-node=4' in words
    assert words[-7:] == [
        str(TOOLS / 'test.py'),
        'c.py',
        'a.pth',
        '--out',
        'd',
        '--launcher',
        'pytorch',
    ]


@pytest.mark.parametrize('script, arguments', [('train', ['c.py']), ('test', ['c.py', 'a.pth'])])
def test_slurm_scripts(tmp_path: Path, script: str, arguments: list):
    (tmp_path / 'srun').write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / 'srun').chmod(0o755)
    words = launched(
        f'slurm_{script}.sh',
        'gpu',
        'job',
        *arguments,
        '--work-dir',
        'w',
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        GPUS='8',
        GPUS_PER_NODE='8',
        CPUS_PER_TASK='2',
        SRUN_ARGS='--quotatype=auto -A me',
        PYTHON='python',
    )
    assert words == [
        '--partition=gpu',
        '--job-name=job',
        '--gres=gpu:8',
        '--ntasks=8',
        '--ntasks-per-node=8',
        '--cpus-per-task=2',
        '--kill-on-bad-exit=1',
        '--quotatype=auto',
        '-A',
        'me',
        'python',
        '-u',
        str(TOOLS / f'{script}.py'),
        *arguments,
        '--work-dir',
        'w',
        '--launcher',
        'slurm',
    ]


@pytest.fixture
def test_tool(load_tool) -> ModuleType:
    return load_tool('test').module


def test_output_folder_goes_to_every_iou_metric(test_tool):
    cfg = Config(dict(test_evaluator=[dict(type='IoUMetric'), dict(type='DumpResults')]))
    test_tool.set_output(cfg, 'predictions')
    assert cfg.test_evaluator[0].output_dir == 'predictions'
    assert 'output_dir' not in cfg.test_evaluator[1]


def test_tta_wraps_the_model(test_tool):
    cfg = Config(
        dict(
            model=dict(type='A'),
            tta_model=dict(type='SegTTAModel'),
            test_dataloader=dict(dataset=dict(pipeline=[])),
        )
    )
    with pytest.raises(ValueError, match='tta_pipeline'):
        test_tool.set_tta(cfg)
    cfg.tta_pipeline = [dict(type='B')]
    test_tool.set_tta(cfg)
    assert cfg.model == dict(type='SegTTAModel', module=dict(type='A'))
    assert cfg.test_dataloader.dataset.pipeline == [dict(type='B')]


def test_ctrl_c_is_one_line(common, capsys):
    with pytest.raises(SystemExit) as raised, common.errors_in_one_line():
        raise KeyboardInterrupt
    assert raised.value.code == 130
    assert capsys.readouterr().err == 'stopped by Ctrl-C\n'


@pytest.mark.parametrize('options', [[], ['--tta'], ['--out', 'labels']])
def test_a_config_without_images_to_score(options, tmp_path, root, load_tool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nothing = dict.fromkeys(('test_dataloader', 'test_cfg', 'test_evaluator'))
    cfg = toy_config(root, tmp_path / 'work', **nothing)
    cfg.dump(tmp_path / 'toy.py')
    Path('a.pth').touch()
    with pytest.raises(ValueError, match='no test_dataloader.*set test_dataloader, test_cfg'):
        load_tool('test').call('toy.py', 'a.pth', *options)
    with pytest.raises(ValueError, match='no test_dataloader'):
        Runner.from_cfg(cfg).test()
