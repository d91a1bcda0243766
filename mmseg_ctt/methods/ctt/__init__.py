# Copyright (c) mmseg_ctt contributors.
"""Cross-Teacher Training (CTT), arXiv 2209.01327.

Pairs of student and EMA teacher; each student learns from the teachers of the other pairs, with
contrast against class memory banks.

- ``segmentor.py``: the step (the paper's algorithm), loss weights of Eq 10
- ``contrast.py``: high-level and low-level contrast of all pairs, the banks (Eq 6-9)
- ``functional.py``: both contrastive losses as functions
- elsewhere: Eq 5 is ``Consistency`` in ``nn/consistency.py``, the bank ``nn/memory_bank.py``, the
  switch of the contrast ``QueueWarmupHook`` in ``engine/hooks``
"""

from .segmentor import CrossTeacherTraining

__all__ = ['CrossTeacherTraining']
