# Copyright (c) mmseg_ctt contributors.
"""Dual Teacher (arXiv 2310.18640): two temporary teachers that take turns.

- ``segmentor.py``: the step, the turns of teachers and views
- ``depth_drop.py``: sub-models of the student, by stochastic depth
- elsewhere: ``Shifts`` in ``nn/schedule.py``, the update of the teacher at work in
  ``TeacherEMAHook``
"""

from .segmentor import DualTeacher

__all__ = ['DualTeacher']
