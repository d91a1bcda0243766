# Copyright (c) mmseg_ctt contributors.
"""Label-efficient semantic segmentation for MMSegmentation.

Importing the package prepares stock mmseg for a current PyTorch (:mod:`mmseg_ctt.compat`) and
registers every data set, transform, sampler, model, hook and loop in mmseg's registries.
"""

from . import compat, noise

noise.apply()  # before other packages are imported
compat.apply()  # before anything below imports mmseg.models

from . import datasets, nn, methods, engine, self_training  # noqa: E402, I001
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'compat', 'datasets', 'engine', 'methods', 'nn', 'self_training']
