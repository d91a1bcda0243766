# Copyright (c) mmseg_ctt contributors.
"""AuxSegNet, arXiv 2107.11787: image-level labels, with saliency as an auxiliary task.

- ``segmentor.py``: the step
- ``head.py``: the three branches and the cross-task affinity
- ``functional.py``: affinities, propagation along them, the saliency loss
- ``mmseg_ctt.self_training.auxsegnet_rounds``: rounds of training and refined pseudo-labels
"""

from .head import AuxSegHead
from .segmentor import AuxSegNet

__all__ = ['AuxSegHead', 'AuxSegNet']
