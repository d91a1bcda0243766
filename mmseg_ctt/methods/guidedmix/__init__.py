# Copyright (c) mmseg_ctt contributors.
"""GuidedMix-Net, arXiv 2106.15064, as the paper describes it or as its code does it.

A labelled image is mixed into an unlabelled one, and subtracted from the prediction again.

- ``segmentor.py``: the step in both modes
- ``mixing_ratio.py``: the random ratio of a pair; ``agreement.py``: the consistency
- ``mitrans.py``: mutual information transformer; ``second_head.py``: classifier of mixed features
- ``functional.py``: partners, interpolation, decoupling, losses
"""

from .segmentor import GuidedMixNet

__all__ = ['GuidedMixNet']
