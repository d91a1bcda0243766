# Copyright (c) mmseg_ctt contributors.
import io

import numpy as np
from PIL import Image

from mmseg_ctt.visualization.html import legend_html, picture_html, png_bytes, table_html


def test_large_pictures_are_reduced():
    png = png_bytes(np.zeros((40, 80, 3), np.uint8), max_side=20)
    assert Image.open(io.BytesIO(png)).size == (20, 10)
    assert 'alt="a&lt;b"' in picture_html(png, 'a<b')


def test_text_is_escaped_and_rows_are_bold():
    html = table_html(['class', 'IoU'], [['<b>', '1'], ['road', '2']], bold={1})
    assert html.count('<tr>') == 3 and '&lt;b&gt;' in html
    assert html.count('text-align: right; font-weight: bold') == 1
    assert 'rgb(1,2,3)' in legend_html(['a&b'], [(1, 2, 3)]) and 'a&amp;b' in legend_html(
        ['a&b'], [(1, 2, 3)]
    )
