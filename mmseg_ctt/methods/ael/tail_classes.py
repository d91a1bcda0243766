# Copyright (c) mmseg_ctt contributors.
import json
from pathlib import Path
from typing import List, Optional, Sequence, Union

import torch
from torch import Tensor

from .functional import tail_classes

KEY = 'model.copy_paste.tail'


def fixed_tail(
    tail: Union[None, str, Sequence[int]], num_classes: int, ratio: float
) -> Optional[Tensor]:
    """Tail classes that a config knows before training.

    Args:
        tail (str | Sequence[int], optional): Class ids, or a file that
            ``tools/analysis_tools/label_statistics.py --json`` wrote. None: nothing is known.
        num_classes (int): ``K``.
        ratio (float): As in :func:`mmseg_ctt.functional.tail_classes`, for a file.

    Returns:
        Tensor | None: ``(K,)`` bool.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is no such file, its classes are not ``K``, or an id lies outside.
    """
    if tail is None:
        return None
    if isinstance(tail, str):
        return tail_classes(torch.tensor(_pixels_in(Path(tail), num_classes)), ratio)
    wrong = [k for k in tail if not 0 <= k < num_classes]
    if wrong or not tail:
        raise ValueError(
            f'{KEY} must name classes in 0..{num_classes - 1}, got {list(tail)}; '
            'model.copy_paste=False switches Copy-Paste off'
        )
    mask = torch.zeros(num_classes, dtype=torch.bool)
    mask[list(tail)] = True
    return mask


def _pixels_in(path: Path, num_classes: int) -> List[int]:
    if not path.is_file():
        raise FileNotFoundError(
            f'{KEY}: there is no file {path}; write it with '
            'tools/analysis_tools/label_statistics.py CONFIG --json FILE'
        )
    try:
        pixels = [row['pixels'] for row in json.loads(path.read_text())['classes']]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{KEY}: {path} was not written by label_statistics.py --json') from error
    if len(pixels) != num_classes:
        raise ValueError(f'{KEY}: {path} counts {len(pixels)} classes, the model has {num_classes}')
    return pixels
