# Copyright (c) mmseg_ctt contributors.
"""Transforms that check label maps."""

from typing import Any, Dict, Optional

import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from ..volumes.address import is_address
from .image_decoders import mask_errors
from .label_check import check_mask, check_size, read_mask
from .label_ids import LEFT_OUT, check_ids, check_label_map, whole_numbers
from .nodata import ignored, label_raster
from .plain_files import is_array, plain_png, read_array

__all__ = ['CheckSegMap', 'CheckedLoadAnnotations', 'check_mask']
IGNORED = 255  # id of ignored pixels where nothing else is set
UNKNOWN = 255  # number of classes where it is not known: ids that 8 bits can hold


@TRANSFORMS.register_module()
class CheckedLoadAnnotations(LoadAnnotations):
    """mmseg's ``LoadAnnotations`` that checks every mask as it is read.

    The mask must have one channel of integers, the size of its image, and only ids of classes and
    the ignore index. mmseg's step takes each of these as it comes and keeps the lowest 8 bits of
    an id. For a mask that passes, the result is that of mmseg's step. Pixels where the image, or a
    mask that is a GeoTIFF, has no data are ignored.

    Where a run is prepared, this step replaces ``LoadAnnotations`` in all data loaders.

    Required Keys:

    - seg_map_path
    - img, ori_shape, num_classes, ignore_index, label_map, reduce_zero_label (optional)

    Added Keys:

    - gt_seg_map (np.ndarray): ``(H, W)`` uint8; int16 for ids that uint8 does not have.
    - seg_fields

    Args:
        num_classes (int, optional): Number of classes. Defaults to None: ``num_classes`` of the
            results, which :class:`LabeledUnlabeledDataset` sets, else that of the data set, set by
            :func:`set_num_classes`; without either all ids of 8 bits pass.
        ignore_index (int, optional): Id of ignored pixels. Defaults to None: that of the data set,
            found in the same way, else 255.
        **kwargs: See ``mmseg.datasets.LoadAnnotations``.

    Raises:
        FileNotFoundError: In ``transform``, if there is no such file.
        ValueError: In ``transform``, naming the file and what is wrong with it.
    """

    def __init__(
        self, num_classes: Optional[int] = None, ignore_index: Optional[int] = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        _check_number(self, num_classes)
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.of_dataset: Dict[str, int] = {}  # what the data set gives for the two

    def _load_seg_map(self, results: Dict[str, Any]) -> None:
        results['gt_seg_map'] = self.checked_map(results, results['seg_map_path'])
        results.setdefault('seg_fields', []).append('gt_seg_map')

    def checked_map(self, results: Dict[str, Any], path: str) -> np.ndarray:
        """Label map of a file, checked against its image and mapped to the ids of the model.

        Args:
            results (dict): Results of the pipeline so far, see the class.
            path (str): Label file.
        """
        name = f'the mask {path}'
        ignore_index = self._setting('ignore_index', results, IGNORED)
        seg_map = self._read(path, name, ignore_index)
        _check_size(results, seg_map, name)
        seg_map = check_label_map(
            seg_map,
            self._setting('num_classes', results, UNKNOWN),
            ignore_index,
            self._reduces(results),
            results.get('label_map'),
            name,
        )
        return in_few_bits(ignored(seg_map, results, ignore_index))

    def _read(self, path: str, name: str, ignore_index: int = IGNORED) -> np.ndarray:
        """Label map as the file holds it."""
        if is_address(path):
            return read_mask(path)
        content = fileio.get(path, backend_args=self.backend_args)
        return self.decoded(content, name, ignore_index)

    def decoded(self, content: bytes, name: str, ignore_index: int = IGNORED) -> np.ndarray:
        """Label map as a file holds it, before any mapping of ids.

        Args:
            content (bytes): The file.
            name (str): What messages call it.
            ignore_index (int): Id of pixels of a raster without data. Defaults to 255.

        Returns:
            np.ndarray: ``(H, W)``, or ``(H, W, C)`` for a colour image.

        Raises:
            ValueError: If it cannot be read.
        """
        found = label_raster(content, name, ignore_index)
        if is_array(content):
            found = read_array(content)
        elif found is None and self.imdecode_backend == 'pillow':
            found = plain_png(content)
        if found is not None:
            return found
        with mask_errors(name):
            seg_map = mmcv.imfrombytes(content, flag='unchanged', backend=self.imdecode_backend)
        if seg_map is None:
            raise ValueError(f'{name} cannot be read')
        seg_map = whole_numbers(seg_map)
        return seg_map[..., 0] if seg_map.ndim == 3 and seg_map.shape[2] == 1 else seg_map

    def _setting(self, key: str, results: Dict[str, Any], default: int) -> int:
        for value in (getattr(self, key), results.get(key), self.of_dataset.get(key)):
            if value is not None:
                return value
        return default

    def _reduces(self, results: Dict[str, Any]) -> bool:
        of_dataset = bool(results.get('reduce_zero_label'))
        if self.reduce_zero_label not in (None, of_dataset):
            raise ValueError(
                f'LoadAnnotations.reduce_zero_label={self.reduce_zero_label}, but the data set has '
                f'reduce_zero_label={of_dataset}: set it for the data set alone'
            )
        return of_dataset

    def __repr__(self) -> str:
        return (
            f'{super().__repr__()[:-1]}, num_classes={self.num_classes}, '
            f'ignore_index={self.ignore_index})'
        )


@TRANSFORMS.register_module()
class CheckSegMap(BaseTransform):
    """Check the label map that the step before has loaded.

    :class:`CheckedLoadAnnotations` does it as it reads the file. This step is for a loading step of
    one's own: the map must be 2-D, as large as its image, and hold only class ids and the ignore
    index. It belongs directly after the loading step.

    Required Keys:

    - gt_seg_map (np.ndarray): ``(H, W)`` integers.
    - img or ori_shape (optional), seg_map_path (optional, for messages).

    Args:
        num_classes (int, optional): Number of classes. If None, taken from
            the results: ``num_classes``, which LabeledUnlabeledDataset sets,
            or ``label_map``, which mmseg sets where the config selects some
            of the classes. Defaults to None.
        ignore_index (int): Id of ignored pixels. Defaults to 255.

    Raises:
        ValueError: In ``transform``, naming the label file, the wrong ids with
            their pixel counts and what to do.
    """

    def __init__(self, num_classes: Optional[int] = None, ignore_index: int = IGNORED) -> None:
        _check_number(self, num_classes)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Check ``results['gt_seg_map']``.

        Args:
            results (dict): Results of the pipeline so far.

        Returns:
            dict: The same results, unchanged.
        """
        seg_map = results['gt_seg_map']
        name = f'the label map {results.get("seg_map_path", "gt_seg_map")}'
        check_ids(seg_map, self._num_classes(results), self.ignore_index, name)
        _check_size(results, seg_map, name)
        return results

    def _num_classes(self, results: Dict[str, Any]) -> int:
        if self.num_classes is not None:
            return self.num_classes
        if 'num_classes' in results:
            return results['num_classes']
        label_map = results.get('label_map')
        if not label_map:
            raise ValueError(
                'CheckSegMap does not know the number of classes: set num_classes in the config'
            )
        return len(set(label_map.values()) - {self.ignore_index, LEFT_OUT})

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_classes={self.num_classes}, '
            f'ignore_index={self.ignore_index})'
        )


def in_few_bits(seg_map: np.ndarray) -> np.ndarray:
    """A label map as uint8, or as int16 where it has other ids: types that steps can resize."""
    fits = seg_map.min(initial=0) >= 0 and seg_map.max(initial=0) <= np.iinfo(np.uint8).max
    return seg_map.astype(np.uint8 if fits else np.int16, copy=False)


def _check_number(step: BaseTransform, num_classes: Optional[int]) -> None:
    if num_classes is not None and num_classes < 1:
        raise ValueError(f'{type(step).__name__}.num_classes={num_classes} must be positive')


def _check_size(results: Dict[str, Any], seg_map: np.ndarray, name: str) -> None:
    # Test pipelines resize the image alone, before labels are loaded.
    if seg_map.shape[:2] == tuple(results.get('ori_shape', ())) or 'img' not in results:
        return
    check_size(seg_map, results['img'].shape[:2], name, results.get('img_path'))
