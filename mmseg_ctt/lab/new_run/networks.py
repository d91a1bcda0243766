# Copyright (c) mmseg_ctt contributors.
"""Networks that a run can have by name, and the memory that they take."""

from typing import Dict, List, NamedTuple

from ...compat import config_folder


class Network(NamedTuple):
    """Network of a run.

    Attributes:
        title (str): In words.
        multiple (int): Pixels that sides of crops are multiples of.
        weights (int): MB of weights, gradients and optimiser in CTT: two students, two teachers.
        per_pixel (int): Bytes that a step of CTT keeps for each pixel of a batch.
    """

    title: str
    multiple: int
    weights: int
    per_pixel: int


# Measured with crops of 112x112, 2 labelled and 2 unlabelled, as tensors saved for the backward pass
NETWORKS: Dict[str, Network] = {
    'mobilenetv2': Network('MobileNetV2, DeepLabV3+', 32, 112, 4400),
    'resnet50': Network('ResNet-50, DeepLabV3+', 32, 1200, 11300),
    'resnet101': Network('ResNet-101, DeepLabV3+', 32, 1900, 17800),
    'segformer-b0': Network('SegFormer MiT-B0', 32, 150, 2600),
    'segformer-b1': Network('SegFormer MiT-B1', 32, 550, 3900),
    'segformer-b2': Network('SegFormer MiT-B2', 32, 1000, 6100),
    'segformer-b3': Network('SegFormer MiT-B3', 32, 1800, 8400),
    'segformer-b4': Network('SegFormer MiT-B4', 32, 2500, 11500),
    'segformer-b5': Network('SegFormer MiT-B5', 32, 3400, 15900),
    'dinov2-s': Network('DINOv2 ViT-S, DPT', 14, 1000, 4400),
    'dinov2-b': Network('DINOv2 ViT-B, DPT', 14, 3900, 8800),
}
USUAL = 'mobilenetv2'  # of the folder base


def network(name: str) -> Network:
    """A network by its name.

    Raises:
        ValueError: If there is none.
    """
    if name not in NETWORKS:
        raise ValueError(f'--model {name} is not known; known are {", ".join(NETWORKS)}')
    return NETWORKS[name]


def files() -> List[str]:
    """Names of the files that networks other than the usual one are read from."""
    return sorted(path.stem for path in (config_folder() / '_base_' / 'networks').glob('*.py'))
