# Copyright (c) mmseg_ctt contributors.
"""WILSON (arXiv 2112.01882): new classes for a segmentor, learnt from tags alone.

``segmentor.py`` is the training of a later step, ``localizer.py`` the head that finds the new
classes (training only), ``pseudo_labels.py`` has the settings of what is made of its maps,
``growth.py`` makes a network of more classes from that of the step before, ``functional.py`` and
``losses.py`` have all formulae. All steps, one after the other, are the recipe ``ClassIncremental``
of ``tools/self_train.py``; the loss of step 0 is ``PixelSigmoidLoss`` (``mmseg_ctt/nn``).
"""

from .segmentor import WILSON

__all__ = ['WILSON']
