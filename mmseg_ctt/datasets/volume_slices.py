# Copyright (c) mmseg_ctt contributors.
"""Slices of volumes as a data set."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from mmseg.registry import DATASETS

from ..volumes import Volume, check_geometry, num_slices, open_volume
from ..volumes.address import VOLUME_SUFFIXES, SliceAddress
from ..volumes.formats import array_path
from ..volumes.intensity import check_context, check_intensity
from ..volumes.planes import axis_of
from ..volumes.slices import foreground_slices
from .folder import FolderSegDataset
from .image_files import find_files
from .lists import read_stems
from .patients import WHOLE_NAME
from .volume_files import without_labels


@DATASETS.register_module()
class VolumeSliceDataset(FolderSegDataset):
    """Slices of the volumes of a folder, with or without labels.

    Volumes are ``.nii``, ``.nii.gz``, ``.npy``, ``.npz`` and ``.h5`` files of three axes. A slice
    is an image ``(H, W)`` of two axes as the file stores them: nothing is turned or resampled.
    ``ann_file`` lists volumes, one a line, with or without suffix; without it all volumes below
    ``img_path`` are used. The label of ``a/b.nii.gz`` is ``a/b`` with any of these suffixes below
    ``seg_map_path``. Without ``seg_map_path`` the data set has images only.

    A volume that is compressed is decompressed once, into a cache on disk
    (``MMSEG_CTT_VOLUME_CACHE`` names its folder), from which slices are read.

    Args:
        data_root (str, optional): Root of the relative paths.
        data_prefix (dict): ``img_path`` and, where there are labels, ``seg_map_path``. Defaults to
            ``dict(img_path='')``.
        metainfo (dict, optional): As for :class:`FolderSegDataset`.
        plane (str): ``'x'``, ``'y'`` or ``'z'``: slices along the first, second or third axis.
            Defaults to 'z'.
        context (int): 1: each image is one slice; 3: the slices before, at and after it are its
            three channels. Defaults to 1.
        window (Sequence[float], optional): Values that become 0 and 255, such as ``(-100, 400)``
            for CT; values beyond are clipped. Defaults to None.
        percentiles (Sequence[float], optional): Percentiles of each volume that become 0 and 255.
            Defaults to None: without a window too, values of 8 bit stay as they are, and others
            take the percentiles 0.5 and 99.5.
        stride (int): Every how many slices one is used, from the first on. Defaults to 1.
        foreground_only (bool): Leave out slices whose label has no id but 0 and the ignored one.
            Defaults to False.
        patient (str, optional): Regular expression that matches the whole name of a volume; its
            first group is the patient, none of whom may be in two sets. Defaults to ``'(.+)'``,
            the name itself; None: no check.
        img_suffix (str, optional): End of the names of volumes, such as ``'_0000.nii.gz'``.
            Defaults to None: any of the suffixes.
        seg_map_suffix (str, optional): End of the names of labels, such as ``'_gt.nii.gz'``. Where
            it is more than an extension, volumes do not end so. Defaults to None: any.
        image_key (str, optional): Name of the array of images in ``.npz`` and ``.h5`` files.
            Defaults to None: ``image``, else the only array of three axes.
        label_key (str, optional): The same for labels. Defaults to None: ``label``, else the only
            array of three axes.
        **kwargs: See ``mmseg.datasets.BaseSegDataset``.

    Raises:
        FileNotFoundError: If a folder, ``ann_file``, a volume it lists or a label does not exist.
        ValueError: If a setting is wrong, a file is no volume or has fewer slices than
            ``context``, or a label has another shape or affine than its volume.
    """

    needs_classes = True

    def __init__(
        self,
        data_root: Optional[str] = None,
        data_prefix: Optional[Dict[str, Optional[str]]] = None,
        metainfo: Optional[Dict[str, Any]] = None,
        plane: str = 'z',
        context: int = 1,
        window: Optional[Sequence[float]] = None,
        percentiles: Optional[Sequence[float]] = None,
        stride: int = 1,
        foreground_only: bool = False,
        patient: Optional[str] = WHOLE_NAME,
        img_suffix: Optional[str] = None,
        seg_map_suffix: Optional[str] = None,
        image_key: Optional[str] = None,
        label_key: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        axis_of(plane)
        check_context(context, name)
        self.plane, self.context = plane, context
        self.window, self.percentiles = check_intensity(window, percentiles, name)
        if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
            raise ValueError(f'{name}: stride must be a whole number from 1 on, got {stride!r}')
        self.stride, self.foreground_only = stride, foreground_only
        self.suffixes = _suffixes(img_suffix), _suffixes(seg_map_suffix)
        self.keys, self.volume_suffix = (image_key, label_key), img_suffix
        super().__init__(
            data_root=data_root,
            data_prefix=data_prefix,
            metainfo=metainfo,
            seg_map_suffix=seg_map_suffix or VOLUME_SUFFIXES[0],
            patient=patient,
            **kwargs,
        )

    def load_data_list(self) -> List[Dict[str, Any]]:
        """List the slices and the addresses of their labels.

        Returns:
            list[dict]: One entry a slice; ``seg_map_path`` only where the data set has labels,
                ``volume_suffix`` where ``img_suffix`` is set.
        """
        labels = self.data_prefix.get('seg_map_path')
        if self.foreground_only and labels is None:
            raise ValueError(
                f'{type(self).__name__}: foreground_only needs labels, set '
                'data_prefix.seg_map_path, or leave it out for unlabelled slices'
            )
        folder = self.data_prefix['img_path']
        volumes = self._find_volumes(folder)
        stems = read_stems(self.ann_file, volumes, folder) if self.ann_file else list(volumes)
        if not stems:
            raise FileNotFoundError(
                f'no volume was found in {folder}; volumes end in {", ".join(self.suffixes[0])}'
            )
        found = {} if labels is None else find_files(labels, self.suffixes[1])
        samples = []
        for stem in stems:
            image = self._open(folder, volumes[stem], self.keys[0], 'image')
            label = None if labels is None else self._open_label(labels, stem, found)
            samples += self._slices(stem, image, label)
        if not samples:
            raise ValueError(f'no slice of {len(stems)} volumes in {labels} has foreground')
        return samples

    def _find_volumes(self, folder: str) -> Dict[str, str]:
        """Volumes by stem, without those that end as labels do."""
        (ending, *more) = self.suffixes[1]
        return without_labels(find_files(folder, self.suffixes[0]), None if more else ending)

    def _open(self, folder: str, name: str, key: Optional[str], usual: str) -> Volume:
        return open_volume(array_path(str(Path(folder, name)), usual, key))

    def _open_label(self, folder: str, stem: str, found: Dict[str, str]) -> Volume:
        if stem not in found:
            raise FileNotFoundError(
                f'the volume {stem} has no label in {folder} ({stem}{self.suffixes[1][0]}): take '
                'it off this list, volumes without label belong to the unlabelled source'
            )
        return self._open(folder, found[stem], self.keys[1], 'label')

    def _slices(self, stem: str, image: Volume, label: Optional[Volume]) -> List[Dict[str, Any]]:
        """Entries of the slices of a volume."""
        number = num_slices(image.shape, self.plane)
        if number < self.context:
            raise ValueError(
                f'the volume {image.path} has {number} slices along {self.plane}, fewer than '
                f'context={self.context}'
            )
        chosen = range(0, number, self.stride)
        if label is not None:
            check_geometry(image, label)
        if label is not None and self.foreground_only:
            shown = set(foreground_slices(label.path, self.plane, self.ignore_index))
            return [self._entry(stem, image, label, k) for k in chosen if k in shown]
        return [self._entry(stem, image, label, k) for k in chosen]

    def _entry(self, stem: str, image: Volume, label: Optional[Volume], k: int) -> Dict[str, Any]:
        address = SliceAddress(
            image.path, self.plane, k, self.context, self.window, self.percentiles
        )
        sample = dict(
            img_path=str(address),
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[],
            patient=self.patients.of(stem),
        )
        if self.volume_suffix is not None:
            sample['volume_suffix'] = self.volume_suffix
        if label is not None:
            sample['seg_map_path'] = str(SliceAddress(label.path, self.plane, k))
        return sample


def _suffixes(given: Optional[str]) -> Tuple[str, ...]:
    return VOLUME_SUFFIXES if given is None else (given,)
