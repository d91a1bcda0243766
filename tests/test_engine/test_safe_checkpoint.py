# Copyright (c) mmseg_ctt contributors.
import errno
import os
import resource
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy import toy_model
from toy_data import toy_config, toy_ctt

from mmseg_ctt.datasets import whole_files
from mmseg_ctt.datasets.whole_files import PARTIAL, write_whole
from mmseg_ctt.engine import checkpoint, resume
from mmseg_ctt.engine.checkpoint import POINTER, WholeFileBackend
from mmseg_ctt.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook
from mmseg_ctt.engine.resume import defect, find_whole_checkpoint, last_checkpoint

OLD, NEW = b'old' * 1000, b'new' * 100_000


class Interrupted(Exception):
    """The job is killed."""


class Stop(Hook):
    """Ends the run after an iteration."""

    def __init__(self, last: int):
        self.last = last

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.last:
            raise Interrupted


def build(root, work, iterations=6, accumulate=1, val_interval=100, resume=False, **hook):
    cfg = toy_config(
        root,
        work,
        resume=resume,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=val_interval),
    )
    hook = {'interval': 2, 'max_keep_ckpts': 2, **hook}
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', **hook)
    cfg.optim_wrapper.accumulative_counts = accumulate
    return Runner.from_cfg(cfg)


def train(runner, last=None):
    if last is None:
        runner.train()
        return runner
    runner.register_hook(Stop(last), priority='LOWEST')
    with pytest.raises(Interrupted):
        runner.train()
    return runner


def names(work: Path) -> set:
    """Files of a work dir; a run also leaves a copy of its config."""
    return {path.name for path in work.iterdir() if path.is_file() and path.suffix != '.py'}


def pointed_at(work: Path) -> str:
    return Path((work / POINTER).read_text()).name


# ---- one file


def killed_while(path: Path, stage: str) -> None:
    """Write ``NEW`` in a child process that is killed at a stage."""
    child = os.fork()
    if child == 0:

        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        try:
            if stage == 'writing':  # the file is there, a part of the bytes is in it
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            else:
                setattr(os, dict(flushing='fsync', renaming='replace').get(stage), die)
            write_whole(path, NEW)
        finally:  # a child that lives on would go on with the tests
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


@pytest.mark.parametrize('stage', ['writing', 'flushing', 'renaming'])
def test_a_kill_leaves_the_old_file(tmp_path, stage):
    path = tmp_path / 'a.pth'
    write_whole(path, OLD)
    killed_while(path, stage)
    assert path.read_bytes() == OLD
    assert (tmp_path / f'a.pth{PARTIAL}').exists()  # else the kill came too late
    write_whole(path, NEW)
    assert path.read_bytes() == NEW and names(tmp_path) == {'a.pth'}


def test_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    calls = []
    for name in ('fsync', 'replace'):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *given, name=name, real=real: (calls.append(name), real(*given))
        )
    write_whole(tmp_path / 'a.pth', NEW)
    assert calls == ['fsync', 'replace', 'fsync']  # the file, its name, the folder


def test_file_size_limit(tmp_path):
    write_whole(tmp_path / 'a.pth', OLD)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r'a.pth: File too large .*0.3 MB.*--resume'):
            WholeFileBackend().put(NEW, tmp_path / 'a.pth')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / 'a.pth').read_bytes() == OLD and names(tmp_path) == {'a.pth'}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(folder)]
    if not shutil.which('mount') or subprocess.run(command, capture_output=True).returncode:
        # a user cannot limit a folder's size
        pytest.skip(
            'mounting a tmpfs of 1 MB, the only real full disk to be had, is not allowed '
            'here; test_full_disk_where_none_can_be_mounted fills a stand-in'
        )
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


def test_full_disk(small_disk, root):
    work = small_disk / 'work'
    runner = build(root, work, max_keep_ckpts=-1, interval=1, iterations=100)
    with pytest.raises(OSError) as error:
        runner.train()
    words = ('cannot write the checkpoint', 'No space left on device', 'MB are free', 'max_keep')
    assert all(word in str(error.value) for word in words) and '\n' not in str(error.value)
    saved = [path for path in work.iterdir() if path.suffix == '.pth']
    assert saved and all(defect(str(path)) is None for path in saved)
    assert find_whole_checkpoint(str(work)) == (work / POINTER).read_text()
    assert not list(work.glob(f'*{PARTIAL}'))


