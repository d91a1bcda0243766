# Copyright (c) mmseg_ctt contributors.
"""Loading step for images of any depth, number of channels and orientation."""

from typing import Any, Dict, Optional, Tuple, Union

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import TRANSFORMS

from ..volumes.address import is_address
from ..volumes.reading import UnreadableVolumeError
from .image_reading import UnreadableImageError, decodes, read_image
from .image_values import (
    ValueRange,
    check_color_type,
    check_nodata,
    check_value_range,
    range_of,
    to_input,
)
from .nodata import cleared, decode_with_nodata, mark


@TRANSFORMS.register_module()
class CheckedLoadImageFromFile(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` with the one reader of this package.

    Photos of 8 bit without an orientation tag are those of mmcv. Orientation tags are applied for
    every ``color_type`` and format, and no value is lost unsaid: an image of another depth is
    scaled by ``value_range``, or refused. Slices of volumes have their values from the data set.

    Required Keys:

    - img_path

    Modified Keys:

    - img
    - img_shape
    - ori_shape

    Args:
        *args: As of ``mmcv.transforms.LoadImageFromFile``.
        value_range (Sequence[float], optional): Values of images of other than 8 bit that become 0
            and 255, such as ``(0, 4095)`` for 12 bit; values beyond are clipped, and none is
            rounded. Images of 8 bit stay as they are. Defaults to None: such images are an error.
        nodata (float | str, optional): Value of pixels without data, for files that say none
            themselves, as GeoTIFFs do; ``'nan'``, ``'inf'`` or ``'-inf'`` where it is not finite.
            Such a band is 0 in the image; a pixel without data in all bands is ignored in training
            and scores. Defaults to None.
        **kwargs: As of ``mmcv.transforms.LoadImageFromFile``.

    Raises:
        ValueError: For an unknown ``color_type``, one that leaves orientation tags out, another
            ``imdecode_backend`` than the default, a ``value_range`` that is no rising pair, or a
            ``nodata`` that is no number; in ``transform``, naming the file, if an image is damaged,
            is not of 8 bit and there is no ``value_range``, or has bands that would be lost.
    """

    def __init__(
        self,
        *args: Any,
        value_range: Optional[ValueRange] = None,
        nodata: Union[float, str, None] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_color_type(self.color_type)
        if self.imdecode_backend not in ('cv2', None):
            raise ValueError(
                f'LoadImageFromFile.imdecode_backend={self.imdecode_backend!r} would be unused: '
                'remove it, images are decoded by what reads their format'
            )
        self.value_range = check_value_range(value_range)
        checked = check_nodata(nodata)
        self.nodata = None if checked is None else float(checked)

    def transform(self, results: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Load ``results['img_path']``.

        Args:
            results (dict): From a data set.

        Returns:
            dict | None: With ``img``, ``img_shape`` and ``ori_shape``; None for a file that cannot
            be loaded, with ``ignore_empty``.
        """
        path = results['img_path']
        try:
            if is_address(path):
                return self.with_pixels(results, read_image(path), path)
            pixels, missing = decode_with_nodata(self._read(path), path, self.nodata)
            return self.with_pixels(results, pixels, path, missing)
        except Exception:
            if self.ignore_empty:
                return None
            raise

    def load_bands(self, path: str) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """Image of a file as :meth:`transform` gives it, and where its channels have no data.

        Args:
            path (str): Image file, or address of a slice.

        Returns:
            tuple: ``(H, W)`` or ``(H, W, C)``, and ``(H, W, C)`` bool or None.
        """
        if is_address(path):
            return self.with_pixels({}, read_image(path), path)['img'], None
        pixels, missing = decode_with_nodata(self._read(path), path, self.nodata)
        image = self.with_pixels({}, pixels, path, missing)['img']
        channels = np.atleast_3d(image).shape[2]
        if missing is not None and missing.shape[2] != channels:
            missing = missing.all(axis=2, keepdims=True).repeat(channels, axis=2)
        return image, missing

    def with_pixels(
        self,
        results: Dict[str, Any],
        pixels: np.ndarray,
        name: str,
        missing: Optional[np.ndarray] = None,
    ) -> Dict[str, Any]:
        """Put pixels into results, as if they had been loaded from a file.

        Args:
            results (dict): Results of the pipeline so far.
            pixels (np.ndarray): See :func:`.image_reading.decode_image`.
            name (str): Path of the file, or what messages call the image.
            missing (np.ndarray, optional): ``(H, W, C)`` bool, where bands have no data. Defaults
                to None: all have.
        """
        if self.color_type == 'grayscale' and pixels.ndim == 3 and is_address(name):
            raise ValueError(
                f'{name} has neighbouring slices as channels, which image_loading.color_type='
                "'grayscale' would mix: set color_type='color', or context=1"
            )
        image = to_input(pixels, self.color_type, range_of(name, self.value_range), name)
        if missing is not None:
            image = cleared(image, missing)
            mark(results, missing)
        if self.to_float32:
            image = image.astype(np.float32)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, path: str) -> bytes:
        if self.file_client_args is not None:
            return fileio.FileClient.infer_client(self.file_client_args, path).get(path)
        return fileio.get(path, backend_args=self.backend_args)

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, nodata={self.nodata}, value_range={self.value_range})'


def loads(dataset: Any, path: str) -> bool:
    """Whether a data set's pipeline can load an image.

    Args:
        dataset (Dataset): Of any class; without :class:`CheckedLoadImageFromFile` the file is
            decoded alone.
        path (str): Image file.

    Returns:
        bool: False for a file that is damaged, no image, or missing.

    Raises:
        ValueError: If the image is intact, and the pipeline does not take its depth or channels.
    """
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    loader = next((step for step in steps if isinstance(step, CheckedLoadImageFromFile)), None)
    if loader is None:
        return decodes(path)
    try:
        return loader.transform(dict(img_path=path)) is not None
    except (OSError, UnreadableImageError, UnreadableVolumeError):
        return False
