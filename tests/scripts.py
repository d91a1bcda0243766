# Copyright (c) mmseg_ctt contributors.
"""The scripts of ``tools/``, called in this process as a shell would."""

import importlib.util
import logging
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

TOOLS = Path(__file__).resolve().parents[1] / 'tools'
LAUNCHED = ('RANK', 'WORLD_SIZE', 'SLURM_PROCID')


class Script:
    """A script of ``tools/``: its file ``path``, and what it defines as ``module``."""

    def __init__(self, name: str) -> None:
        self.path = TOOLS / f'{name}.py'
        spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
        self.module = importlib.util.module_from_spec(spec)
        with self._started():
            spec.loader.exec_module(self.module)

    def call(self, *arguments: object) -> None:
        """Run it; its errors are raised."""
        with self._started(*arguments):
            self.module.main()

    def exit_code(self, *arguments: object) -> int:
        """Run it to the end; its errors are printed."""
        with self._started(*arguments):
            try:
                self.module.run(self.module.main)
            except SystemExit as left:
                return left.code or 0
        return 0

    @contextmanager
    def _started(self, *arguments: object) -> Iterator[None]:
        """What a script finds around it, by no launcher."""
        with pytest.MonkeyPatch.context() as patch:
            for folder in (TOOLS, self.path.parent):
                patch.syspath_prepend(str(folder))
            for name in LAUNCHED:
                patch.delenv(name, raising=False)
            patch.setenv('LOCAL_RANK', '0')
            patch.setattr(sys, 'argv', [self.path.name, *map(str, arguments)])
            try:
                yield
            finally:
                logging.disable(logging.NOTSET)  # check_setup.py switches messages off
