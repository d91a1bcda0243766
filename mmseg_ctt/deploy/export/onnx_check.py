# Copyright (c) mmseg_ctt contributors.
"""Export as ONNX with a check of the labels that onnxruntime gives."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional, Sequence, Tuple, Union

import mmcv
import numpy as np
from mmseg.models.segmentors import EncoderDecoder

from ...datasets.whole_files import write_whole
from ...engine.out_paths import check_out_file
from ...methods.checks import input_channels
from ...nn.settings import check_number
from . import onnx_graph
from .onnx_graph import Agreement

TOLERANCE = 1e-4  # fraction of pixels whose two best classes may be swapped by rounding
DEFAULT_SIZE = 512, 512


def image_size(model: EncoderDecoder) -> Tuple[int, int]:
    """Height and width that a model was trained on, by its data preprocessor, else 512x512."""
    height, width = model.data_preprocessor.size or DEFAULT_SIZE
    return height, width


def check_size(size: Any) -> None:
    """Check that a size of images is a height and a width.

    Args:
        size (tuple[int, int]): In pixels.

    Raises:
        TypeError: If it is no pair of integers.
        ValueError: If one of them is not positive.
    """
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise TypeError(f'size (--shape) must be (height, width), got {size!r}')
    for side in size:
        check_number('size (--shape)', side, low=1, whole=True)


def export_checked(
    model: EncoderDecoder,
    path: Union[str, Path],
    size: Optional[Tuple[int, int]] = None,
    dynamic_batch: bool = False,
    images: Sequence[Union[str, Path]] = (),
) -> Agreement:
    """Write a model as ONNX, and compare its labels with those of PyTorch.

    Args:
        model (EncoderDecoder): From :func:`mmseg_ctt.apis.load_model`, on the CPU.
        path (str | Path): File to write.
        size (tuple[int, int], optional): Height and width in pixels. Defaults to None: see
            :func:`image_size`.
        dynamic_batch (bool): Whether the batch size is free; else it is 1. Defaults to False.
        images (Sequence[str | Path]): Images of the check. Defaults to none: two generated ones.

    Raises:
        FileNotFoundError: If an image does not exist.
        ImportError: If a package of the extra ``onnx`` is missing.
        TypeError: If ``size`` is no pair of integers.
        ValueError: If the model is an ensemble or takes no images of this size, onnxruntime gives
            other labels, or ``path`` is a folder or has another content; nothing is written.
    """
    onnx_graph.check_packages()
    check_out_file(path)
    if size is not None:
        check_size(size)
    if getattr(model, 'member_name', None) == 'ensemble':
        raise ValueError('the ensemble is several networks: choose one member')
    size = image_size(model) if size is None else (size[0], size[1])
    pixels = check_images(model, images, size)
    batches = [pixels] if dynamic_batch else [pixels[i : i + 1] for i in range(len(pixels))]
    with TemporaryDirectory() as folder:
        graph = Path(folder, Path(path).name)
        onnx_graph.check_pass(model, size)
        onnx_graph.export_onnx(model, graph, size, dynamic_batch)
        found = _agreement([onnx_graph.compare(model, graph, batch) for batch in batches])
        if found.differing > TOLERANCE * found.pixels:
            raise ValueError(
                f'onnxruntime does not give the labels of PyTorch, {found.differing} of '
                f'{found.pixels} differ: {path} is not written'
            )
        _write(Path(path), graph.read_bytes())
    return found


def _agreement(checks: Sequence[Agreement]) -> Agreement:
    return Agreement(
        sum(check.pixels for check in checks),
        sum(check.differing for check in checks),
        max(check.confidence for check in checks),
    )


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() != content:
        raise ValueError(f'{path} is there, of another export: take another name, or remove it')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def check_images(
    model: EncoderDecoder, paths: Sequence[Union[str, Path]], size: Tuple[int, int]
) -> np.ndarray:
    """Images ``(B, H, W, C)`` of the check: resized files, or noise and coarse blocks."""
    from ..api.predict import read_input  # which imports the export

    channels = input_channels(model) or 3
    if paths:
        for path in paths:
            if not Path(path).is_file():
                raise FileNotFoundError(f'the image {path} does not exist, or is no file')
        images = [mmcv.imresize(read_input(model, str(path)), size[::-1]) for path in paths]
        return np.stack([image.reshape(*size, channels) for image in images])
    random = np.random.RandomState(0)
    coarse = random.randint(0, 256, (-(-size[0] // 16), -(-size[1] // 16), channels))
    coarse = coarse.repeat(16, 0).repeat(16, 1)[: size[0], : size[1]]
    return np.stack([random.randint(0, 256, (*size, channels)), coarse]).astype(np.uint8)
