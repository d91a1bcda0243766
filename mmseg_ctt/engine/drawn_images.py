# Copyright (c) mmseg_ctt contributors.
"""Images that ``SegVisualizationHook`` draws on, of any depth and number of channels.

mmseg's hook reads the file of an image once more, by mmcv, which fails for numbers with a point,
for more than four bands and for slices of volumes. Importing this module gives it the reader of
this package.
"""

from typing import Any, Union

import mmengine.fileio as fileio
import numpy as np
from mmseg.engine.hooks import visualization_hook

from ..datasets.image_reading import decode_image
from ..datasets.image_values import picture_of, read_picture
from ..volumes.address import is_address


class _PictureReader:
    """What the hook calls of mmcv and of ``mmengine.fileio``."""

    @staticmethod
    def get(path: str, *args: Any, **kwargs: Any) -> Union[bytes, str]:
        """Content of a file; the address of a slice as it is."""
        return path if is_address(path) else fileio.get(path, *args, **kwargs)

    @staticmethod
    def imfrombytes(content: Union[bytes, str], *_: Any, **__: Any) -> np.ndarray:
        """Picture ``(H, W, 3)`` uint8, red, green, blue, of what :meth:`get` gives."""
        if isinstance(content, str):
            return read_picture(content)
        return picture_of(decode_image(content, 'to draw on'))


visualization_hook.mmcv = visualization_hook.fileio = _PictureReader
