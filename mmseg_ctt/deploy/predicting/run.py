# Copyright (c) mmseg_ctt contributors.
"""From a config, a checkpoint and an input to a folder of predictions."""

import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from mmengine.config import Config

from ...engine.fingerprint import config_hash
from ...engine.out_paths import check_out_folder
from ...rasters import rasterio_library
from ..api import load_model
from ..api.inputs import image_pipeline
from ..checkpoint import read_checkpoint, weights_checksum
from ..volumes.run import chosen_members
from .images import predict_images
from .items import IMAGE, RASTER, VIDEO, Item
from .network import Network, resized_to
from .outputs import Outputs
from .rasters import TileSettings, predict_raster
from .trial import from_first, note_absent, with_frames
from .unreadable import Unreadable
from .videos import missing_frames, predict_video

TILE = 512  # pixels
OVERLAP = 0.25  # of a tile
Report = Callable[[str], None]


class Options(NamedTuple):
    """How inputs are predicted.

    Attributes:
        member (str | None): See :func:`load_model`.
        batch_size (int): Images, frames or tiles in one pass.
        tile (tuple[int, int] | None): Height and width of the tiles of rasters. None: the size that
            the test pipeline resizes images to, which it then leaves as they are, else 512.
        overlap (int | None): Pixels that tiles have in common. None: a quarter of the shorter side.
        overlays (bool): Whether pictures with the colours of the classes are written.
        probabilities (bool): Whether the class probabilities are.
        overwrite (bool): Whether existing outputs are replaced.
    """

    member: Optional[str] = None
    batch_size: int = 1
    tile: Optional[Tuple[int, int]] = None
    overlap: Optional[int] = None
    overlays: bool = False
    probabilities: bool = False
    overwrite: bool = False


def tile_settings(cfg: Any, options: Options) -> TileSettings:
    """Tiles of rasters.

    Args:
        cfg (Mapping): Of the model.
        options (Options): Of the call.

    Raises:
        ValueError: If a size is not positive, or tiles overlap by more than a half.
    """
    resized = resized_to(cfg)
    tile = options.tile or resized or (TILE, TILE)
    overlap = int(min(tile) * OVERLAP) if options.overlap is None else options.overlap
    if options.batch_size < 1:
        raise ValueError(f'batch_size must be positive, got {options.batch_size}')
    if min(tile) < 1 or not 0 <= overlap <= min(tile) // 2:
        raise ValueError(
            f'tiles of {tile[0]}x{tile[1]} pixels with an overlap of {overlap}: sizes must be '
            'positive, and the overlap at most half a tile'
        )
    return TileSettings(tile, overlap, resized is not None, options.batch_size)


def predict_items(
    cfg: Config,
    checkpoint: Union[str, Path],
    items: Sequence[Item],
    folder: Union[str, Path],
    options: Optional[Options] = None,
    device: Union[str, torch.device] = 'cpu',
    report: Report = print,
) -> Outputs:
    """Predict inputs into a folder; what an earlier call has finished is left as it is.

    An input that cannot be predicted ends nothing, be it the first or another: the others are
    predicted, and then it is an error. If the first ones are intact and all refused, the settings
    are wrong, and the call ends.

    Args:
        cfg (Config): Of the run.
        checkpoint (str | Path): File or URL.
        items (Sequence[Item]): From :func:`find_items`.
        folder (str | Path): Of the outputs.
        options (Options, optional): How. Defaults to None: the defaults of :class:`Options`.
        device (str | torch.device): Defaults to 'cpu'.
        report (Callable): Takes lines of progress. Defaults to ``print``.

    Returns:
        Outputs: Paths of what was written.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the folder holds predictions of other settings, or an output would replace
            another file; and at the end, if inputs could not be predicted, with their names. If
            none can be, nothing is written.
    """
    options = options or Options()
    check_out_folder(folder)
    tiles = tile_settings(cfg, options)
    _check_options(items, options)
    state = read_checkpoint(checkpoint)['state_dict']
    wanted = [] if options.member is None else [options.member]
    (member,) = chosen_members(cfg, state, wanted)
    unreadable = Unreadable(report)
    settings = _settings(cfg, str(checkpoint), member, tiles, options)
    outputs = Outputs(Path(folder), settings, [i for i in items if os.path.isfile(i.path)])
    outputs.check(options.overwrite)
    finished = len(outputs.finished) + note_absent(items, outputs, options.overwrite, unreadable)
    if finished:
        report(f'{folder}: {finished} of {len(items)} inputs are finished')
    pending = with_frames(outputs.pending, unreadable)
    if pending:
        network = Network(load_model(cfg, checkpoint, member, device))
        pending = from_first(network, pending, tiles, unreadable, settings_fit=finished > 0)
        _say_tiles(cfg, options, tiles, pending, report)
    if pending:
        outputs.start(network.classes, options.overwrite)
        _predict(network, pending, outputs, tiles, report, unreadable)
    unreadable.check(len(items))
    return outputs


