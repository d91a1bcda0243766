# Copyright (c) mmseg_ctt contributors.
"""Checkpoints that are whole or not there: written aside, flushed, renamed; checked before use."""
import logging
import os
import os.path as osp
import re
import shutil
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, Optional, Union

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log
from mmengine.utils import mkdir_or_exist

BACKEND = 'mmseg_ctt.whole'  # name in mmengine's `backend_args`
PARTIAL = '.part'  # ending of a file that is being written
POINTER = 'last_checkpoint'
VALIDATED = 'last_validation'  # key of the message hub: iteration of the last validation
NUMBERED = re.compile(r'(?:iter|epoch)_(\d+)\.pth')
MB = 1 << 20


def write_whole(path: Union[str, Path], data: bytes) -> None:
    """Write a file so that it is never seen half written, not even after a crash of the machine.

    Args:
        path (str | Path): An older file of this name stays until the new one is on the disk.
        data (bytes): Its content.

    Raises:
        OSError: If it cannot be written, for example for lack of space; nothing is left behind.
    """
    path = osp.abspath(path)
    mkdir_or_exist(osp.dirname(path))
    partial = path + PARTIAL
    try:
        with open(partial, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _flush_folder(osp.dirname(path))
    except OSError:
        with suppress(OSError):
            os.remove(partial)
        raise


def _flush_folder(folder: str) -> None:
    """Put a rename on the disk; some file systems cannot, and need not."""
    handle = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)


@register_backend(BACKEND, force=True)
class WholeFileBackend(LocalBackend):
    """mmengine's backend for local files, with :func:`write_whole` in place of a plain write."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write a checkpoint.

        Raises:
            OSError: Says what is lacking and that the older checkpoints are intact.
        """
        try:
            write_whole(filepath, obj)
        except OSError as error:
            free = shutil.disk_usage(osp.dirname(osp.abspath(filepath))).free
            raise OSError(
                f'cannot write the checkpoint {filepath}: {error.strerror} (it needs '
                f'{len(obj) / MB:.1f} MB, {free / MB:.1f} MB are free). Those before it are '
                'intact: make room, or set default_hooks.checkpoint.max_keep_ckpts, and go on '
                'with --resume') from error


def defect(path: str) -> Optional[str]:
    """What is wrong with a checkpoint file; None if it is whole. Reads all of it.

    Args:
        path (str): File that ``torch.save`` wrote in its usual (zip) format, in which every
            part carries a check sum.
    """
    if not osp.isfile(path):
        return 'is missing'
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError,
            NotImplementedError):  # what zipfile raises for bytes that are no such file
        return f'is truncated or damaged ({os.path.getsize(path)} bytes)'
    return None if damaged is None else f'is damaged (check sum of {damaged})'


def refuse_broken(path: str) -> None:
    """Say in one line what torch would say in many when it loads a broken file.

    Args:
        path (str): What a run loads; anything but a local file in torch's zip format passes.

    Raises:
        ValueError: If such a file is empty, truncated or damaged.
    """
    if not osp.isfile(path):
        return
    with open(path, 'rb') as file:
        start = file.read(2)
    wrong = defect(path) if start in (b'', b'PK') else None
    if wrong is not None:
        raise ValueError(f'the checkpoint {path} {wrong}: name another, or give --resume no value '
                         'to go on from the newest that is whole')


def find_whole_checkpoint(work_dir: str) -> Optional[str]:
    """The newest checkpoint to go on from: that of ``last_checkpoint``, else one before it.

    Every checkpoint that is passed over is reported in the log.

    Args:
        work_dir (str): Work dir of the interrupted run.

    Returns:
        str | None: Its path; None if the run has saved nothing yet.

    Raises:
        ValueError: If there are checkpoints and none is whole.
    """
    broken: Dict[str, str] = {}
    for path in _newest_first(work_dir):
        wrong = defect(path)
        if wrong is None:
            if broken:
                print_log(f'going on from {path}, the newest whole checkpoint', 'current',
                          logging.WARNING)
            return path
        broken[path] = wrong
        print_log(f'the checkpoint {path} {wrong} and is not used', 'current', logging.WARNING)
    if broken:
        raise ValueError(f'no checkpoint in {work_dir} is whole ('
                         + '; '.join(f'{osp.basename(p)} {wrong}' for p, wrong in broken.items())
                         + f'): remove {osp.join(work_dir, POINTER)} and these files to begin '
                         'again, or name another checkpoint with --resume')
    return None


def _newest_first(work_dir: str) -> Iterator[str]:
    """The file ``last_checkpoint`` names, then those before it by falling number."""
    newest, folder, limit = _pointed_at(work_dir), work_dir, float('inf')
    if newest is not None:
        yield newest
        folder = osp.dirname(newest)
        match = NUMBERED.fullmatch(osp.basename(newest))
        limit = int(match[1]) if match else limit
    files = os.listdir(folder) if osp.isdir(folder) else []
    numbers = {int(match[1]): name for name in files if (match := NUMBERED.fullmatch(name))}
    for number in sorted(numbers, reverse=True):
        if number < limit:
            yield osp.join(folder, numbers[number])


def _pointed_at(work_dir: str) -> Optional[str]:
    pointer = Path(work_dir, POINTER)
    path = pointer.read_text().strip() if pointer.is_file() else ''
    beside = osp.join(work_dir, osp.basename(path))
    if path and not osp.isfile(path) and osp.isfile(beside):
        return beside  # the work dir was moved, or the run started in another directory
    return path or None
