# Copyright (c) mmseg_ctt contributors.
"""A line at the bottom of a terminal that is drawn anew while other lines appear above it."""

import logging
import os
import re
import sys
from contextlib import suppress
from typing import Any, Iterator, List, Optional, TextIO, Tuple

from mmengine.logging import MMLogger
from rich.console import Console
from rich.live import Live
from rich.text import Text

# Lines of the log that the live line, or the line of a validation, shows in other words.
PROGRESS = re.compile(
    r'(Iter|Epoch)\((train|val)\)|Exp name: |Saving checkpoint at |(classes|volumes)\n|'
    r'per class results|\n\+-|iteration \d+ of \d+: |[\d.]+ s an iteration: '
)
ERASE = '\r\x1b[2K'


class LinesAbove:
    """Stream whose lines appear above the live line, and in the former stream when it has ended.

    Python's own print, warnings and the handlers of loggers write to it. A line is neither wrapped
    nor cut; the end of a text without a line break waits for it.

    Args:
        stream (TextIO): Stream of the terminal.
        owner (LiveLine): The live line.
    """

    def __init__(self, stream: TextIO, owner: 'LiveLine') -> None:
        self._stream, self._owner, self._rest = stream, owner, ''
        self._process = os.getpid()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Show the whole lines of a text."""
        if not self._owner.active:
            return self._stream.write(text)
        *lines, self._rest = (self._rest + text).split('\n')
        for line in lines:
            self._show(line)
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream of the terminal."""
        self._stream.flush()

    def end(self) -> None:
        """Show what waits for a line break."""
        if self._rest:
            self.write('\n')

    def _show(self, line: str) -> None:
        if os.getpid() == self._process:
            self._owner.print(Text.from_ansi(line))
        else:  # a worker of the loader: the console of rich, and its lock, are the parent's
            self._stream.write(f'{ERASE}{line}\n')
            self._stream.flush()


class HideProgress(logging.Filter):
    """Filter of a console without :data:`PROGRESS`; warnings pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the console shows a record."""
        return record.levelno > logging.INFO or PROGRESS.match(record.getMessage()) is None


class LiveLine:
    """A live line on standard output, of which :func:`stop_live_line` knows.

    It is drawn by the thread that calls :meth:`update`: a thread that draws could hold a lock in
    the moment in which a worker of the loader is forked. The cursor stays visible, so that a
    process which is killed leaves a terminal as it was.

    Args:
        all_lines (bool): Whether the console keeps the lines of the log that :data:`PROGRESS`
            matches.
    """

    def __init__(self, all_lines: bool = False) -> None:
        self.all_lines, self.active = all_lines, False
        self._streams: List[Tuple[str, LinesAbove]] = []
        self._handlers: List[Tuple[logging.StreamHandler, TextIO]] = []
        self._filter = HideProgress()
        self.console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
        self._live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @property
    def width(self) -> int:
        """Columns of the terminal, without the last, behind which a terminal may wrap."""
        return self.console.width - 1

    def start(self) -> None:
        """Begin to draw, and take over the streams of the terminal."""
        global _current
        if self.active:
            return
        stop_live_line()
        self._live.start()
        self.console.show_cursor(True)
        self.active, _current = True, self
        for name in ('stdout', 'stderr'):
            stream = getattr(sys, name)
            if _is_terminal(stream):
                above = LinesAbove(stream, self)
                self._redirect(stream, above)
                self._streams.append((name, above))
                setattr(sys, name, above)

    def _redirect(self, stream: TextIO, above: LinesAbove) -> None:
        """Handlers of loggers hold the stream themselves."""
        for handler in _stream_handlers():
            if handler.stream is stream:
                handler.setStream(above)
                self._handlers.append((handler, stream))
                if not self.all_lines and stream is self.console.file:
                    handler.addFilter(self._filter)

    def update(self, line: Text) -> None:
        """Draw the line, at most :attr:`width` columns; a terminal that is gone ends it."""
        try:
            self._live.update(line, refresh=True)
        except OSError:  # the training goes on
            self.stop()

    def print(self, line: Text) -> None:
        """Show a line above."""
        self.console.print(line, soft_wrap=True)

    def stop(self) -> None:
        """Erase the line and give the streams back; a second call does nothing."""
        global _current
        if not self.active:
            return
        for name, above in self._streams:
            above.end()
            if getattr(sys, name) is above:
                setattr(sys, name, above._stream)
        for handler, stream in self._handlers:
            handler.removeFilter(self._filter)
            handler.setStream(stream)
        self.active, _current = False, None
        with suppress(OSError):
            self._live.stop()


_current: Optional[LiveLine] = None


def stop_live_line() -> None:
    """Stop the live line of this process, if there is one."""
    if _current is not None:
        _current.stop()


def can_redraw() -> bool:
    """Whether standard output is a terminal that can erase a line, outside a notebook."""
    if not _is_terminal(sys.stdout):
        return False
    console = Console(file=sys.stdout)
    return not console.is_dumb_terminal and not console.is_jupyter


def _is_terminal(stream: Any) -> bool:
    """False for None, too, which a process without a console has."""
    return bool(getattr(stream, 'isatty', bool)())


def _stream_handlers() -> Iterator[logging.StreamHandler]:
    loggers = [*MMLogger._instance_dict.values(), logging.getLogger()]
    for handler in (handler for logger in loggers for handler in logger.handlers):
        if isinstance(handler, logging.StreamHandler):
            yield handler
