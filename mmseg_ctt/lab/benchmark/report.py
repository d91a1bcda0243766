# Copyright (c) mmseg_ctt contributors.
"""Tables of the benchmarks."""

from typing import Any, Dict, Sequence

from rich.console import Console
from rich.table import Table


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is aligned left, the others right."""
    table = Table(title=title)
    for i, column in enumerate(columns):
        table.add_column(column, justify='right' if i else 'left', no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_step(result: Dict[str, Any]) -> None:
    """Print the table of sections, and the figures of the whole step."""
    rows = [_section_row(name, section) for name, section in result['sections'].items()]
    print_rows(
        f'{result["config"]} on {result["machine"]["device_name"]}',
        ['section', 'ms', '% floor', 'ops', 'ops in nets', 'syncs', 'peak MiB'],
        rows,
    )
    seconds, operations, memory = (result[key] for key in ('seconds', 'operations', 'memory'))
    print(
        f'step {1e3 * seconds["step"]:.1f} ms, floor {1e3 * seconds["floor"]:.1f} ms: '
        f'{result["floor_ratio"]:.3f} x floor (in processor time '
        f'{result["cpu_seconds"]["floor_ratio"]:.3f})'
    )
    print(
        f'{operations["outside"]} operations outside the networks, '
        f'{operations["views_among_them"]} of them views; {operations["autograd"]} of autograd, '
        f'{operations["networks"]} in the networks'
    )
    print(
        f'{memory["kind"]}: step {memory["step_mib"]:.0f} MiB, floor {memory["floor_mib"]:.0f} MiB'
    )


def _section_row(name: str, section: Dict[str, Any]) -> Sequence[str]:
    waits, peak = section['synchronisations'], section['peak_memory_mib']
    return (
        name,
        f'{1e3 * section["seconds"]:.1f}',
        f'{100 * section["of_floor"]:.1f}',
        str(section['operations']['outside']),
        str(section['operations']['networks']),
        str(max(waits['counted'], waits['reported_by_cuda'])),
        '-' if peak is None else f'{peak:.0f}',
    )


def print_parts(result: Dict[str, Any]) -> None:
    """Print the table of the measured parts, each with its reference form."""
    contrast, local, chunks = (result.get(key, {}) for key in ('contrast', 'lal', 'chunks'))
    parts = {
        'contrast, high': contrast.get('high'),
        'contrast, low': contrast.get('low'),
        'EMA': result.get('ema'),
        'bank push': result.get('bank'),
        **{f'LAL {key} / cross-entropy': local[key] for key in local if key != 'shape'},
        **{f'chunks of {key} / 2^22': chunks[key] for key in chunks if key != 'pixels'},
    }
    rows = [
        [
            name,
            _pair(part, 'seconds', 1e3),
            f'{part["times_faster"]:.2f}',
            _pair(part.get('memory', {}), 'mib'),
            _pair(part, 'operations'),
            _pair(part, 'synchronisations'),
        ]
        for name, part in parts.items()
        if part is not None
    ]
    print_rows(
        f'ours / reference form on {result["machine"]["device_name"]}',
        ['part', 'ms', 'x faster', 'extra MiB', 'ops', 'syncs'],
        rows,
    )
    if contrast:
        print(f'both contrast terms: {contrast["times_faster"]:.2f} times faster')


def _pair(part: Dict[str, Any], key: str, factor: float = 1) -> str:
    values = [factor * part[name] for name in (key, f'reference_{key}') if name in part]
    if not values:
        return '-'
    return ' / '.join(f'{value:.0f}' if value >= 100 else f'{value:.3g}' for value in values)
