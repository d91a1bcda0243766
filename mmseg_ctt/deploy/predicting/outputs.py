# Copyright (c) mmseg_ctt contributors.
"""Folder of the outputs, and what is left to do in it."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Sequence

from ...volumes.cache import stamp_of
from ..volumes.outputs import PredictionFolder, read_record
from .items import IMAGE, RASTER, VIDEO, Item


class Outputs(PredictionFolder):
    """Outputs of all items: ``labels``, and where wanted ``overlays`` and ``probabilities``.

    Args:
        folder (Path): Of the outputs; may not exist.
        settings (Mapping): What they depend on, with ``overlays`` and ``probabilities``.
        items (Sequence[Item]): What is predicted.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], items: Sequence[Item]) -> None:
        super().__init__(folder, settings, items)
        self.overlays = bool(settings['overlays'])
        self.probability_maps = bool(settings['probabilities'])
        self.changed: List[Item] = []

    def overlay_of(self, item: Item) -> Path:
        """File of the overlay of an item."""
        end = {RASTER: '.tif', VIDEO: '.mp4'}.get(item.kind, '.png')
        return self.folder / 'overlays' / f'{item.stem}{end}'

    def probability_of(self, item: Item) -> Path:
        """File of the probabilities of an item."""
        end = '.tif' if item.kind == RASTER else '.npy'
        return self.folder / 'probabilities' / f'{item.stem}{end}'

    def frames_of(self, item: Item) -> Path:
        """Folder of the masks of the frames of a video."""
        return self.folder / 'labels' / item.stem

    def start(self, classes: Sequence[str], overwrite: bool = False) -> None:
        """See :class:`PredictionFolder`; what is left of stopped runs of other files goes."""
        super().start(classes, overwrite)
        for item in self.cases if overwrite else self.changed:
            if item.kind == VIDEO:
                shutil.rmtree(self.frames_of(item), ignore_errors=True)
            for path in self._files([item]):
                for rest in (partial(path), progress_of(path)):
                    rest.unlink(missing_ok=True)

    def kept(self, items: Sequence[Item]) -> List[Item]:
        """Those that an earlier call has finished; their files may be gone since."""
        known = read_record(self.folder).get('cases', {})

        def finished(item: Item) -> bool:
            # a GeoTIFF that is gone is taken for an image, by its name
            kinds = (IMAGE, RASTER) if item.kind == IMAGE else (item.kind,)
            alike = [item._replace(kind=kind) for kind in kinds]
            return any(i.name in known and self._is_finished(i) for i in alike)

        return [item for item in items if finished(item)]

    def _files(self, cases: Sequence[Any]) -> List[Path]:
        found: List[Path] = []
        for item in cases:
            found.append(self.labels_of(item))
            if self.overlays and item.kind != VIDEO:
                found.append(self.overlay_of(item))
            if self.probability_maps and item.kind != VIDEO:
                found.append(self.probability_of(item))
        return found

    def _check_input(self, case: Any, stamp: str) -> None:
        """An input of which nothing is finished may have changed: a damaged one was repaired."""
        if self._is_finished(case) or (case.kind == VIDEO and self.frames_of(case).exists()):
            super()._check_input(case, stamp)
        elif stamp != stamp_of(case.path):
            self.changed.append(case)

    def _check_free(self, case: Any) -> None:
        super()._check_free(case)
        if case.kind == VIDEO and self.frames_of(case).exists():
            raise ValueError(
                f'{self.frames_of(case)} exists, and {self.record.name} does not say how it was '
                'made: give another --out, or --overwrite'
            )


def partial(path: Path) -> Path:
    """File that becomes ``path`` when it is whole."""
    return path.with_name(f'.{path.stem}.part{path.suffix}')


def progress_of(path: Path) -> Path:
    """File that says how far :func:`partial` of a path is written."""
    return path.with_name(f'.{path.stem}.part.json')


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file that appears when it is written whole.

    Args:
        path (Path): Of the file; its folder is made.

    Yields:
        Path: To write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    yield partial(path)
    os.replace(partial(path), path)
