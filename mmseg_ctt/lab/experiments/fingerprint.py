# Copyright (c) mmseg_ctt contributors.
"""Fingerprint of a result: complete config, lists of images, code and versions."""

import copy
import hashlib
import os.path as osp
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional

from mmengine.dataset import BaseDataset

from ...engine.config import prepare_config
from ...engine.fingerprint import DIGITS
from ...engine.presets import merge_options
from ...volumes.address import image_stem
from .matrix import Cell, Matrix

if TYPE_CHECKING:
    from mmengine.config import Config

CODE = ('mmseg_ctt', 'configs', 'tools')


def resolve(cell: Cell, changes: Optional[Dict[str, Any]] = None) -> 'Config':
    """Complete config of a cell.

    Args:
        cell (Cell): The cell.
        changes (dict, optional): Options applied after those of the cell. Defaults to None.

    Returns:
        mmengine.Config: With bases, options and seed.

    Raises:
        FileNotFoundError: If the config file does not exist.
    """
    if not osp.isfile(cell.config):
        raise FileNotFoundError(
            f'{cell}: the config {cell.config} does not exist; run from the root of the repository'
        )
    cfg = copy.deepcopy(_read(osp.abspath(cell.config)))
    merge_options(cfg, {**cell.options, **(changes or {})})  # the method first
    return prepare_config(cfg)


@lru_cache(maxsize=None)  # slow, and many cells have the same file
def _read(path: str) -> 'Config':
    from mmengine.config import Config

    return Config.fromfile(path)


def default_members(matrix: Matrix) -> Dict[str, str]:
    """Member that represents each method of a matrix: the one the file names, else the class's.

    Args:
        matrix (Matrix): The matrix; its configs are read.

    Returns:
        dict[str, str]: By method; plain models, which have no members, are left out.
    """
    from mmseg.registry import MODELS

    from ...methods.networks import MemberNetworks

    members = dict(matrix.members)
    for cell in matrix.cells:
        if cell.method not in members:
            model = resolve(cell).model
            kind = MODELS.get(model['type'])
            if kind is not None and issubclass(kind, MemberNetworks):
                members[cell.method] = kind.default_predict_on(model)
    return members


def split_checksum(cfg: Mapping[str, Any]) -> str:
    """Checksum of the names of the training images, by source.

    Args:
        cfg (Mapping): Complete config with a :class:`LabeledUnlabeledDataset`.

    Returns:
        str: Twelve hexadecimal digits of a sha256.

    Raises:
        FileNotFoundError: If a list, an image or a mask is missing.
        ValueError: If a source is empty or two have an image in common.
    """
    from mmseg.registry import DATASETS

    from ...datasets.sources import LABELED, UNLABELED, source_names
    from ...datasets.wrappers import leaves, with_pipeline

    dataset = dict(cfg['train_dataloader']['dataset'], scan_masks=0)
    for name in source_names(dataset):  # no pipeline: no image is read
        dataset[name] = with_pipeline(dataset[name], [])
    data = DATASETS.build(dataset)
    digest = hashlib.sha256()
    for name in dict.fromkeys((LABELED, UNLABELED, *data.sources)):  # the first two in any case
        part = data.sources.get(name)
        digest.update(f'{name}\n'.encode())
        if part is not None:
            stems = sorted(stem for leaf in leaves(part) for stem in _stems(leaf))
            digest.update(''.join(f'{stem}\n' for stem in stems).encode())
    return digest.hexdigest()[:DIGITS]


def _stems(dataset: BaseDataset) -> Iterator[str]:
    """Images of a data set, relative to its folder and without suffix."""
    prefix = dataset.data_prefix['img_path'] or ''
    for i in range(len(dataset)):
        path = dataset.get_data_info(i)['img_path']
        yield image_stem(osp.relpath(path, prefix or '.'))


def git_commit(root: Path) -> str:
    """Commit of a checkout, with ``-dirty`` if code or configs differ from it.

    Args:
        root (Path): Root of the repository.

    Returns:
        str: Abbreviated hash, or ``unknown`` outside a checkout.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ['git', '-C', str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit = git('rev-parse', f'--short={DIGITS}', 'HEAD')
        changed = git('status', '--porcelain', '--', *CODE)
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return commit + ('-dirty' if changed else '')


def versions() -> Dict[str, str]:
    """Versions of torch, mmengine, mmseg and this package."""
    import mmengine
    import mmseg
    import torch

    import mmseg_ctt

    modules = (torch, mmengine, mmseg, mmseg_ctt)
    return {module.__name__: str(module.__version__) for module in modules}
