# Copyright (c) mmseg_ctt contributors.
"""Log of a run until its set-up has passed: the file is held back, the console is short."""

import io
import logging
import os
from pathlib import Path

from mmengine.logging import MMLogger

from ..noise import LOG_LINES

SHOWN = 'shown'  # attribute of a record that the console shows in any case


class HeldFileHandler(logging.FileHandler):
    """Handler of a log file that does not exist before :meth:`open_file`, which writes all records.

    A worker process that was forked earlier writes as soon as the folder of the file exists.

    Args:
        filename (str): Log file, opened to append.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, mode='a', delay=True)
        self.held, self.forked, self.process = True, False, os.getpid()
        self.stream = io.StringIO()  # type: ignore[assignment]  # mmengine writes to it, too

    @classmethod
    def like(cls, handler: logging.FileHandler) -> 'HeldFileHandler':
        """Handler for the same file, with the same format, level and filters."""
        made = cls(handler.baseFilename)
        made.setFormatter(handler.formatter)
        made.setLevel(handler.level)
        for known in handler.filters:
            made.addFilter(known)
        return made

    def open_file(self) -> None:
        """Create the file with its folder, write the held records, and go on writing to it."""
        if not self.held:
            return
        text = self.stream.getvalue() if isinstance(self.stream, io.StringIO) else ''
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        self.stream, self.held = self._open(), False
        self.stream.write(text)
        self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or hold it."""
        if self.held and self.process != os.getpid():
            self.forked, self.process = True, os.getpid()
            self.stream = io.StringIO()  # type: ignore[assignment]  # its content is the parent's
        if self.held and self.forked and Path(self.baseFilename).parent.is_dir():
            self.open_file()
        super().emit(record)


class ShortConsole(logging.Filter):
    """Filter of the console: without :data:`LOG_LINES`, and warnings alone while ``quiet``."""

    quiet = True

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the console shows a record."""
        if self.quiet and record.levelno < logging.WARNING and not hasattr(record, SHOWN):
            return False
        return LOG_LINES.search(record.getMessage()) is None


def show(line: str) -> None:
    """Log a line that the console shows in any case."""
    MMLogger.get_current_instance().info(line, extra={SHOWN: True})


def hold(logger: MMLogger) -> None:
    """Hold back the files of a new logger, and keep its console short.

    Args:
        logger (MMLogger): Its file handlers must not have opened their files yet.
    """
    for i, handler in enumerate(logger.handlers):
        if isinstance(handler, HeldFileHandler):
            continue  # of an earlier runner of this name
        if isinstance(handler, logging.FileHandler):
            logger.handlers[i] = HeldFileHandler.like(handler)
        elif handler.level > logging.DEBUG:
            handler.filters = [
                known for known in handler.filters if not isinstance(known, ShortConsole)
            ]
            handler.addFilter(ShortConsole())


def let_go(logger: MMLogger) -> None:
    """Write the held files, and let the console show all but :data:`LOG_LINES` from now on."""
    for handler in logger.handlers:
        if isinstance(handler, HeldFileHandler):
            handler.open_file()
        for known in handler.filters:
            if isinstance(known, ShortConsole):
                known.quiet = False
