# Copyright (c) mmseg_ctt contributors.
"""Atomic files: written under another name, flushed to the disk, renamed."""

import os
import os.path as osp
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend
from mmengine.utils import mkdir_or_exist

BACKEND = 'mmseg_ctt.whole'  # in mmengine's `backend_args`
PARTIAL = '.part'  # suffix of a file while it is written
POINTER = 'last_checkpoint'
VALIDATED = 'last_validation'  # iteration of the last validation, key of the message hub
MB = 1 << 20


def write_whole(path: Union[str, Path], data: bytes) -> None:
    """Write a file atomically, safe against a crash of the machine.

    Args:
        path (str | Path): An older file of this name stays until the new one is on the disk.
        data (bytes): Its content.

    Raises:
        OSError: If it cannot be written, for example on a full disk; no partial file is left.
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
    """Flush a rename to the disk; file systems that cannot do so do not need it."""
    handle = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)


@register_backend(BACKEND, force=True)
class WholeFileBackend(LocalBackend):
    """Backend of mmengine for local files that writes them by :func:`write_whole`."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write a checkpoint.

        Raises:
            OSError: If it cannot be written; names the free space and says that older checkpoints
                are intact.
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
