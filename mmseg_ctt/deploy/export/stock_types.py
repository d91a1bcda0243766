# Copyright (c) mmseg_ctt contributors.
"""Types of this package in a config, and their replacements from stock mmseg."""

import copy
from typing import Any, FrozenSet, Iterable, Iterator, List, Mapping, Tuple

import mmseg.registry
from mmengine.registry import Registry

LOSS_MAPS = ('weight_map', 'probability_map')
LOCAL = 'LocallyAdaptiveLoss'
STOCK_SETTINGS = ('loss_weight', 'loss_name', 'class_weight')
PACKAGE = __name__.split('.')[0]


def own_types() -> FrozenSet[str]:
    """Names that this package has added to the registries of mmseg."""
    registries = [value for value in vars(mmseg.registry).values() if isinstance(value, Registry)]
    return frozenset(
        name
        for registry in registries
        for name, registered in registry.module_dict.items()
        if registered.__module__.split('.')[0] == PACKAGE
    )


def type_name(node: Any) -> str:
    """``type`` of a config node without its scope; '' if it has none."""
    kind = node.get('type', '') if isinstance(node, Mapping) else ''
    return (kind if isinstance(kind, str) else kind.__name__).split('.')[-1]


def is_own(node: Any) -> bool:
    """Whether a class of this package builds a config node."""
    return type_name(node) in own_types()


def find_own(node: Any, key: str = '') -> Iterator[Tuple[str, str]]:
    """Dotted key and type of every config node, from ``node`` down, that this package builds."""
    names = own_types()
    for path, inner in _walk(node, key):
        if type_name(inner) in names:
            yield path, type_name(inner)


def kept_types(node: Any) -> List[str]:
    """Types of this package in a config that an exported model keeps, and so needs the package."""
    return sorted({kind for _, kind in find_own(node) if _is_kept(kind)})


def refuse_own(node: Any, key: str = '') -> None:
    """Check that stock mmseg can build everything from ``node`` down.

    Classes that say ``export_keeps`` are left as they are: layers that predictions go through, for
    which stock mmseg has nothing equal, in a network that is plain otherwise.

    Raises:
        ValueError: If it cannot; names the first type of this package and its key.
    """
    for path, kind in find_own(node, key):
        if _is_kept(kind):
            continue
        raise ValueError(
            f'{path}.type={kind!r} exists only in {PACKAGE}, and stock mmseg has '
            f'nothing equal: replace it in the config, or load the run with '
            f'{PACKAGE}.apis, which needs no export'
        )


def _is_kept(kind: str) -> bool:
    return bool(getattr(mmseg.registry.MODELS.get(kind), 'export_keeps', False))


def stock_losses(node: Any) -> Any:
    """Copy of a config node with mmseg's cross-entropies for those of this package.

    Maps of the samples, which mmseg's loss does not read, are left out, and so are the options of
    the locally adaptive loss, or the whole loss where it stands beside others.
    """
    if isinstance(node, Mapping):
        if type_name(node) in ('PixelCrossEntropyLoss', 'SoftCrossEntropyLoss'):
            kept = {key: value for key, value in node.items() if key not in LOSS_MAPS}
            return dict(kept, type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)
        if type_name(node) == 'PixelSigmoidLoss':  # the mean over the classes, not their sum
            kept = {key: node[key] for key in ('loss_weight', 'loss_name') if key in node}
            return dict(kept, type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
        if type_name(node) == LOCAL:
            kept = {key: node[key] for key in STOCK_SETTINGS if key in node}
            return dict(kept, type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)
        return {key: stock_losses(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        others = [item for item in node if type_name(item) != LOCAL]
        return type(node)(stock_losses(item) for item in others or node)
    return copy.deepcopy(node)


def _walk(node: Any, key: str) -> Iterator[Tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield key, node
        children: Iterable[Tuple[Any, Any]] = node.items()
    elif isinstance(node, (list, tuple)):
        children = enumerate(node)
    else:
        return
    for name, child in children:
        yield from _walk(child, f'{key}.{name}' if key else str(name))
