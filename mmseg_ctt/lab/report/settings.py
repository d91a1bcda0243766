# Copyright (c) mmseg_ctt contributors.
"""What differs between the settings of runs."""

from typing import Any, List, Mapping, NamedTuple, Sequence, Tuple

# of no consequence: where a run lies and how it was started
IGNORED = ('work_dir', 'experiment_name', 'launcher', 'resume', 'filename')
MAX_CHARACTERS = 240
ABSENT = '(not set)'


class Difference(NamedTuple):
    """A dotted key, and its value in every run as text."""

    key: str
    values: Tuple[str, ...]


class _Absent:
    """A key that a run does not have."""


def config_differences(configs: Sequence[Mapping[str, Any]]) -> List[Difference]:
    """Settings that are not the same in all runs.

    Where a whole part exists in some runs only, it is one row.

    Args:
        configs (Sequence[Mapping]): Resolved configs.

    Returns:
        list[Difference]: In the order of the keys.
    """
    plain = [
        {key: value for key, value in config.items() if key not in IGNORED} for config in configs
    ]
    return _differences('', plain)


def _differences(key: str, values: Sequence[Any]) -> List[Difference]:
    if len({repr(_plain(value)) for value in values}) == 1:
        return []
    if all(isinstance(value, Mapping) for value in values):
        names = sorted({str(name) for value in values for name in value})
        return [
            row
            for name in names
            for row in _differences(
                f'{key}.{name}' if key else name, [value.get(name, _Absent) for value in values]
            )
        ]
    lists = all(isinstance(value, (list, tuple)) for value in values)
    if lists and len({len(value) for value in values}) == 1:
        return [
            row for i, items in enumerate(zip(*values)) for row in _differences(f'{key}.{i}', items)
        ]
    return [Difference(key, tuple(_text(value) for value in values))]


def _text(value: Any) -> str:
    if value is _Absent:
        return ABSENT
    text = repr(_plain(value))
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + ' ...'


def _plain(value: Any) -> Any:
    """Without what a dump may change: the order of keys, tuples."""
    if isinstance(value, Mapping):
        return {str(name): _plain(value[name]) for name in sorted(value, key=str)}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
