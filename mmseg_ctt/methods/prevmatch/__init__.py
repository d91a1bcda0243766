# Copyright (c) mmseg_ctt contributors.
"""PrevMatch, arXiv 2405.20610: past models of a run teach beside the present one.

UniMatch with a second set of pseudo-labels, from a random ensemble of past models.

- ``segmentor.py``: the step
- ``ring.py``: which past models there are, and which a step draws
- ``hook.py``: when the student is stored
- ``functional.py``: the ensemble and the weight over the run
"""

from .hook import PastModelsHook
from .segmentor import PrevMatch

__all__ = ['PastModelsHook', 'PrevMatch']
