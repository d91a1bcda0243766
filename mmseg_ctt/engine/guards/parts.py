# Copyright (c) mmseg_ctt contributors.
"""Parts of a config that come from mmseg where this package has its own, and starting weights."""

from typing import Any, Iterator, Mapping, Optional

import torch.nn as nn
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.runner import Runner
from mmseg.registry import LOOPS, OPTIM_WRAPPER_CONSTRUCTORS

from ...methods.base import SemiSegmentor
from ...nn.ranks import on_main_process
from ...nn.unwrap import unwrapped
from ..optim import StudentOptimWrapperConstructor
from ..resume import has_checkpoint

STOCK = 'DefaultOptimWrapperConstructor'
OWN_LOOP = 'ResumableTrainLoop'


def check_parts(runner: Runner) -> None:
    """Check optimiser, loop and starting weights of a run, before its first iteration.

    Args:
        runner (Runner): Of the run; a stock loop and random weights are warnings in its log.

    Raises:
        ValueError: If the constructor of the optimiser does not know members that do not train, or
            teachers would stay as random numbers.
    """
    cfg, model = runner.cfg, unwrapped(runner.model)
    line = wrong_part(model, cfg, bool(cfg.get('load_from')) or _resumes(runner))
    if line is not None:
        raise ValueError(line)
    continued = cfg.get('load_from') or cfg.get('resume')
    for line in (
        other_loop(model, cfg.get('train_cfg')),
        None if continued else random_backbone(cfg.get('model')),
    ):
        if line is not None:
            runner.logger.warning(line)


def wrong_part(model: nn.Module, cfg: Mapping[str, Any], loads: bool) -> Optional[str]:
    """What of a config :func:`check_parts` refuses.

    Args:
        model (nn.Module): Of the run.
        cfg (Mapping): Its config.
        loads (bool): Whether it loads a checkpoint.

    Returns:
        str: What to set; None if there is nothing to say.
    """
    line = other_constructor(model, cfg.get('optim_wrapper'))
    return line if line is not None or loads else random_teachers(cfg.get('model'))


def other_constructor(model: nn.Module, cfg: Any) -> Optional[str]:
    """A constructor that would hand frozen members to the optimiser, or log each of their weights.

    Args:
        model (nn.Module): Of the run.
        cfg (Mapping, optional): ``optim_wrapper`` of the config.

    Returns:
        str: What to set; None if there is nothing to say.
    """
    if not isinstance(cfg, Mapping):
        return None
    name = cfg.get('constructor') or STOCK
    kind = OPTIM_WRAPPER_CONSTRUCTORS.get(name) if isinstance(name, str) else name
    own = isinstance(kind, type) and issubclass(kind, StudentOptimWrapperConstructor)
    if own or kind is None:
        return None
    if kind is DefaultOptimWrapperConstructor and 'layer_decay' in (cfg.get('paramwise_cfg') or {}):
        return (
            f'optim_wrapper.paramwise_cfg.layer_decay is unused by the constructor {name}: set '
            'optim_wrapper.constructor="StudentOptimWrapperConstructor"'
        )
    if not isinstance(model, SemiSegmentor) or not model.untrained_modules:
        return None
    return (
        f'optim_wrapper.constructor is {name}, which does not leave out members that do not train: '
        'teachers must not be in the optimiser; set '
        'optim_wrapper.constructor="StudentOptimWrapperConstructor"'
    )


def other_loop(model: nn.Module, cfg: Any) -> Optional[str]:
    """A loop with which a resumed run differs from the uninterrupted one.

    Args:
        model (nn.Module): Of the run.
        cfg (Mapping, optional): ``train_cfg`` of the config.

    Returns:
        str: What to set; None if there is nothing to say.
    """
    if not isinstance(model, SemiSegmentor) or not isinstance(cfg, Mapping):
        return None
    name = cfg.get('type') or 'EpochBasedTrainLoop'
    kind, own = LOOPS.get(name) if isinstance(name, str) else name, LOOPS.get(OWN_LOOP)
    if not isinstance(kind, type) or issubclass(kind, own):
        return None
    return (
        f'train_cfg.type is {name}: with it a resumed run draws other images and random numbers '
        f'than the uninterrupted one; set train_cfg.type="{OWN_LOOP}"'
    )


def random_backbone(model: Any) -> Optional[str]:
    """A backbone without starting weights, of which the config does not say that it is meant.

    ``init_cfg=None`` in the backbone, or another ``init_cfg`` than pretrained weights, says so.

    Args:
        model (Mapping, optional): ``model`` of the config.

    Returns:
        str: What to set; None if there is nothing to say.
    """
    model = model if isinstance(model, Mapping) else {}
    network = model.get('segmentor', model)
    backbone = network.get('backbone') if isinstance(network, Mapping) else None
    if not isinstance(backbone, Mapping) or 'init_cfg' in backbone:
        return None
    places = backbone, model.get('student_overrides')
    if network.get('init_cfg') or network.get('pretrained') or any(map(_has_weights, places)):
        return None
    key = 'model.segmentor.backbone' if 'segmentor' in model else 'model.backbone'
    return (
        f'the backbone {backbone.get("type")} starts from random numbers: set {key}.init_cfg='
        'dict(type="Pretrained", checkpoint=...) for weights of ImageNet, or init_cfg=None if that '
        'is meant'
    )


def random_teachers(model: Any) -> Optional[str]:
    """Frozen teachers without starting weights, which would label for the whole run.

    Weights of a backbone are not enough: labels are those of the head.

    Args:
        model (Mapping, optional): ``model`` of the config, whose run loads no checkpoint.

    Returns:
        str: What to set; None if there is nothing to say.
    """
    if not isinstance(model, Mapping) or not model.get('frozen_teachers'):
        return None
    overrides = model.get('student_overrides') or [None]
    networks = [[model.get('segmentor') or {}, own or {}] for own in overrides]
    parts = ('init_cfg', 'decode_head')
    if all(any(_has_weights(cfg.get(p)) for cfg in both for p in parts) for both in networks):
        return None
    return (
        'model.frozen_teachers=True keeps teachers as they are loaded, and nothing is loaded, so '
        'that random networks would label the images: set load_from to the checkpoint of a '
        'trained network'
    )


def _resumes(runner: Runner) -> bool:
    """Whether the run goes on from a checkpoint; the first start of one may have none."""
    work_dir = runner.work_dir
    return bool(runner.cfg.get('resume')) and on_main_process(lambda: has_checkpoint(work_dir))


def _has_weights(node: Any) -> bool:
    return any(
        found.get('type') == 'Pretrained' or bool(found.get('pretrained')) for found in _dicts(node)
    )


def _dicts(node: Any) -> Iterator[Mapping]:
    if isinstance(node, Mapping):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value)
