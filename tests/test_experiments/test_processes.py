# Copyright (c) mmseg_ctt contributors.
import os
import signal
import sys
import threading
import time

import pytest

from mmseg_ctt.engine.files import locked, write_whole
from mmseg_ctt.engine.processes import (
    ChildFailed,
    Resources,
    Stopped,
    cores,
    default_threads,
    run_logged,
    run_parallel,
    stopped_by_signals,
)


def python(code):
    return [sys.executable, '-c', code]


def test_log_and_environment(tmp_path):
    log, ticks = tmp_path / 'log', []
    code = (
        'import os; print(*(os.environ[k] for k in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", '
        '"PYTHONPATH")), flush=True); raise SystemExit({})'
    )
    run_logged(python(code.format(0)), log, Resources(3, '5'), tmp_path, lambda: ticks.append(1))
    assert log.read_text().startswith(f'3 5 {tmp_path}') and ticks
    with pytest.raises(ChildFailed, match='exit status 7'):
        run_logged(python(code.format(7)), log, Resources(4, '6'), tmp_path)
    assert [line[:3] for line in log.read_text().splitlines()] == ['3 5', '4 6']
    assert 'CUDA_VISIBLE_DEVICES' not in set(Resources(1).environment()) - set(os.environ)


def test_stop_ends_the_child(tmp_path):
    """Ctrl-C, SIGTERM and the like: the child and what it has started are gone."""
    resources, log, lock = Resources(1), tmp_path / 'log', tmp_path / 'lock'
    code = 'import os, time; print(os.getpid(), flush=True); os.fork(); time.sleep(1000)'

    def stop():
        while not (log.is_file() and log.read_text().strip()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread, begin = threading.Thread(target=stop), time.monotonic()
    with stopped_by_signals(resources.stop), locked(lock) as descriptor:
        thread.start()
        with pytest.raises(Stopped):
            run_logged(python(code), log, resources, tmp_path, keep_open=[descriptor])
    thread.join()
    with locked(lock):  # waits for all that have inherited it
        assert time.monotonic() - begin < 600
    with pytest.raises(Stopped):  # nothing new begins
        run_logged(python('print()'), log, resources, tmp_path)


def test_an_error_beside_the_child_ends_it(tmp_path):
    log, lock = tmp_path / 'log', tmp_path / 'lock'

    def full():
        raise OSError('no space left')

    with locked(lock) as descriptor, pytest.raises(OSError, match='no space'):
        run_logged(
            python('import time; time.sleep(1000)'), log, Resources(1), tmp_path, full, [descriptor]
        )
    with locked(lock, wait=False) as free:
        assert free is not None


def test_cores():
    assert 1 <= cores() <= os.cpu_count()


@pytest.mark.parametrize(
    'given, threads', [('1', 1), ('7', 7), (None, 6), ('', 6), ('0', 6), ('4,3', 6)]
)
def test_threads_are_those_of_the_user(given, threads, monkeypatch):
    monkeypatch.setattr('mmseg_ctt.engine.processes.cores', lambda: 6)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if given is not None:
        monkeypatch.setenv('OMP_NUM_THREADS', given)
    assert default_threads() == threads
    assert default_threads(4) == (threads if given in ('1', '7') else 1)


def test_lock_outlives_the_parent_with_its_child(tmp_path):
    lock = tmp_path / 'lock'
    with locked(lock) as descriptor:
        assert descriptor is not None
        with locked(lock, wait=False) as second:
            assert second is None
        child = os.posix_spawn(
            sys.executable,
            python('import time; time.sleep(1000)'),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, descriptor, 9)],
        )
    with locked(lock, wait=False) as second:
        assert second is None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with locked(lock, wait=False) as second:
        assert second is not None


def test_slots_take_turns():
    pool = [Resources(1, '0'), Resources(1, '0'), Resources(1, '1')]
    busy, most, done, lock = set(), [], [], threading.Lock()

    def work(item, resources):
        with lock:
            assert id(resources) not in busy
            busy.add(id(resources))
            most.append(len(busy))
        time.sleep(0.02)
        with lock:
            busy.remove(id(resources))
            done.append(item)
        if item == 4:
            raise Stopped

    run_parallel(range(9), pool, work)
    assert sorted(done) == list(range(9)) and max(most) <= 3


def test_nothing_begins_after_a_stop():
    resources = Resources(1)
    resources.stop.set()
    run_parallel(range(3), [resources], lambda *_: pytest.fail('began'))


def test_write_whole_to_a_pipe(tmp_path):
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    write_whole(path, 'text')
    assert path.is_fifo() and os.read(reader, 9) == b'text'
    os.close(reader)


def test_write_whole(tmp_path):
    path = tmp_path / 'new' / 'file'
    for text in ('one', 'two'):
        write_whole(path, text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]
