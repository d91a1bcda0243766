# Copyright (c) mmseg_ctt contributors.
"""A training that reads a copy: each image and mask by the path of its original."""

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from ..built import inner_steps
from ..checks import KEY as DATASET
from ..extra_maps import LoadMaps
from ..image_loading import CheckedLoadImageFromFile
from ..wrappers import distinct_infos, leaves
from .manifest import TOOL, Entry, checksum, read_entries, read_options
from .plan import UNCHANGED, inside, kept_bands, key_of, maps_of, root_of
from .sizes import Scale, needed_scale

KEY = f'{DATASET}.training_copy'
AGAIN = f'run {TOOL} again, which adds what is missing or has changed'


class TrainingCopy:
    """Files of a training copy in the order, and with the names, of the originals.

    Lists, names, tags and checks are those of the originals; only what is decoded comes from the
    copy. So the order of the samples, resume and a change of the number of processes are as
    without a copy.

    Args:
        folder (str): Of the copy.
        sources (Mapping[str, AnySet]): Data sets by name, their files listed. The folders of
            ``LoadMaps`` in their pipelines become those of the copy.

    Raises:
        FileNotFoundError: If the folder is no training copy, or a file of it is missing.
        ValueError: If an image or mask is not in it or has changed since, or the pipelines need
            larger images than it has, of another aspect ratio, or with bands that it has not.
    """

    def __init__(self, folder: str, sources: Mapping[str, Any]) -> None:
        self.folder = os.path.abspath(folder)
        self.options = read_options(Path(folder))
        self.root = root_of(leaf for source in sources.values() for leaf in leaves(source))
        entries = read_entries(Path(folder))
        self.files: Dict[str, str] = {key: entry.file for key, entry in entries.items()}
        for name, source in sources.items():
            for leaf in leaves(source):
                self._check_scale(name, needed_scale(leaf.pipeline.transforms))
                self._check_loading(name, leaf)
                self._check_maps(name, leaf, entries)
                self._use_maps(name, leaf)
            self._check_files(name, distinct_infos(source), entries)

    def redirected(self, info: Dict[str, Any]) -> Dict[str, Any]:
        """Entry of a sample with the paths of the copy.

        Args:
            info (dict): ``img_path`` and so on; not changed.

        Raises:
            ValueError: If the image is not in the copy, or its mask is not and would be of
                another size.
        """
        made = {**info, 'img_path': self._file('image', info['img_path'])}
        mask = info.get('seg_map_path')
        if mask and 'seg_map_paths' not in info:  # of several raters, which are read as they are
            kept = self.options.scale is None and key_of(mask, self.root) not in self.files
            made['seg_map_path'] = mask if kept else self._file('mask', mask)
        elif mask and self.options.scale is not None:
            raise ValueError(
                f'{KEY}={self.folder} has resized images, and masks of several raters are read as '
                'they are: make a copy with --size keep'
            )
        return made

    def _file(self, kind: str, path: str) -> str:
        file = self.files.get(key_of(path, self.root))
        if file is None:
            raise ValueError(
                f'the {kind} {path} is not in the training copy {self.folder}: {AGAIN}'
                + ('' if kind == 'image' else ', or make a copy with --size keep')
            )
        return os.path.join(self.folder, file)

    def _check_files(self, name: str, infos: List[dict], entries: Mapping[str, Entry]) -> None:
        for info in infos:
            made = self.redirected(info)
            for key in ('img_path', 'seg_map_path'):
                path = made.get(key)
                if path and path != info[key]:
                    self._check_file(name, info[key], entries[key_of(info[key], self.root)])

    def _check_maps(self, name: str, leaf: Any, entries: Mapping[str, Entry]) -> None:
        if not inner_steps(leaf, LoadMaps):
            return
        for info in distinct_infos(leaf):
            for path, _ in maps_of(leaf, info, self.root):
                entry = entries.get(key_of(path, self.root))
                if entry is not None and os.path.isfile(path):
                    self._check_file(name, path, entry)

    def _check_file(self, name: str, original: str, entry: Entry) -> None:
        path = os.path.join(self.folder, entry.file)
        if not os.path.isfile(path) or os.path.getsize(path) != entry.bytes:
            raise FileNotFoundError(
                f'{path} of the training copy of {DATASET}.{name} is missing or incomplete: {AGAIN}'
            )
        if _changed(original, entry):
            raise ValueError(f'{original} has changed since its training copy was made: {AGAIN}')

    def _check_scale(self, name: str, needed: Optional[Scale]) -> None:
        scale = self.options.scale
        if scale is None or needed is None:
            return
        if needed.width > scale[0] or needed.height > scale[1]:
            raise ValueError(
                f'{KEY}={self.folder} has images of at most {scale[0]}x{scale[1]} pixels, and the '
                f'pipeline of {DATASET}.{name} resizes them to {needed.width}x{needed.height}: '
                'make another copy, or set sizes.scale'
            )
        if needed.keep_ratio != self.options.keep_ratio:
            raise ValueError(
                f'{KEY}={self.folder} was scaled with keep_ratio={self.options.keep_ratio}, and '
                f'the pipeline of {DATASET}.{name} resizes with keep_ratio={needed.keep_ratio}: '
                'make another copy'
            )

    def _check_loading(self, name: str, leaf: Any) -> None:
        for step in inner_steps(leaf, CheckedLoadImageFromFile):
            if step.nodata is not None:
                raise ValueError(
                    f'image_loading.nodata={step.nodata:g} marks pixels of {DATASET}.{name} by '
                    f'their value, which {KEY}={self.folder} has changed: train from the originals'
                )
            if kept_bands(step) == UNCHANGED != self.options.color_type:
                raise ValueError(
                    f'{KEY}={self.folder} was made with color_type={self.options.color_type!r}, '
                    f'and the pipeline of {DATASET}.{name} loads images with '
                    f'color_type={step.color_type!r}: a fourth band would be missing, make another '
                    'copy'
                )

    def _use_maps(self, name: str, leaf: Any) -> None:
        for step in inner_steps(leaf, LoadMaps):
            for key, folder in list(step.maps.items()):
                below = key_of(folder, self.root) if inside(folder, self.root) else None
                copied = below is not None and any(
                    file.startswith(f'{below}/') for file in self.files
                )
                if copied:
                    step.maps[key] = os.path.join(self.folder, str(below))
                elif self.options.scale is not None:
                    raise ValueError(
                        f'{KEY}={self.folder} has resized images, and no maps of {folder}, which '
                        f'LoadMaps of {DATASET}.{name} reads: {AGAIN}, or make a copy with --size '
                        'keep'
                    )


def _changed(original: str, entry: Entry) -> bool:
    """Whether a file has other content; one that was moved may have another time alone."""
    found = os.stat(original)
    if found.st_size != entry.source_bytes:
        return True
    if found.st_mtime_ns == entry.source_mtime_ns:
        return False
    return checksum(Path(original).read_bytes()) != entry.source_sha256
