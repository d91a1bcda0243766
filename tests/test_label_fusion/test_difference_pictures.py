# Copyright (c) mmseg_ctt contributors.
"""Pictures of where raters differ, of images of any depth."""

import numpy as np
import pytest
from image_makers import tiff
from PIL import Image

from mmseg_ctt.datasets.image_values import picture_of
from mmseg_ctt.label_fusion import pictures
from mmseg_ctt.label_fusion.cases import Case


@pytest.mark.parametrize('kind, top', [(np.uint8, 255), (np.uint16, 4000), (np.float32, 1)])
def test_an_image_of_any_depth_is_seen(tmp_path, kind, top):
    values = (np.linspace(0, top, 64).reshape(8, 8)).astype(kind)
    (tmp_path / 'a.tif').write_bytes(tiff(values[..., None]))
    for name in ('one', 'two'):
        Image.fromarray(np.full((8, 8), name == 'one', np.uint8)).save(tmp_path / f'{name}.png')
    masks = tuple(str(tmp_path / f'{name}.png') for name in ('one', 'two'))
    case = Case('a', str(tmp_path / 'a.tif'), masks)
    image = pictures._row(case, 2, tmp_path / 'one.png', [[0, 0, 0], [9, 9, 9]])[0]
    assert (image == picture_of(values)).all()
    assert image.min() == 0 and image.max() == 255 and len(np.unique(image)) > 60
