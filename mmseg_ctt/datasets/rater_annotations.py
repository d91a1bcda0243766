# Copyright (c) mmseg_ctt contributors.
"""Loading step that makes labels of the masks of several raters."""

import os.path as osp
from typing import Any, Dict, List, Sequence

import numpy as np
from mmseg.registry import TRANSFORMS

from ..label_fusion.energy import margin
from ..label_fusion.staple import staple
from ..label_fusion.votes import MISSING, TIES, majority_vote, soft_labels
from ..rasters import filled
from .transforms import IGNORED, UNKNOWN, CheckedLoadAnnotations, in_few_bits

STRATEGIES = ('random', 'majority', 'staple', 'soft', 'consensus')
MARGIN, PROBABILITY, MASKS = 'consensus_margin', 'class_probability', 'rater_masks'
TOOL = 'tools/consensus/fuse_annotations.py'


@TRANSFORMS.register_module()
class LoadMultiRaterAnnotations(CheckedLoadAnnotations):
    """Labels of an image that several raters annotated, and their weight.

    - ``'random'``: the mask of one rater, drawn anew each time the image is used, from the
      sample's random numbers (a resumed run draws the same).
    - ``'majority'``: class of most raters.
    - ``'staple'``: most probable class by STAPLE, of this image alone.
    - ``'soft'``: class of most raters, and the class probabilities for a loss that takes them
      (:class:`SoftCrossEntropyLoss`).
    - ``'consensus'``: mask and margin that ``tools/consensus/fuse_annotations.py`` has written. The
      step computes none: its forests take seconds an image.

    All masks are checked as :class:`CheckedLoadAnnotations` checks one. Pixels that no rater
    annotated get the ignore index.

    Required Keys:

    - seg_map_paths; fused_path and margin_path for ``'consensus'`` (:class:`MultiRaterDataset`)
    - what :class:`CheckedLoadAnnotations` needs

    Added Keys:

    - gt_seg_map (np.ndarray): ``(H, W)`` uint8.
    - consensus_margin (np.ndarray): ``(H, W)`` float32 in [0, 1], weight of each pixel: for
      ``'random'`` 1; for ``'consensus'`` that of the file; else the difference of the two highest
      class probabilities.
    - class_probability (np.ndarray): ``(H, W, K)`` float32, for ``'soft'``.
    - rater_masks (np.ndarray): ``(H, W, R)`` uint8, with ``rater_masks=True``.
    - seg_fields

    ``PackSemiSegInputs(maps=('consensus_margin',))`` packs a map.

    Args:
        strategy (str): One of the above.
        tie (str): Class of a tie of ``'majority'`` and ``'soft'``: ``'lowest'`` id, that of the
            ``'first'`` rater who voted for one of them, or ``'ignore'``. Defaults to 'lowest'.
        rater_masks (bool): Whether the masks of all raters are added, for
            :class:`RaterAgreementMetric`. Defaults to False.
        **kwargs: See :class:`CheckedLoadAnnotations`.

    Raises:
        ValueError: For an unknown strategy or tie; in ``transform``, naming the file and what is
            wrong with it.
    """

    def __init__(
        self, strategy: str, tie: str = 'lowest', rater_masks: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value, known in (('strategy', strategy, STRATEGIES), ('tie', tie, TIES)):
            if value not in known:
                raise ValueError(
                    f'LoadMultiRaterAnnotations.{name}={value!r} must be one of {known}'
                )
        if tie != 'lowest' and strategy not in ('majority', 'soft'):
            raise ValueError(
                f'LoadMultiRaterAnnotations.tie={tie!r} is unused with strategy={strategy!r}: '
                'remove it'
            )
        self.strategy, self.tie, self.rater_masks = strategy, tie, rater_masks

    def mask_entries(self, info: Dict[str, Any]) -> List[Dict[str, Any]]:
        """Entries with one mask each, for checks of the files that the step reads.

        Args:
            info (dict): Entry of a :class:`MultiRaterDataset`.

        Raises:
            FileNotFoundError: If the fused mask or its margin does not exist.
            ValueError: If the data set does not name what the strategy needs.
        """
        paths = [path for path in self._paths(info) if path is not None]
        if self.strategy == 'consensus':
            fused = self._fused(info)
            for path in fused:
                if '://' not in path and not osp.isfile(path):
                    raise FileNotFoundError(
                        f'{path} does not exist: fuse the masks of the raters with {TOOL} and set '
                        f'MultiRaterDataset.fused to its --out'
                    )
            paths = [fused[0], *(paths if self.rater_masks else ())]
        return [{**info, 'seg_map_path': path} for path in paths]

    def _load_seg_map(self, results: Dict[str, Any]) -> None:
        paths = self._paths(results)
        needs_all = self.rater_masks or self.strategy in ('majority', 'staple', 'soft')
        masks = self._masks(results, paths) if needs_all else np.empty(0)
        if self.strategy == 'consensus':
            self._add_fused(results)
        elif self.strategy == 'random':
            self._add_drawn(results, paths)
        else:
            self._add_voted(results, masks)
        if self.rater_masks:
            self._add(results, MASKS, np.moveaxis(masks, 0, -1))

    # ---- strategies

    def _add_drawn(self, results: Dict[str, Any], paths: Sequence[Any]) -> None:
        present = [path for path in paths if path is not None]
        results['seg_map_path'] = present[np.random.randint(len(present))]
        label = self.checked_map(results, results['seg_map_path'])
        self._add(results, 'gt_seg_map', label)
        self._add(results, MARGIN, np.ones(label.shape, np.float32))

    def _add_fused(self, results: Dict[str, Any]) -> None:
        mask, weight = self._fused(results)
        results['seg_map_path'] = mask
        label = self.checked_map(results, mask)
        values = self._read(weight, f'the margin {weight}')
        if values.shape != label.shape or values.dtype != np.uint8:
            raise ValueError(
                f'the margin {weight} has shape {values.shape} of {values.dtype}, its mask '
                f'{label.shape}: it must be of 8 bit and of the same size, as {TOOL} writes it'
            )
        self._add(results, 'gt_seg_map', label)
        self._add(results, MARGIN, values.astype(np.float32) / 255)

    def _add_voted(self, results: Dict[str, Any], masks: np.ndarray) -> None:
        classes = self._num_classes(results, masks)
        if (masks == MISSING).all():
            label, probability = masks[0], np.zeros((classes, *masks.shape[1:]), np.float32)
        elif self.strategy == 'staple':
            label, probability, *_ = staple(masks, classes)
        else:
            label = majority_vote(masks, classes, self.tie)
            probability = soft_labels(masks, classes)
        ignored = self._setting('ignore_index', results, IGNORED)
        label = in_few_bits(filled(label, label == MISSING, ignored))
        self._add(results, 'gt_seg_map', label)
        self._add(results, MARGIN, margin(1 - probability))
        if self.strategy == 'soft':
            self._add(results, PROBABILITY, np.moveaxis(probability, 0, -1))

    def _num_classes(self, results: Dict[str, Any], masks: np.ndarray) -> int:
        known = self._setting('num_classes', results, UNKNOWN)
        if known != UNKNOWN:
            return known
        if self.strategy == 'soft':
            raise ValueError(
                'LoadMultiRaterAnnotations does not know the number of classes: set num_classes'
            )
        return max(2, int(masks[masks != MISSING].max(initial=0)) + 1)

    # ---- files

    def _masks(self, results: Dict[str, Any], paths: Sequence[Any]) -> np.ndarray:
        """``(R, H, W)`` uint8 of all raters, 255 where one did not annotate."""
        ignored = self._setting('ignore_index', results, IGNORED)
        read = [None if path is None else self.checked_map(results, path) for path in paths]
        shape = next(label.shape for label in read if label is not None)
        masks = np.full((len(paths), *shape), MISSING, np.uint8)
        for mask, label in zip(masks, read):
            if label is not None:
                mask[:] = np.where(label == ignored, MISSING, label)
        return masks

    def _paths(self, info: Dict[str, Any]) -> Sequence[Any]:
        if not info.get('seg_map_paths'):
            raise ValueError(
                'LoadMultiRaterAnnotations needs the masks of several raters: use '
                'type="MultiRaterDataset" with raters=[...], a folder of masks each'
            )
        return info['seg_map_paths']

    def _fused(self, info: Dict[str, Any]) -> List[str]:
        if 'fused_path' not in info:
            raise ValueError(
                f"strategy='consensus' reads fused masks: write them with {TOOL}, and set "
                'MultiRaterDataset.fused to its --out'
            )
        return [info['fused_path'], info['margin_path']]

    def _add(self, results: Dict[str, Any], name: str, values: np.ndarray) -> None:
        results[name] = values
        results.setdefault('seg_fields', []).append(name)

    def __repr__(self) -> str:
        return (
            f'{super().__repr__()[:-1]}, strategy={self.strategy!r}, tie={self.tie!r}, '
            f'rater_masks={self.rater_masks})'
        )
