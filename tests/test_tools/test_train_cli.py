# Copyright (c) mmseg_ctt contributors.
"""The command line on a tiny data set: what it makes, and what it says to bad input."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from spoil import damaged, no_list, no_mask, nothing, overlap, wrong_id
from toy_data import LABELED, SPLIT, UNLABELED, toy_config, write_image, write_lists, write_mask

from mmseg_ctt.methods.ctt.segmentor import CrossTeacherTraining

DATASET = 'train_dataloader.dataset.'


@pytest.fixture
def config(tmp_path: Path, root: Path) -> Path:
    path = tmp_path / 'toy.py'
    toy_config(root, tmp_path / 'work').dump(path)
    return path


@pytest.fixture
def call(load_tool):
    """Call a script with arguments; its errors are raised."""
    return lambda script, *arguments: load_tool(script).call(*arguments)


def no_image(root):
    write_lists(root / SPLIT, LABELED, (*UNLABELED, 'absent'))


def wrong_size(root):
    write_mask(root / 'ann' / 'l2.png', 0, size=(32, 32))


def all_damaged(root):
    for stem in UNLABELED:
        damaged(stem)(root)


def empty(name):
    return lambda root: (root / SPLIT / f'{name}.txt').write_text('')


OVERRIDES = 'model.student_overrides'
BAD_INPUT = {
    'missing split': (no_list, [], ['splits/toy/unlabeled.txt', 'does not exist']),
    'missing split folder': (
        nothing,
        [f'{DATASET}split=splits/other'],
        ['splits/other/labeled.txt', 'make_split.py'],
    ),
    'missing image': (no_image, [], ['absent', 'unlabeled.txt']),
    'missing mask': (no_mask, [], ['ann/l1.png', f'{DATASET}labeled', 'does not exist']),
    'same image in both lists': (
        overlap,
        [],
        ['img/l1.jpg', f'both {DATASET}labeled and {DATASET}unlabeled'],
    ),
    'id outside the classes': (wrong_id, [], ['ann/l2.png', '0..3', '9 (1536 pixels)']),
    'size of mask and image': (wrong_size, [], ['ann/l2.png', '32 high and 32 wide', '48 wide']),
    'unreadable labelled image': (damaged('l1'), [], ['img/l1.jpg', 'cannot be read']),
    'unreadable unlabelled image': (
        all_damaged,
        [],
        ['img/u', 'cannot decode', f'{DATASET}skip_unreadable=True'],
    ),
    'no readable image': (
        all_damaged,
        [f'{DATASET}skip_unreadable=True'],
        ['none of the 3 images', 'img/u'],
    ),
    'empty labelled set': (empty('labeled'), [], ['labeled.txt', 'empty']),
    'empty unlabelled set': (empty('unlabeled'), [], ['unlabeled.txt', 'empty']),
    'no unlabelled set': (
        nothing,
        [f'{DATASET}unlabeled=None'],
        [
            "sampler.ratio={'labeled': 1, 'unlabeled': 1}",
            'dataset.unlabeled is not set (its sources are',
        ],
    ),
    'batch and ratio': (
        nothing,
        ['train_dataloader.sampler.ratio=(1,2)'],
        ['train_dataloader.batch_size=4', "'unlabeled': 2", 'multiple of 3'],
    ),
    'unknown member': (
        nothing,
        ['model.test_cfg.predict_on=teacher7'],
        ['model.test_cfg.predict_on', 'teacher7', 'student0, student1, teacher0'],
    ),
    'bank width': (nothing, ['model.bank.dim=9'], ['model.bank.dim=9', '8 wide', 'leave it out']),
    'class counts': (
        nothing,
        [f'{OVERRIDES}.1.decode_head.num_classes=5'],
        ['[4, 5]', f'{OVERRIDES} must not change decode_head.num_classes'],
    ),
}


@pytest.mark.parametrize('name', BAD_INPUT)
def test_bad_input_is_named_before_the_first_iteration(
    name, root, config, call, load_tool, monkeypatch
):
    spoil, options, words = BAD_INPUT[name]
    monkeypatch.setattr(
        CrossTeacherTraining, 'loss', lambda *_: pytest.fail('an iteration has begun')
    )
    if name == 'class counts':  # the command line changes entries of a list, but adds none
        text = config.read_text().replace(
            "type='CrossTeacherTraining'",
            "type='CrossTeacherTraining', student_overrides=[dict(), dict(decode_head=dict())]",
        )
        config.write_text(text)
    spoil(root)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        call('train', config, *(['--cfg-options', *options] if options else []))
    message = load_tool('_common').module.one_line(error.value)
    assert all(word in message for word in words), message
    assert 'Traceback' not in message and len(message) < 500 + 3 * len(str(root))


def test_good_input_reaches_the_first_iteration(config, call, monkeypatch):
    """The test above would not notice if nothing ever did."""

    class Begun(Exception):
        pass

    def begin(*_, **__):
        raise Begun

    monkeypatch.setattr(CrossTeacherTraining, 'loss', begin)
    with pytest.raises(Begun):
        call('train', config)


def test_error_is_one_line_and_exit_code_2_in_a_shell(tmp_path, config, load_tool):
    """Started from another folder."""
    path = f'{Path(__file__).resolve().parents[1]}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    result = subprocess.run(
        [
            sys.executable,
            str(load_tool('train').path),
            str(config),
            '--cfg-options',
            f'{DATASET}split=splits/other',
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
    )
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1 and result.stderr.endswith(lines[0] + '\n')
    assert 'splits/other/labeled.txt' in lines[0]
    assert 'Traceback' not in result.stdout + result.stderr


def scalars(work):
    """The last test or validation entry that mmengine logged."""
    files = sorted(work.glob('*/*.json'))
    return json.loads(files[-1].read_text().splitlines()[-1])


def test_train_resume_and_test(tmp_path, config, call):
    """Two iterations, two more after a resume, then every way of testing the result."""
    work = tmp_path / 'run'
    options = ['--work-dir', work, '--cfg-options', 'default_hooks.checkpoint.interval=2']
    call('train', config, *options, 'optim_wrapper.optimizer.lr=0.01')
    first = torch.load(work / 'iter_2.pth')
    assert first['meta']['iter'] == 2
    assert 'lr=0.01' in first['meta']['cfg']
    call('train', config, '--resume', *options, 'train_cfg.max_iters=4')
    checkpoint = work / 'iter_4.pth'
    assert (work / 'last_checkpoint').read_text() == str(checkpoint)
    state = torch.load(checkpoint)
    assert int(state['state_dict']['num_updates']) == 4
    assert state['message_hub']['runtime_info']['draws'] == 16
    assert int(first['state_dict']['num_updates']) == 2

    out = tmp_path / 'out'
    call('test', config, checkpoint, '--work-dir', tmp_path / 'tested', '--out', out)
    metrics = scalars(tmp_path / 'tested')
    members = ('student0', 'student1', 'teacher0', 'teacher1', 'ensemble')
    assert all(0 <= metrics[f'{member}/mIoU'] <= 100 for member in members)
    for member in members:
        labels = [np.array(Image.open(out / member / f'{stem}.png')) for stem in LABELED]
        assert all(label.shape == (32, 48) and label.max() < 4 for label in labels)

    call(
        'test',
        config,
        checkpoint,
        '--work-dir',
        tmp_path / 'tta',
        '--tta',
        '--cfg-options',
        'model.test_cfg.predict_on=ensemble',
        'experiment_name=tta',
    )
    flipped = scalars(tmp_path / 'tta')
    assert 0 <= flipped['mIoU'] <= 100 and 'ensemble/mIoU' not in flipped


def test_outputs_keep_sub_folders(tmp_path, root, config, call):
    """``--out`` and ``--show-dir`` write a file for each image, equal names or not."""
    for day in ('day0', 'day1'):
        for folder, end in (('img', 'jpg'), ('ann', 'png')):
            (root / folder / day).mkdir()
            (root / folder / f'l{day[-1]}.{end}').rename(root / folder / day / f'0.{end}')
    write_lists(root / SPLIT, ('day0/0', 'day1/0', 'l2'), UNLABELED)
    work, out, show = tmp_path / 'run', tmp_path / 'out', tmp_path / 'show'
    options = ['default_hooks.checkpoint.interval=2', 'experiment_name=a']
    call('train', config, '--work-dir', work, '--cfg-options', *options)
    cfg = Config.fromfile(config)
    cfg.default_hooks.visualization = dict(type='SegVisualizationHook')
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.dump(config)
    options = ['--out', out, '--show-dir', show, '--cfg-options', 'experiment_name=b']
    call('test', config, work / 'iter_2.pth', '--work-dir', tmp_path / 'tested', *options)
    names = {'day0/0.png', 'day1/0.png', 'l2.png'}
    for member in ('student0', 'ensemble'):
        found = {
            path.relative_to(out / member).as_posix() for path in (out / member).rglob('*.png')
        }
        assert found == names
    pictures = {path.relative_to(show).as_posix() for path in show.rglob('*.png')}
    assert {name.split('vis_image/')[1] for name in pictures} == {
        'day0/test_0.jpg_0.png',
        'day1/test_0.jpg_0.png',
        'test_l2.jpg_0.png',
    }


def test_skipped_image_is_counted_in_the_log(tmp_path, root, config, call):
    write_image(root / 'img' / 'u3.jpg', 3)
    write_lists(root / SPLIT, LABELED, (*UNLABELED, 'u3'))
    damaged('u1')(root)
    call(
        'train',
        config,
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        f'{DATASET}skip_unreadable=True',
        'train_cfg.max_iters=3',
    )
    (log,) = (tmp_path / 'run').glob('*/*.log')
    lines = [line for line in log.read_text().splitlines() if 'skipped unreadable' in line]
    assert len(lines) >= 1 and 'u1.jpg (1 skips' in lines[0]


def test_self_training_that_is_not_read_is_said(config, call, capsys):
    class Started(Exception):
        """The runner would be built now; the line has to come before."""

    def started(*_):
        raise Started

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Started):
        patch.setattr('mmengine.runner.Runner.from_cfg', started)
        call('train', config, '--cfg-options', 'self_training.generations=3')
    assert 'tools/self_train.py trains all of them' in capsys.readouterr().err


def test_checkpoints_of_another_run_are_not_replaced(tmp_path, config, call):
    folder = tmp_path / 'work'
    call('train', config)
    call('train', config)  # the same run, from its beginning
    before = {path: path.read_bytes() for path in folder.glob('*.pth')}
    with pytest.raises(ValueError, match='holds checkpoints of another run.*--work-dir'):
        call('train', config, '--cfg-options', 'optim_wrapper.optimizer.lr=0.5')
    assert before == {path: path.read_bytes() for path in folder.glob('*.pth')}
    call('train', config, '--resume', '--cfg-options', 'train_cfg.max_iters=3')


def test_another_method_or_network_has_a_folder_of_its_own(config, load_tool, monkeypatch):
    common = load_tool('_common').module
    cases = (
        ({}, None, 'work_dirs/toy'),
        ({'method': 'cps'}, None, 'work_dirs/toy_cps'),
        ({}, 'runs/a', 'runs/a'),
        ({'method': 'cps'}, 'runs/a', 'runs/a_cps'),  # of a config of new_run
        ({'method': 'cps'}, 'runs/a_cps', 'runs/a_cps'),  # of a config that such a run recorded
        ({'method': 'cps', 'work_dir': 'runs/b'}, 'runs/b', 'runs/b'),
        ({'segmentor_from': 'mmseg::a/b.py'}, None, 'work_dirs/toy_b'),
        ({'method': 'cps', 'segmentor_from': 'a/b.py'}, 'runs/a/', 'runs/a_cps_b'),
    )
    for options, given, folder in cases:
        cfg = Config(dict(model=dict(), work_dir=given))
        monkeypatch.setattr(common, 'read_config', lambda *_, cfg=cfg: cfg)
        arguments = dict(work_dir=None, launcher='none', local_rank=0)
        args = argparse.Namespace(config=str(config), cfg_options=options, **arguments)
        assert common.load_config(args).work_dir == folder


@pytest.mark.parametrize(
    'words, given',
    [
        (['CONFIG', '--amp'], True),
        (['--amp', 'CONFIG'], True),
        (['--amp', 'bf16', 'CONFIG'], 'bf16'),
        (['CONFIG', '--amp=fp16'], 'fp16'),
    ],
)
def test_amp_without_a_value_leaves_the_choice_to_the_config(
    config, call, monkeypatch, words, given
):
    """Wherever it stands."""

    def found(cfg, precision):
        raise ValueError(f'found {precision!r}')

    monkeypatch.setattr('mmseg_ctt.engine.precision.set_amp', found)
    with pytest.raises(ValueError, match=f'^found {given!r}$'):
        call('train', *(str(config) if word == 'CONFIG' else word for word in words))
