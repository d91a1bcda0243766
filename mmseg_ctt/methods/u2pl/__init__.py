# Copyright (c) mmseg_ctt contributors.
"""Using unreliable pseudo-labels (U2PL), arXiv 2203.03884.

A mean teacher whose unreliable pixels become negatives of the classes that they are not.

- ``segmentor.py``: the step; reliable and unreliable pixels by entropy
- ``contrast.py``: contrastive loss with per-class negative queues, anchors, prototypes
- ``entropy.py``: the adaptive partition (``alpha_t``)
- ``functional.py``: negative candidates, the losses, random choices per class
"""

from .segmentor import U2PL

__all__ = ['U2PL']
