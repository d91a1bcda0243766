# Copyright (c) mmseg_ctt contributors.
"""Differences between the settings of runs."""

from typing import Any, List, Mapping, NamedTuple, Sequence, Tuple

# keys without influence on the result
IGNORED = ('work_dir', 'experiment_name', 'launcher', 'resume', 'filename')
MAX_CHARACTERS = 240
ABSENT = '(not set)'


class Difference(NamedTuple):
    """Setting that differs: its dotted key, and its value in every run as text."""

    key: str
    values: Tuple[str, ...]


class _Absent:
    """Value of a key that a run does not have."""


def config_differences(configs: Sequence[Mapping[str, Any]]) -> List[Difference]:
    """Settings that differ between runs.

    A dict that only some runs have is one difference.

    Args:
        configs (Sequence[Mapping]): Complete configs.

    Returns:
        list[Difference]: Differences in the order of the keys.
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
    """Value with sorted keys and lists for tuples, both of which a dump may change."""
    if isinstance(value, Mapping):
        return {str(name): _plain(value[name]) for name in sorted(value, key=str)}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
