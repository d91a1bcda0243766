# Copyright (c) mmseg_ctt contributors.
"""Steps that make the maps a method reads, in the pipelines of its sources.

A method names them in ``pipeline_steps``. So ``method`` works on any config: the steps stand
directly before the packing step, behind all geometric ones, and their maps are packed.
"""

from typing import Any, Iterator, List, Mapping, Sequence, Tuple

from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmseg.registry import TRANSFORMS

from ..datasets.map_steps import MapStep
from ..datasets.packing import PackSemiSegInputs
from ..datasets.sources import source_names
from ..datasets.wrappers import leaf_configs
from ..methods.registry import registered_methods
from .method_preset import inner_model
from .pipeline_steps import step_name

KEY = 'train_dataloader.dataset'
STOCK_PACKING, PACKING = 'PackSegInputs', 'PackSemiSegInputs'


def use_map_steps(cfg: Any) -> None:
    """Put the steps of the method into the training pipelines.

    A step that a pipeline has already stays where it is and gets the settings of the model. A
    second call changes nothing.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.

    Raises:
        ValueError: If a pipeline has no step that packs the maps.
    """
    for leaf, steps, key in _leaves(cfg):
        leaf['pipeline'] = with_steps(leaf['pipeline'], steps, key)


def drop_map_steps(cfg: Any) -> None:
    """Take the steps of the method out of the training pipelines, before another takes its place.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.
    """
    for leaf, steps, _ in _leaves(cfg):
        leaf['pipeline'] = without_steps(leaf['pipeline'], steps)


def _leaves(cfg: Any) -> Iterator[Tuple[Any, Sequence[dict], str]]:
    """Data sets of the sources that the method has steps for, the steps, keys of the pipelines."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    for source, steps in method_steps(inner_model(cfg) if cfg.get('model') else {}).items():
        if source not in source_names(dataset):
            continue  # the data preprocessor says that images of it are needed
        for key, leaf in leaf_configs(dataset[source], f'{KEY}.{source}').items():
            if isinstance(leaf.get('pipeline'), (list, tuple)):
                yield leaf, steps, f'{key}.pipeline'


def method_steps(model: Mapping[str, Any]) -> Mapping[str, Sequence[dict]]:
    """Steps that a method needs, by source; none for a plain segmentor.

    Args:
        model (Mapping): ``model`` of a config.
    """
    method = registered_methods().get(step_name(model))
    return {} if method is None else method.pipeline_steps_of(model)


def with_steps(pipeline: Sequence[Any], steps: Sequence[Mapping[str, Any]], key: str) -> List[Any]:
    """A pipeline with further steps before its packing step, which packs their maps.

    Args:
        pipeline (Sequence): Steps, as a config has them.
        steps (Sequence[Mapping]): Registered :class:`MapStep` classes and their settings.
        key (str): Of the pipeline, for messages.

    Raises:
        ValueError: If the pipeline has no step that packs the maps.
    """
    made = list(pipeline)
    for step in steps:
        step = ConfigDict(step)
        position = next((i for i, old in enumerate(made) if step_name(old) == step['type']), None)
        if position is None:
            made.insert(_packing(made, key), step)
        elif made[position] != step:
            print_log(
                f'{key}: {step["type"]} gets the settings of the model, {dict(step)}',
                logger='current',
            )
            made[position] = step
    if steps:
        position = _packing(made, key)
        made[position] = _packed(made[position], steps)
    return made


def without_steps(pipeline: Sequence[Any], steps: Sequence[Mapping[str, Any]]) -> List[Any]:
    """A pipeline without steps and their maps: the way back of :func:`with_steps`.

    Args:
        pipeline (Sequence): Steps, as a config has them.
        steps (Sequence[Mapping]): As of :func:`with_steps`.
    """
    gone = {step['type'] for step in steps}
    return [
        _unpacked(step, made_maps(steps)) if _packs_maps(step) else step
        for step in pipeline
        if step_name(step) not in gone
    ]


def made_maps(steps: Sequence[Mapping[str, Any]]) -> List[str]:
    """Names of the maps that steps make.

    Args:
        steps (Sequence[Mapping]): Of a pipeline.
    """
    kinds = [TRANSFORMS.get(step_name(step)) for step in steps]
    return [
        name
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, MapStep)
        for name in kind.maps
    ]


def _packing(pipeline: Sequence[Any], key: str) -> int:
    for i, step in enumerate(pipeline):
        if step_name(step) == STOCK_PACKING or _packs_maps(step):
            return i
    raise ValueError(
        f'{key} has no {STOCK_PACKING}, which packs the maps that the method needs: end it with '
        f'dict(type="{STOCK_PACKING}")'
    )


def _packs_maps(step: Any) -> bool:
    kind = TRANSFORMS.get(step_name(step)) if step_name(step) else None
    return isinstance(kind, type) and issubclass(kind, PackSemiSegInputs)


def _packed(packing: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> ConfigDict:
    """The packing step with the maps of the steps added to its own."""
    made = ConfigDict(packing)
    if not _packs_maps(made):
        made['type'] = PACKING
    given = _given_maps(packing)
    made['maps'] = given + [name for name in made_maps(steps) if name not in given]
    return made


def _unpacked(packing: Mapping[str, Any], names: Sequence[str]) -> ConfigDict:
    made = ConfigDict(packing)
    made['maps'] = [name for name in _given_maps(packing) if name not in names]
    if not made['maps'] and step_name(made) == PACKING:
        made.pop('maps')
        made['type'] = STOCK_PACKING
    return made


def _given_maps(packing: Mapping[str, Any]) -> List[str]:
    given = packing.get('maps', ())
    return [given] if isinstance(given, str) else list(given)
