# Copyright (c) mmseg_ctt contributors.
"""Windows of a file that is too large for one pass, with the pixels that training reads of it."""

from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional, Tuple

import numpy as np

from ..rasters import has_mask, rasterio_library, read_window
from .image_decoders import UnreadableImageError, swapped
from .nodata import cleared, decode_with_nodata, with_value
from .tiff_header import PALETTE, TiffHeader, file_header, is_raster

BLACK_IS_ZERO, RGB, YCBCR = 1, 2, 6  # interpretations whose samples are pixels, once decompressed
COLOURS = 3
LOSSY = ('JPEG', 'YCbCr JPEG')  # as GDAL calls them
# decoders differ in the colours of neighbouring pixels of lossy files: small ones are read by that
# of training, in memory
WHOLE = 2**27  # pixels
SIDE = 1024  # pixels a side that the values of a file are taken from
Window = Tuple[np.ndarray, Optional[np.ndarray]]


class Windows:
    """Windows of an open file.

    rasterio gives samples as they are stored: indices of a colour table, 0 and 1 of black and
    white. Where these are not the pixels that training reads, colours of the table are given, or
    the file is decoded once, whole.

    Args:
        dataset (rasterio.DatasetReader): The file, see :func:`mmseg_ctt.rasters.opened`.
        nodata (float, optional): As of :func:`.nodata.decode_with_nodata`. Defaults to None.

    Attributes:
        stored (bool): Whether the pixels are the samples of the file as stored.
    """

    def __init__(self, dataset: Any, nodata: Optional[float] = None) -> None:
        self.dataset, self.nodata = dataset, nodata
        header = file_header(Path(dataset.name))
        self.raster = header is not None and is_raster(header, True)
        self.stored = self.raster or (_is_plain(dataset, header) and not _is_lossy(dataset))
        self.says = header is not None and header.nodata
        self.table = None if self.stored else _colour_table(dataset, header)
        self._whole: Optional[Window] = None

    def read(self, window: Any) -> Window:
        """Pixels of a window, and where they have no data.

        Args:
            window (rasterio.windows.Window): The window.

        Returns:
            tuple: ``(h, w, C)``, bands in OpenCV's order, 0 where they have no data; and the same
            bool, or None.

        Raises:
            UnreadableImageError: If the file is damaged.
            ValueError: If some of its bands or pages would be lost.
        """
        with self._damage():
            return self._read(window)

    def values(self) -> np.ndarray:
        """Some values of the whole file that are data, evenly spread, of all bands in one row."""
        with self._damage():
            if self.stored:
                rows, columns = self.dataset.shape
                size = min(SIDE, rows), min(SIDE, columns)
                pixels, missing = read_window(self.dataset, size=size)
            else:
                pixels, missing = self._decoded()
        return pixels.ravel() if missing is None else pixels[~missing]

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """The error of a damaged image in the place of rasterio's."""
        try:
            yield
        except rasterio_library().errors.RasterioIOError as error:
            name = self.dataset.name
            raise UnreadableImageError(f'cannot decode image {name}: {error}') from None

    def _read(self, window: Any) -> Window:
        if self.raster:
            pixels, missing = read_window(self.dataset, window)
            said = self.dataset.nodata is not None or has_mask(self.dataset)
            pixels, missing = with_value(pixels, missing, None if said else self.nodata)
            return swapped(pixels), None if missing is None else swapped(missing)
        if self.table is not None:
            return self._coloured(window, self.table)
        if self.stored:
            pixels = self.dataset.read(window=window).transpose(1, 2, 0)
            return with_value(swapped(pixels), None, self.nodata)
        rows, columns = window.toslices()
        pixels, missing = self._decoded()
        return pixels[rows, columns], None if missing is None else missing[rows, columns]

    def _coloured(self, window: Any, table: np.ndarray) -> Window:
        values, missing = read_window(self.dataset, window)
        pixels = table[values[..., 0]]
        if not self.says:
            return with_value(pixels, None, self.nodata)
        if missing is None:
            return pixels, None
        missing = np.repeat(missing[..., :1], COLOURS, axis=2)
        return cleared(pixels, missing), missing

    def _decoded(self) -> Window:
        if self._whole is None:
            name = self.dataset.name
            pixels, missing = decode_with_nodata(Path(name).read_bytes(), name, self.nodata)
            self._whole = np.atleast_3d(pixels), missing
        return self._whole


def _is_plain(dataset: Any, header: Optional[TiffHeader]) -> bool:
    """Whether samples of a file without coordinates are its pixels: all bits, no colour table."""
    names = {interpretation.name for interpretation in dataset.colorinterp}
    if 'palette' in names or 'NBITS' in dataset.tags(1, ns='IMAGE_STRUCTURE'):
        return False
    if dataset.driver == 'GTiff':
        kinds = (BLACK_IS_ZERO, RGB, YCBCR)
        return header is not None and header.photometric in kinds and header.pages == 1
    if dataset.driver == 'PNG':  # one of three bands may name a transparent colour
        return dataset.count != COLOURS or dataset.nodata is None
    return dataset.driver == 'JPEG'


def _is_lossy(dataset: Any) -> bool:
    """Whether a file of lossy compression is small enough for the decoder of training."""
    compression = dataset.tags(ns='IMAGE_STRUCTURE').get('COMPRESSION')
    return compression in LOSSY and dataset.height * dataset.width <= WHOLE


def _colour_table(dataset: Any, header: Optional[TiffHeader]) -> Optional[np.ndarray]:
    """Colours ``(256, 3)`` of the values of a TIFF of 8 bit with a colour table, else None."""
    if header is None or (header.photometric, header.pages, header.kind) != (PALETTE, 1, 'uint8'):
        return None
    table = np.zeros((256, COLOURS), np.uint8)
    for value, colour in dataset.colormap(1).items():
        table[value] = colour[:COLOURS]
    return table[:, ::-1]  # blue first
