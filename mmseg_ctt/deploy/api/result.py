# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple, Union

import mmcv
import numpy as np
from PIL import Image

from ...visualization import colorize
from ...visualization.html import legend_html, picture_html, png_bytes
from .inputs import Source

KINDS = ('overlay', 'labels', 'confidence')
SHOWN_SIDE = 800  # pixels of the picture in a notebook
_files: Dict[tuple, Path] = {}  # written into folders by this process: folder, name, image, kind
_taken: Set[Path] = set()  # of them, without suffix
_next: Dict[Path, int] = {}  # number of the next file of a name


@dataclass(frozen=True, repr=False)
class SegResult:
    """Prediction of a model for one image, at the size of the image; in a notebook its overlay.

    Attributes:
        labels (np.ndarray): ``(H, W)`` uint8 class ids, int64 for more than 256 classes.
        confidence (np.ndarray): ``(H, W)`` float32 in [0, 1], the largest class probability.
        classes (tuple[str, ...]): Names of the classes.
        palette (list[list[int]]): RGB in 0-255 of each class.
        source (Source): The image.
    """

    labels: np.ndarray
    confidence: np.ndarray
    classes: Tuple[str, ...]
    palette: List[Sequence[int]]
    source: Source

    @property
    def image(self) -> np.ndarray:
        """Image ``(H, W, 3)`` uint8, RGB; a file is read again."""
        return self.source.rgb()

    @property
    def name(self) -> str:
        """Name of the image, see :class:`Source`."""
        return self.source.name

    def overlay(self, alpha: float = 0.5, min_confidence: float = 0.0) -> np.ndarray:
        """Image blended with the colours of the classes.

        Args:
            alpha (float): Weight of the colours, 0 to 1. Defaults to 0.5.
            min_confidence (float): Pixels of lower confidence show the image. Defaults to 0.

        Returns:
            np.ndarray: ``(H, W, 3)`` uint8, RGB.

        Raises:
            ValueError: If ``alpha`` lies outside [0, 1].
        """
        if not 0 <= alpha <= 1:
            raise ValueError(f'alpha must be in [0, 1], got {alpha}')
        image = self.image
        if image.shape[:2] != self.labels.shape:  # a pipeline may change `ori_shape`
            image = mmcv.imresize(image, self.labels.shape[::-1])
        weight = alpha * (self.confidence >= min_confidence)[..., None]
        mixed = image * (1 - weight) + colorize(self.labels, self.palette) * weight
        return mixed.round().astype(np.uint8)

    def class_fractions(self) -> Dict[str, float]:
        """Fraction of the image that each class covers, by name, the largest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        order = np.argsort(-counts, kind='stable')
        return {self.classes[k]: float(counts[k] / self.labels.size) for k in order if counts[k]}

    share = class_fractions  # its name in 0.1

    def __repr__(self) -> str:
        height, width = self.labels.shape
        parts = [f'{name} {ratio:.1%}' for name, ratio in self.class_fractions().items()]
        return f'SegResult({self.name}, {width}x{height}: {", ".join(parts)})'

    def _repr_png_(self) -> bytes:
        return png_bytes(self.overlay(), SHOWN_SIDE)

    def _repr_html_(self) -> str:
        found = self.class_fractions()
        colours = [self.palette[self.classes.index(name)] for name in found]
        names = [f'{name} {ratio:.1%}' for name, ratio in found.items()]
        return (
            f'<div>{picture_html(self._repr_png_(), self.name)}'
            f'<p>{legend_html(names, colours)}</p></div>'
        )

    def save(
        self, path: Union[str, Path], kind: str = 'overlay', alpha: Optional[float] = None
    ) -> Path:
        """Write a picture of the prediction.

        Args:
            path (str | Path): File, or folder (existing, or a name without suffix) for
                ``<name>.png``; where this process has written another picture of that name there,
                for ``<name>_<kind>.png`` or ``<name>_2.png``.
            kind (str): ``'overlay'``, ``'labels'`` (PNG of class ids, with the palette, as mmseg
                reads masks) or ``'confidence'`` (8 bit grey). Defaults to 'overlay'.
            alpha (float, optional): Weight of the colours in the overlay. Defaults to None: 0.5.

        Returns:
            Path: The file.

        Raises:
            ValueError: If the kind is unknown, or class ids are not written to a PNG.
        """
        if kind not in KINDS:
            raise ValueError(f'kind must be one of {KINDS}, got {kind!r}')
        path = Path(path)
        if path.is_dir() or not path.suffix:
            path = self._file_in(path, kind)
        if kind == 'labels' and path.suffix.lower() != '.png':
            raise ValueError(f'{path}: class ids are kept by PNG only')
        path.parent.mkdir(parents=True, exist_ok=True)
        self._picture(kind, 0.5 if alpha is None else alpha).save(path)
        return path

    def _file_in(self, folder: Path, kind: str) -> Path:
        """File of this picture in a folder; other pictures of this process stay."""
        base = folder.resolve() / self.name
        picture = (base, self.source.path or self.source.serial, kind)
        if picture not in _files:
            name = base if base not in _taken else base.with_name(f'{base.name}_{kind}')
            while name in _taken:
                _next[base] = _next.get(base, 1) + 1
                name = base.with_name(f'{base.name}_{_next[base]}')
            _files[picture] = name
            _taken.add(name)
        written = _files[picture]
        return folder / written.relative_to(folder.resolve()).with_name(f'{written.name}.png')

    def _picture(self, kind: str, alpha: float) -> Image.Image:
        if kind == 'overlay':
            return Image.fromarray(self.overlay(alpha))
        if kind == 'confidence':
            return Image.fromarray((self.confidence * 255).round().astype(np.uint8))
        if self.labels.dtype != np.uint8:
            return Image.fromarray(self.labels.astype(np.uint16))
        picture = Image.fromarray(self.labels)
        colours = np.array(self.palette, dtype=np.uint8)
        if self.labels.max(initial=0) >= len(colours):  # else Pillow writes fewer bits
            colours = np.pad(colours, ((0, 256 - len(colours)), (0, 0)))
        picture.putpalette(colours.tobytes())
        return picture
