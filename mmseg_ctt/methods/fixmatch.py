# Copyright (c) mmseg_ctt contributors.
"""FixMatch (arXiv 2001.07685) for segmentation: a student teaches itself from weak to strong.

One step, everything inside ``forward(mode='loss')``:

1. The student labels the weak view of the unlabelled images, without gradient.
2. The strong view is the weak one after colours, blur and CutMix; pseudo-labels are mixed along.
3. The student sees the labelled images and the strong view.
4. Losses: supervised, and cross-entropy to the pseudo-labels of 0.95 confidence or more, divided by
   the number of all pixels that are not padding.
"""

from mmseg.registry import MODELS

from .weak_to_strong import WeakToStrong


@MODELS.register_module()
class FixMatchSeg(WeakToStrong):
    """FixMatch for segmentation: one student, no teacher; the baseline of UniMatch.

    Loss weights ``sup`` and ``unsup`` default to 1 and 1 (FixMatch; UniMatch's code halves both).
    The strong view has the steps of UniMatch's released code.

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    default_augmentation = (
        dict(type='ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25),
        dict(type='RandomGreyscale'),
        dict(type='GaussianBlur', sigma=(0.1, 2.0)),
        dict(type='CutMixing', area=(0.02, 0.4), aspect=(0.3, 1 / 0.3), prob=0.5),
    )
    default_consistency = dict(confidence_threshold=0.95, normalizer='valid')
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))
