# Copyright (c) mmseg_ctt contributors.
"""Statistics of the bands of images, image by image, in the memory of one image."""

from typing import Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

SAMPLES = 4096  # values of each band and image that quantiles are computed from
QUANTILES = (2.0, 98.0)  # per cent


class BandStatistics(NamedTuple):
    """Statistics of ``C`` bands over all pixels that have data.

    Attributes:
        mean (np.ndarray): ``(C,)`` float64.
        std (np.ndarray): ``(C,)`` float64, of the pixels, not an estimate.
        low (np.ndarray): ``(C,)`` smallest value.
        high (np.ndarray): ``(C,)`` largest value.
        quantiles (np.ndarray): ``(2, C)``, the 2nd and the 98th percentile, of up to 4096 values
            of each image, evenly spread.
        missing (np.ndarray): ``(C,)`` ratio of the pixels without data.
        images (int): Number of images.
        pixels (int): Number of pixels, those without data too.
    """

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    quantiles: np.ndarray
    missing: np.ndarray
    images: int
    pixels: int


class _Sums:
    """Count, mean and squared deviation of each band, joined image by image (Chan et al. 1983)."""

    def __init__(self, bands: int) -> None:
        self.count, self.mean, self.squares = np.zeros((3, bands))
        self.low, self.high = np.full(bands, np.inf), np.full(bands, -np.inf)
        self.samples: List[List[np.ndarray]] = [[] for _ in range(bands)]

    def add(self, band: int, values: np.ndarray) -> None:
        """Join the values of one band of one image."""
        if not values.size:
            return
        values = values.astype(np.float64)
        mean, count = values.mean(), self.count[band] + values.size
        change = mean - self.mean[band]
        self.squares[band] += ((values - mean) ** 2).sum()
        self.squares[band] += change**2 * self.count[band] * values.size / count
        self.mean[band] += change * values.size / count
        self.count[band] = count
        self.low[band] = min(self.low[band], values.min())
        self.high[band] = max(self.high[band], values.max())
        step = -(-values.size // SAMPLES)
        self.samples[band].append(values[::step].astype(np.float32))


def band_statistics(
    images: Iterable[Tuple[str, np.ndarray, Optional[np.ndarray]]],
) -> BandStatistics:
    """Statistics of the bands of images.

    Args:
        images (Iterable): Of each image its name, its pixels ``(H, W)`` or ``(H, W, C)``, and
            ``(H, W, C)`` bool where bands have no data, or None.

    Raises:
        ValueError: If there is no image, images have unlike numbers of bands, or a band has no
            data in any image.
    """
    sums: Optional[_Sums] = None
    count = pixels = 0
    for name, image, missing in images:
        image = image[..., None] if image.ndim == 2 else image
        bands = image.shape[2]
        sums = sums or _Sums(bands)
        if bands != len(sums.count):
            raise ValueError(
                f'the image {name} has {bands} bands, the images before it {len(sums.count)}'
            )
        count, pixels = count + 1, pixels + image.shape[0] * image.shape[1]
        for band in range(bands):
            values = image[..., band]
            sums.add(band, values.ravel() if missing is None else values[~missing[..., band]])
    if sums is None:
        raise ValueError('there is no image')
    return _of_sums(sums, count, pixels)


def _of_sums(sums: _Sums, images: int, pixels: int) -> BandStatistics:
    empty = np.flatnonzero(sums.count == 0)
    if len(empty):
        raise ValueError(f'band {empty[0] + 1} has no data in any of {images} images')
    found = [np.percentile(np.concatenate(values), QUANTILES) for values in sums.samples]
    return BandStatistics(
        mean=sums.mean,
        std=np.sqrt(sums.squares / sums.count),
        low=sums.low,
        high=sums.high,
        quantiles=np.array(found).T,
        missing=1 - sums.count / max(pixels, 1),
        images=images,
        pixels=pixels,
    )
