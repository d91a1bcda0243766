# Copyright (c) mmseg_ctt contributors.
import copy
from pathlib import Path
from typing import Mapping, Optional, Tuple, Union

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from torch import nn

from ...engine.config import prepare_config
from ..export import (
    choose_member,
    default_member,
    member_names,
    member_state,
    read_checkpoint,
    segmentor_config,
)
from ..export.stock_types import without_pretrained
from .inputs import image_pipeline

ENSEMBLE = 'ensemble'
Built = Tuple[nn.Module, Optional[str]]


def load_model(
    config: Union[str, Path, Config],
    checkpoint: Union[str, Path],
    member: Optional[str] = None,
    device: Union[str, torch.device] = 'cpu',
) -> BaseSegmentor:
    """Load a run of this package, a plain mmseg model or an exported one.

    Of a semi-supervised run only the networks that predict are kept.

    Args:
        config (str | Path | Config): Of the run, or an exported one.
        checkpoint (str | Path): File or URL.
        member (str, optional): ``student0``, ``teacher0``, ..., ``ensemble``, ``mean-student``
            or ``mean-teacher``. Defaults to None: ``model.test_cfg.predict_on``.
        device (str | torch.device): Defaults to 'cpu'.

    Returns:
        BaseSegmentor: In eval mode, with ``cfg``, ``dataset_meta`` and ``member``; mmseg's own
        functions such as ``inference_model`` take it too.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If there is no such member or device, or config and checkpoint do not belong
            together.
    """
    cfg, device = _read_config(config), _check_device(device)
    loaded = read_checkpoint(checkpoint)
    names = member_names(loaded['state_dict'])
    register_all_modules(init_default_scope=False)
    chosen = member or (default_member(cfg.model) if names else None)
    build = _ensemble if names and chosen == ENSEMBLE else _single
    try:
        with DefaultScope.overwrite_default_scope('mmseg'):
            model, member = build(cfg, loaded['state_dict'], member)
    except RuntimeError as error:  # torch's, for weights that do not fit
        message = ' '.join(str(error).split())[:300]
        name = getattr(config, 'filename', config)
        raise ValueError(f'{checkpoint} does not belong to {name}: {message}') from None
    model = revert_sync_batchnorm(model).to(device).eval()
    model.cfg, model.member = cfg, member
    model.dataset_meta = _dataset_meta(loaded['meta'], model)
    return model


def _read_config(config: Union[str, Path, Config]) -> Config:
    if isinstance(config, (str, Path)):
        if not Path(config).is_file():
            raise FileNotFoundError(f'the config {config} does not exist')
        config = Config.fromfile(config)
    if not isinstance(config, Config) or 'model' not in config:
        raise ValueError('load_model needs the config of a model: a file or a Config with `model`')
    config = prepare_config(copy.deepcopy(config))
    steps = image_pipeline(config)
    if steps:  # where mmseg's `inference_model` looks for them
        config.test_pipeline = steps
    return config


def _check_device(device: Union[str, torch.device]) -> torch.device:
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise ValueError(
            f'device={device!s} cannot be used here: {str(error).splitlines()[0]}'
        ) from None
    return device


def _single(cfg: Config, state_dict: Mapping, member: Optional[str]) -> Built:
    """One plain segmentor."""
    member = choose_member(cfg.model, member_names(state_dict), member)
    segmentor = segmentor_config(cfg.model, member, cfg.get('data_preprocessor'))
    model = MODELS.build(ConfigDict(without_pretrained(segmentor)))
    model.load_state_dict(member_state(state_dict, member))
    return model, member


def _ensemble(cfg: Config, state_dict: Mapping, _: Optional[str]) -> Built:
    """The wrapper with those networks only that are averaged, and without banks."""
    test_cfg = {**(cfg.model.get('test_cfg') or {}), 'predict_on': ENSEMBLE}
    model = MODELS.build(ConfigDict(without_pretrained({**cfg.model, 'test_cfg': test_cfg})))
    group = 'teachers.' if len(model.teachers) else 'students.'
    if len(model.teachers):
        model.students = nn.ModuleList()
    if getattr(model, 'contrast', None) is not None:
        model.contrast = None
    getattr(model, group[:-1]).load_state_dict(
        {key[len(group) :]: value for key, value in state_dict.items() if key.startswith(group)}
    )
    return model, ENSEMBLE


def _dataset_meta(meta: Mapping, model: BaseSegmentor) -> dict:
    """Classes and palette, numbered and mmseg's fixed random colours where unknown."""
    from mmseg.datasets import BaseSegDataset

    known = dict(meta.get('dataset_meta') or {})
    classes = known.get('classes') or [f'class {k}' for k in range(model.num_classes)]
    palette = (
        known.get('palette')
        or BaseSegDataset(metainfo=dict(classes=tuple(classes)), lazy_init=True).metainfo['palette']
    )
    return dict(classes=tuple(classes), palette=[list(colour) for colour in palette])
