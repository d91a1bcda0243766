# Copyright (c) mmseg_ctt contributors.
"""Strong augmentation as a list of registered steps."""

from .intensity import ColorJitter, CutOut, GaussianBlur, RandomGreyscale
from .mixing import ClassMixing, CutMixing
from .pixel_source import PixelSource
from .random_intensity import RandomIntensity
from .step import AUGMENTATION_STEPS, AugmentationStep, MixingStep
from .strong import CLASS_MIX_STEPS, StrongAugmentation
from .view import Context, Mix, View, denormalize, normalize

__all__ = [
    'AUGMENTATION_STEPS',
    'CLASS_MIX_STEPS',
    'AugmentationStep',
    'ClassMixing',
    'ColorJitter',
    'Context',
    'CutMixing',
    'CutOut',
    'GaussianBlur',
    'Mix',
    'MixingStep',
    'PixelSource',
    'RandomGreyscale',
    'RandomIntensity',
    'StrongAugmentation',
    'View',
    'denormalize',
    'normalize',
]
