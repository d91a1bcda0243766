# Copyright (c) mmseg_ctt contributors.
"""Images with the masks of several raters as a data set."""

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from mmseg.registry import DATASETS

from .folder import FolderSegDataset
from .image_files import MASK_SUFFIX, find_masks

# Folders that tools/consensus/fuse_annotations.py writes
FUSED_MASKS, FUSED_MARGIN = 'masks', 'consensus_margin'
PathLike = Union[str, Path]


@DATASETS.register_module()
class MultiRaterDataset(FolderSegDataset):
    """A folder of images with one folder of masks for each rater.

    Images, lists, classes and names of masks are as of :class:`FolderSegDataset`. A rater may lack
    masks of some images, and 255 in a mask is a pixel that the rater did not annotate.
    :class:`LoadMultiRaterAnnotations` makes labels of the masks. A step that knows one mask alone
    gets that of the first rater who has one.

    Entries have ``seg_map_paths`` (one for each rater, None where it is missing), ``raters``
    (names), ``seg_map_path`` (the first of them), and with ``fused`` the paths ``fused_path`` and
    ``margin_path``.

    Args:
        data_root (str, optional): Root of the relative paths.
        raters (Sequence[str] | dict[str, str], optional): Folder of the masks of each rater, or
            folders by the names of the raters. Defaults to None: images without masks, as in the
            source of unlabelled images.
        fused (str, optional): Folder that ``tools/consensus/fuse_annotations.py`` has written,
            read with ``strategy='consensus'``. Defaults to None.
        **kwargs: See :class:`FolderSegDataset`; ``data_prefix`` has no ``seg_map_path``.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If ``raters`` is no list of folders, ``data_prefix`` has ``seg_map_path``, or
            no rater has a mask of an image.
    """

    needs_classes = True

    def __init__(
        self,
        data_root: Optional[str] = None,
        raters: Union[None, Sequence[str], Mapping[str, str]] = None,
        fused: Optional[str] = None,
        data_prefix: Optional[Dict[str, Optional[str]]] = None,
        **kwargs: Any,
    ) -> None:
        if (data_prefix or {}).get('seg_map_path') is not None:
            raise ValueError(
                'MultiRaterDataset.data_prefix has seg_map_path, which would be unused: name the '
                'folders of masks in raters'
            )
        folders = _folders(raters)
        self.rater_dirs = {name: _below(data_root, path) for name, path in folders.items()}
        self.fused = None if fused is None else _below(data_root, fused)
        super().__init__(data_root=data_root, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> List[Dict[str, Any]]:
        """List the images and the masks of each rater.

        Returns:
            list[dict]: One entry a sample, see the class.
        """
        entries = super().load_data_list()
        if not self.rater_dirs:
            return entries
        suffix = getattr(self, 'seg_map_suffix', MASK_SUFFIX)
        masks = {name: find_masks(folder, suffix) for name, folder in self.rater_dirs.items()}
        for entry in entries:
            self._add_masks(entry, masks)
        absent = [entry['img_path'] for entry in entries if not any(entry['seg_map_paths'])]
        if absent:
            raise ValueError(
                f'no rater of {type(self).__name__} has a mask of {", ".join(absent[:3])} '
                f'({len(absent)} of {len(entries)} images): take them off the list, or add a mask '
                f'to {" or ".join(self.rater_dirs.values())}'
            )
        return entries

    def _add_masks(self, entry: Dict[str, Any], masks: Dict[str, Dict[str, str]]) -> None:
        below = Path(entry['img_path']).relative_to(self.data_prefix['img_path'])
        stem = below.with_suffix('').as_posix()
        entry['raters'] = list(masks)
        entry['seg_map_paths'] = [
            str(Path(self.rater_dirs[name], found[stem])) if stem in found else None
            for name, found in masks.items()
        ]
        entry['seg_map_path'] = next((path for path in entry['seg_map_paths'] if path), None)
        if self.fused is not None:
            entry['fused_path'] = str(Path(self.fused, FUSED_MASKS, stem + MASK_SUFFIX))
            entry['margin_path'] = str(Path(self.fused, FUSED_MARGIN, stem + MASK_SUFFIX))


def of_first_rater(cfg: Mapping[str, Any]) -> Dict[str, Any]:
    """Config of a :class:`FolderSegDataset` with the masks of the first rater alone.

    Args:
        cfg (Mapping): Config of a :class:`MultiRaterDataset`.
    """
    made = {key: value for key, value in cfg.items() if key not in ('raters', 'fused')}
    folders = list(_folders(cfg.get('raters')).values())
    prefix = dict(cfg.get('data_prefix') or dict(img_path=''))
    masks = dict(seg_map_path=folders[0]) if folders else {}
    return {**made, 'type': FolderSegDataset.__name__, 'data_prefix': {**prefix, **masks}}


def _folders(raters: Any) -> Dict[str, str]:
    """Folders of the raters by name; those without one are called ``rater0`` and so on."""
    if isinstance(raters, Mapping):
        return dict(raters)
    if raters is not None and (isinstance(raters, str) or not isinstance(raters, (list, tuple))):
        raise ValueError(
            f'MultiRaterDataset.raters={raters!r} must be a list of folders, or a dict of folders '
            'by the names of the raters'
        )
    folders = [str(folder) for folder in raters or ()]
    twice = {folder for folder in folders if folders.count(folder) > 1}
    if twice:
        raise ValueError(f'MultiRaterDataset.raters names {sorted(twice)[0]} for two raters')
    return {f'rater{r}': folder for r, folder in enumerate(folders)}


def _below(root: Optional[str], folder: PathLike) -> str:
    """A folder below the root, unless it is absolute."""
    return str(Path(root or '', folder))
