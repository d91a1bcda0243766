# Copyright (c) mmseg_ctt contributors.
"""Loading steps of mmseg in a config, and the checked steps of this package that replace them.

A pipeline of any config may name the steps of stock mmseg. When a run is prepared, the steps below
replace them in all data loaders and for test-time augmentation, so that each file that enters a run
is checked as it is read.
:func:`stock_steps` is the way back, for a config that stock mmseg runs.
"""

import inspect
from typing import Any, List, Mapping, Sequence, Tuple

from mmseg.registry import TRANSFORMS

from ..datasets.map_steps import MapStep

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
AUGMENTED_TEST = 'tta_pipeline'
# Steps of this package by the names of the stock steps; each is a subclass, and its further
# arguments have defaults.
CHECKED = dict(
    LoadAnnotations='CheckedLoadAnnotations', LoadImageFromFile='CheckedLoadImageFromFile'
)
STOCK = {
    **{own: stock for stock, own in CHECKED.items()},
    'LoadMultiRaterAnnotations': 'LoadAnnotations',
    'PackSemiSegInputs': 'PackSegInputs',
}
# Check that CheckedLoadAnnotations does itself: directly behind it the step is left out.
LABEL_LOADER, LABEL_CHECK = 'CheckedLoadAnnotations', 'CheckSegMap'


def use_checked_steps(cfg: Any) -> None:
    """Replace the loading steps of stock mmseg in the pipelines of all data loaders, and of tests
    with augmentation.

    Steps inside other steps and data sets inside other data sets are found. ``CheckSegMap``
    directly behind a replaced step is left out; its arguments go to the step. A second call
    changes nothing.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.
    """
    for key in LOADERS:
        loader = cfg.get(key)
        if isinstance(loader, dict):
            _replace_inside(loader.get('dataset'))
    for key in (AUGMENTED_TEST, *predicting_pipeline(cfg)):
        if isinstance(cfg.get(key), (list, tuple)):
            cfg[key] = checked_steps(cfg[key])


def predicting_pipeline(cfg: Mapping[str, Any]) -> Tuple[str, ...]:
    """Key of the pipeline for predictions where no data loader has it: no image has a score.

    Args:
        cfg (Mapping): Complete config.
    """
    without = not (cfg.get('test_dataloader') or cfg.get('val_dataloader'))
    return ('test_pipeline',) if without and cfg.get('test_pipeline') else ()


def checked_steps(pipeline: Sequence[Any]) -> List[Any]:
    """A pipeline with the steps that :func:`use_checked_steps` puts in.

    Args:
        pipeline (Sequence): Steps; the dicts of those that change are changed in place.
    """
    made: List[Any] = []
    for step in pipeline:
        if isinstance(step, (list, tuple)):
            step = checked_steps(step)
        _replace_inside(step)
        name = step_name(step)
        if _is_stock(step):
            step['type'] = CHECKED[name]
        elif name == LABEL_CHECK and made and step_name(made[-1]) == LABEL_LOADER:
            made[-1].update({key: value for key, value in step.items() if key != 'type'})
            continue
        made.append(step)
    return made


def _replace_inside(node: Any) -> None:
    """Replace steps in all lists of a dict, at any depth."""
    if not isinstance(node, dict):
        return
    for key, value in list(node.items()):
        if isinstance(value, (list, tuple)) and _holds_dicts(value):
            node[key] = type(value)(checked_steps(value))
        else:
            _replace_inside(value)


def _holds_dicts(values: Sequence[Any]) -> bool:
    return any(
        isinstance(value, dict) or (isinstance(value, (list, tuple)) and _holds_dicts(value))
        for value in values
    )


def _is_stock(step: Any) -> bool:
    """Whether the stock class builds a step, not another class of the same name."""
    name = step_name(step)
    if name not in CHECKED:
        return False
    kind = step['type']
    return (TRANSFORMS.get(kind) if isinstance(kind, str) else kind) is TRANSFORMS.get(name)


def stock_steps(node: Any) -> Any:
    """Copy of a pipeline for stock mmseg: without checks and maps, with the stock steps.

    Args:
        node (Any): Pipeline, or a part of one.
    """
    if isinstance(node, Mapping):
        made = {key: stock_steps(value) for key, value in node.items()}
        name = STOCK.get(step_name(node))
        if name is not None:
            known = inspect.signature(TRANSFORMS.get(name).__init__).parameters
            made = dict(type=name, **{key: made[key] for key in made if key in known})
        return made
    if isinstance(node, (list, tuple)):
        kept = (step for step in node if step_name(step) != LABEL_CHECK and not _makes_maps(step))
        return type(node)(stock_steps(step) for step in kept)
    return node


def _makes_maps(step: Any) -> bool:
    kind = TRANSFORMS.get(step_name(step)) if step_name(step) else None
    return isinstance(kind, type) and issubclass(kind, MapStep)


def step_name(step: Any) -> str:
    """``type`` of a step without its scope; '' where it has none."""
    kind = step.get('type', '') if isinstance(step, Mapping) else ''
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
