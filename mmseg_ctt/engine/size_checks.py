# Copyright (c) mmseg_ctt contributors.
"""Settings that ``sizes`` would replace, where a file or a command gives them above it."""

import re
from typing import Any, Iterator, Mapping, Tuple

from .config_layers import DELETE, Merges

REPLACED = {  # settings by the entry of `sizes` that sets them
    'max_iters': re.compile(r'train_cfg\.max_iters'),
    'num_classes': re.compile(r'model\.(\w+\.)?(decode|auxiliary)_head\.num_classes'),
    'crop_size': re.compile(r'(model\.)?(segmentor\.)?data_preprocessor\.size'),
}


def check_files(merges: Merges) -> None:
    """Check that no file sets what ``sizes`` of a file that it inherits replaces.

    Args:
        merges (Merges): Of the files of a config.

    Raises:
        ValueError: Names both keys.
    """
    for own, inherited in merges.pairs:
        _check(dict(_values(own)), inherited.get('sizes'), own.get('sizes'))


def check_options(options: Mapping[str, Any], cfg: Mapping[str, Any]) -> None:
    """Check that no option of a command is what ``sizes`` of the config replaces.

    Args:
        options (Mapping[str, Any]): By dotted keys.
        cfg (Mapping): As read.

    Raises:
        ValueError: Names both keys.
    """
    given = options.get('sizes') or {}
    own = {key.partition('.')[2]: value for key, value in options.items() if key[:6] == 'sizes.'}
    _check(options, cfg.get('sizes'), {**given, **own} if isinstance(given, Mapping) else own)


def _check(values: Mapping[str, Any], sizes: Any, own: Any) -> None:
    sizes, own = (node if isinstance(node, Mapping) else {} for node in (sizes, own))
    for name, pattern in REPLACED.items():
        if sizes.get(name) is None or name in own:
            continue
        for key, value in values.items():
            if pattern.fullmatch(key) and value not in (None, sizes[name]):
                raise ValueError(
                    f'{key}={value} would be replaced by sizes.{name}={sizes[name]}, which the '
                    f'config inherits: set sizes.{name}={value}'
                )


def _values(node: Mapping, path: str = '') -> Iterator[Tuple[str, Any]]:
    """Values that are no dicts, by dotted keys; a whole new part takes the sizes that there are."""
    if node.get(DELETE):
        return
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _values(value, f'{path}{key}.')
        else:
            yield f'{path}{key}', value
