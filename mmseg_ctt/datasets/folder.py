# Copyright (c) mmseg_ctt contributors.
"""A folder of images and masks as a data set."""

import json
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Optional, Sequence, Tuple

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from .image_files import MASK_SUFFIX, find_images, find_masks
from .lists import read_stems
from .patients import PatientRule

BLACK = [0, 0, 0]  # colour of a background that meta.json does not have


@DATASETS.register_module()
class FolderSegDataset(BaseSegDataset):
    """A folder of images of mixed file types, with or without masks.

    Images end in .jpg, .jpeg, .png, .bmp, .tif, .tiff or .webp, in upper or
    lower case. All below ``img_path`` are used, or those that ``ann_file``
    lists, with or without suffix. The mask of ``a/b.jpg`` is ``a/b.png``, or
    ``a/b.PNG``. Without ``seg_map_path`` in ``data_prefix`` the data set has
    images only and no path to any label. Samples are sorted by stem, or in
    the order of ``ann_file``.

    Args:
        data_root (str, optional): Root of the relative paths.
        data_prefix (dict): ``img_path`` and, where there are masks,
            ``seg_map_path``. Defaults to ``dict(img_path='')``.
        metainfo (dict, optional): ``classes`` and optionally ``palette``; read
            from ``data_root/meta.json`` where it names no classes. Where both
            name classes, ids of the masks are those of ``meta.json``, and
            ``classes`` chooses and orders them by name. Without a palette
            mmseg generates one, the same in every run. Images without masks
            need no classes.
        seg_map_suffix (str): End of the names of masks, such as
            ``'_GT.png'`` for ``a/b_GT.png``, in upper or lower case. Where it
            is more than an extension, images do not end so. Defaults to
            ``'.png'``.
        known_classes (Sequence[str], optional): All classes of the masks in the order of their
            ids, instead of those of ``meta.json``. Defaults to None: ``meta.json``, if any.
        background (str, optional): Name of class 0, which gets the pixels of the known classes
            that ``classes`` leaves out. Ignored pixels stay so. Defaults to None: pixels of
            classes that are left out are ignored.
        patient (str, optional): Regular expression that matches the whole
            stem of an image; its first group is the patient, such as
            ``'(.+)_z[0-9]+'`` for slices ``06SR5RBR_z15``. No patient may be
            in two sets. Defaults to None: no check.
        **kwargs: See ``mmseg.datasets.BaseSegDataset``; ``img_suffix`` is not
            used.

    Raises:
        FileNotFoundError: If a folder, ``ann_file``, or an image it lists does
            not exist.
        ValueError: If there are masks and no classes, ``meta.json`` does not have one of
            them, ``background`` is not the first of them, or two images have one stem.
    """

    needs_classes: ClassVar[bool] = False  # even where there are no masks

    def __init__(
        self,
        data_root: Optional[str] = None,
        data_prefix: Optional[Dict[str, Optional[str]]] = None,
        metainfo: Optional[Dict[str, Any]] = None,
        seg_map_suffix: str = MASK_SUFFIX,
        known_classes: Optional[Sequence[str]] = None,
        background: Optional[str] = None,
        patient: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        prefix = dict(img_path='') if data_prefix is None else data_prefix
        self.patients = PatientRule(patient, type(self).__name__)
        self.file_meta = _file_meta(metainfo, data_root)
        if known_classes is not None:
            self.file_meta = dict(classes=list(known_classes))
            metainfo = {'classes': tuple(known_classes), **(metainfo or {})}
        masks = prefix.get('seg_map_path') is not None
        metainfo = complete_metainfo(metainfo, data_root, self.needs_classes or masks)
        self.background = background
        self._check_background(metainfo.get('classes') or ())
        super().__init__(
            data_root=data_root,
            data_prefix={k: v for k, v in prefix.items() if v is not None},
            metainfo=metainfo,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )

    def _check_background(self, classes: Sequence[str]) -> None:
        first = next(iter(classes), None)
        if self.background not in (None, first):
            raise ValueError(
                f'{type(self).__name__}.background={self.background!r} must be the first of '
                f'metainfo.classes, which is {first!r}'
            )

    def get_label_map(
        self, new_classes: Optional[Sequence[str]] = None
    ) -> Optional[Dict[int, int]]:
        """Ids of the model by ids of the masks, where these have other classes.

        Args:
            new_classes (Sequence[str], optional): Classes of the data set, in order.

        Returns:
            dict[int, int] | None: For a class that is left out 0 with ``background``, else
            ``ignore_index``; None where ids stay.

        Raises:
            ValueError: If the masks do not have one of the classes.
        """
        of_file, chosen = self.file_meta.get('classes'), list(new_classes or ())
        if not of_file or chosen == of_file:
            return None
        unknown = [name for name in chosen if name not in (*of_file, self.background)]
        if unknown:
            raise ValueError(
                f'metainfo.classes of {type(self).__name__} has {", ".join(map(repr, unknown))}, '
                f'but {self.data_root}/meta.json has {", ".join(map(repr, of_file))}: the masks '
                'have the ids of meta.json, use its names'
            )
        ids = {name: k for k, name in enumerate(chosen)}
        left_out = self.ignore_index if self.background is None else 0
        return {k: ids.get(name, left_out) for k, name in enumerate(of_file)}

    def _update_palette(self) -> List[Sequence[int]]:
        """Palette of the config, else that of ``meta.json`` by class, else one of mmseg."""
        colours, classes = self.file_meta.get('palette'), self._metainfo.get('classes') or ()
        if not colours or self._metainfo.get('palette'):
            return super()._update_palette()
        by_name = {self.background: BLACK, **dict(zip(self.file_meta['classes'], colours))}
        return [by_name[name] for name in classes]

    def load_data_list(self) -> List[Dict[str, Any]]:
        """List the images and the paths of their masks.

        Returns:
            list[dict]: One entry a sample; ``seg_map_path`` only where the
            data set has masks.
        """
        images, stems = self._images()
        ann_dir = self.data_prefix.get('seg_map_path')
        known = ann_dir is not None and Path(ann_dir).is_dir()
        masks = find_masks(ann_dir, self.seg_map_suffix) if known else {}
        return [self._sample(stem, images[stem], masks.get(stem)) for stem in stems]

    def _images(self) -> Tuple[Dict[str, str], List[str]]:
        """Files of all images of the folder by stem, and the stems that are used."""
        img_dir = self.data_prefix['img_path']
        images = find_images(img_dir, self.seg_map_suffix)
        stems = read_stems(self.ann_file, images, img_dir) if self.ann_file else list(images)
        if not stems:
            raise FileNotFoundError(
                f'the list {self.ann_file} is empty'
                if self.ann_file
                else f'no image was found in {img_dir}'
            )
        return images, stems

    def _sample(self, stem: str, image: str, mask: Optional[str]) -> Dict[str, Any]:
        sample = dict(
            img_path=str(Path(self.data_prefix['img_path'], image)),
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[],
            patient=self.patients.of(stem),
            stem=stem,
        )
        if 'seg_map_path' in self.data_prefix:
            # A mask that is missing is reported with the name that it should have.
            name = mask or stem + self.seg_map_suffix
            sample['seg_map_path'] = str(Path(self.data_prefix['seg_map_path'], name))
        return sample


def _file_meta(metainfo: Optional[Dict[str, Any]], data_root: Optional[str]) -> Dict[str, Any]:
    """Classes and palette of ``data_root/meta.json``; empty where there is none.

    Where the config names the classes, a file of another form is not used.
    """
    path = Path(data_root or '', 'meta.json')
    if not path.is_file():
        return {}
    try:
        return read_meta(path)
    except ValueError:
        if (metainfo or {}).get('classes'):
            return {}
        raise


def complete_metainfo(
    metainfo: Optional[Dict[str, Any]], data_root: Optional[str], required: bool = True
) -> Dict[str, Any]:
    """Classes and palette from the config or from ``data_root/meta.json``.

    Args:
        metainfo (dict, optional): From the config; used alone where it has
            classes.
        data_root (str, optional): Root of the data set.
        required (bool): Whether the data set needs classes. Defaults to True.

    Returns:
        dict: ``classes`` and ``palette`` if known, and further keys of the config.

    Raises:
        ValueError: If neither names the classes and they are needed, or ``meta.json`` is
            malformed.
    """
    metainfo = dict(metainfo or {})
    if metainfo.get('classes'):
        return metainfo
    path = Path(data_root or '', 'meta.json')
    if not path.is_file() and not required:
        return metainfo
    if not path.is_file():
        raise ValueError(
            'the data set needs class names: set metainfo=dict(classes='
            '(\'road\', ...)) in the config, or write {"classes": [...]} to '
            f'{path}'
        )
    return {**read_meta(path), **metainfo}


def read_meta(path: Path) -> Dict[str, Any]:
    """Read classes and palette from a ``meta.json``.

    Args:
        path (Path): JSON file with ``classes`` (list of names) and optionally
            ``palette`` (one RGB triple per class); other keys are not read.

    Returns:
        dict: ``classes`` and, where given, ``palette``.

    Raises:
        ValueError: If it is no JSON of this form.
    """
    try:
        meta = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is no valid JSON: {error}') from None
    classes = meta.get('classes') if isinstance(meta, dict) else None
    if not (
        isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)
    ):
        raise ValueError(f'{path}: "classes" must be a list of class names')
    palette = meta.get('palette')
    if palette is None:
        return dict(classes=classes)
    if not isinstance(palette, list):
        raise ValueError(f'{path}: "palette" must be a list of colours [red, green, blue]')
    if len(palette) != len(classes):
        raise ValueError(f'{path}: "palette" has {len(palette)} colours for {len(classes)} classes')
    return dict(classes=classes, palette=palette)
