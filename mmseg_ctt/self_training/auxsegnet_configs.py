# Copyright (c) mmseg_ctt contributors.
"""Configs of the trainings of AuxSegNet's rounds, made from the config of the run."""

import copy
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

from mmengine.config import Config, ConfigDict

from ..datasets.wrappers import leaf_configs, with_leaves
from ..deploy.class_maps import TaggedImage, config_images
from ..engine.pipeline_steps import step_name
from ..methods.auxsegnet.segmentor import LABEL, SALIENCY
from .round_checks import DATA
from .round_settings import KEY

TAGGED = 'tagged'
MAPS = (LABEL, SALIENCY)
PACKER = 'PackSemiSegInputs'


def tagged_images(cfg: Config) -> List[TaggedImage]:
    """Images of the tagged source, each once, with its tags.

    Args:
        cfg (Config): Of the run.

    Raises:
        ValueError: If there is no such source, or an image of it has no tags.
    """
    images = config_images(cfg, TAGGED)
    for image in images:
        if image.tags is None:
            raise ValueError(
                f'{DATA}.{TAGGED} gives no tags of {image.path}: set its type="TaggedImageDataset"'
            )
    return images


def check_model(cfg: Config) -> None:
    """Check that a config trains what the rounds refine.

    Args:
        cfg (Config): Of the run.

    Raises:
        ValueError: Names the key and what to set.
    """
    if cfg.model.get('type') != 'AuxSegNet':
        raise ValueError(
            f'{KEY}.type="AuxSegNet" trains model.type="AuxSegNet", got {cfg.model.get("type")!r}: '
            'begin with a config of configs/auxsegnet'
        )
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    if not hook or not hook.get('save_last', True):
        raise ValueError(
            'default_hooks.checkpoint does not save the last iteration, whose weights the next '
            'round needs: set it to dict(type="SafeCheckpointHook")'
        )
    for key, leaf in leaf_configs(cfg.train_dataloader.dataset[TAGGED], f'{DATA}.{TAGGED}').items():
        loaded = {name for step in _map_loaders(leaf['pipeline']) for name in step['maps']}
        missing = [name for name in MAPS if name not in loaded]
        if missing:
            raise ValueError(
                f'{key}.pipeline loads no {missing[0]}: put dict(type="LoadMaps", maps=dict('
                f'{LABEL}="", {SALIENCY}=""), smooth=("{SALIENCY}",)) behind LoadImageFromFile; '
                'the rounds set the folders'
            )


def _map_loaders(pipeline: Any) -> Iterator[Dict[str, Any]]:
    return (step for step in pipeline if step_name(step) == 'LoadMaps')


def set_map_folders(cfg: Config, folders: Mapping[str, Path]) -> None:
    """Let the tagged images load their maps from folders.

    Args:
        cfg (Config): Changed in place.
        folders (Mapping[str, Path]): By the name of the map.
    """
    for leaf in leaf_configs(cfg.train_dataloader.dataset[TAGGED]).values():
        for step in _map_loaders(leaf['pipeline']):
            step['maps'].update({k: str(v) for k, v in folders.items() if k in step['maps']})


def without_maps(pipeline: Any) -> List[Dict[str, Any]]:
    """A pipeline that neither loads nor packs pseudo-labels and saliency.

    Args:
        pipeline (list): Of the tagged images.
    """
    made = []
    for step in copy.deepcopy(list(pipeline)):
        if step_name(step) == 'LoadMaps':
            step['maps'] = {k: v for k, v in step['maps'].items() if k not in MAPS}
            step['smooth'] = [name for name in step.get('smooth', ()) if name in step['maps']]
            if not step['maps']:
                continue
        elif step_name(step) == PACKER:
            maps = step.get('maps', ())
            maps = (maps,) if isinstance(maps, str) else maps
            step['maps'] = [name for name in maps if name not in MAPS]
        made.append(step)
    return made


def use_classifier(cfg: Config, changes: Mapping[str, Any]) -> Config:
    """Config of the classifier whose class maps the first pseudo-labels come from.

    It has backbone, data and schedule of the run, and a :class:`ClassMapHead` on the same feature
    map.

    Args:
        cfg (Config): Of the run, changed in place.
        changes (Mapping): Merged into it.

    Returns:
        Config: With the changes.
    """
    segmentor = copy.deepcopy(cfg.model.segmentor)
    head = segmentor.decode_head
    kept = {key: head[key] for key in ('in_channels', 'in_index', 'num_classes') if key in head}
    segmentor.decode_head = ConfigDict(
        type='ClassMapHead', align_corners=head.get('align_corners', False), **kept
    )
    others = {
        key: cfg.model[key] for key in ('channels_last', 'data_preprocessor') if key in cfg.model
    }
    cfg.model = ConfigDict(type='ClassActivationMaps', segmentor=segmentor, **others)
    data = cfg.train_dataloader.dataset
    data[TAGGED] = ConfigDict(
        with_leaves(data[TAGGED], lambda leaf: {**leaf, 'pipeline': without_maps(leaf['pipeline'])})
    )
    cfg.merge_from_dict(dict(changes))
    return cfg


def truth_set(cfg: Config, folder: Optional[str]) -> Any:
    """Config of the tagged images with masks that were held back, for a report alone.

    Args:
        cfg (Config): Of the run.
        folder (str, optional): Of the masks, relative to the root of the validation set; None: no
            masks were held back.

    Returns:
        dict: That of the validation set with the images of the tagged source; None without masks.

    Raises:
        ValueError: If there is no validation set, whose masks say what ids mean.
    """
    if folder is None:
        return None
    loader = cfg.get('val_dataloader')
    if not loader:
        raise ValueError(
            f'{KEY}.truth needs val_dataloader, whose masks are of the same kind: set it, or '
            f'remove {KEY}.truth'
        )
    (validation, *_), (tagged, *_) = (
        list(leaf_configs(given).values())
        for given in (loader.dataset, cfg.train_dataloader.dataset[TAGGED])
    )
    prefix = {**validation['data_prefix'], 'seg_map_path': folder}
    prefix['img_path'] = (tagged.get('data_prefix') or {}).get('img_path', '')
    listed = tagged.get('ann_file', '')
    return dict(validation, data_prefix=prefix, ann_file=listed, pipeline=[], indices=None)
