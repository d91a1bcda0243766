# Copyright (c) mmseg_ctt contributors.
"""Files that are whole or not there: written aside, flushed, renamed."""

import os
import os.path as osp
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend
from mmengine.utils import mkdir_or_exist

BACKEND = 'mmseg_ctt.whole'  # name in mmengine's `backend_args`
PARTIAL = '.part'  # ending of a file that is being written
POINTER = 'last_checkpoint'
VALIDATED = 'last_validation'  # key of the message hub: iteration of the last validation
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
                'with --resume'
            ) from error
