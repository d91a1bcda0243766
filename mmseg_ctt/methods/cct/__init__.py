# Copyright (c) mmseg_ctt contributors.
"""Cross-consistency training (CCT), arXiv 2003.09005.

One encoder, the main decoder, and auxiliary decoders that read the encoder's output after
perturbations and must predict what the main decoder predicts.

- ``segmentor.py``: the step
- ``decoders.py``: the auxiliary decoders, each with its perturbation
- ``functional.py``: boxes of connected objects, and windows of them that are erased
- ``mmseg_ctt.nn.perturbation``: dropout of channels and positions, noise
- ``mmseg_ctt.nn.adversarial``: adversarial changes of features
"""

from .segmentor import CrossConsistency

__all__ = ['CrossConsistency']
