# Copyright (c) mmseg_ctt contributors.
"""A pseudo-terminal, and what its screen shows in the end."""

import errno
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from typing import List, TextIO

CONTROL = re.compile(r'\x1b\[([?\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+')


class Terminal:
    """A pseudo-terminal of a width; ``stream`` writes to it, ``raw`` is all that was written."""

    def __init__(self, columns: int = 120) -> None:
        self._master, self.slave = pty.openpty()
        size = struct.pack('HHHH', 40, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        self.stream: TextIO = os.fdopen(self.slave, 'w', buffering=1)
        self._read: List[bytes] = []
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        while True:
            try:
                read = os.read(self._master, 65536)
            except OSError as error:
                assert error.errno == errno.EIO  # the last writer has closed
                return
            if not read:
                return
            self._read.append(read)

    @property
    def raw(self) -> str:
        """All that was written so far."""
        return b''.join(self._read).decode(errors='replace')

    def close(self) -> None:
        """Close it, and read what is left."""
        self.stream.close()
        self._reader.join(timeout=20)
        os.close(self._master)

    @property
    def screen(self) -> List[str]:
        """Lines that the screen shows after :meth:`close`."""
        return screen_of(self.raw)


def screen_of(raw: str) -> List[str]:
    """Lines of a screen without end, which erases and moves up as terminals do."""
    lines, row, column = [''], 0, 0
    for found in CONTROL.finditer(raw):
        text, number, letter = found[0], found[1], found[2]
        if text == '\n':
            row += 1
            lines += [''] * (row + 1 - len(lines))
        elif text == '\r':
            column = 0
        elif letter == 'A':
            row = max(row - int(number or 1), 0)
        elif letter == 'K':
            assert number == '2', f'unknown: {text!r}'
            lines[row] = ''
        elif letter is None:
            kept = lines[row].ljust(column)
            lines[row] = kept[:column] + text + kept[column + len(text) :]
            column += len(text)
        else:
            assert letter in 'mhl', f'unknown: {text!r}'
    return [line.rstrip() for line in lines]


def cursor_shown(raw: str) -> bool:
    """Whether the cursor is visible in the end."""
    return raw.rfind('\x1b[?25l') <= raw.rfind('\x1b[?25h')
