# Copyright (c) mmseg_ctt contributors.
"""Settings of slices for all data sets of volumes of a config.

``volume_slices`` is a top-level variable, as ``sizes`` is: ``volume_slices=dict(plane='x')`` sets
the argument of every :class:`VolumeSliceDataset`, for training and evaluation.
"""

from typing import Any, Dict, Iterator

from mmengine.config import Config

from ..datasets import VolumeSliceDataset
from ..nn.settings import as_dict, check_keys
from .pipeline_steps import LOADERS

KEY = 'volume_slices'
SETTINGS = ('plane', 'context', 'window', 'percentiles')


def use_volume_slices(cfg: Any) -> None:
    """Apply ``volume_slices``; a second call changes nothing, until an entry is set again.

    Entries are checked where the data sets are built.

    Args:
        cfg (mmengine.Config | dict): Complete config; changed in place.

    Raises:
        TypeError: If ``volume_slices`` is no dict.
        ValueError: For an unknown setting, or settings without a data set of volumes.
    """
    root = cfg._cfg_dict if isinstance(cfg, Config) else cfg
    settings = as_dict(KEY, root.get(KEY) or {})
    check_keys(KEY, settings, SETTINGS)
    given = {name: value for name, value in settings.items() if value is not None}
    sets = [found for loader in LOADERS for found in _volume_sets(root.get(loader))]
    if given and not sets:
        raise ValueError(
            f'{KEY}={given} would change nothing: no data set is a VolumeSliceDataset; remove it'
        )
    for dataset in sets:
        dataset.update(given)
        if 'window' in given or 'percentiles' in given:  # the other of the two goes
            dataset.update({name: given.get(name) for name in ('window', 'percentiles')})
    for name in given:
        root[KEY][name] = None


def _volume_sets(node: Any) -> Iterator[Dict[str, Any]]:
    """Configs of data sets of volumes in a part of a config."""
    if isinstance(node, dict):
        if node.get('type') in (VolumeSliceDataset.__name__, VolumeSliceDataset):
            yield node
        children = list(node.values())
    else:
        children = list(node) if isinstance(node, (list, tuple)) else []
    for child in children:
        yield from _volume_sets(child)
