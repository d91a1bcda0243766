# Copyright (c) mmseg_ctt contributors.
from pathlib import Path
from typing import BinaryIO, Mapping, Optional, Sequence, Union

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

IGNORED = (224, 224, 192)  # colour of VOC for pixels without a class; black is a class there


def colorize(label: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Colour picture of a label map; ids without a colour, such as 255, are :data:`IGNORED`.

    Args:
        label (np.ndarray): ``(H, W)`` integer ids.
        palette (Sequence[Sequence[int]]): RGB in 0-255 of each class.

    Returns:
        np.ndarray: ``(H, W, 3)`` uint8.
    """
    rows = max(256, len(palette), int(label.max()) + 1)
    table = np.tile(np.array(IGNORED, np.uint8), (rows, 1))
    table[: len(palette)] = palette
    return table[label]


def save_grid(
    path: Union[str, Path, BinaryIO],
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    captions: Optional[Mapping[str, Sequence[str]]] = None,
) -> None:
    """Write a grid of pictures with titles above, a legend of classes and ignored pixels below.

    Args:
        path (str | Path | BinaryIO): PNG file to write, or an open one.
        rows (Sequence[Sequence[np.ndarray]]): RGB pictures ``(H, W, 3)`` uint8, one per title.
        titles (Sequence[str]): Titles of the columns.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB in 0-255 of each class.
        captions (Mapping[str, Sequence[str]], optional): Text below each picture of a column, by
            its title. Defaults to None: none.
    """
    height, width = rows[0][0].shape[:2]
    columns = min(len(classes) + 1, 2 * len(titles))  # of the legend
    bottom = max(0.55, 0.15 + 0.2 * -(-(len(classes) + 1) // columns))  # inches
    size = (3 * len(titles), 3 * len(rows) * height / width + bottom + 0.35)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=size, squeeze=False)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            axes[i, j].imshow(picture)
            axes[i, j].axis('off')
            if i == 0:
                axes[i, j].set_title(titles[j], fontsize=10)
            for text in (captions or {}).get(titles[j], [])[i : i + 1]:
                below = axes[i, j].transAxes
                axes[i, j].text(
                    0.5, -0.02, text, ha='center', va='top', fontsize=8, transform=below
                )
    handles = [
        Patch(color=(red / 255, green / 255, blue / 255), label=name)
        for name, (red, green, blue) in (*zip(classes, palette), ('ignored', IGNORED))
    ]
    figure.legend(handles=handles, loc='lower center', ncols=columns, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, bottom / size[1], 1, 1))
    figure.savefig(path, dpi=80)
    plt.close(figure)
