# Copyright (c) mmseg_ctt contributors.
"""Config of a start: read by path or name, with changed settings, what is resumed."""

import os
import re
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from mmengine.config import Config
from mmengine.logging import MMLogger

from ..noise import LOG_LINES
from .config import prepare_config
from .config_layers import plain
from .method_preset import config_folder, inner_model
from .presets import merge_options
from .recorded_config import read_recorded
from .resume import find_whole_checkpoint, has_checkpoint


def read_config(path: str, options: Optional[Mapping[str, Any]] = None) -> Config:
    """Read a config, change settings of it, and apply its variables, such as ``sizes``.

    Args:
        path (str): File, or name of a config of this package.
        options (Mapping[str, Any], optional): Values by dotted keys, as of ``--cfg-options``.
            Defaults to None.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is no Python, or a setting cannot be applied.
    """
    logger = MMLogger.get_current_instance()
    if logger.instance_name == 'mmengine':  # that of a run has its filter, and a file with all
        logger.filters = [lambda record: LOG_LINES.search(record.getMessage()) is None]
    path = find_config(path)
    try:
        cfg = Config.fromfile(path)
    except (SyntaxError, re.error) as error:
        raise ValueError(
            _unusable_variable(path)
            or f'the config {path}, or one it inherits from, is no Python: {error}'
        ) from None
    except KeyError as error:
        if 'Duplicate key' not in str(error):
            raise
        names = re.findall(r"'(\w+)'", str(error.args[0]))
        raise ValueError(
            f'two files of _base_ of the config {path} set {", ".join(sorted(names))}: inherit one '
            "of them, and take the network of the other with segmentor_from='mmseg::...'"
        ) from None
    merge_options(cfg, options or {})
    return prepare_config(cfg)


def find_config(path: str) -> str:
    """Path of a config that is given by its path, or as one of this package by its name alone.

    Raises:
        FileNotFoundError: If it does not exist.
    """
    if not os.path.isfile(path) and os.path.basename(path) == path:
        found = sorted(config_folder().glob(f'[!_]*/**/{path}'))
        if found:
            return str(found[0])
    if not os.path.isfile(path):
        raise FileNotFoundError(f'the config {path} does not exist')
    return path


def default_work_dir(
    path: str, options: Optional[Mapping[str, Any]] = None, given: Optional[str] = None
) -> str:
    """Work folder of a start that names none, beside the config's own where it changes the run.

    Its name ends in the method and in the network, ``segmentor_from``, where the start sets them.

    Args:
        path (str): Of the config.
        options (Mapping[str, Any], optional): Changed settings. Defaults to None.
        given (str, optional): ``work_dir`` of the config. Defaults to None:
            ``work_dirs/<config name>``.
    """
    options, folder = options or {}, given or os.path.join('work_dirs', Path(path).stem)
    if given and 'work_dir' in options:
        return folder
    method, network = options.get('method'), options.get('segmentor_from')
    for name in (method, Path(network).stem if isinstance(network, str) else None):
        if name and not folder.endswith(f'_{name}'):
            folder = f'{folder.rstrip("/")}_{name}'
    return folder


def refuse_former_folder(
    cfg: Config, path: str, options: Optional[Mapping[str, Any]], given: Optional[str]
) -> None:
    """Check that a run to be resumed is not in the folder that earlier versions gave its start.

    Their name of it did not end in the network.

    Args:
        cfg (Config): With its ``work_dir``, that of :func:`default_work_dir`.
        path (str): Of the config.
        options (Mapping[str, Any], optional): As for :func:`default_work_dir`.
        given (str, optional): As for :func:`default_work_dir`.

    Raises:
        ValueError: If that folder has checkpoints, of a run of this network as far as its configs
            tell, and the new one has none.
    """
    others = {key: value for key, value in (options or {}).items() if key != 'segmentor_from'}
    former = default_work_dir(path, others, given)
    if former == cfg.work_dir or has_checkpoint(cfg.work_dir) or not has_checkpoint(former):
        return
    recorded = [read_recorded(file) for file in sorted(Path(former).glob('*.py'))]
    networks = [_network(config) for config in recorded if config is not None]
    if networks and _network(cfg) not in networks:
        return
    raise ValueError(
        f'{cfg.work_dir} has no checkpoint to resume, but {former} has, the folder of this start '
        f'in earlier versions: add --work-dir {former} to go on with that run, or --work-dir '
        f'{cfg.work_dir} to begin a new one'
    )


def _network(cfg: Any) -> Dict[str, Any]:
    """Backbone and head of a config, without their starting weights."""
    model = inner_model(cfg)
    network = plain(model.get('segmentor', model))
    parts = {name: network.get(name) for name in ('backbone', 'decode_head')}
    for part in parts.values():
        if isinstance(part, dict):
            part.pop('init_cfg', None)
    return parts


def set_resume(cfg: Config, resume: str, otherwise: Optional[str] = None) -> None:
    """Set the checkpoint to resume from, in place of the ``load_from`` of a new run.

    Args:
        cfg (Config): With its ``work_dir``; changed in place.
        resume (str): Checkpoint, or ``'auto'``: the newest whole one in the work folder; the run
            starts from the beginning where there is none.
        otherwise (str, optional): Checkpoint to resume from with ``'auto'`` while the work folder
            has none.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If all checkpoints in the work folder are damaged.
    """
    checkpoint: Optional[str] = resume
    if resume == 'auto':
        checkpoint = find_whole_checkpoint(cfg.work_dir)
    if checkpoint is None:
        checkpoint = otherwise
    if checkpoint is not None:
        if '://' not in checkpoint and not os.path.isfile(checkpoint):
            raise FileNotFoundError(f'the checkpoint {checkpoint} does not exist')
        cfg.resume, cfg.load_from = True, checkpoint


def _unusable_variable(path: str) -> Optional[str]:
    """Line about an environment variable that cannot be put into a config; None without one.

    mmengine replaces ``{{$FOLDER_ROOT:...}}`` in the text of a config, inside quotation marks.
    """
    text = Path(path).read_text(encoding='utf-8')
    for name, value in os.environ.items():
        if re.search(r"['\\\n]", value) and (name.endswith('_ROOT') or f'${name}' in text):
            return (
                f'{name}={value} has an apostrophe, a backslash or a line break, which mmengine '
                f'cannot put into the config {path}: use a link to this folder without it, or '
                f'unset {name} and set data_root in a config of your own'
            )
    return None
