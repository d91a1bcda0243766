# Copyright (c) mmseg_ctt contributors.
import copy
from pathlib import Path
from typing import Mapping, Optional, Union

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmseg.models.segmentors import BaseSegmentor
from mmseg.utils import register_all_modules
from torch import nn

from ...engine.config import prepare_config
from ..checkpoint import build_network, load_weights, read_checkpoint
from ..export import choose_member, member_names, member_state, segmentor_config
from .inputs import image_pipeline

ENSEMBLE = 'ensemble'


def load_model(
    config: Union[str, Path, Config],
    checkpoint: Union[str, Path, None] = None,
    member: Optional[str] = None,
    device: Union[str, torch.device] = 'cpu',
) -> BaseSegmentor:
    """Load a run of this package, a plain mmseg model or an exported one.

    Of a semi-supervised run only the networks that predict are kept.

    Args:
        config (str | Path | Config): Of the run, or an exported one.
        checkpoint (str | Path): File or URL. Without it the error says what is missing.
        member (str, optional): ``student0``, ``teacher0``, ..., ``ensemble``, ``mean-student``
            or ``mean-teacher``. Defaults to None: ``model.test_cfg.predict_on``.
        device (str | torch.device): Defaults to 'cpu'.

    Returns:
        BaseSegmentor: In eval mode, with ``cfg``, ``dataset_meta`` and ``member_name``; mmseg's
        own functions such as ``inference_model`` take it too.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If there is no such member or device, or config and checkpoint do not belong
            together.
    """
    cfg, device = _read_config(config), _check_device(device)
    if checkpoint is None:
        raise ValueError('load_model needs a checkpoint beside the config: give it second')
    loaded = read_checkpoint(checkpoint)
    state = loaded['state_dict']
    register_all_modules(init_default_scope=False)
    member = choose_member(cfg.model, member_names(state), member, ensemble=True)
    if member == ENSEMBLE:
        model = _ensemble(cfg, state, str(checkpoint))
    else:
        model = _single(cfg, state, member, str(checkpoint))
    model = revert_sync_batchnorm(model).to(device).eval()
    model.cfg, model.member_name = cfg, member
    model.dataset_meta = dataset_meta_of(loaded['meta'], model)
    return model


def _read_config(config: Union[str, Path, Config]) -> Config:
    if isinstance(config, (str, Path)):
        if Path(config).is_dir():
            raise ValueError(
                f'{config} is a folder, and load_model takes a config and a checkpoint: of a run, '
                f'TrainingRun({str(config)!r}).model() loads the network'
            )
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


def _single(cfg: Config, state: Mapping, member: Optional[str], origin: str) -> nn.Module:
    """One plain segmentor."""
    segmentor = segmentor_config(cfg.model, member, cfg.get('data_preprocessor'))
    return load_weights(build_network(segmentor), member_state(state, member), origin)


def _ensemble(cfg: Config, state: Mapping, origin: str) -> nn.Module:
    """The wrapper with those networks only that are averaged, and without its other parts."""
    test_cfg = {**(cfg.model.get('test_cfg') or {}), 'predict_on': ENSEMBLE}
    model = build_network({**cfg.model, 'test_cfg': test_cfg}, cfg.get('data_preprocessor'))
    load_weights(model, state, origin)
    kept = model.ensemble_members
    for group in ('students', 'teachers'):
        if not any(name.startswith(group[:-1]) for name in kept):
            setattr(model, group, nn.ModuleList())
    # they follow nobody, since those that they followed may be gone
    model.members = {
        name: model.members[name]._replace(follows=None, copy_of=None) for name in kept
    }
    model.teacher_mode = 'train'
    for name in (*model.parts, 'contrast', 'alignment'):
        setattr(model, name, None)
    return model


def dataset_meta_of(meta: Mapping, model: BaseSegmentor) -> dict:
    """Classes and palette, numbered and mmseg's fixed random colours where unknown.

    Args:
        meta (Mapping): ``meta`` of a checkpoint.
        model (BaseSegmentor): Its model.
    """
    from mmseg.datasets import BaseSegDataset

    known = dict(meta.get('dataset_meta') or {})
    classes = known.get('classes') or [f'class {k}' for k in range(model.num_classes)]
    palette = (
        known.get('palette')
        or BaseSegDataset(metainfo=dict(classes=tuple(classes)), lazy_init=True).metainfo['palette']
    )
    return dict(classes=tuple(classes), palette=[list(colour) for colour in palette])
