# Copyright (c) mmseg_ctt contributors.
"""Mix-and-match tuning (M&M, arXiv 1712.00661): masks teach the features which patches are alike.

It stands between pre-training and fine-tuning, on the labelled images of both. One step is that of
:class:`FeatureLearning`; its task, ``PatchMatchingTask``, is that of the paper:

1. Mix: patches of the labelled images, each with the class of its centre pixel.
2. Match: a class-wise connected graph over the patches of the batch gives triplets, whose loss
   draws patches of one class together.
"""

from typing import ClassVar, Tuple

from mmseg.registry import MODELS

from .feature_learning import FeatureLearning


@MODELS.register_module()
class MixAndMatchTuning(FeatureLearning):
    """A backbone that learns from the masks of the source ``labeled`` which patches are alike.

    ``auxiliary_tasks`` defaults to the matching of patches. The decode head of ``segmentor`` says
    which feature map is the deepest that it will read; its weights stay as they were built.

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    sources: ClassVar[Tuple[str, ...]] = ('labeled',)
    default_auxiliary_tasks = (dict(type='PatchMatchingTask'),)
    toy_settings = dict(
        auxiliary_tasks=[dict(type='PatchMatchingTask', num_patches=4, patch_size=16, pool=2)]
    )
