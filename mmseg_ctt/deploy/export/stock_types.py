# Copyright (c) mmseg_ctt contributors.
"""Which types of a config are this package's own, and the stock ones that take their place."""

import copy
from typing import Any, FrozenSet, Iterator, Mapping, Tuple

import mmseg.registry
from mmengine.registry import Registry

PACKAGE = __name__.split('.')[0]


def own_types() -> FrozenSet[str]:
    """Names that this package has added to mmseg's registries."""
    registries = [one for one in vars(mmseg.registry).values() if isinstance(one, Registry)]
    return frozenset(
        name
        for registry in registries
        for name, made in registry.module_dict.items()
        if made.__module__.split('.')[0] == PACKAGE
    )


def type_name(node: Any) -> str:
    """``type`` of a config node without scope, '' where there is none."""
    kind = node.get('type', '') if isinstance(node, Mapping) else ''
    return (kind if isinstance(kind, str) else kind.__name__).split('.')[-1]


def is_own(node: Any) -> bool:
    """Whether a config node is built by a class of this package."""
    return type_name(node) in own_types()


def find_own(node: Any, key: str = '') -> Iterator[Tuple[str, str]]:
    """Dotted key and type of everything below ``node`` that this package would build."""
    names = own_types()
    for where, one in _walk(node, key):
        if type_name(one) in names:
            yield where, type_name(one)


def refuse_own(node: Any, key: str = '') -> None:
    """Check that stock mmseg can build everything below ``node``.

    Raises:
        ValueError: Names the first type it does not know, and where it stands.
    """
    for where, kind in find_own(node, key):
        raise ValueError(
            f'{where}.type={kind!r} exists only in {PACKAGE}, and stock mmseg has '
            f'nothing equal: replace it in the config, or load the run with '
            f'{PACKAGE}.apis, which needs no export'
        )


def stock_losses(node: Any) -> Any:
    """A copy of ``node`` with mmseg's cross-entropy in place of ``PixelCrossEntropyLoss``."""
    if isinstance(node, Mapping):
        if type_name(node) == 'PixelCrossEntropyLoss':
            return dict(node, type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)
        return {key: stock_losses(one) for key, one in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(stock_losses(one) for one in node)
    return copy.deepcopy(node)


def without_pretrained(node: Any) -> Any:
    """A copy of a model's config that asks for no weights: the checkpoint has them all."""
    if isinstance(node, Mapping):
        return {
            key: without_pretrained(one)
            for key, one in node.items()
            if key != 'pretrained' and not (key == 'init_cfg' and _asks_for_weights(one))
        }
    if isinstance(node, (list, tuple)):
        return type(node)(without_pretrained(one) for one in node)
    return node


def _asks_for_weights(init_cfg: Any) -> bool:
    several = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    return any(type_name(one) == 'Pretrained' or 'checkpoint' in (one or {}) for one in several)


def _walk(node: Any, key: str) -> Iterator[Tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield key, node
        below = node.items()
    elif isinstance(node, (list, tuple)):
        below = enumerate(node)
    else:
        return
    for name, one in below:
        yield from _walk(one, f'{key}.{name}' if key else str(name))
