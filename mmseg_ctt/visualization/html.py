# Copyright (c) mmseg_ctt contributors.
"""HTML with which results show themselves in notebooks; it needs no file beside it."""

import base64
import io
from html import escape
from typing import AbstractSet, Sequence

import numpy as np
from PIL import Image


def png_bytes(pixels: np.ndarray, max_side: int) -> bytes:
    """PNG file of a picture.

    Args:
        pixels (np.ndarray): ``(H, W, 3)`` uint8, RGB.
        max_side (int): Longer side in pixels; larger pictures are reduced.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((max_side, max_side))
    stream = io.BytesIO()
    image.save(stream, 'PNG')
    return stream.getvalue()


def picture_html(png: bytes, text: str) -> str:
    """Element of a PNG file.

    Args:
        png (bytes): The file.
        text (str): Alternative text.
    """
    code = base64.b64encode(png).decode()
    return (
        f'<img src="data:image/png;base64,{code}" alt="{escape(text)}" '
        'style="max-width: 100%; height: auto">'
    )


def table_html(
    head: Sequence[str], rows: Sequence[Sequence[str]], bold: AbstractSet[int] = frozenset()
) -> str:
    """Table; the first column is text, the others are numbers.

    Args:
        head (Sequence[str]): Names of the columns.
        rows (Sequence[Sequence[str]]): Text of the cells.
        bold (AbstractSet[int]): Numbers of rows in bold. Defaults to none.
    """

    def row(cells: Sequence[str], tag: str, style: str = '') -> str:
        aligned = ['left', *['right'] * (len(cells) - 1)]
        inner = ''.join(
            f'<{tag} style="text-align: {side}{style}">{escape(cell)}</{tag}>'
            for side, cell in zip(aligned, cells)
        )
        return f'<tr>{inner}</tr>'

    body = ''.join(
        row(cells, 'td', '; font-weight: bold' if i in bold else '') for i, cells in enumerate(rows)
    )
    return f'<table><thead>{row(head, "th")}</thead><tbody>{body}</tbody></table>'


def legend_html(names: Sequence[str], colours: Sequence[Sequence[int]]) -> str:
    """Names behind squares of their colours, side by side.

    Args:
        names (Sequence[str]): Text.
        colours (Sequence[Sequence[int]]): RGB in 0-255 of each.
    """
    return ''.join(
        '<span style="margin-right: 1em; white-space: nowrap">'
        f'<span style="color: rgb({colour[0]},{colour[1]},{colour[2]})">&#9632;</span> '
        f'{escape(name)}</span>'
        for name, colour in zip(names, colours)
    )
