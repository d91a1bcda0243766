# Copyright (c) mmseg_ctt contributors.
"""Transforms that check label maps."""

from typing import Any, Dict, Optional

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from .label_check import check_ids, check_mask, check_size

__all__ = ['CheckSegMap', 'check_mask']


@TRANSFORMS.register_module()
class CheckSegMap(BaseTransform):
    """Check the label map that ``LoadAnnotations`` has just loaded.

    Without the check a wrong id is a device assert on a GPU, or stays unnoticed.
    The map must be 2-D, as large as its image, and hold only class ids and the
    ignore index. The step belongs directly after ``LoadAnnotations``. mmseg loads
    labels as 8 bit, where ids above 255 are no longer visible;
    :func:`check_mask` reads the file itself and finds those too.

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

    def __init__(self, num_classes: Optional[int] = None, ignore_index: int = 255) -> None:
        if num_classes is not None and num_classes < 1:
            raise ValueError(f'CheckSegMap.num_classes={num_classes} must be positive')
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
        self._check_size(results, name)
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
        return len(set(label_map.values()) - {self.ignore_index})

    @staticmethod
    def _check_size(results: Dict[str, Any], name: str) -> None:
        shape = results['gt_seg_map'].shape
        # Test pipelines resize the image alone, before labels are loaded.
        if shape == tuple(results.get('ori_shape', ())) or 'img' not in results:
            return
        check_size(results['gt_seg_map'], results['img'].shape[:2], name, results.get('img_path'))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_classes={self.num_classes}, '
            f'ignore_index={self.ignore_index})'
        )
