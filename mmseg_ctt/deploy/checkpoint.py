# Copyright (c) mmseg_ctt contributors.
"""The only way from a checkpoint file to a network, outside a training: read, build, load.

Whatever a hook adds to a model in a run is in its checkpoint, and the model takes it from there
(:meth:`MemberNetworks._load_from_state_dict`); so every tool can load every checkpoint.
"""

import hashlib
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Dict, Mapping, Optional, TypeVar, Union

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from torch import Tensor, nn

from ..datasets.training_copy.manifest import file_checksum
from ..nn.pretrained import pretrained_source

PathLike = Union[str, Path]
Network = TypeVar('Network', bound=nn.Module)


def read_checkpoint(path: PathLike) -> Dict[str, Any]:
    """Load a checkpoint of mmengine onto the host.

    Args:
        path (str | Path): File or URL.

    Returns:
        dict: With ``state_dict`` and ``meta`` (empty if the file has none).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds code or has no ``state_dict``.
    """
    path = str(path)
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(f'the checkpoint {path} does not exist')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
    except (EOFError, OSError, RuntimeError, UnpicklingError):  # of torch.load
        raise ValueError(
            f'{path} is no checkpoint, or damaged, or holds code, which is never '
            'run: write it again where it comes from, state_dict only'
        ) from None
    state = checkpoint.get('state_dict') if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f'{path} has no "state_dict": give a checkpoint that mmengine wrote')
    return {**checkpoint, 'meta': dict(checkpoint.get('meta') or {})}


def weights_checksum(path: PathLike) -> str:
    """Checksum of the content of a checkpoint, of the address of a URL.

    Args:
        path (str | Path): File or URL.

    Returns:
        str: Hexadecimal sha256.
    """
    if '://' in str(path):
        return hashlib.sha256(str(path).encode()).hexdigest()
    return file_checksum(path)


def build_network(model: Mapping[str, Any], data_preprocessor: Optional[Mapping] = None) -> Any:
    """Build the model of a config without loading weights of its ``init_cfg``.

    Args:
        model (Mapping): ``model`` of a config.
        data_preprocessor (Mapping, optional): The top-level one of the config, which a model
            without its own takes, as in mmengine. Defaults to None.

    Returns:
        nn.Module: With random weights.
    """
    register_all_modules(init_default_scope=False)
    settings = ConfigDict(without_pretrained(model))
    if data_preprocessor and not settings.get('data_preprocessor'):
        settings['data_preprocessor'] = ConfigDict(data_preprocessor)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(settings)


def load_weights(network: Network, state: Mapping[str, Tensor], origin: str) -> Network:
    """Load all weights and buffers of a network.

    Args:
        network (nn.Module): Changed in place.
        state (Mapping[str, Tensor]): Its state.
        origin (str): File of the weights, for the error.

    Returns:
        nn.Module: The same network.

    Raises:
        ValueError: If an entry is missing, unexpected or of another shape.
    """
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:  # torch's
        message = ' '.join(str(error).split())[:300]
        raise ValueError(
            f'{origin}: config and checkpoint do not belong together: {message}'
        ) from None
    return network


def load_network(
    cfg: Config, checkpoint: PathLike, device: Union[str, torch.device, None] = None
) -> Any:
    """The whole model of a run: all its members, memories and what its hooks have added.

    Args:
        cfg (Config): Of the run.
        checkpoint (str | Path): File or URL.
        device (str | torch.device, optional): Defaults to None: a GPU where there is one.

    Returns:
        nn.Module: In eval mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or config and checkpoint do not belong together.
    """
    state = read_checkpoint(checkpoint)['state_dict']
    model = build_network(cfg.model, cfg.get('data_preprocessor'))
    load_weights(model, state, str(checkpoint))
    return revert_sync_batchnorm(model).to(device or get_device()).eval()


def without_pretrained(node: Any) -> Any:
    """Copy of a model's config that loads no weights; other initialisations stay."""
    if isinstance(node, Mapping):
        kept = {
            key: without_pretrained(value)
            for key, value in node.items()
            if key not in ('pretrained', 'init_cfg')
        }
        steps = node.get('init_cfg')
        if isinstance(steps, (list, tuple)):
            kept['init_cfg'] = [step for step in steps if pretrained_source(step) is None]
        elif 'init_cfg' in node and pretrained_source(steps) is None:
            kept['init_cfg'] = steps
        if isinstance(node.get('pretrained'), bool) or _kind(node) == 'TIMMBackbone':
            kept['pretrained'] = False  # mmseg's TIMMBackbone downloads by default
        return kept
    if isinstance(node, (list, tuple)):
        return type(node)(without_pretrained(item) for item in node)
    return node


def _kind(cfg: Mapping[str, Any]) -> str:
    kind = cfg.get('type', '')
    return str(getattr(kind, '__name__', kind)).split('.')[-1]
