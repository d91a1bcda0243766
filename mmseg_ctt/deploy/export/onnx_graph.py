# Copyright (c) mmseg_ctt contributors.
"""ONNX graph of a segmentor, from pixels to labels, and its check in onnxruntime."""

import importlib
from inspect import signature
from pathlib import Path
from typing import NamedTuple, Tuple, Union

import numpy as np
import torch
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from ...methods.checks import input_channels

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')


class PixelLabels(nn.Module):
    """Segmentor from RGB pixels to labels and confidence, normalisation included.

    Args:
        model (EncoderDecoder): From :func:`mmseg_ctt.apis.load_model`.
        size (tuple[int, int]): Height and width of the images, constant in the graph.
    """

    def __init__(self, model: EncoderDecoder, size: Tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        self.metas = [
            dict(ori_shape=size, img_shape=size, pad_shape=size, padding_size=[0, 0, 0, 0])
        ]

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """Labels and confidence of images.

        Args:
            image (Tensor): ``(B, C, H, W)`` float32 in 0-255; three channels are RGB.

        Returns:
            tuple[Tensor, Tensor]: Labels ``(B, H, W)`` int64, confidence ``(B, H, W)`` float32.
        """
        preprocessor = self.model.data_preprocessor
        if (
            image.shape[1] == 3 and not preprocessor.channel_conversion
        ):  # mmseg reads BGR, and this model keeps it
            image = image.flip(1)
        if hasattr(preprocessor, 'mean'):
            image = (image - preprocessor.mean) / preprocessor.std
        logits = self.model.encode_decode(image, self.metas)
        if logits.shape[1] == 1:
            foreground = logits[:, 0].sigmoid()
            label = foreground > self.model.decode_head.threshold
            return label.long(), torch.where(label, foreground, 1 - foreground)
        confidence, label = logits.softmax(dim=1).max(dim=1)
        return label, confidence


class Agreement(NamedTuple):
    """Agreement of onnxruntime with PyTorch on some images.

    Attributes:
        pixels (int): Number of pixels.
        differing (int): Number of pixels with another label.
        confidence (float): Largest absolute difference of the confidence.
    """

    pixels: int
    differing: int
    confidence: float


def check_packages() -> None:
    """Check that the packages for ONNX are installed, and PyTorch is new enough.

    Raises:
        ImportError: If one is not; names what to install.
    """
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            raise ImportError(
                f'{name} is not installed: pip install {" ".join(PACKAGES)}, or the '
                "extra: pip install 'mmseg_ctt[onnx]'"
            ) from None
    if 'external_data' not in signature(torch.onnx.export).parameters:
        raise ImportError(
            f'ONNX export needs a newer PyTorch than {torch.__version__}: export in an environment '
            "with 'torch>=2.6'"
        )


def check_pass(model: EncoderDecoder, size: Tuple[int, int]) -> None:
    """Check that a network takes images of a size, in whose place the exporter fails at length.

    Args:
        model (EncoderDecoder): As of :func:`export_onnx`.
        size (tuple[int, int]): Height and width in pixels.

    Raises:
        ValueError: If it does not.
    """
    example = torch.zeros(1, input_channels(model) or 3, *size)
    try:
        with torch.inference_mode():
            PixelLabels(model, size).eval()(example)
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f'the network takes no images of {size[0]}x{size[1]} pixels ({reason}): give another '
            'size (--shape, in Python size), such as that of the crops of its training'
        ) from error


def export_onnx(
    model: EncoderDecoder,
    path: Union[str, Path],
    size: Tuple[int, int],
    dynamic_batch: bool = False,
) -> None:
    """Write a model as ONNX: input ``image``, outputs ``label`` and ``confidence``.

    Args:
        model (EncoderDecoder): From :func:`mmseg_ctt.apis.load_model`, on the CPU. The graph takes
            the whole image, without sliding windows.
        path (str | Path): File to write.
        size (tuple[int, int]): Height and width in pixels.
        dynamic_batch (bool): Whether the batch size is free; else it is 1. Defaults to False.
    """
    height, width = size
    graph = PixelLabels(model, (height, width)).eval()
    # with an example of one image the exporter makes the batch size constant
    channels = input_channels(model) or 3
    example = torch.zeros(2 if dynamic_batch else 1, channels, height, width)
    shapes = {'image': {0: torch.export.Dim('batch')}} if dynamic_batch else None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        torch.onnx.export(
            graph,
            (example,),
            str(path),
            input_names=['image'],
            output_names=['label', 'confidence'],
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )


def compare(model: EncoderDecoder, path: Union[str, Path], images: np.ndarray) -> Agreement:
    """Compare the outputs of an ONNX file and of its model.

    Args:
        model (EncoderDecoder): The exported model.
        path (str | Path): The ONNX file.
        images (np.ndarray): ``(B, H, W, C)`` in 0-255; three channels are RGB.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    label, confidence = session.run(None, {'image': pixels})
    with torch.inference_mode():
        height, width = images.shape[1:3]
        graph = PixelLabels(model, (height, width)).eval()
        expected, reference = graph(torch.from_numpy(pixels))
    return Agreement(
        label.size,
        int((label != expected.numpy()).sum()),
        float(np.abs(confidence - reference.numpy()).max()),
    )
