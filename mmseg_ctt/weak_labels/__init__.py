# Copyright (c) mmseg_ctt contributors.
"""Labels of pixels from tags of images: saliency, rules of fusion, dense CRF.

Pure functions of arrays, one topic a file; no networks.
"""

from .fusion import RULES, Rule, check_rule, confidence_of, fuse

__all__ = ['RULES', 'Rule', 'check_rule', 'confidence_of', 'fuse']
