# Copyright (c) mmseg_ctt contributors.
"""Export of a backbone's weights alone, with which another training starts."""

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Union

from mmengine.config import Config

from ...datasets.whole_files import write_whole
from ...version import __version__
from ..checkpoint import build_network, load_weights, without_pretrained
from .adapters import PREFIX, plain_backbone
from .checkpoint import checkpoint_bytes, plain_meta
from .members import choose_member, member_names, member_state, segmentor_config
from .stock_types import find_own


class Backbone(NamedTuple):
    """Weights of a backbone.

    Attributes:
        checkpoint (dict): ``state_dict``, names without a prefix, and ``meta``.
        member (str | None): Whose it is; None of a plain segmentor.
        notes (list[str]): Notes for the user.
    """

    checkpoint: Dict[str, Any]
    member: Optional[str]
    notes: List[str]


def export_backbone(
    cfg: Config, checkpoint: Mapping[str, Any], member: Optional[str] = None
) -> Backbone:
    """The backbone of one member, for ``backbone.init_cfg=dict(type='Pretrained', ...)``.

    Args:
        cfg (Config): Of the run, of any method or of a plain segmentor.
        checkpoint (Mapping): From :func:`read_checkpoint`.
        member (str, optional): ``student0``, ``teacher0``, ..., ``mean-student`` or
            ``mean-teacher``. Defaults to None: the one that ``test_cfg.predict_on`` names.

    Returns:
        Backbone: Loaded once into the backbone of the config, without a missing or unexpected
        weight.

    Raises:
        ValueError: If there is no such member or no backbone, or config and checkpoint do not fit.
    """
    source = checkpoint['state_dict']
    member = choose_member(cfg.model, member_names(source), member, features=True)
    segmentor = segmentor_config(cfg.model, member, cfg.get('data_preprocessor'))
    state = {
        key[len(PREFIX) :]: value
        for key, value in member_state(source, member).items()
        if key.startswith(PREFIX)
    }
    if 'backbone' not in segmentor or not state:
        raise ValueError(
            f'the {"config" if state else "checkpoint"} has no backbone: give the config and the '
            'checkpoint of a segmentor that has one'
        )
    segmentor['backbone'], state = plain_backbone(segmentor['backbone'], state)
    load_weights(build_network(segmentor).backbone, state, 'the checkpoint')
    settings = without_pretrained(segmentor['backbone'])
    meta = plain_meta(checkpoint.get('meta') or {})
    text = Config(dict(backbone=settings)).pretty_text
    meta.update(cfg=text, mmseg_ctt_version=__version__)
    if member is not None:
        meta['member'] = member
    notes = [
        f'{key}.type={kind!r} exists only in this package: stock mmseg cannot load the file'
        for key, kind in find_own(settings, 'backbone')
    ]
    return Backbone(dict(meta=meta, state_dict=state), member, notes)


def write_backbone(backbone: Backbone, path: Union[str, Path], force: bool = False) -> Path:
    """Write the file of a backbone, atomically.

    Args:
        backbone (Backbone): From :func:`export_backbone`.
        path (str | Path): ``.pth`` file.
        force (bool): Replace a file that exists. Defaults to False.

    Returns:
        Path: The file.

    Raises:
        ValueError: If it exists, or is no name of a ``.pth`` file.
    """
    path = check_out(path, force)
    write_whole(path, checkpoint_bytes(backbone.checkpoint))
    return path


def check_out(path: Union[str, Path], force: bool = False) -> Path:
    """Check where a file is to be written; see :func:`write_backbone`."""
    path = Path(path)
    if path.suffix != '.pth':
        raise ValueError(f'{path} is no name of a .pth file')
    if path.exists() and not force:
        raise ValueError(f'{path} exists: give another name, or --force to replace it')
    return path
