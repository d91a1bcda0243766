# Copyright (c) mmseg_ctt contributors.
"""Errors of data sets that list no image, for every class of data set, source and tool.

mmengine serialises the list of images where it is made: an empty one ends in an error of numpy.
mmseg stops at a missing list with an assertion. Masks that ``new_run`` has made of others are
compared with those. Importing this module extends ``full_init`` of
mmengine's ``BaseDataset``, which all data sets of mmseg have, by the file that is to blame.
"""

import os.path as osp
from functools import wraps

from mmengine.dataset import BaseDataset

from .checks import missing_list
from .converted_masks import check_current, converted_folder
from .lists import has_text

_full_init, _serialize_data = BaseDataset.full_init, BaseDataset._serialize_data


@wraps(_full_init)
def _checked_full_init(self: BaseDataset) -> None:
    """``full_init`` of mmengine, after a check that the list exists and holds a line.

    Raises:
        FileNotFoundError: If ``ann_file`` names a file that does not exist.
        ValueError: If the list is empty, the data set has no image, or masks have changed since
            ``new_run`` made their class ids.
    """
    path = '' if self._fully_initialized or '://' in self.ann_file else self.ann_file
    if path and not osp.exists(path):
        raise FileNotFoundError(missing_list(path, self.data_root, type(self).__name__))
    if osp.isfile(path) and not has_text(path):
        raise ValueError(f'list {path} of {type(self).__name__} is empty: write one image a line')
    done = self._fully_initialized
    _full_init(self)
    if not done:
        _check_masks(self)


def _check_masks(dataset: BaseDataset) -> None:
    """Masks that ``new_run`` has made are those that were drawn."""
    folder = dataset.data_prefix.get('seg_map_path')
    if isinstance(folder, str) and '://' not in folder and converted_folder(folder):
        infos = map(dataset.get_data_info, range(len(dataset)))
        paths = (info.get('seg_map_path') for info in infos)
        check_current(folder, [path for path in paths if isinstance(path, str)])


@wraps(_serialize_data)
def _checked_serialize_data(self: BaseDataset) -> tuple:
    """``_serialize_data`` of mmengine, after a check that there is an image."""
    if not self.data_list:
        path = self.ann_file or self.data_prefix.get('img_path') or self.data_root
        raise ValueError(f'{type(self).__name__} is empty: {path} gave no image')
    return _serialize_data(self)


BaseDataset.full_init = _checked_full_init
BaseDataset._serialize_data = _checked_serialize_data
