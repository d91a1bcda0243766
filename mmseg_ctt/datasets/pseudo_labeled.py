# Copyright (c) mmseg_ctt contributors.
"""Images with pseudo-labels in place of masks."""

import os.path as osp
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from mmseg.registry import DATASETS

from .folder import FolderSegDataset, read_meta

MASKS, META = 'masks', 'meta.json'


@DATASETS.register_module()
class PseudoLabelDataset(FolderSegDataset):
    """A folder of images whose masks are pseudo-labels, such as of ``make_pseudo_labels.py``.

    Images, lists and classes are as of :class:`FolderSegDataset`. The masks have the ids of
    ``metainfo.classes``, whatever ``meta.json`` of the images says.

    Args:
        pseudo_labels (str): Folder with ``masks/`` and ``meta.json``, relative to the working
            directory.
        data_prefix (dict, optional): ``img_path``. Defaults to None: all below ``data_root``.
        **kwargs: See :class:`FolderSegDataset`.

    Raises:
        FileNotFoundError: If the folder does not exist or is incomplete.
        ValueError: If its classes are not those of the data set, ``data_prefix`` has masks, or
            ``reduce_zero_label`` is set.
    """

    needs_classes = True

    def __init__(
        self,
        pseudo_labels: str,
        data_prefix: Optional[Dict[str, Optional[str]]] = None,
        **kwargs: Any,
    ) -> None:
        prefix: Dict[str, Optional[str]] = dict(data_prefix or dict(img_path=''))
        if prefix.get('seg_map_path'):
            raise ValueError(
                f'{type(self).__name__}.data_prefix.seg_map_path would be unused, since '
                'pseudo_labels names the masks: remove it'
            )
        if kwargs.get('reduce_zero_label'):
            raise ValueError(
                f'{type(self).__name__}.reduce_zero_label=True would shift the ids of the '
                'pseudo-labels, which are those of the classes: remove it'
            )
        meta = Path(pseudo_labels, META)
        if not meta.is_file():
            raise FileNotFoundError(
                f'{type(self).__name__}.pseudo_labels: {meta} does not exist; '
                'tools/weak/make_pseudo_labels.py writes such a folder'
            )
        prefix['seg_map_path'] = osp.abspath(Path(pseudo_labels, MASKS))
        super().__init__(data_prefix=prefix, **kwargs)
        found, own = read_meta(meta)['classes'], list(self._metainfo['classes'])
        if found != own:
            raise ValueError(
                f'the pseudo-labels in {pseudo_labels} are of {", ".join(found)}, the data set of '
                f'{", ".join(own)}: both must have the same classes in the same order'
            )

    def get_label_map(self, new_classes: Optional[Sequence[str]] = None) -> None:
        """None: the masks have the ids of the model.

        Args:
            new_classes (Sequence[str], optional): Not used.
        """
        return None
