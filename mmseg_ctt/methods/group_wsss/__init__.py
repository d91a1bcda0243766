# Copyright (c) mmseg_ctt contributors.
"""Group-wise semantic mining (Group-WSSS), arXiv 2012.05007.

An image classifier whose class maps are refined by a graph over images of the same classes.

- ``segmentor.py``: the step, and class maps of groups
- ``graph.py``: messages, ConvGRU, graph dropout
- ``functional.py``: co-attention and the formula of graph dropout
- ``mmseg_ctt.datasets.groups``: which images are a group, from their tags
- ``mmseg_ctt.datasets.group_sampler``: the sampler that draws groups
"""

from .segmentor import GroupSemanticMining

__all__ = ['GroupSemanticMining']
