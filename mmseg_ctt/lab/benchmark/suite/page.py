# Copyright (c) mmseg_ctt contributors.
"""The page of the benchmarks: Markdown of entries, each a table with its command and machine."""

from typing import Any, Dict, List, Mapping, Sequence

from .tables import NOT_MEASURED

Entry = Dict[str, Any]
KEYS = ('name', 'title', 'text', 'columns', 'rows', 'commands', 'date', 'commit', 'machine')


def check_entry(entry: Mapping[str, Any]) -> None:
    """Raise if an entry lacks something or a row has another number of cells than the columns.

    Raises:
        ValueError: It names the entry.
    """
    name = entry.get('name', '?')
    missing = [key for key in KEYS if key not in entry]
    if missing:
        raise ValueError(f'the benchmark {name!r} has no {missing[0]}')
    if not entry['commands']:
        raise ValueError(f'the benchmark {name!r} has no command: figures need one')
    wrong = [row for row in entry['rows'] if len(row) != len(entry['columns'])]
    if wrong:
        raise ValueError(f'the benchmark {name!r} has a row that does not fit its columns: {wrong}')


def section(entry: Entry) -> str:
    """Heading, sentences, table, and how it was measured."""
    check_entry(entry)
    lines = [f'## {entry["title"]}', '', entry['text'], '']
    lines += [_row(entry['columns']), _row(['---'] * len(entry['columns']))]
    lines += [_row(row) for row in entry['rows']]
    lines += ['', f'{entry["date"]}, commit {entry["commit"] or "unknown"}, {entry["machine"]}.']
    lines += ['', '```bash', *entry['commands'], '```']
    return '\n'.join(lines)


def page(entries: Sequence[Entry], title: str, introduction: str) -> str:
    """The whole page."""
    return '\n\n'.join([f'# {title}', introduction, *map(section, entries)]) + '\n'


def machine_line(machine: Mapping[str, Any]) -> str:
    """Machine of a measurement in words."""
    device = machine['device_name']
    threads = f'{machine["threads"]} thread{"s" * (machine["threads"] > 1)}'
    chip = f'{machine["cpu"]}, {machine["cores"]} cores, {threads}'
    where = chip if machine['device'] == 'cpu' else f'{device}, {chip}'
    load = f'load {machine["load_average"][0]:g}' if machine.get('load_average') else ''
    return ', '.join(filter(None, [where, f'PyTorch {machine["torch"]}', load]))


def is_measured(entry: Entry) -> bool:
    """Whether a table has at least one figure."""
    return any(not row[1].startswith(NOT_MEASURED) for row in entry['rows'])


def merged(old: Sequence[Entry], new: Sequence[Entry]) -> List[Entry]:
    """Entries of a page after a rerun: by name, and none is replaced by one without a figure."""
    found = {entry['name']: entry for entry in old}
    for entry in new:
        if is_measured(entry) or entry['name'] not in found:
            found[entry['name']] = entry
    return list(found.values())


def _row(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