def _check_options(items: Sequence[Item], options: Options) -> None:
    """Every option is used by some input, and inputs can be read at all."""
    if any(item.kind == RASTER for item in items):
        rasterio_library()
    elif options.tile or options.overlap is not None:
        name, value = ('tile', options.tile) if options.tile else ('overlap', options.overlap)
        raise ValueError(
            f'{name}={value} (--{name}) is for images that are read in tiles, and none of the '
            'inputs is: tiles are for GeoTIFFs and, with --tile, for images, not for videos. Leave '
            'it out'
        )
    videos = [item for item in items if item.kind == VIDEO]
    if videos and options.probabilities:
        raise ValueError(
            f'probabilities are not written of videos such as {videos[0].path}: predict without '
            '--probabilities, or its frames as images'
        )


def _settings(
    cfg: Config, checkpoint: str, member: Optional[str], tiles: TileSettings, options: Options
) -> Dict[str, Any]:
    """What the outputs depend on; batch size, memory and device are not of it."""
    pipeline = image_pipeline(cfg)
    return dict(
        checkpoint=Path(checkpoint).name,
        weights=weights_checksum(checkpoint),
        config=config_hash(dict(model=cfg['model'], test_dataloader=dict(pipeline=pipeline))),
        member=member,
        tile=tiles.size,
        overlap=tiles.overlap,
        overlays=options.overlays,
        probabilities=options.probabilities,
    )


def _say_tiles(
    cfg: Config, options: Options, tiles: TileSettings, items: Sequence[Item], report: Report
) -> None:
    if options.tile and any(item.kind == VIDEO for item in items):
        report('frames of videos are predicted whole: --tile is for images')
    resized = resized_to(cfg)
    if resized not in (None, tiles.size) and any(item.kind == RASTER for item in items):
        report(
            f'the test pipeline resizes tiles of {tiles.size[0]}x{tiles.size[1]} pixels to fit '
            f'{resized[0]}x{resized[1]}: right if the images of the training had the size of the '
            'tiles'
        )


def _predict(
    network: Network,
    pending: Sequence[Item],
    outputs: Outputs,
    tiles: TileSettings,
    report: Report,
    unreadable: Unreadable,
) -> None:
    started, total = time.perf_counter(), len(pending)
    count = 0

    def done(item: Item, more: str = '') -> None:
        nonlocal count
        count += 1
        seconds = time.perf_counter() - started
        report(f'{count}/{total} {outputs.labels_of(item)}{more}; {seconds:.1f} s so far')

    def left_out(item: Item, error: Exception) -> None:
        nonlocal count
        count += 1
        unreadable.add(item, error)

    images = [item for item in pending if item.kind == IMAGE]
    if images:
        predict_images(network, images, outputs, tiles.batch_size, done, left_out)
    for item in pending:
        try:
            if item.kind == RASTER:
                predict_raster(network, item, outputs, tiles)
                done(item)
            elif item.kind == VIDEO:
                frames = predict_video(network, item, outputs, tiles.batch_size)
                done(item, f', {frames} frames, masks in {outputs.frames_of(item)}')
                missing = missing_frames(item.path, frames)
                if missing is not None:
                    report(missing)
        except ValueError as error:  # of reading; one of writing is an OSError
            left_out(item, error)
