# Copyright (c) mmseg_ctt contributors.
"""Which slices of a volume a network takes, and how their values become an image."""

from typing import Any, Mapping, NamedTuple, Optional

from ...datasets.wrappers import leaf_configs
from ...volumes.address import split_key
from ...volumes.formats import array_names, array_path
from ...volumes.intensity import Pair, check_context, check_intensity
from ...volumes.planes import axis_of

IMAGE = 'image'  # usual array of .npz and .h5 files with several


class SliceSettings(NamedTuple):
    """Settings of a :class:`VolumeSliceDataset` that a prediction needs too.

    Attributes:
        plane (str): ``'x'``, ``'y'`` or ``'z'``.
        context (int): Slices that are the channels of an image, 1 or 3.
        window (tuple[float, float] | None): Values that become 0 and 255.
        percentiles (tuple[float, float] | None): Percentiles of the volume that become 0 and 255.
    """

    plane: str
    context: int = 1
    window: Optional[Pair] = None
    percentiles: Optional[Pair] = None


class InputFiles(NamedTuple):
    """Which files of a folder are volumes to predict, see :class:`VolumeSliceDataset`.

    Attributes:
        suffix (str | None): End of their names, ``img_suffix``; None: any of volumes.
        key (str | None): Array of ``.npz`` and ``.h5`` files that have it, ``image_key``. Of
            others, and with None: ``image``, else the only array of three axes.
        label_suffix (str | None): End of the names of labels, ``seg_map_suffix``; files that end
            so are no volumes.
    """

    suffix: Optional[str] = None
    key: Optional[str] = None
    label_suffix: Optional[str] = None


def input_files(cfg: Mapping[str, Any]) -> InputFiles:
    """Those of the test data set of a config.

    Args:
        cfg (Mapping): Of a run; without slices of volumes as test data all volumes are taken.
    """
    leaf = _test_slices(cfg)
    return InputFiles(*(leaf.get(name) for name in ('img_suffix', 'image_key', 'seg_map_suffix')))


def input_path(path: str, key: Optional[str]) -> str:
    """Path of a volume to predict, with the name of its array where its file may hold several.

    Args:
        path (str): File; one with ``:key`` stays as it is.
        key (str, optional): See :class:`InputFiles`.

    Raises:
        UnreadableVolumeError: If the file is damaged.
    """
    file, known = split_key(path)
    has_key = bool(key) and not known and key in array_names(file)
    return array_path(path, IMAGE, key if has_key else None)


def slice_settings(cfg: Mapping[str, Any], **changes: Any) -> SliceSettings:
    """Settings of the test data set of a config, with changes.

    Args:
        cfg (Mapping): Of a run. Its test data may be slices of volumes, or images; with images
            the plane must be given.
        **changes: Fields of :class:`SliceSettings`; None changes nothing. A window takes the
            place of percentiles, and percentiles that of a window.

    Raises:
        TypeError: If there is no such field.
        ValueError: If a setting is none, or the plane is not known.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    unknown = set(changes) - set(SliceSettings._fields)
    if unknown:
        raise TypeError(
            f'{sorted(unknown)[0]} is no setting of slices: choose from '
            f'{", ".join(SliceSettings._fields)}'
        )
    known = _of_dataset(cfg)
    if {'window', 'percentiles'} & set(changes):
        known = {name: value for name, value in known.items() if name in ('plane', 'context')}
    found = {**known, **changes}
    if 'plane' not in found:
        raise ValueError(
            'the test data of the config are no VolumeSliceDataset, so the plane of its slices is '
            "not known: set plane (--plane) to 'x', 'y' or 'z'"
        )
    axis_of(found['plane'])
    check_context(found.get('context', 1), 'slices')
    pair = check_intensity(found.get('window'), found.get('percentiles'), 'slices')
    return SliceSettings(found['plane'], int(found.get('context', 1)), *pair)


def _of_dataset(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    leaf = _test_slices(cfg)
    found = {name: leaf[name] for name in SliceSettings._fields if leaf.get(name) is not None}
    return {'plane': 'z', **found} if leaf else {}


def _test_slices(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """Config of the test data set; empty where it holds no slices of volumes."""
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        return {}
    leaf = next(iter(leaf_configs(loader['dataset']).values()))
    kind = str(getattr(leaf.get('type'), '__name__', leaf.get('type')))
    return leaf if kind == 'VolumeSliceDataset' else {}
