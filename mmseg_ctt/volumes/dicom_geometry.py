# Copyright (c) mmseg_ctt contributors.
"""Whether the slices of a DICOM series are a volume, and in which order."""

import os
from typing import List, Optional

import numpy as np

from .dicom_series import (
    COLUMNS,
    FILE_CLASS,
    FRAMES,
    IMAGE_TYPE,
    INCREMENT,
    ORIENTATION,
    PIXEL_SPACING,
    POSITION,
    ROWS,
    Series,
)

MILLIMETRES, ANGLES = 0.01, 1e-3  # differences of positions and directions that do not count
FRAME_GROUPS = '5200,9230'  # tags of each frame
# Kinds of files whose frames have positions: enhanced CT, MR (also in colour) and PET, those made
# of old files, tomography by X-rays and of breast and eye, nuclear medicine, maps, segmentations
FRAME_KINDS = (
    *('2.1', '2.2', '4.1', '4.3', '4.4', '128.1', '130', '13.1.1', '13.1.2', '13.1.3', '77.1.5.4'),
    *('20', '30', '66.4'),
)
ENHANCED = tuple(f'1.2.840.10008.5.1.4.1.1.{end}' for end in FRAME_KINDS)


class NoVolumeError(ValueError):
    """A series is none that was taken as a volume, such as a localizer."""


def sorted_files(series: Series) -> List[str]:
    """Files of a series in the order of their positions, after all checks.

    Args:
        series (Series): From :func:`find_series`.

    Raises:
        NoVolumeError: If it is a localizer or a single slice.
        ValueError: Naming what is wrong with the slices.
    """
    first = series.tags[0]
    if 'LOCALIZER' in first.get(IMAGE_TYPE, '').upper():
        raise NoVolumeError(f'{series.label}: is a localizer, no volume')
    if len(series.files) == 1:
        if int(first.get(FRAMES) or 1) > 1:
            _check_frames(series)
            return list(series.files)
        raise NoVolumeError(f'{series.label}: has a single slice, no volume')
    for tag, what, tolerance in (
        (ROWS, 'numbers of rows', 0.0),
        (COLUMNS, 'numbers of columns', 0.0),
        (PIXEL_SPACING, 'pixel spacings', ANGLES),
        (ORIENTATION, 'directions', ANGLES),
    ):
        _check_equal(series, tag, what, tolerance)
    rows, columns = np.reshape(_numbers(series, 0, ORIENTATION, 6), (2, 3))
    normal = np.cross(rows, columns)
    positions = np.array([_numbers(series, k, POSITION, 3) for k in range(len(series.files))])
    order = np.argsort(positions @ normal, kind='stable')
    _check_steps(series, positions[order], normal, order)
    return [series.files[k] for k in order]


def _check_frames(series: Series) -> None:
    """A file of several frames says where they lie, for itself or for each of them."""
    first = series.tags[0]
    own = POSITION in first and ORIENTATION in first
    of_frames = FRAME_GROUPS in first.get(INCREMENT, '').replace(' ', '')
    if not (own or of_frames or first.get(FILE_CLASS) in ENHANCED):
        raise NoVolumeError(
            f'{series.label}: {_base(series, 0)} has {first[FRAMES]} frames without position and '
            'direction, no volume'
        )


def _check_equal(series: Series, tag: str, what: str, tolerance: float) -> None:
    """Every slice has the tag, with the numbers of the first."""
    length = len(series.tags[0].get(tag, '').split('\\'))
    values = np.array([_numbers(series, k, tag, length) for k in range(len(series.files))])
    if not np.allclose(values, values[0], rtol=0, atol=tolerance):
        other = int(np.abs(values - values[0]).max(axis=1).argmax())
        raise ValueError(
            f'{series.label}: slices have different {what}, '
            f'{series.tags[0][tag]} in {_base(series, 0)} and {series.tags[other][tag]} in '
            f'{_base(series, other)}'
        )


def _check_steps(
    series: Series, positions: np.ndarray, normal: np.ndarray, order: np.ndarray
) -> None:
    """Slices lie in equal steps along their normal."""
    moves = np.diff(positions, axis=0)
    steps = moves @ normal
    usual = float(np.median(steps))
    if (steps <= MILLIMETRES).any():
        k = int(steps.argmin())
        raise ValueError(
            f'{series.label}: {_base(series, order[k])} and {_base(series, order[k + 1])} are at '
            'one position: several time points or echoes, or copies: sort them into folders of '
            'their own, each of which becomes a volume, or remove all but one'
        )
    if (np.abs(moves - steps[:, None] * normal) > MILLIMETRES).any():
        raise ValueError(f'{series.label}: slices are shifted sideways (tilted gantry)')
    k = int(np.abs(steps - usual).argmax())
    if abs(steps[k] - usual) <= max(MILLIMETRES, usual * 0.01):
        return
    between = f'between {_base(series, order[k])} and {_base(series, order[k + 1])}'
    missing = round(steps[k] / usual) - 1
    if missing > 0 and abs(steps[k] / usual - missing - 1) < 0.05:
        raise ValueError(
            f'{series.label}: {missing} slices are missing {between}, which are {steps[k]:g} mm '
            f'apart, others {usual:g} mm'
        )
    raise ValueError(
        f'{series.label}: slices have mixed spacing, {steps[k]:g} mm {between}, others {usual:g} mm'
    )


def _numbers(series: Series, k: int, tag: str, length: int) -> List[float]:
    """Numbers of a tag of a file."""
    text: Optional[str] = series.tags[k].get(tag)
    try:
        values = [float(part) for part in (text or '').split('\\')]
    except ValueError:
        values = []
    if len(values) != length:
        raise ValueError(
            f'{series.label}: {_base(series, k)} lacks the tag ({tag}) of its geometry'
        )
    return values


def _base(series: Series, k: int) -> str:
    """Path of a file below the folder of its series."""
    return os.path.relpath(series.files[k], series.folder)
