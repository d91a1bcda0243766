# Copyright (c) mmseg_ctt contributors.
"""Mean, standard deviation and range of the bands of images, ready to paste into a config."""

from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import TRANSFORMS

from ..rasters import BandStatistics, band_statistics
from .image_files import find_images
from .image_loading import CheckedLoadImageFromFile
from .image_reading import swapped
from .nodata import decode_with_nodata
from .sources import source_config, source_names
from .wrappers import build_lazily, distinct_infos, leaf_configs, with_leaves

EVALUATED = ('val', 'test')
Bands = Tuple[str, np.ndarray, Optional[np.ndarray]]


def bands_of_folder(folder: Path, nodata: Optional[float] = None) -> Dict[str, Any]:
    """Statistics of the values that the image files of a folder hold, in the order of their bands.

    Args:
        folder (Path): With images, in ``images`` where there is such a folder.
        nodata (float, optional): Value of pixels without data, for files that say none. Defaults
            to None.

    Returns:
        dict: Numbers by name, lists with one for each band, and ``table``, Markdown.

    Raises:
        FileNotFoundError: If there is no image.
        ValueError: See :func:`mmseg_ctt.rasters.band_statistics`.
    """
    folder = folder / 'images' if (folder / 'images').is_dir() else folder
    files = [folder / name for name in find_images(folder).values()]
    if not files:
        raise FileNotFoundError(f'no image was found in {folder}')
    whole = True

    def bands() -> Iterator[Bands]:
        nonlocal whole
        for path in files:
            pixels, missing = decode_with_nodata(path.read_bytes(), str(path), nodata)
            whole = whole and pixels.dtype == np.uint8
            yield str(path), swapped(pixels), None if missing is None else swapped(missing)

    found = band_statistics(bands())
    lines = _lines(found, f'{folder}: values of the files', 'band')
    if not whole:
        low, high = float(found.quantiles[0].min()), float(found.quantiles[1].max())
        lines += [
            f'2nd and 98th percentile of all bands: `image_loading = dict(value_range=({low:g}, '
            f'{high:g}))`. Set it, then take mean and std of the config that has it.'
        ]
    else:
        lines += [
            _pasted(found),
            'The order is that of the files: of three bands red, green, blue.',
        ]
    return dict(_numbers(found), table='\n'.join(lines))


def bands_of_config(cfg: Config, name: Optional[str] = None) -> Dict[str, Any]:
    """Statistics of the values in 0-255 that the network of a config gets, in its order.

    Args:
        cfg (Config): Prepared.
        name (str, optional): ``val``, ``test`` or a source of the training images. Defaults to
            None: all sources.

    Returns:
        dict: As :func:`bands_of_folder`.

    Raises:
        FileNotFoundError: If a list or an image is missing.
        ValueError: If there is no such set, or an image does not fit the loading step.
    """
    turned = _turns_channels(cfg)

    def bands() -> Iterator[Bands]:
        for loader, path in _images(cfg, name):
            image, missing = loader.load_bands(path)
            if turned and image.ndim == 3 and image.shape[2] == 3:
                image = swapped(image)
                missing = None if missing is None else swapped(missing)
            yield path, image, missing

    found = band_statistics(bands())
    where = f'the set {name}' if name else 'all training images'
    lines = _lines(found, f'{where}: values in 0-255, as the network gets them', 'channel')
    return dict(_numbers(found), table='\n'.join([*lines, _pasted(found)]))


def _images(cfg: Config, name: Optional[str]) -> Iterator[Tuple[CheckedLoadImageFromFile, str]]:
    """Loading step and path of each distinct image."""
    for settings in _sets(cfg, name):
        with DefaultScope.overwrite_default_scope('mmseg'):
            dataset = build_lazily(with_leaves(settings, _without_steps))
            dataset.full_init()
            step = next(iter(leaf_configs(settings).values()))['pipeline'][0]
            loader = TRANSFORMS.build(step)
        if not isinstance(loader, CheckedLoadImageFromFile):
            raise ValueError('the pipeline of the images must begin with LoadImageFromFile')
        for info in distinct_infos(dataset):
            yield loader, info['img_path']


def _without_steps(leaf: Mapping[str, Any]) -> Dict[str, Any]:
    return {**leaf, 'pipeline': []}


def _sets(cfg: Config, name: Optional[str]) -> List[Mapping[str, Any]]:
    if name in EVALUATED:
        if not cfg.get(f'{name}_dataloader'):
            raise ValueError(f'the config has no {name}_dataloader')
        return [cfg[f'{name}_dataloader'].dataset]
    settings = cfg.train_dataloader.dataset
    names = [name] if name else source_names(settings)
    return [source_config(settings, one) for one in names] if names else [settings]


def _turns_channels(cfg: Mapping[str, Any]) -> bool:
    """Whether the data preprocessor makes red, green, blue of blue, green, red."""
    model = cfg.get('model') or {}
    for owner in (model.get('segmentor') or {}, model, cfg):
        preprocessor = owner.get('data_preprocessor')
        if preprocessor and 'mean' in preprocessor:
            return bool(preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr'))
    return False


def _numbers(found: BandStatistics) -> Dict[str, Any]:
    return dict(
        images=found.images,
        pixels=found.pixels,
        **{
            name: [float(value) for value in getattr(found, name)]
            for name in ('mean', 'std', 'low', 'high', 'missing')
        },
    )


def _lines(found: BandStatistics, title: str, row: str) -> List[str]:
    lines = [
        f'{title}: {found.images} images, {found.pixels:,} pixels',
        '',
        f'| {row} | mean | std | smallest | 2 % | 98 % | largest | without data |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    for k in range(len(found.mean)):
        numbers = (found.mean, found.std, found.low, *found.quantiles, found.high)
        cells = ' | '.join(f'{values[k]:.5g}' for values in numbers)
        lines.append(f'| {k + 1} | {cells} | {found.missing[k]:.2%} |')
    return [*lines, '']


def _pasted(found: BandStatistics) -> str:
    mean, std = (', '.join(f'{v:.5g}' for v in values) for values in (found.mean, found.std))
    return f'`data_preprocessor=dict(mean=[{mean}], std=[{std}])`'
