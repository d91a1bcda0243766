# Copyright (c) mmseg_ctt contributors.
"""Which inputs can be predicted, found out before anything is written."""

import os
from typing import List, Sequence

from ..api.predict import forward_batch
from .items import RASTER, VIDEO, Item
from .network import Given, Network
from .outputs import Outputs
from .rasters import TileSettings, try_raster
from .unreadable import REFUSED, Unreadable
from .videos import check_video, frames_of


def note_absent(
    items: Sequence[Item], outputs: Outputs, overwrite: bool, unreadable: Unreadable
) -> int:
    """Note inputs that are no files, such as links to files that do not exist.

    Args:
        items (Sequence[Item]): All inputs.
        outputs (Outputs): Of those that are files; checked.
        overwrite (bool): Whether finished inputs are wanted anew.
        unreadable (Unreadable): Takes the inputs.

    Returns:
        int: How many of them an earlier call has finished; these are not noted.
    """
    files = set(outputs.cases)
    absent = [item for item in items if item not in files]
    kept = set(outputs.kept(absent) if absent and not overwrite else ())
    for item in absent:
        if item not in kept:
            unreadable.add(item, FileNotFoundError(_absence(item.path)))
    return len(kept)


def _absence(path: str) -> str:
    if os.path.exists(path):
        return f'{path} is a pipe or a device, not a file'
    if os.path.islink(path):
        return f'{path} is a link that leads to no file, or to one without permission'
    return f'{path} is gone, or its folder is without permission'


def with_frames(items: Sequence[Item], unreadable: Unreadable) -> List[Item]:
    """Inputs without the videos of which no frame can be read.

    Args:
        items (Sequence[Item]): Files.
        unreadable (Unreadable): Takes the videos.
    """
    kept = []
    for item in items:
        try:
            if item.kind == VIDEO:
                check_video(item.path)
            kept.append(item)
        except REFUSED as error:
            unreadable.add(item, error)
    return kept


def from_first(
    network: Network,
    items: Sequence[Item],
    tiles: TileSettings,
    unreadable: Unreadable,
    settings_fit: bool,
) -> List[Item]:
    """Inputs from the first that can be predicted, of which a part is: writes nothing.

    Args:
        network (Network): Of the model.
        items (Sequence[Item]): What is left to predict.
        tiles (TileSettings): Of rasters.
        unreadable (Unreadable): Takes the inputs before the first.
        settings_fit (bool): Whether other inputs were predicted with these settings.

    Raises:
        ValueError: If so many are refused that the settings must be wrong.
    """
    for number, item in enumerate(items):
        try:
            _try(network, item, tiles)
        except REFUSED as error:
            unreadable.add(item, error)
            if not settings_fit:
                unreadable.check_settings()
        else:
            unreadable.go_on()
            return list(items[number:])
    return []


def _try(network: Network, item: Item, tiles: TileSettings) -> None:
    """Predict a part of an input."""
    if item.kind == RASTER:
        try_raster(network, item, tiles)
    elif item.kind == VIDEO:
        _, frame = next(frames_of(item.path))
        network.samples([Given(frame, item.path)])
    else:
        forward_batch(network.model, [network.steps(network.loader(dict(img_path=item.path)))])
