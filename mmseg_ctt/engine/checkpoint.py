# Copyright (c) mmseg_ctt contributors.
"""Checkpoints as whole files, and the names that a run gives to what is beside them."""

import os.path as osp
import shutil
from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from ..datasets.whole_files import write_whole

BACKEND = 'mmseg_ctt.whole'  # in mmengine's `backend_args`
POINTER = 'last_checkpoint'
VALIDATED = 'last_validation'  # iteration of the last validation, key of the message hub
MB = 1 << 20


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
