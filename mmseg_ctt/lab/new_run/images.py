# Copyright (c) mmseg_ctt contributors.
"""Sizes, formats, channels and values of images, from a sample of them."""

import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ...datasets.image_files import IMAGE_SUFFIXES
from ...datasets.image_reading import image_size
from ...datasets.nodata import decode_with_nodata
from ...datasets.tiff_header import is_tiff, read_tiff_header

SIZES, PIXELS = 256, 24  # images of which the size is read, and those that are decoded
NUM_WORKERS = 4
SIDE = 256  # pixels a side that are kept of a decoded image, for statistics


class Images(NamedTuple):
    """What images of a data set are.

    Attributes:
        total (int): Images.
        formats (dict[str, int]): Number by ending, most frequent first.
        sizes (list[tuple[int, int]]): Width and height of up to ``SIZES`` of them.
        channels (dict[int, int]): Number of decoded images by their channels.
        kinds (dict[str, int]): The same by type of the values, such as ``'uint16'``.
        value_range (tuple[float, float] | None): Values that become 0 and 255; None for 8 bit.
        mean (list[float]): Of each channel, in 0 to 255, blue first; for more than three channels.
        std (list[float]): The same.
        geo (bool): Whether they are GeoTIFFs.
    """

    total: int
    formats: Dict[str, int]
    sizes: List[Tuple[int, int]]
    channels: Dict[int, int]
    kinds: Dict[str, int]
    value_range: Optional[Tuple[float, float]]
    mean: List[float]
    std: List[float]
    geo: bool = False

    @property
    def median_size(self) -> Tuple[int, int]:
        """Width and height in the middle of those found."""
        width, height = np.median(np.array(self.sizes), axis=0)
        return int(width), int(height)

    @property
    def bands(self) -> int:
        """Channels that the network gets: 3, or those of files of more than four."""
        most = max(self.channels)
        return most if most > 4 else 3

    def lines(self) -> List[str]:
        """What was found, in words."""
        formats = ', '.join(f'{number} {end}' for end, number in self.formats.items())
        widths, heights = zip(*self.sizes)
        size = '{}x{}'.format(*self.median_size)
        if (min(widths), min(heights)) != (max(widths), max(heights)):
            size += f' (from {min(widths)}x{min(heights)} to {max(widths)}x{max(heights)})'
        channels = ' or '.join(map(str, sorted(self.channels)))
        lines = [
            f'images: {self.total} ({formats}), {size}, {channels} channels, '
            f'{" and ".join(sorted(self.kinds))}'
        ]
        if self.value_range:
            low, high = self.value_range
            lines.append(
                f'values: {low:g} to {high:g} become 0 to 255, which hold 99.8 % of them; '
                'image_loading in the config changes it'
            )
        if set(self.channels) & {2, 4} and self.bands == 3:
            lines.append(
                'the channel beside grey or colours is left out, as alpha; '
                "image_loading.color_type='unchanged' keeps it"
            )
        if self.bands != 3:
            lines.append(
                f'{self.bands} bands: all are used, and the first layer of the network starts from '
                'random numbers'
            )
        return lines


def spread(items: Sequence[str], number: int) -> List[str]:
    """Up to ``number`` items, evenly spread."""
    return list(items[:: max(1, -(-len(items) // number))])


def inspect(root: Path, names: Sequence[str]) -> Images:
    """Find out what images are.

    Args:
        root (Path): Root of the data set.
        names (Sequence[str]): Paths of all images below it, at least one.

    Raises:
        ValueError: If an image cannot be read, or images have other numbers of bands.
    """
    formats = Counter(
        next(end for end in IMAGE_SUFFIXES if name.lower().endswith(end)) for name in names
    )
    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        shapes = list(pool.map(image_size, (root / name for name in spread(names, SIZES))))
        read = list(pool.map(_read, (root / name for name in spread(names, PIXELS))))
    pixels, kept = [image for image, _, _ in read], [shown for _, shown, _ in read]
    channels = Counter(image.shape[2] for image in pixels)
    kinds = Counter(str(image.dtype) for image in pixels)
    if len(channels) > 1 and max(channels) > 4:
        raise ValueError(
            f'images have {" and ".join(map(str, sorted(channels)))} channels: a network takes one '
            'number of bands; move the others out of the folder'
        )
    deep = [image for image in pixels if image.dtype != np.uint8]
    shown = [where for image, where, _ in read if image.dtype != np.uint8]
    value_range = _range(deep, shown) if deep else None
    mean, std = _statistics(pixels, kept, value_range) if max(channels) > 4 else ([], [])
    sizes = [(width, height) for height, width in shapes]
    return Images(
        len(names),
        dict(formats.most_common()),
        sizes,
        dict(channels),
        dict(kinds),
        value_range,
        mean,
        std,
        any(geo for _, _, geo in read),
    )


def _read(path: Path) -> Tuple[np.ndarray, np.ndarray, bool]:
    """Some pixels ``(h, w, C)`` of an image, the same bool where they have data, if GeoTIFF."""
    content = path.read_bytes()
    header = read_tiff_header(content) if is_tiff(content) else None
    pixels, missing = decode_with_nodata(content, str(path))
    image = pixels[..., None] if pixels.ndim == 2 else pixels
    some = (slice(None, None, _step(image, 0)), slice(None, None, _step(image, 1)))
    image = image[some]
    kept = np.ones(image.shape, bool) if missing is None else ~missing[some]
    return image, kept, header is not None and header.geo


def _step(image: np.ndarray, axis: int) -> int:
    return max(1, image.shape[axis] // SIDE)


def _range(images: Sequence[np.ndarray], kept: Sequence[np.ndarray]) -> Tuple[float, float]:
    """Values below and above which 0.1 % of the pixels with data are."""
    values = np.concatenate([image[shown] for image, shown in zip(images, kept)])
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        raise ValueError('images hold no finite value')
    low, high = np.percentile(values, (0.1, 99.9))
    if images[0].dtype.kind in 'ui':
        low, high = np.floor(low), np.ceil(high)
    return (float(low), float(high)) if low < high else (float(low), float(low) + 1.0)


def _statistics(
    images: Sequence[np.ndarray],
    kept: Sequence[np.ndarray],
    value_range: Optional[Tuple[float, float]],
) -> Tuple[List[float], List[float]]:
    """Mean and standard deviation of each channel, as a network takes them."""
    values = np.concatenate([image.reshape(-1, image.shape[2]) for image in images])
    values = values.astype(np.float64)
    if value_range is not None and images[0].dtype != np.uint8:
        low, high = value_range
        values = ((values - low) / (high - low)).clip(0, 1) * 255
    values[~np.concatenate([shown.reshape(-1, shown.shape[2]) for shown in kept])] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of bands without any finite value
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    mean, std = np.nan_to_num(mean), np.nan_to_num(std)
    return mean.round(1).tolist(), std.round(1).clip(min=1.0).tolist()
