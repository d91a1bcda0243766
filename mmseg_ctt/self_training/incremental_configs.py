# Copyright (c) mmseg_ctt contributors.
"""Configs of the trainings of class-incremental learning, made of that of a later step."""

import copy
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from mmengine.config import Config, ConfigDict

from ..datasets.sources import LABELED, TAGGED, source_names
from ..datasets.wrappers import with_leaves
from ..deploy.checkpoint import without_pretrained

EVALUATED = ('val', 'test')
METRIC = 'IncrementalIoUMetric'
LOCALIZER = 'localizer'


def set_classes(cfg: Config, classes: Sequence[str]) -> None:
    """Let network and evaluated data have the classes that a step knows.

    Args:
        cfg (Config): Changed in place; its model is a method or a plain segmentor.
        classes (Sequence[str]): With the background; other classes of the masks become it.
    """
    segmentor = cfg.model.get('segmentor', cfg.model)
    segmentor.decode_head.num_classes = len(classes)
    (cfg.get('sizes') or {}).pop('num_classes', None)
    for part in EVALUATED:
        loader = cfg.get(f'{part}_dataloader')
        if loader:
            loader.dataset = ConfigDict(_with_classes(loader.dataset, classes))


def _with_classes(dataset: Dict[str, Any], classes: Sequence[str], **more: Any) -> Dict[str, Any]:
    """Config of a data set with other classes, wrappers too."""

    def change(leaf: Any) -> Dict[str, Any]:
        meta = dict(leaf.get('metainfo') or {}, classes=tuple(classes))
        meta.pop('palette', None)  # of other classes
        return {**leaf, 'metainfo': meta, 'background': classes[0], **more}

    return with_leaves(copy.deepcopy(dict(dataset)), change)


def set_groups(cfg: Config, groups: Mapping[str, Sequence[str]]) -> None:
    """Let evaluation give the mean IoU of groups of classes, where there is an evaluation.

    Args:
        cfg (Config): Changed in place.
        groups (Mapping[str, Sequence[str]]): Classes by group.
    """
    for part in EVALUATED:
        key = f'{part}_evaluator'
        if not cfg.get(f'{part}_dataloader'):
            continue
        given = cfg.get(key)
        given = given if isinstance(given, (list, tuple)) else [given]
        others = [one for one in given if one and one['type'] not in (METRIC, 'IoUMetric')]
        kept = [one for one in given if one and one['type'] in (METRIC, 'IoUMetric')][:1]
        made = dict(kept[0] if kept else {}, type=METRIC, groups=dict(groups))
        cfg[key] = [made, *others] if others else made


def use_masks(
    cfg: Config, labeled: Dict[str, Any], classes: Sequence[str], hidden: Sequence[str], list_: Path
) -> None:
    """Make the config of a step one that learns from masks: its network alone.

    Args:
        cfg (Config): Of the method; changed in place.
        labeled (dict): Config of the images with masks.
        classes (Sequence[str]): Of the network; other classes of the masks are background.
        hidden (Sequence[str]): Of these, classes that are background in the masks, too.
        list_ (Path): List of the images.
    """
    cfg.model = ConfigDict(copy.deepcopy(dict(cfg.model.segmentor)))
    more: Dict[str, Any] = dict(ann_file=str(list_))
    if hidden:
        more.update(type='StepSegDataset', hidden=tuple(hidden))
    _set_source(cfg, LABELED, _with_classes(labeled, classes, **more))
    keys = (cfg.optim_wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    keys.pop(LOCALIZER, None)


def use_tags(
    cfg: Config, classes: Sequence[str], old: Sequence[str], list_: Path, old_checkpoint: Any
) -> None:
    """Make the config of the method one of a later step.

    Args:
        cfg (Config): Changed in place.
        classes (Sequence[str]): Of the network.
        old (Sequence[str]): The first of them, of the step before.
        list_ (Path): List of the images.
        old_checkpoint (str | Path | bool): Of the step before.
    """
    cfg.model = ConfigDict(without_pretrained(cfg.model))  # it begins as the old network
    cfg.model.segmentor.backbone.setdefault('init_cfg', None)
    cfg.model.old_classes = list(old)
    cfg.model.old_checkpoint = old_checkpoint and str(old_checkpoint)
    tagged = cfg.train_dataloader.dataset[TAGGED]
    _set_source(cfg, TAGGED, _with_classes(tagged, classes, ann_file=str(list_)))


def _set_source(cfg: Config, name: str, source: Dict[str, Any]) -> None:
    """Let the training have one source alone."""
    dataset = cfg.train_dataloader.dataset
    for other in source_names(dataset):
        dataset.pop(other)
    dataset.split = None
    dataset[name] = ConfigDict(source)
    cfg.train_dataloader.sampler['ratio'] = ConfigDict({name: 1})


def changed(cfg: Config, changes: Optional[Dict[str, Any]]) -> None:
    """Merge changes into a config, in place; ``_delete_`` is obeyed."""
    if changes:
        merged = Config._merge_a_into_b(ConfigDict(copy.deepcopy(changes)), cfg._cfg_dict)
        object.__setattr__(cfg, '_cfg_dict', ConfigDict(merged))
