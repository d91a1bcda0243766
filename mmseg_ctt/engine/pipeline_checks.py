# Copyright (c) mmseg_ctt contributors.
"""Checks of pipelines: steps that make training and validation see different images."""

from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from ..datasets.sources import source_names
from ..datasets.wrappers import leaf_configs
from .pipeline_steps import CHECKED

# Steps that change every pixel in the same way each time: a network must get them everywhere.
FIXED_STEPS = ('Normalize', 'Rerange', 'RGB2Gray', 'CLAHE', 'AdjustGamma')
LOADER = 'LoadImageFromFile'
LOADERS = (LOADER, CHECKED[LOADER])
NESTING = ('Compose', 'TransformBroadcaster', 'KeyMapper', 'TestTimeAug', 'MultiBranch')
# settings of the loading step, with their defaults
COLOURS = dict(color_type='color', value_range=None)
CHANNELS = dict(color=3, grayscale=1)  # of color_type; any number for others

Step = Mapping[str, Any]


def pipelines(cfg: Mapping[str, Any]) -> Dict[str, Sequence[Step]]:
    """Pipelines of a run by config key: of every source of training images that is drawn, of val.

    Data sets in a ``ConcatDataset`` or ``RepeatDataset`` have a key each.

    Args:
        cfg (Mapping): Complete config.
    """
    loader = cfg.get('train_dataloader') or {}
    data = loader.get('dataset') or {}
    names = source_names(data)
    ratio = (loader.get('sampler') or {}).get('ratio')
    skipped = ratio if isinstance(ratio, Mapping) else {}
    nodes = {
        f'train_dataloader.dataset.{name}': data[name]
        for name in names
        if skipped.get(name, 1) != 0
    }
    if not names:
        nodes['train_dataloader.dataset'] = data
    for part in ('val', 'test'):
        nodes[f'{part}_dataloader.dataset'] = (cfg.get(f'{part}_dataloader') or {}).get('dataset')
    return {
        f'{key}.pipeline': leaf['pipeline']
        for name, node in nodes.items()
        if isinstance(node, Mapping)
        for key, leaf in leaf_configs(node, name).items()
        if isinstance(leaf.get('pipeline'), (list, tuple))
    }


def check_pipelines(cfg: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> None:
    """Check that all pipelines give the network images of one kind.

    Args:
        cfg (Mapping): Complete config.
        preprocessor (Mapping): Settings of the data preprocessor.

    Raises:
        ValueError: If images are normalised twice, or in a pipeline of a method; a step that
            changes all pixels is not in every pipeline; or images are loaded with other channels
            than elsewhere or than the mean has.
    """
    found = pipelines(cfg)
    for key, steps in found.items():
        if 'Normalize' in map(_name, _flat(steps)) and preprocessor.get('mean') is not None:
            raise ValueError(
                f'{key} has Normalize, and data_preprocessor normalises again by its mean and std: '
                'remove the step, or mean and std'
            )
    if 'segmentor' in (cfg.get('model') or {}):
        _check_values(found)
    for name in FIXED_STEPS:
        _check_everywhere(name, found)
    _check_loading(found)
    mean = preprocessor.get('mean') or ()
    if len(mean) > 1 and 'segmentor' in (cfg.get('model') or {}):  # a method's refuses them later
        _check_channels(found, len(mean))


def has_step(cfg: Mapping[str, Any], name: str) -> bool:
    """Whether a pipeline has a step of this type.

    Args:
        cfg (Mapping): Complete config.
        name (str): Its type.
    """
    return any(name in map(_name, _flat(steps)) for steps in pipelines(cfg).values())


def _check_everywhere(name: str, found: Mapping[str, Sequence[Step]]) -> None:
    given = {
        key: next((dict(step) for step in _flat(steps) if _name(step) == name), None)
        for key, steps in found.items()
    }
    having = {key: step for key, step in given.items() if step is not None}
    lacking = [key for key in given if key not in having]
    if having and lacking:
        raise ValueError(
            f'{next(iter(having))} has {name}, and {lacking[0]} has not, so that the network gets '
            'other images there: give it to all pipelines, or to none'
        )
    settings = [{**step, 'type': name} for step in having.values()]
    for key, step in zip(having, settings):
        if step != settings[0]:
            raise ValueError(
                f'{name} has other settings in {key} than in {next(iter(having))}: make them equal'
            )


def _check_values(found: Mapping[str, Sequence[Step]]) -> None:
    """Methods change the colours of images from 0 to 255, so that nothing may scale them before."""
    for key, steps in found.items():
        for step in _flat(steps):
            name = _name(step)
            ends = step.get('min_value', 0), step.get('max_value', 255)
            if name == 'Normalize' or (name == 'Rerange' and ends != (0, 255)):
                raise ValueError(
                    f'{key} has {name}, so that images do not go from 0 to 255 any more, as strong '
                    'augmentation needs them: remove the step from all pipelines, and give mean '
                    'and std to data_preprocessor'
                )


def _check_loading(found: Mapping[str, Sequence[Step]]) -> None:
    first: Optional[Tuple[str, Dict[str, Any]]] = None
    for key, steps in found.items():
        loader = next((step for step in _flat(steps) if _name(step) in LOADERS), None)
        if loader is None:
            continue
        values = {name: loader.get(name, usual) for name, usual in COLOURS.items()}
        first = first or (key, values)
        for name in COLOURS:
            if values[name] != first[1][name]:
                raise ValueError(
                    f'{LOADER}.{name} is {values[name]!r} in {key} and {first[1][name]!r} '
                    f'in {first[0]}: images would differ; make them equal'
                )


def _check_channels(found: Mapping[str, Sequence[Step]], number: int) -> None:
    for key, steps in found.items():
        for step in _flat(steps):
            kind = step.get('color_type', COLOURS['color_type'])
            if _name(step) in LOADERS and CHANNELS.get(kind, number) != number:
                raise ValueError(
                    f'{LOADER}.color_type={kind!r} in {key} gives {CHANNELS[kind]} channels, but '
                    f'mean and std of data_preprocessor have {number}: set '
                    'image_loading.color_type, or mean, std and in_channels of the backbone'
                )


def crop_sizes(cfg: Mapping[str, Any]) -> Dict[str, Tuple[int, int]]:
    """Crops of the training pipelines that are ``(height, width)``, by config key.

    Args:
        cfg (Mapping): Complete config.

    Raises:
        ValueError: If one is no positive integer or pair of them.
    """
    sizes: Dict[str, Tuple[int, int]] = {}
    for key, steps in pipelines(cfg).items():
        for step in _flat(steps) if key.startswith('train_') else ():
            if _name(step) != 'RandomCrop':
                continue
            size = step.get('crop_size')
            pair = (size, size) if isinstance(size, int) else size
            if (
                not isinstance(pair, (list, tuple))
                or len(pair) != 2
                or not all(map(_positive, pair))
            ):
                raise ValueError(
                    f'crop_size of RandomCrop in {key} must be (height, width), two positive '
                    f'integers, got {size!r}'
                )
            sizes[f'crop_size of RandomCrop in {key}'] = (pair[0], pair[1])
    return sizes


def _positive(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _flat(steps: Any) -> Iterator[Step]:
    """Steps that are always applied: random choices among steps are left out."""
    for step in steps if isinstance(steps, (list, tuple)) else ():
        if isinstance(step, (list, tuple)):
            yield from _flat(step)
        elif isinstance(step, Mapping):
            yield step
            if _name(step) in NESTING:
                yield from _flat(step.get('transforms'))


def _name(step: Step) -> str:
    kind = step.get('type', '')
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]
