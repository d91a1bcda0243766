# Copyright (c) mmseg_ctt contributors.
"""SemiVL, arXiv 2311.16241 (ECCV 2024): UniMatch with labels of a frozen vision-language model.

Of the paper's four parts the dense guidance is here; the start from CLIP weights and training the
attention alone are settings of the config. The language-guided decoder is left out.

- ``segmentor.py``: the step
- ``guidance.py``: the frozen network, its images, and labels from class texts (MaskCLIP)
- ``texts.py``: files of text embeddings
- ``text_encoder.py``: text embeddings from a local CLIP checkpoint, for the converter
"""

from .guidance import ImageTextGuidance
from .segmentor import SemiVL

__all__ = ['ImageTextGuidance', 'SemiVL']
