# Copyright (c) mmseg_ctt contributors.
"""Images that ``SegVisualizationHook`` draws on, of any depth and number of channels.

mmseg's hook reads the file of an image once more, by mmcv, which fails for numbers with a point and
for more than four bands. Importing this module gives it the reader of this package.
"""

from typing import Any

import numpy as np
from mmseg.engine.hooks import visualization_hook

from ..datasets.image_reading import decode_image
from ..datasets.image_values import picture_of


class _PictureReader:
    """What the hook calls of mmcv."""

    @staticmethod
    def imfrombytes(content: bytes, *_: Any, **__: Any) -> np.ndarray:
        """Picture ``(H, W, 3)`` uint8, red, green, blue, of the content of a file."""
        return picture_of(decode_image(content, 'to draw on'))


visualization_hook.mmcv = _PictureReader
