# Copyright (c) mmseg_ctt contributors.
"""CutMix-Seg (arXiv 1906.01916): a mean teacher whose student sees CutMix of two images.

One step, everything inside ``forward(mode='loss')``:

1. The teacher sees the weak view of the unlabelled images.
2. A rectangle of half the area of each image is pasted onto its neighbour, and the teacher's
   predictions along.
3. The student sees the labelled and the mixed images.
4. Losses: supervised, and the squared difference of the probabilities, summed over classes, times
   the ratio of pixels at 0.97 or more.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from mmseg.registry import MODELS

from .weak_to_strong import WeakToStrong


@MODELS.register_module()
class CutMixSeg(WeakToStrong):
    """CutMix-Seg (French et al.): one student and its EMA teacher.

    Loss weights ``sup`` and ``unsup`` default to 1 and 1 (released code).

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_augmentation = (dict(type='CutMixing'),)
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))
    default_consistency = dict(
        target='squared',
        class_mean=False,
        select='ratio',
        normalizer='all',
        confidence_threshold=0.97,
    )
