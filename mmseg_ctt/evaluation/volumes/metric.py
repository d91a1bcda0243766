# Copyright (c) mmseg_ctt contributors.
"""Scores of whole volumes in a test or validation loop over their slices."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from ...volumes import SliceAddress, open_volume, parse_address
from ...volumes.names import case_names
from .folders import spacing_of
from .gathering import LabelSlice, Packed, VolumeParts
from .scores import Empty, check_background, check_empty, checked_spacing, class_scores, one_empty
from .table import ScoreTable, mean_names, member_table

FILES = ('volume_scores.csv', 'volume_scores.json')


@dataclass(frozen=True)
class CaseScores:
    """Scores ``(K, 4)`` of a complete volume, by its path; penalties of :func:`one_empty`."""

    volume: str
    scores: np.ndarray
    penalties: np.ndarray


@METRICS.register_module()
class VolumeMetric(BaseMetric):
    """Dice, Jaccard, HD95 and ASD of the volumes whose slices a loop predicts.

    For a data set of slices, :class:`VolumeSliceDataset`, which must hold every slice of its
    volumes. Means over cases and classes are ``volume/mDice``, ``volume/mJaccard``,
    ``volume/mHD95`` and ``volume/mASD``; those of a class are ``volume/Dice_<class>`` and so on.
    Dice and Jaccard are from 0 to 1, distances in mm. See :func:`mask_scores` for the definitions.

    With one process a volume is scored as soon as its last slice has come, so that the slices of
    one volume are in memory at a time. With several, each keeps its compressed slices to the end.

    Args:
        background (int, optional): Class that has no scores. Defaults to 0; None or -1: all have.
        ignore_index (int): Label of voxels that count in no class. Defaults to 255.
        empty (str | float): Distance where prediction or label lack a class that the other has:
            ``'diagonal'`` of the volume, ``'nan'`` (left out of means), or a number of mm.
            Defaults to 'diagonal'.
        spacing (Sequence[float], optional): mm of a voxel along x, y and z, for volumes whose
            file does not say it. Defaults to None: such a volume is an error.
        output_dir (str, optional): Folder for ``volume_scores.csv`` and ``volume_scores.json``;
            in a loop over members each has a folder in it. Defaults to None: no files.
        **kwargs: ``collect_device``, ``prefix`` and ``collect_dir`` of ``BaseMetric``.

    Raises:
        ValueError: If a setting is none; in a loop, if the data set holds images that are no
            slices, slices without label, volumes without spacing or with another one than the
            setting, or some slices of a volume only.
    """

    default_prefix = 'volume'

    def __init__(
        self,
        background: Optional[int] = 0,
        ignore_index: int = 255,
        empty: Empty = 'diagonal',
        spacing: Optional[Sequence[float]] = None,
        output_dir: Union[str, Path, None] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_empty(empty)
        self.background, self.ignore_index, self.empty = background, ignore_index, empty
        self.spacing = None if spacing is None else checked_spacing(spacing, 3)
        self.output_dir = output_dir
        self.logs_table = True
        self.table: Optional[ScoreTable] = None  # of the last evaluation, on the main process
        self._parts = VolumeParts()
        self._geometry: Dict[str, Tuple[Sequence[int], Sequence[float]]] = {}
        self._suffixes: Dict[str, str] = {}  # ends of the names of volumes, where they are set

    def check_dataset(self, dataset: Any) -> None:
        """Check that a data set has all slices of its volumes, before a loop over them.

        Cases are called after their volumes without the ``img_suffix`` of the data set.

        Args:
            dataset (BaseDataset): Of the loop; one that does not list its samples passes.

        Raises:
            ValueError: See the class.
        """
        classes = getattr(dataset, 'metainfo', {}).get('classes')
        if classes:
            check_background(self.background, classes)
        parts, nothing = VolumeParts(), Packed.of(np.zeros(0))
        for i in range(len(dataset) if hasattr(dataset, 'get_data_info') else 0):
            info = dataset.get_data_info(i)
            address = _address(info)
            if info.get('volume_suffix'):
                self._suffixes[address.volume] = info['volume_suffix']
            parts.add(LabelSlice(address.volume, address.plane, address.index, nothing, nothing))
        self._check_complete(parts)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Take the predictions of a batch.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[Mapping]): With ``img_path``, ``pred_sem_seg`` and
                ``gt_sem_seg``.
        """
        for sample in data_samples:
            part = self._slice(sample)
            if get_world_size() > 1:  # other processes have slices of this volume
                self.results.append(part)
                continue
            self._parts.add(part)
            shape, _ = self._geometry_of(part.volume)
            if self._parts.is_complete(part.volume, shape):
                self.results.append(self._score(part.volume, self._parts))

    def evaluate(self, size: int) -> dict:
        """Means over all volumes.

        Args:
            size (int): Number of slices of the data set.
        """
        self._check_complete(self._parts)
        return super().evaluate(size)

    def compute_metrics(self, results: List[Union[CaseScores, LabelSlice]]) -> Dict[str, float]:
        """Scores of all volumes, on the main process.

        Args:
            results (list): Scores of volumes, or from several processes slices of them.
        """
        parts, scored = VolumeParts(), []
        for found in results:
            if isinstance(found, CaseScores):
                scored.append(found)
            else:
                parts.add(found)
        self._check_complete(parts)
        scored += [self._score(volume, parts) for volume in parts.volumes()]
        if not scored:
            raise ValueError('VolumeMetric has no volume to score: the data set is empty')
        names = case_names((found.volume for found in scored), self._suffixes)
        self.table = ScoreTable.of(
            {names[found.volume]: found.scores for found in scored},
            self._scored_classes,
            {names[found.volume]: found.penalties for found in scored},
        )
        if self.logs_table:
            print_log(f'volumes\n{self.table.as_text()}', logger='current')
        if self.output_dir:
            self._write(self.table, Path(self.output_dir))
        return self.table.means()

    def score_names(self) -> Optional[List[str]]:
        """Names of the scores, without the prefix; None as long as the classes are not known."""
        return mean_names(self._scored_classes) if self.dataset_meta else None

    @property
    def _classes(self) -> Sequence[str]:
        return (self.dataset_meta or {})['classes']

    @property
    def _scored_ids(self) -> List[int]:
        return [k for k in range(len(self._classes)) if k != self.background]

    @property
    def _scored_classes(self) -> Tuple[str, ...]:
        return tuple(self._classes[k] for k in self._scored_ids)

    def _slice(self, sample: Mapping[str, Any]) -> LabelSlice:
        address = _address(sample)
        if 'gt_sem_seg' not in sample:
            raise ValueError(
                f'VolumeMetric needs labels, and {address} has none: the test pipeline must have '
                'LoadAnnotations, and data_prefix a seg_map_path'
            )
        self._geometry_of(address.volume)  # an error comes with the first slice
        return _label_slice(address, sample)

    def _geometry_of(self, volume: str) -> Tuple[Sequence[int], Sequence[float]]:
        """Shape and spacing, from the header."""
        if volume not in self._geometry:
            opened = open_volume(volume)
            spacing = spacing_of([opened], self.spacing, 'spacing of VolumeMetric')
            self._geometry[volume] = opened.shape, spacing
        return self._geometry[volume]

    def _check_complete(self, parts: VolumeParts) -> None:
        for volume in parts.volumes():
            shape, _ = self._geometry_of(volume)
            if not parts.is_complete(volume, shape):
                raise ValueError(
                    f'VolumeMetric has {parts.describe(volume, shape)} of {volume}: the data set '
                    'must hold every slice of its volumes (no stride, no slices left out)'
                )

    def _score(self, volume: str, parts: VolumeParts) -> CaseScores:
        _, spacing = self._geometry_of(volume)
        pair, ids = parts.take(volume), self._scored_ids
        scores = class_scores(*pair, ids, spacing, self.ignore_index, self.empty)
        return CaseScores(volume, scores, one_empty(*pair, ids, self.ignore_index))

    def _write(self, table: ScoreTable, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        csv, report = FILES
        (folder / csv).write_text(table.as_csv(), encoding='utf-8')
        text = json.dumps(dict(empty=self.empty, **table.as_dict()), indent=1)
        (folder / report).write_text(f'{text}\n', encoding='utf-8')


def _address(sample: Mapping[str, Any]) -> SliceAddress:
    address = parse_address(str(sample.get('img_path', '')))
    if address is None:
        raise ValueError(
            f'VolumeMetric scores slices of volumes, and {sample.get("img_path")} is none: test on '
            'a VolumeSliceDataset, or take IoUMetric'
        )
    return address


def _label_slice(address: SliceAddress, sample: Mapping[str, Any]) -> LabelSlice:
    prediction, truth = (
        Packed.of(sample[key]['data'][0].cpu().numpy()) for key in ('pred_sem_seg', 'gt_sem_seg')
    )
    return LabelSlice(address.volume, address.plane, address.index, prediction, truth)


def member_tables(metrics: Mapping[str, Sequence[BaseMetric]]) -> List[str]:
    """Tables of the last evaluation, a column for each member; none on other processes.

    Args:
        metrics (Mapping[str, Sequence[BaseMetric]]): Metrics of each member, by its name; others
            than :class:`VolumeMetric` have no table.
    """
    columns = {
        name: [
            found.table for found in of_member if isinstance(found, VolumeMetric) and found.table
        ]
        for name, of_member in metrics.items()
    }
    number = len(next(iter(columns.values()), []))
    return [
        member_table({name: found[i] for name, found in columns.items()}) for i in range(number)
    ]
