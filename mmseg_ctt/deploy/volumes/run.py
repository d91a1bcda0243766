# Copyright (c) mmseg_ctt contributors.
"""Prediction of many volumes into a folder, one file a volume, resumable."""

import os.path as osp
import time
from contextlib import nullcontext
from pathlib import Path
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
)

import numpy as np
from mmseg.models.segmentors import BaseSegmentor

from ...engine.fingerprint import config_hash
from ...volumes import num_slices, read_volume
from ..api.inputs import image_pipeline
from ..checkpoint import weights_checksum
from ..export import choose_member, member_names
from .cases import Case
from .outputs import PredictionFolder
from .predict import BATCH_SIZE, VolumeResult, new_array, predict_volume
from .settings import SliceSettings
from .windows import Size, checked_windows

ALL = 'all'


class PredictionOptions(NamedTuple):
    """How volumes are predicted; the arguments of :func:`predict_volume`.

    Attributes:
        slices (SliceSettings): Slices that the network takes.
        batch_size (int): Slices in one forward pass.
        crop_size (Sequence[int] | None): Size of sliding windows inside slices.
        stride (Sequence[int] | None): Steps of the windows.
        largest_component (bool): Keep the largest component of each class.
    """

    slices: SliceSettings
    batch_size: int = BATCH_SIZE
    crop_size: Size = None
    stride: Size = None
    largest_component: bool = False

    def check(self) -> None:
        """Check the settings that no other part has checked.

        Raises:
            ValueError: If one is none.
        """
        checked_windows(self.crop_size, self.stride)
        if self.batch_size < 1:
            raise ValueError(f'batch_size must be positive, got {self.batch_size}')


def chosen_members(
    cfg: Mapping[str, Any], state: Mapping[str, Any], wanted: Sequence[str]
) -> List[Optional[str]]:
    """Members that predict.

    Args:
        cfg (Mapping): Of the run.
        state (Mapping): ``state_dict`` of the checkpoint.
        wanted (Sequence[str]): Names; ``'all'`` for all members and the ensemble; empty for the
            member that the config predicts with.

    Returns:
        list[str | None]: None for a plain segmentor.

    Raises:
        ValueError: If there is no such member.
    """
    names = member_names(state)
    if ALL in wanted and names:
        return [*names, 'ensemble']
    chosen = [choose_member(cfg['model'], names, name, ensemble=True) for name in wanted]
    return list(dict.fromkeys(chosen)) or [_predicting(cfg['model'], names)]


def _predicting(model: Mapping[str, Any], names: Sequence[str]) -> Optional[str]:
    """Member that the config predicts with; the error names those of the checkpoint."""
    try:
        return choose_member(model, names, None, ensemble=True)
    except ValueError as error:
        raise ValueError(
            f'{error}; the checkpoint holds {", ".join(names)}, and predicts by all of them as '
            'ensemble (--member)'
        ) from None


def prediction_settings(
    cfg: Mapping[str, Any],
    checkpoint: str,
    member: Optional[str],
    options: PredictionOptions,
    probabilities: bool = False,
) -> Dict[str, Any]:
    """What the outputs depend on, for ``prediction.json``; batch size and device are not of it.

    Args:
        cfg (Mapping): Of the run.
        checkpoint (str): File or URL.
        member (str, optional): Of :func:`chosen_members`.
        options (PredictionOptions): How volumes are predicted.
        probabilities (bool): Whether they are kept. Defaults to False.
    """
    windows = checked_windows(options.crop_size, options.stride)
    return dict(
        checkpoint=osp.basename(checkpoint),
        weights=weights_checksum(checkpoint),
        config=config_hash(
            dict(model=cfg['model'], test_dataloader=dict(pipeline=image_pipeline(cfg)))
        ),
        member=member,
        **options.slices._asdict(),
        windows=windows,
        largest_component=options.largest_component,
        probabilities=probabilities,
    )


def predict_cases(
    model: BaseSegmentor,
    outputs: PredictionFolder,
    options: PredictionOptions,
    report: Callable[[str], None] = print,
) -> None:
    """Predict the pending cases of a folder.

    Args:
        model (BaseSegmentor): From :func:`load_model`.
        outputs (PredictionFolder): Checked and started.
        options (PredictionOptions): How.
        report (Callable): Takes a line for each finished case, and one for classes that none of
            them shows. Defaults to ``print``.
    """
    classes = model.dataset_meta['classes']
    total = np.zeros(len(classes), np.int64)
    for number, case in enumerate(outputs.pending, 1):
        start = time.perf_counter()
        result = _predict_case(model, case, outputs, options)
        seconds = time.perf_counter() - start
        slices = num_slices(result.labels.shape, options.slices.plane)
        voxels = np.bincount(result.labels.ravel(), minlength=len(classes))
        total += voxels
        report(
            f'{number}/{len(outputs.pending)} {outputs.labels_of(case)}: {slices} slices, '
            f'{seconds:.1f} s; {sizes_of(classes, voxels, result.volume.spacing)}'
        )
    absent = [name for name, count in zip(classes[1:], total[1:]) if not count]
    if absent and outputs.pending:
        report(
            f'WARNING: no voxel of {", ".join(absent)} in any of {len(outputs.pending)} volumes: '
            'was the network trained long enough, and with this plane and intensity window?'
        )


def sizes_of(classes: Sequence[str], voxels: np.ndarray, spacing: Optional[Sequence[float]]) -> str:
    """Predicted size of every class but the first, which is the background.

    Args:
        classes (Sequence[str]): Names of the classes.
        voxels (np.ndarray): ``(K,)``, number of voxels of each.
        spacing (Sequence[float], optional): Size of a voxel in mm; None: only voxels are counted.
    """
    cubic = None if spacing is None else float(np.prod(spacing)) / 1000  # 1 ml is 1000 mm^3
    parts = [
        f'{name} {count} voxels' + ('' if cubic is None else f' ({count * cubic:.1f} ml)')
        for name, count in zip(classes[1:], voxels[1:])
    ]
    return ', '.join(parts)


def _predict_case(
    model: BaseSegmentor, case: Case, outputs: PredictionFolder, options: PredictionOptions
) -> VolumeResult:
    volume = read_volume(case.path)
    shape = (len(model.dataset_meta['classes']), *volume.shape)
    with _kept(outputs.probabilities_of(case), shape) as kept:
        result = predict_volume(
            model,
            volume,
            options.batch_size,
            options.crop_size,
            options.stride,
            False if kept is None else kept,
            options.largest_component,
            **options.slices._asdict(),
        )
    result.save(outputs.labels_of(case))  # last: a case with labels is finished
    return result


def _kept(path: Optional[Path], shape: Sequence[int]) -> ContextManager[Optional[np.ndarray]]:
    return nullcontext() if path is None else new_array(path, np.float16, shape)
