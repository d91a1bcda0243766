# Copyright (c) mmseg_ctt contributors.
"""The live line in a pseudo-terminal, and lines above it."""

import logging
import os
import sys

import pytest
from mmengine.logging import MMLogger
from rich.text import Text
from terminal import Terminal, cursor_shown

from mmseg_ctt.engine.live_line import LiveLine, can_redraw, stop_live_line

LONG = 'a long line ' * 30


@pytest.fixture
def open_terminal(monkeypatch):
    """A terminal as standard output and error output, to be opened in the test itself."""

    def opened(columns: int = 60) -> Terminal:
        made = Terminal(columns)
        monkeypatch.setenv('TERM', 'xterm-256color')
        for name in ('NO_COLOR', 'FORCE_COLOR', 'COLUMNS', 'TTY_COMPATIBLE'):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(sys, 'stdout', made.stream)
        monkeypatch.setattr(sys, 'stderr', made.stream)
        return made

    yield opened
    stop_live_line()


def test_lines_appear_above_undamaged(open_terminal):
    terminal = open_terminal()
    logger = MMLogger('above', logger_name='above')
    MMLogger._instance_dict['above'] = logger
    line = LiveLine()
    try:
        line.start()
        for number in range(3):
            line.update(Text(f'live {number}'))
            print(f'printed {number} [red]no markup[/red]')
            logger.info(f'logged {number}: {LONG}')
        print('in two', end=' ')
        line.update(Text('live 3'))
        print('parts')
        sys.stderr.write('warned\n')
        print('no line break', end='')
        line.stop()
    finally:
        del MMLogger._instance_dict['above']
    print('afterwards')
    terminal.close()
    shown = terminal.screen
    printed = [shown.index(f'printed {i} [red]no markup[/red]') for i in range(3)]
    assert printed == sorted(printed)
    assert sum(row.endswith(LONG.rstrip()) for row in shown) == 3
    for whole in ('in two parts', 'warned', 'no line break', 'afterwards'):
        assert whole in shown, shown
    assert not [row for row in shown if 'live' in row], 'nothing of the line is left'
    assert cursor_shown(terminal.raw) and '\x1b[33' not in terminal.raw.split('afterwards')[1]


def test_streams_come_back(open_terminal):
    terminal = open_terminal()
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(handler)
    line = LiveLine()
    line.start()
    inside = sys.stdout
    assert handler.stream is inside is not terminal.stream and inside.isatty()
    line.stop()
    line.stop()
    logging.getLogger().removeHandler(handler)
    assert sys.stdout is sys.stderr is terminal.stream is handler.stream
    inside.write('by what held the stream\n')
    terminal.close()
    assert 'by what held the stream' in terminal.screen


def test_one_line_at_a_time(open_terminal):
    terminal = open_terminal()
    first, second = LiveLine(), LiveLine()
    first.start()
    second.start()
    assert second.active and not first.active
    stop_live_line()
    assert not second.active and sys.stdout is terminal.stream


def test_progress_is_left_out_and_warnings_are_not(open_terminal):
    terminal = open_terminal()
    for all_lines in (False, True):
        logger = MMLogger(f'progress{all_lines}', logger_name='progress')
        MMLogger._instance_dict['progress'] = logger
        line = LiveLine(all_lines=all_lines)
        try:
            line.start()
            logger.info(f'Iter(train) [1/3] {all_lines}')
            logger.info(f'by the way {all_lines}')
            logger.warning(f'Iter(train): take care {all_lines}')
            line.stop()
            logger.info(f'Iter(val) [2/3] behind {all_lines}')
        finally:
            del MMLogger._instance_dict['progress']
    terminal.close()
    text = '\n'.join(terminal.screen)
    assert 'Iter(train) [1/3] False' not in text and 'Iter(train) [1/3] True' in text
    for all_lines in (False, True):
        for words in ('by the way', 'take care', '[2/3] behind'):
            assert f'{words} {all_lines}' in text


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='no fork')
def test_a_forked_worker_writes_above(open_terminal):
    terminal = open_terminal()
    line = LiveLine()
    line.start()
    line.update(Text('live before'))
    child = os.fork()
    if not child:
        print('of a worker')
        os._exit(0)
    os.waitpid(child, 0)
    line.update(Text('live after'))
    line.stop()
    terminal.close()
    assert ''.join(terminal.screen) == terminal.screen[0] == 'of a worker'


def test_a_terminal_that_is_gone_ends_the_line(open_terminal, monkeypatch):
    open_terminal()
    line = LiveLine()
    line.start()

    def fails(*_, **__):
        raise OSError(5, 'Input/output error')

    monkeypatch.setattr(line._live, 'refresh', fails)
    line.update(Text('live'))
    assert not line.active


@pytest.mark.parametrize('name, value', [('TERM', 'dumb'), ('stdout', None)])
def test_where_a_line_cannot_be_drawn_anew(open_terminal, monkeypatch, tmp_path, name, value):
    open_terminal()
    assert can_redraw()
    if name == 'TERM':
        monkeypatch.setenv(name, value)
    else:
        monkeypatch.setattr(sys, 'stdout', (tmp_path / 'out').open('w'))
    assert not can_redraw()
