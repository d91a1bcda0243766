# Copyright (c) mmseg_ctt contributors.
"""Self-supervised pre-training: a backbone learns from images alone, without any label.

One step is that of :class:`FeatureLearning`, with rotation (arXiv 1803.07728) as the default task.
For users whose images have no pre-trained weights: another number of channels, another domain.
"""

from typing import ClassVar, Tuple

from mmseg.registry import MODELS

from .feature_learning import FeatureLearning


@MODELS.register_module()
class SelfSupervisedPretraining(FeatureLearning):
    """A backbone that learns from the source ``unlabeled`` by self-supervised tasks.

    ``auxiliary_tasks`` defaults to rotation. The decode head of ``segmentor`` says which feature
    map is the deepest that it will read; its weights stay as they were built.

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    sources: ClassVar[Tuple[str, ...]] = ('unlabeled',)
    default_auxiliary_tasks = (dict(type='RotationTask'),)
