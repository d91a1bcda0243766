# Copyright (c) mmseg_ctt contributors.
"""All benchmarks one after the other, into a new folder with a page and its JSON."""

import json
import os
import shlex
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from ....collect_env import collect_env
from ....engine.processes import Resources, Stopped, cores, stopped_by_signals
from .limits import ROOT, run_limited
from .page import Entry, machine_line, page
from .plan import Part
from .tables import KINDS, rows_of

SPARE = 45  # seconds that a part has to write what it measured when its own time is over
NO_TIME = 'the time of --minutes was over'
STOPPED = 'the run was stopped'
INTRODUCTION = dict(
    cuda='Measured on a GPU, in milliseconds by its events.',
    cpu='**No GPU was found: a small case on the CPU, by the same code.** Times are those of the '
    'processor, so that other programs do not count; memory is that of the process.',
)


def new_folder(parent: Path, now: datetime) -> Path:
    """A folder with the date and time as its name; never one that exists."""
    for number in range(100):
        folder = parent / (now.strftime('%Y-%m-%d_%H-%M-%S') + (f'_{number}' if number else ''))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ValueError(f'{parent} has a hundred folders of this second: give another --out')


class Suite:
    """All parts, and what was found.

    Args:
        parts (Sequence[Part]): In the order in which they run.
        folder (Path): New folder of the results.
        machine (dict): Of :func:`mmseg_ctt.lab.benchmark.machine.describe_machine`.
        minutes (float): For everything.
        command (Sequence[str]): Of the whole, as the user gave it.
        authors (str): Folder of the authors' code, if any.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        folder: Path,
        machine: Dict[str, Any],
        minutes: float,
        command: Sequence[str],
        authors: str = '',
    ) -> None:
        self.parts, self.folder, self.machine = parts, folder, machine
        self.end = time.monotonic() + 60 * minutes
        self.command, self.versions = shlex.join(command), collect_env()
        self.date = f'{datetime.now():%Y-%m-%d}'
        gpu = machine['device'] != 'cpu'
        self.resources = Resources(min(4, cores()) if gpu else machine['threads'])
        self.records: List[Dict[str, Any]] = []
        self.authors = authors
        self.streets = str((folder / 'streets').resolve())  # drawn anew, the same for everybody

    def run(self, report: Callable[[str], None] = print) -> None:
        """Run every part; after each one the page and its JSON are written anew."""
        self.write()
        with stopped_by_signals(self.resources.stop), environment(STREETS_ROOT=self.streets):
            for number, part in enumerate(self.parts, 1):
                report(f'[{number}/{len(self.parts)}] {part.folder} ...')
                begin = time.monotonic()
                reason, result = self.measure(part)
                seconds = round(time.monotonic() - begin, 1)
                report(f'    {"not measured: " + reason if reason else "done"}, {seconds} s')
                self.record(part, seconds, reason, result)
                self.write()

    def measure(self, part: Part) -> tuple:
        """Reason why there is no result, or None, and the result or None."""
        left = self.end - time.monotonic()
        if part.obstacle:
            return part.obstacle, None
        if self.resources.stop.is_set():
            return STOPPED, None
        if left <= 0:
            return NO_TIME, None
        out = self.folder / part.folder
        seconds = min(part.limit, left)
        command = [sys.executable, *self.arguments(part, str(out.resolve()), seconds)]
        try:
            reason = run_limited(command, out / 'log.txt', self.resources, seconds)
        except Stopped:
            return STOPPED, None
        try:
            return (reason, None) if reason else (None, part.read(out))
        except (OSError, ValueError) as error:
            return f'it wrote no result ({error})', None

    def arguments(self, part: Part, out: str, seconds: float) -> List[str]:
        """Arguments of Python for a part; files of the repository by their whole path."""
        time_left = f'{max(1, seconds - SPARE):.0f}'
        given = dict(out=out, streets=self.streets, authors=self.authors, seconds=time_left)
        words = [_filled(word, given) for word in part.command]
        return [str(ROOT / word) if (ROOT / word).is_file() else word for word in words]

    def record(
        self, part: Part, seconds: float, reason: Optional[str], result: Optional[dict]
    ) -> None:
        """Keep what a part gave."""
        names = dict(out=f'OUT/{part.folder}', streets='data/streets', authors='FOLDER')
        names['seconds'] = str(part.limit - SPARE)
        command = [_filled(word, names) for word in part.command]  # no path of this machine
        self.records.append(
            dict(
                table=part.table,
                label=part.label,
                command=shlex.join(['python', *command]),
                seconds=seconds,
                not_measured=reason,
                result=result,
            )
        )

    def entries(self) -> List[Entry]:
        """Tables of the parts that ran, for the page."""
        found = []
        for name, kind in KINDS.items():
            parts = [record for record in self.records if record['table'] == name]
            if not parts:
                continue
            entry = dict(kind._asdict(), name=name, columns=list(kind.columns))
            entry.update({key: value for key, value in _own_words(parts).items() if value})
            entry.update(
                rows=rows_of(name, parts),
                commands=[part['command'] for part in parts],
                date=self.date,
                commit=self.versions['mmseg_ctt'].partition('commit ')[2],
                machine=machine_line(self.machine),
            )
            found.append(entry)
        return found

    def write(self) -> None:
        """Write ``benchmarks.json`` and ``benchmarks.md`` into the folder."""
        entries = self.entries()
        written = dict(
            date=self.date,
            command=self.command,
            machine=self.machine,
            versions=self.versions,
            tables=entries,
            parts=self.records,
        )
        text = page(entries, f'Benchmarks, {self.date}', self.introduction())
        for name, content in (
            ('benchmarks.json', json.dumps(written, indent=2) + '\n'),
            ('benchmarks.md', text),
        ):
            temporary = self.folder / f'.{name}'
            temporary.write_text(content)
            temporary.replace(self.folder / name)

    def introduction(self) -> str:
        """First lines of the page: machine and versions."""
        device = 'cpu' if self.machine['device'] == 'cpu' else 'cuda'
        names = ('mmseg_ctt', 'Python', 'PyTorch', 'MMSegmentation', 'mmengine', 'GPU 0')
        versions = [f'{name} {self.versions[name]}' for name in names if name in self.versions]
        lines = [INTRODUCTION[device], f'{machine_line(self.machine)}.']
        lines += [', '.join(versions).replace('\n', ' ') + '.', f'```bash\n{self.command}\n```']
        return '\n\n'.join(lines)


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f'{{{name}}}', value)
    return word


def _own_words(parts: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """Columns and text that a tool gives with its rows, in place of those of the table."""
    results = [part['result'] for part in parts if part['result']]
    return {key: results[0].get(key) for key in ('columns', 'text')} if results else {}


@contextmanager
def environment(**changes: str) -> Iterator[None]:
    """Environment variables of the processes that start in the ``with`` block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
