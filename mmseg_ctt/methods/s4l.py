# Copyright (c) mmseg_ctt contributors.
"""S4L, self-supervised semi-supervised learning (arXiv 1905.03670), for segmentation.

The paper classifies images. This is the package's reading of it for pixels. One step, everything
inside ``forward(mode='loss')``:

1. The student sees the labelled images.
2. Losses: supervised, and those of the auxiliary tasks (``auxiliary_tasks``), which read labelled
   and unlabelled images: rotation by default; exemplar, virtual adversarial training and entropy
   minimisation as the config says. The tasks are files of ``mmseg_ctt/nn/auxiliary_tasks``.

A moving average of the student only predicts (the paper's weighted combination of all tasks is
tested with it).
"""

from mmseg.registry import MODELS

from ..nn.images import Images
from .base import Losses, SemiSegmentor


@MODELS.register_module()
class S4L(SemiSegmentor):
    """Supervised learning with self-supervised tasks on labelled and unlabelled images.

    The same list of tasks works with every other method. ``student0`` predicts by default, with
    ``test_cfg=dict(predict_on='teacher0')`` its moving average.

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    keeps_average = True
    default_member = 'student0'
    uses_pseudo_labels = False
    joins_batches = False
    default_auxiliary_tasks = (dict(type='RotationTask'),)
    toy_settings = dict(auxiliary_tasks=[dict(type='RotationTask', crop_size=16)])

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        (output,) = self.forward_member('student0', labeled.image)  # 1
        return self.supervised_loss(0, output, labeled)  # 2; the base adds the tasks
