# Copyright (c) mmseg_ctt contributors.
"""Images and labels that steps of the strong augmentation are tried on."""

import torch

from mmseg_ctt.nn.augmentation import StrongAugmentation
from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
DRAWS = [(3, 10), (3, 11), (3, 12), (3, 13)]
K = 5
CLASS, CUT = dict(type='ClassMixing'), dict(type='CutMixing')
JITTER = dict(type='ColorJitter', prob=1)
GREY = dict(type='RandomGreyscale', prob=1)
BLUR = dict(type='GaussianBlur', prob=1)
CUT_OUT = dict(type='CutOut', prob=1)
INTENSITY = dict(type='RandomIntensity')
ALL = [CLASS, CUT, JITTER, GREY, BLUR, CUT_OUT, INTENSITY]


def preprocessor(rgb=True):
    return SemiSegDataPreProcessor(mean=MEAN, std=STD, bgr_to_rgb=rgb)


def statistics():
    return (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))


def images(seed=0, batch=4, size=(17, 24)):
    """Normalised images of smooth random colours."""
    g = torch.Generator().manual_seed(seed)
    plain = torch.rand(batch, 3, *size, generator=g) * 255
    mean, std = statistics()
    return (plain - mean) / std


def labels(batch=4, size=(17, 24), k=K):
    return torch.randint(0, k, (batch, *size), generator=torch.Generator().manual_seed(1))


def view(steps, image=None, label=None, draws=DRAWS, colour=None, **kwargs):
    return StrongAugmentation(steps)(
        images() if image is None else image,
        labels() if label is None else label,
        draws,
        colour or preprocessor(),
        K,
        **kwargs,
    )


def masks(view):
    return [mixing.mask for mixing in view.mixes]
