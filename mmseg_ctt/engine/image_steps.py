# Copyright (c) mmseg_ctt contributors.
"""Settings of image loading for all pipelines of a config, and steps that such images rule out.

``image_loading`` is a top-level variable, as ``sizes`` is: ``image_loading=dict(value_range=(0,
4095), color_type='grayscale')`` sets the arguments of the loading step in every pipeline.
"""

import logging
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from mmengine.config import Config
from mmengine.logging import print_log

from ..datasets.image_values import check_color_type, check_nodata, check_value_range
from ..nn.settings import as_dict, check_keys
from .pipeline_steps import AUGMENTED_TEST, CHECKED, predicting_pipeline, step_name
from .pipeline_steps import LOADERS as DATA_LOADERS

KEY = 'image_loading'
SETTINGS = ('color_type', 'nodata', 'value_range')
STOCK = 'LoadImageFromFile'
LOADERS = (STOCK, CHECKED[STOCK])
# Keys of a config that are used; others are variables of its file, such as `test_pipeline`.
USED = (*DATA_LOADERS, AUGMENTED_TEST, 'default_hooks', 'custom_hooks')
# Steps of mmseg that read the values as 8 bit, and those that need red, green and blue as well.
NEED_8_BIT = ('PhotoMetricDistortion', 'CLAHE', 'AdjustGamma')
NEED_COLOURS = ('PhotoMetricDistortion',)
CHANNELS = dict(color=3, grayscale=1)


def use_image_loading(cfg: Any) -> None:
    """Apply ``image_loading``, and leave out steps that its images do not allow, with a warning.

    A second call changes nothing and is silent.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.

    Raises:
        TypeError: If ``image_loading`` is no dict.
        ValueError: For an unknown or malformed setting, or settings without a pipeline.
    """
    root = cfg._cfg_dict if isinstance(cfg, Config) else cfg
    given = _settings(root)
    used = (*USED, *predicting_pipeline(root))
    found = [pipeline for pipeline in _pipelines(root) if pipeline[0].split('.')[0] in used]
    if given and not found:
        raise ValueError(
            f'{KEY}={given} would change nothing: no pipeline has LoadImageFromFile; remove it'
        )
    for key, parent, name in found:
        for step in parent[name]:
            if step_name(step) in LOADERS:
                step.update(given)
        _leave_out(key, parent, name, _channels_of_model(root))


def lost_in_stock(pipeline: Sequence[Any], key: str) -> List[str]:
    """What stock mmseg does not do to the images of a pipeline.

    Args:
        pipeline (Sequence): Steps of this package.
        key (str): Its key in the config.

    Returns:
        list[str]: Sentences for the user.
    """
    lost = []
    for step in pipeline:
        if step_name(step) not in LOADERS:
            continue
        if step.get('value_range') is not None:
            lost.append(
                f'{key}: stock mmseg does not scale images by value_range={step["value_range"]}: '
                'write them as 8 bit before testing with the exported config'
            )
        if step.get('nodata') is not None:
            lost.append(
                f'{key}: stock mmseg does not know nodata={step["nodata"]}: set the labels of such '
                'pixels to 255 before testing with the exported config'
            )
        if step.get('color_type', 'color') == 'unchanged':
            lost.append(
                f"{key}: stock mmseg does not turn photos with color_type='unchanged' as their "
                'orientation tag says: remove the tags before testing with the exported config'
            )
    return lost


def _settings(root: Mapping[str, Any]) -> Dict[str, Any]:
    given = as_dict(KEY, root.get(KEY) or {})
    check_keys(KEY, given, SETTINGS)
    given = {name: value for name, value in given.items() if value is not None}
    if 'color_type' in given:
        check_color_type(given['color_type'])
    if 'value_range' in given:
        given['value_range'] = check_value_range(given['value_range'])
    if 'nodata' in given:
        given['nodata'] = check_nodata(given['nodata'])
    return given


def _pipelines(node: Any, key: str = '') -> Iterator[Tuple[str, Any, Any]]:
    """Dotted key of each pipeline that loads images, what holds it, and its name there."""
    children: Sequence[Tuple[Any, Any]] = ()
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, (list, tuple)):
        children = list(enumerate(node))
    for name, value in children:
        path = f'{key}.{name}' if key else str(name)
        if isinstance(value, (list, tuple)) and any(step_name(step) in LOADERS for step in value):
            yield path, node, name
        else:
            yield from _pipelines(value, path)


def _leave_out(key: str, parent: Any, name: Any, channels: Optional[int]) -> None:
    """Remove steps from a pipeline whose images they cannot change."""
    loader = next(step for step in parent[name] if step_name(step) in LOADERS)
    channels = CHANNELS.get(loader.get('color_type', 'color'), channels)
    # values of slices are mapped to 0-255 and not rounded
    slices = isinstance(parent, dict) and parent.get('type') == 'VolumeSliceDataset'
    deep = slices or loader.get('value_range') is not None
    barred = {*(NEED_8_BIT if deep else ()), *(NEED_COLOURS if channels not in (3, None) else ())}
    removed: List[str] = []
    kept = _without(parent[name], barred, removed)
    if not removed:
        return
    parent[name] = kept
    counted = '1 channel' if channels == 1 else f'{channels} channels'
    reason = 'values that are not of 8 bit' if deep else counted
    print_log(
        f'{key}: {", ".join(removed)} is left out, since the images have {reason}',
        'current',
        logging.WARNING,
    )


def _without(node: Any, barred: set, removed: List[str]) -> Any:
    """Copy of a pipeline without steps of some types, at any depth; their names are noted."""
    if isinstance(node, dict):
        for name, value in node.items():
            node[name] = _without(value, barred, removed)
        return node
    if not isinstance(node, (list, tuple)):
        return node
    removed += [step_name(step) for step in node if step_name(step) in barred]
    return type(node)(
        _without(step, barred, removed) for step in node if step_name(step) not in barred
    )


def _channels_of_model(root: Mapping[str, Any]) -> Optional[int]:
    """Channels that the data preprocessor normalises; None where it does not say."""
    model = root.get('model') or {}
    for owner in (model.get('segmentor') or {}, model, root):
        mean = (owner.get('data_preprocessor') or {}).get('mean')
        if mean is not None:
            return len(mean)
    return None