def test_full_disk_where_none_can_be_mounted(tmp_path, root, monkeypatch):
    class FullDisk:
        """A file that takes some bytes and no more."""

        def __init__(self, path, mode):
            self.file = open(path, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(data[:1000])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    work = tmp_path / 'work'
    train(build(root, work, max_keep_ckpts=1), last=2)
    before = (work / 'iter_2.pth').read_bytes()
    monkeypatch.setattr(whole_files, 'open', FullDisk, raising=False)
    with pytest.raises(OSError, match='cannot write the checkpoint .*iter_4.pth: No space left'):
        build(root, work, max_keep_ckpts=1, resume=True).train()
    assert (work / 'iter_2.pth').read_bytes() == before
    assert pointed_at(work) == 'iter_2.pth' and not list(work.glob(f'*{PARTIAL}'))


# ---- which file to go on from


@pytest.fixture(scope='module')
def saved(tmp_path_factory) -> Path:
    """A work dir with checkpoints of iterations 2, 4 and 6."""
    folder = tmp_path_factory.mktemp('saved')
    for number in (2, 4, 6):
        torch.save(dict(weight=torch.full((500,), float(number))), folder / f'iter_{number}.pth')
    return folder


@pytest.fixture
def work(saved, tmp_path) -> Path:
    shutil.copytree(saved, tmp_path / 'work')
    (tmp_path / 'work' / POINTER).write_text(str(tmp_path / 'work' / 'iter_6.pth'))
    return tmp_path / 'work'


@pytest.fixture
def logged(monkeypatch) -> list:
    lines = []
    monkeypatch.setattr(resume, 'print_log', lambda message, *_: lines.append(message))
    return lines


def truncate(path: Path, size: int) -> None:
    with open(path, 'rb+') as file:
        file.truncate(size)


def found(work: Path) -> str:
    return Path(find_whole_checkpoint(str(work))).name


def test_the_one_that_last_checkpoint_names(work):
    assert found(work) == 'iter_6.pth'
    (work / POINTER).write_text(str(work / 'iter_4.pth'))  # 6 is of an older run
    assert found(work) == 'iter_4.pth'


@pytest.mark.parametrize('size', [0, 1, 100, 1500, -1])
def test_truncated_newest_checkpoint(work, size, logged):
    path = work / 'iter_6.pth'
    truncate(path, size if size >= 0 else path.stat().st_size - 1)
    assert defect(str(path)) is not None
    assert found(work) == 'iter_4.pth'
    assert 'iter_6.pth is truncated' in logged[0] and 'iter_4.pth' in logged[1]
    truncate(work / 'iter_4.pth', 10)
    assert found(work) == 'iter_2.pth'


def test_every_damaged_byte_of_the_weights_is_found(work):
    path = work / 'iter_6.pth'
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        weights = next(item for item in archive.infolist() if item.filename.endswith('data/0'))
    start = data.index(torch.full((500,), 6.0).numpy().tobytes(), weights.header_offset)
    for place in (start, start + 999, start + 1999):
        damaged = data.copy()
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert 'damaged' in defect(str(path))
    assert found(work) == 'iter_4.pth'


def test_unknown_compression_method(work):
    path = work / 'iter_6.pth'
    data = bytearray(path.read_bytes())
    data[data.index(b'PK\1\2') + 10] = 99  # in the list of parts at the end of the file
    path.write_bytes(data)
    assert 'damaged' in defect(str(path))
    assert found(work) == 'iter_4.pth'


def test_no_damage_of_the_list_of_parts_is_an_error(tmp_path):
    """One byte of it says that a part is encrypted, compressed with lzma, beyond the file, ..."""
    path = tmp_path / 'a.pth'
    torch.save(dict(weights=torch.arange(3.0)), path)
    data = path.read_bytes()
    found = set()
    for place in range(data.index(b'PK\1\2'), len(data)):
        for value in {14, 129, 255, *(data[place] ^ 1 << bit for bit in range(8))}:
            path.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
            found.add(defect(str(path)) is None)
    assert found == {True, False}  # a date may be another


def test_missing_newest_checkpoint(work, logged):
    (work / 'iter_6.pth').unlink()
    assert found(work) == 'iter_4.pth'
    assert 'iter_6.pth is missing' in logged[0]


@pytest.mark.parametrize('content', [None, '', '\n'])
def test_without_a_pointer_the_highest_number(work, content):
    (work / POINTER).unlink() if content is None else (work / POINTER).write_text(content)
    assert found(work) == 'iter_6.pth'
    truncate(work / 'iter_6.pth', 10)
    assert found(work) == 'iter_4.pth'


def test_a_work_dir_that_was_moved(work, tmp_path):
    (work / POINTER).write_text('work_dirs/gone/iter_6.pth')
    assert find_whole_checkpoint(str(work)) == str(work / 'iter_6.pth')


def test_a_work_dir_that_was_moved_without_its_newest(work, logged):
    (work / POINTER).write_text('work_dirs/gone/iter_6.pth')
    (work / 'iter_6.pth').unlink()
    assert find_whole_checkpoint(str(work)) == str(work / 'iter_4.pth')
    assert str(work / 'iter_6.pth') + ' is missing' in logged[0]


def test_a_copied_work_dir_goes_on_from_its_own_files(work, tmp_path, logged):
    copied = Path(shutil.copytree(work, tmp_path / 'copy'))
    assert last_checkpoint(str(copied)) == str(copied / 'iter_6.pth')
    truncate(copied / 'iter_6.pth', 10)
    assert find_whole_checkpoint(str(copied)) == str(copied / 'iter_4.pth')


def test_checkpoints_in_a_folder_of_their_own(work, tmp_path):
    """``CheckpointHook.out_dir``: the work dir has the pointer alone."""
    folder = tmp_path / 'run'
    folder.mkdir()
    shutil.copy(work / POINTER, folder)
    assert find_whole_checkpoint(str(folder)) == str(work / 'iter_6.pth')
    (work / POINTER).unlink()  # it is no work dir
    shutil.copy(work / 'iter_4.pth', folder / 'iter_6.pth')  # of an earlier run, without out_dir
    assert last_checkpoint(str(folder)) == str(work / 'iter_6.pth')


def test_a_checkpoint_at_an_address(work):
    (work / POINTER).write_text('s3://bucket/run/iter_6.pth')
    assert last_checkpoint(str(work)) == 's3://bucket/run/iter_6.pth'


def test_nothing_saved_yet(tmp_path):
    assert find_whole_checkpoint(str(tmp_path)) is None
    assert find_whole_checkpoint(str(tmp_path / 'absent')) is None


def test_no_whole_checkpoint_is_an_error(work):
    """To begin again without a word would overwrite what can perhaps be repaired."""
    for path in work.glob('*.pth'):
        truncate(path, 10)
    with pytest.raises(ValueError, match='no checkpoint in .* is whole .*iter_4.pth is trunc'):
        find_whole_checkpoint(str(work))


# ---- a run


def test_checkpoints_of_a_run(root, tmp_path):
    train(build(root, tmp_path / 'work', iterations=7))
    assert names(tmp_path / 'work') == {'iter_6.pth', 'iter_7.pth', POINTER}
    assert pointed_at(tmp_path / 'work') == 'iter_7.pth'
    assert defect(str(tmp_path / 'work' / 'iter_7.pth')) is None


def test_resume_passes_over_a_broken_checkpoint(root, tmp_path):
    whole = train(build(root, tmp_path / 'whole'))
    work = tmp_path / 'work'
    train(build(root, work), last=5)
    truncate(work / 'iter_4.pth', 5000)
    (work / f'iter_6.pth{PARTIAL}').write_bytes(b'left by a kill')
    resumed = build(root, work, resume=True)
    train(resumed)
    assert resumed._load_from == str(work / 'iter_2.pth')
    assert not list(work.glob(f'*{PARTIAL}'))
    states = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_of_another_length_is_reported(root, tmp_path, monkeypatch):
    train(build(root, tmp_path), last=5)
    runner = build(root, tmp_path, iterations=8, resume=True)
    logged = []
    monkeypatch.setattr(runner.logger, 'warning', lambda words, *args: logged.append(words))
    train(runner)
    assert [
        words
        for words in logged
        if 'this run has 8 iterations' in words and 'still that of 6' in words
    ]


def test_a_teacher_alone_is_what_self_training_starts_from(root, tmp_path):
    settings = dict(
        num_pairs=1, supervision='self', frozen_teachers=True, loss_weights=dict(hc=0, lc=0)
    )
    weights = toy_model(**settings).students[0].state_dict()
    path = tmp_path / 'teacher.pth'
    torch.save(
        dict(state_dict={f'teachers.0.{key}': value for key, value in weights.items()}), path
    )
    cfg = toy_config(
        root,
        tmp_path / 'work',
        load_from=str(path),
        model=toy_ctt(**settings),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook')),
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    teacher = dict(runner.model.teachers[0].named_parameters())
    assert all(torch.equal(weights[name], value) for name, value in teacher.items())
    assert not torch.equal(
        runner.model.students[0].backbone.body.weight, weights['backbone.body.weight']
    )


def test_a_named_checkpoint_is_not_exchanged_for_another(root, tmp_path):
    work = tmp_path / 'work'
    train(build(root, work), last=5)
    truncate(work / 'iter_4.pth', 5000)
    runner = build(root, work, resume=True)
    runner._load_from = str(work / 'iter_4.pth')
    with pytest.raises(ValueError, match='iter_4.pth is truncated.*name another'):
        runner.train()


def test_a_checkpoint_in_the_format_of_old_pytorch_is_let_through(root, tmp_path):
    state = build(root, tmp_path / 'a').model.state_dict()
    torch.save(state, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    runner = build(root, tmp_path / 'work', iterations=1)
    runner._load_from = str(tmp_path / 'old.pth')
    runner.train()
    (tmp_path / 'old.pth').write_bytes(b'')
    runner = build(root, tmp_path / 'work', iterations=1)
    runner._load_from = str(tmp_path / 'old.pth')
    with pytest.raises(ValueError, match=r'old.pth is truncated or damaged \(0 bytes\)'):
        runner.train()


def test_the_old_checkpoint_is_removed_last(root, tmp_path, monkeypatch):
    work = tmp_path / 'work'
    written = []

    def watch(path, data, write=write_whole):
        written.append((Path(path).name, names(work) - {POINTER}))
        write(path, data)

    monkeypatch.setattr(checkpoint, 'write_whole', watch)
    monkeypatch.setattr('mmseg_ctt.engine.hooks.safe_checkpoint_hook.write_whole', watch)
    train(build(root, work, max_keep_ckpts=1))
    assert written == [
        ('iter_2.pth', set()),
        (POINTER, {'iter_2.pth'}),
        ('iter_4.pth', {'iter_2.pth'}),
        (POINTER, {'iter_2.pth', 'iter_4.pth'}),
        ('iter_6.pth', {'iter_4.pth'}),
        (POINTER, {'iter_4.pth', 'iter_6.pth'}),
    ]
    assert names(work) == {'iter_6.pth', POINTER}


def test_a_kill_before_the_removal_is_made_up_for(root, tmp_path, monkeypatch):
    work = tmp_path / 'work'
    runner = build(root, work, max_keep_ckpts=1)
    monkeypatch.setattr(SafeCheckpointHook, '_remove', lambda self, paths: None)
    train(runner, last=5)
    assert names(work) == {'iter_2.pth', 'iter_4.pth', POINTER}
    monkeypatch.undo()
    train(build(root, work, max_keep_ckpts=1, resume=True), last=5)
    assert names(work) == {'iter_4.pth', POINTER}


def test_accumulated_gradients_are_not_cut_in_two(root, tmp_path):
    """Due at 3 and 6 with a step of the optimiser every second iteration, and at the end."""
    work = tmp_path / 'work'
    train(build(root, work, iterations=7, accumulate=2, interval=3, max_keep_ckpts=-1))
    assert names(work) == {'iter_4.pth', 'iter_6.pth', 'iter_7.pth', POINTER}
    updates = [
        int(torch.load(work / f'iter_{n}.pth')['state_dict']['num_updates']) for n in (4, 6, 7)
    ]
    assert updates == [2, 3, 4]


def test_a_best_score_between_two_steps_waits_too(root, tmp_path):
    """Validation after iteration 3 asks for a checkpoint in the middle of an accumulation."""
    work = tmp_path / 'work'
    train(
        build(
            root,
            work,
            iterations=5,
            accumulate=2,
            val_interval=3,
            save_best='mIoU',
            interval=2,
            max_keep_ckpts=-1,
        ),
        last=4,
    )
    assert {name for name in names(work) if name.startswith('iter')} == {'iter_2.pth', 'iter_4.pth'}
    (best,) = work.glob('best_mIoU_iter_*.pth')
    hub = torch.load(work / 'iter_4.pth')['message_hub']['runtime_info']
    assert hub['best_ckpt'] == str(best) and best.name == 'best_mIoU_iter_3.pth'


@pytest.mark.parametrize('keys', ['mIoU', ['mIoU', 'aAcc']])
def test_the_old_best_is_removed_after_the_new_one_is_written(root, tmp_path, keys):
    runner = build(root, tmp_path / 'work', save_best=keys)
    (tmp_path / 'work').mkdir()
    runner.call_hook('before_run')
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
    hook.before_train(runner)
    present, save = [], runner.save_checkpoint
    runner.save_checkpoint = lambda *given, **more: (
        present.append(names(tmp_path / 'work')),
        save(*given, **more),
    )
    for number, score in enumerate((30.0, 20.0, 40.0), start=1):
        runner.train_loop._iter = number
        hook.after_val_epoch(runner, dict(mIoU=score, aAcc=50.0))
    first, last = 'best_mIoU_iter_1.pth', 'best_mIoU_iter_3.pth'
    assert first in present[-1] and last not in present[-1]
    assert last in names(tmp_path / 'work') and first not in names(tmp_path / 'work')
    assert ('best_aAcc_iter_1.pth' in names(tmp_path / 'work')) == (keys != 'mIoU')


def test_history_is_bounded(root, tmp_path):
    work = tmp_path / 'work'
    train(build(root, work, iterations=8, interval=2, history=3))
    scalars = torch.load(work / 'iter_8.pth')['message_hub']['log_scalars']
    assert scalars['train/loss'].data[0].shape == (3,)
    assert {len(buffer.data[0]) for buffer in scalars.values()} <= {1, 2, 3}


def test_bad_history():
    with pytest.raises(ValueError, match='SafeCheckpointHook.history'):
        SafeCheckpointHook(history=0)


def test_as_often_as_validation(root, tmp_path):
    cfg = toy_config(
        root, tmp_path, train_cfg=dict(type='ResumableTrainLoop', max_iters=5, val_interval=2)
    )
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval='validation')
    Runner.from_cfg(cfg).train()
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == [
        'iter_2.pth',
        'iter_4.pth',
        'iter_5.pth',
    ]
    with pytest.raises(ValueError, match='interval must be a number or'):
        SafeCheckpointHook(interval='often')


@pytest.fixture
def scored(root, tmp_path) -> Path:
    """Work dir of a run with a best checkpoint whose score any other one is above."""
    work = tmp_path / 'a'
    train(build(root, work, iterations=2, val_interval=2, save_best=['mIoU', 'aAcc']))
    state = torch.load(work / 'iter_2.pth', weights_only=False)
    state['message_hub']['runtime_info'].update(best_score_mIoU=-1.0, best_score_aAcc=1000.0)
    torch.save(state, work / 'iter_2.pth')
    return work


def go_on(root, checkpoint: Path, work: Path) -> dict:
    """Resume a checkpoint in a work dir, and give the paths of the best ones that it notes."""
    runner = build(root, work, iterations=4, val_interval=2, save_best=['mIoU', 'aAcc'])
    runner._resume, runner._load_from = True, str(checkpoint)
    runner.train()
    info = torch.load(work / 'iter_4.pth', weights_only=False)['message_hub']['runtime_info']
    return {key: info[f'best_ckpt_{key}'] for key in ('mIoU', 'aAcc')}


def best_of(work: Path) -> set:
    return {path.name for path in work.glob('best_*.pth')}


def test_the_best_of_another_work_dir_is_left_alone(root, scored, tmp_path):
    before, work = names(scored), tmp_path / 'b'
    best = go_on(root, scored / 'iter_2.pth', work)
    assert names(scored) == before and len(best_of(scored)) == 2
    assert best_of(work) == {'best_mIoU_iter_4.pth'}
    assert best == dict(mIoU=str(work / 'best_mIoU_iter_4.pth'), aAcc=None)


def test_a_moved_run_replaces_its_best(root, scored, tmp_path):
    work = scored.rename(tmp_path / 'moved')
    best = go_on(root, work / 'iter_2.pth', work)
    assert best_of(work) == {'best_mIoU_iter_4.pth', 'best_aAcc_iter_2.pth'}
    assert best == {key: str(next(work.glob(f'best_{key}_*'))) for key in best}
