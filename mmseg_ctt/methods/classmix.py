# Copyright (c) mmseg_ctt contributors.
"""ClassMix (arXiv 2007.07936): a mean teacher whose student sees images mixed along classes.

One step, everything inside ``forward(mode='loss')``:

1. The teacher labels the weak view of the unlabelled images.
2. Half of the classes of each image are pasted onto its neighbour, labels along; then colours and
   blur.
3. The student sees the labelled and the mixed images.
4. Losses: supervised, and cross-entropy to the teacher's labels of all pixels, times the ratio of
   those at 0.968 or more.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from mmseg.registry import MODELS

from .weak_to_strong import WeakToStrong


@MODELS.register_module()
class ClassMix(WeakToStrong):
    """ClassMix: one student and its EMA teacher.

    Loss weights ``sup`` and ``unsup`` default to 1 and 1 (released code).

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))
    default_consistency = dict(select='ratio', normalizer='all', confidence_threshold=0.968)
